/** A part of a long page that is drawn anew only while it can be seen, or nearly. */

import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { watchSeen } from "./use-in-view";

export function RenderInView({ draw }: { draw: () => VNode }): VNode {
  const box = useRef<HTMLDivElement>(null);
  const held = useRef<VNode | null>(null);
  const [near, setNear] = useState(true);
  useEffect(() => {
    const first = box.current?.firstElementChild;
    return first ? watchSeen(first, setNear) : undefined;
  }, []);
  // What is drawn already and the same is passed by.
  if (near || !held.current) held.current = draw();
  return (
    <div ref={box} class="as-if-not-there">
      {held.current}
    </div>
  );
}
