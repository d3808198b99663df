/** A part of a long page that is redrawn only while it is visible, or nearly. */

import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { observeVisible } from "./use-in-view";

export function RenderInView({ draw }: { draw: () => VNode }): VNode {
  const box = useRef<HTMLDivElement>(null);
  const held = useRef<VNode | null>(null);
  const [near, setNear] = useState(true);
  useEffect(() => {
    const first = box.current?.firstElementChild;
    return first ? observeVisible(first, setNear) : undefined;
  }, []);
  // An unchanged vnode is skipped.
  if (near || !held.current) held.current = draw();
  return (
    <div ref={box} class="as-if-not-there">
      {held.current}
    </div>
  );
}
