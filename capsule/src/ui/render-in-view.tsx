/** A part of a long page that is redrawn only while it is in or near the view. */

import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { observeVisible } from "./use-in-view";

export function RenderInView({ draw }: { draw: () => VNode }) {
  const box = useRef<HTMLDivElement>(null);
  const drawn = useRef<VNode | null>(null);
  const [near, setNear] = useState(true);
  useEffect(() => {
    const first = box.current?.firstElementChild;
    return first ? observeVisible(first, setNear) : undefined;
  }, []);
  // Preact skips a vnode that is the same object as before.
  if (near || !drawn.current) drawn.current = draw();
  return (
    <div ref={box} class="as-if-not-there">
      {drawn.current}
    </div>
  );
}
