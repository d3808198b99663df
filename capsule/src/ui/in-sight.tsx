/** A part of a long page that is drawn anew only while it can be seen, or nearly. */

import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const NEAR = "60px";

export function InSight({ draw }: { draw: () => VNode }): VNode {
  const box = useRef<HTMLDivElement>(null);
  const held = useRef<VNode | null>(null);
  const [near, setNear] = useState(true);
  useEffect(() => {
    const first = box.current?.firstElementChild;
    if (!first) return undefined;
    const watched = new IntersectionObserver((seen) => setNear(seen.at(-1)?.isIntersecting ?? true), { rootMargin: NEAR });
    watched.observe(first);
    return () => watched.disconnect();
  }, []);
  // What is drawn already and the same is passed by.
  if (near || !held.current) held.current = draw();
  return (
    <div ref={box} class="as-if-not-there">
      {held.current}
    </div>
  );
}
