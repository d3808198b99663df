import type { Level } from "../core/nodes/node-status";

interface SparkProps {
  values: readonly (number | null)[];
  width?: number;
  height?: number;
  /** The upper bound of the scale; the largest value by default. */
  max?: number;
  kind?: "" | "second" | Level;
}

export function Spark({ values, width = 72, height = 20, max, kind = "" }: SparkProps) {
  const top = Math.max(max ?? Math.max(...values.map((value) => value ?? 0)) * 1.15, 1e-9);
  let line = "";
  let drawing = false;
  values.forEach((value, index) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const x = (index / Math.max(1, values.length - 1)) * width;
    const y = height - 1 - (Math.min(value, top) / top) * (height - 2);
    line += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    drawing = true;
  });
  return (
    <svg class={`spark ${kind}`} width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <path d={line} />
    </svg>
  );
}
