/** Whether a part of a long page is on the screen or nearly: what is not need not be drawn. */

import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

const NEAR = "400px";
const told = new WeakMap<Element, (near: boolean) => void>();
/** One for all: a browser looks at five hundred places sooner than at five hundred observers. */
const eye = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) told.get(target)?.(isIntersecting);
}, { rootMargin: NEAR });

/** `watched` false: it always is. */
export function useNear(box: RefObject<Element | null>, watched = true): boolean {
  const [near, setNear] = useState(!watched);
  useEffect(() => {
    const place = box.current;
    if (!watched || !place) return undefined;
    told.set(place, setNear);
    eye.observe(place);
    return () => eye.unobserve(place);
  }, [watched]);
  return near || !watched;
}
