import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** The number of rows that are drawn beyond each edge, so that they are ready while scrolling. Each of them costs time, too. */
const EXTRA = 3;

/**
 * A list whose visible rows only are in the document; spacers keep the height. The page itself scrolls.
 *
 * `height` is that of a row in pixels. `keep` is the index of a row that is always drawn, so that it keeps the focus while scrolling.
 */
export function VirtualList({
  count,
  height,
  keep = -1,
  row,
}: {
  count: number;
  height: number;
  keep?: number;
  row: (index: number) => ComponentChildren;
}) {
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
  const above = keep >= 0 && keep < first;
  const below = keep >= last && keep < count;
  const space = (name: string, rows: number) => <div key={name} class="spacer" role="none" style={{ height: `${rows * height}px` }} />;
  return (
    <div ref={box} role="rowgroup" class="rows">
      {[
        ...(above ? [space("before", keep), row(keep)] : []),
        space("above", above ? first - keep - 1 : first),
        ...Array.from({ length: last - first }, (_, index) => row(first + index)),
        space("below", below ? keep - last : count - last),
        ...(below ? [row(keep), space("after", count - keep - 1)] : []),
      ]}
    </div>
  );
}
