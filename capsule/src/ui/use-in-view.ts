/** Whether a part of a long page is in or near the view. Other parts need no drawing. */

import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

type Listener = (near: boolean) => void;

/** One observer for many elements: a browser handles 500 targets faster than 500 observers. The made function returns the unsubscriber. */
function createObserver(margin: string): (place: Element, listener: Listener) => () => void {
  const listeners = new WeakMap<Element, Listener>();
  const observer = new IntersectionObserver(
    (seen) => {
      for (const { target, isIntersecting } of seen) listeners.get(target)?.(isIntersecting);
    },
    { rootMargin: margin },
  );
  return (place, listener) => {
    listeners.set(place, listener);
    observer.observe(place);
    return () => observer.unobserve(place);
  };
}

/** Reports an element before it scrolls into view, so that it is ready then. */
export const observeAhead = createObserver("400px");
/** Reports an element shortly before it is visible: for parts that are redrawn every second. */
export const observeVisible = createObserver("60px");

/** Whether the element is near the view. Without `watched` it is always true. */
export function useInView(box: RefObject<Element | null>, watched = true): boolean {
  const [near, setNear] = useState(!watched);
  useEffect(() => {
    const place = box.current;
    if (!watched || !place) return undefined;
    return observeAhead(place, setNear);
  }, [watched]);
  return near || !watched;
}
