/** Whether a part of a long page is on the screen or nearly: what is not need not be drawn. */

import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

type Told = (near: boolean) => void;

/** One for all that is watched from as far: a browser looks at five hundred places sooner than at five hundred observers. Returns its own end. */
function eyeAt(margin: string): (place: Element, told: Told) => () => void {
  const heard = new WeakMap<Element, Told>();
  const eye = new IntersectionObserver(
    (seen) => {
      for (const { target, isIntersecting } of seen) heard.get(target)?.(isIntersecting);
    },
    { rootMargin: margin },
  );
  return (place, told) => {
    heard.set(place, told);
    eye.observe(place);
    return () => eye.unobserve(place);
  };
}

/** A few hundred pixels before it comes: what is to stand there when it does. */
export const watchAhead = eyeAt("400px");
/** At the edge: what is drawn anew each second. */
export const watchSeen = eyeAt("60px");

/** `watched` false: it always is. */
export function useInView(box: RefObject<Element | null>, watched = true): boolean {
  const [near, setNear] = useState(!watched);
  useEffect(() => {
    const place = box.current;
    if (!watched || !place) return undefined;
    return watchAhead(place, setNear);
  }, [watched]);
  return near || !watched;
}
