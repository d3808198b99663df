import type { ComponentChildren, VNode } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

const EXTRA = 6;

/** Only the rows on screen are in the document; two spacers keep the height. The page itself scrolls. */
export function Windowed({ count, height, row }: { count: number; height: number; row: (index: number) => ComponentChildren }): VNode {
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<readonly [number, number]>([0, Math.ceil(innerHeight / height) + EXTRA]);
  useLayoutEffect(() => {
    const measure = (): void => {
      const top = (box.current as HTMLDivElement).getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(-top / height) - EXTRA);
      const last = Math.min(count, Math.ceil((innerHeight - top) / height) + EXTRA);
      setRange((before) => (before[0] === first && before[1] === last ? before : [first, Math.max(first, last)]));
    };
    measure();
    addEventListener("scroll", measure, { passive: true });
    addEventListener("resize", measure);
    return () => {
      removeEventListener("scroll", measure);
      removeEventListener("resize", measure);
    };
  }, [count, height]);
  const first = Math.min(range[0], count);
  const last = Math.min(range[1], count);
  return (
    <div ref={box} role="rowgroup" class="rows">
      <div class="spacer" role="none" style={{ height: `${first * height}px` }} />
      {Array.from({ length: last - first }, (_, index) => row(first + index))}
      <div class="spacer" role="none" style={{ height: `${(count - last) * height}px` }} />
    </div>
  );
}
