/** Whether a part of a long page is visible or nearly: other parts need no drawing. */

import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

type Listener = (near: boolean) => void;

/** One observer for each margin: a browser handles 500 targets faster than 500 observers. Returns the unsubscriber. */
function createObserver(margin: string): (place: Element, listener: Listener) => () => void {
  const listeners = new WeakMap<Element, Listener>();
  const eye = new IntersectionObserver(
    (seen) => {
      for (const { target, isIntersecting } of seen) listeners.get(target)?.(isIntersecting);
    },
    { rootMargin: margin },
  );
  return (place, listener) => {
    listeners.set(place, listener);
    eye.observe(place);
    return () => eye.unobserve(place);
  };
}

/** A few hundred pixels early: for parts that must be ready when they scroll into view. */
export const observeAhead = createObserver("400px");
/** At the edge: for parts that are redrawn every second. */
export const observeVisible = createObserver("60px");

/** `watched` false: always true. */
export function useInView(box: RefObject<Element | null>, watched = true): boolean {
  const [near, setNear] = useState(!watched);
  useEffect(() => {
    const place = box.current;
    if (!watched || !place) return undefined;
    return observeAhead(place, setNear);
  }, [watched]);
  return near || !watched;
}
