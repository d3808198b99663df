/** The load of a node around one of its jobs: the time window, and the lines in it. */

type Values = readonly (number | null)[];

const SHORTEST_S = 120;
const MARGIN_S = 20;

/** The window that shows a job, from a little before its start to a little after its end. Unix seconds. */
export function jobWindow(startedAt: number, endedAt: number | null, now: number): { from: number; to: number } {
  const last = endedAt ?? now;
  const margin = Math.max(MARGIN_S, (last - startedAt) / 10);
  const to = endedAt === null ? now : Math.min(now, endedAt + margin);
  return { from: Math.floor(Math.min(startedAt - margin, to - SHORTEST_S)), to: Math.ceil(to) };
}

/** The sum of several series; null at times without any value. */
export function sumOfSeries(series: readonly Values[]): (number | null)[] {
  const length = Math.max(0, ...series.map((values) => values.length));
  return Array.from({ length }, (_, index) =>
    series.reduce<number | null>((sum, values) => {
      const value = values[index] ?? null;
      return value === null ? sum : (sum ?? 0) + value;
    }, null),
  );
}

/** An SVG path in a box of 100 × 100. `times` are the starts of buckets of `step` seconds, drawn at their middle. A gap breaks the line. */
export function linePath(
  times: readonly number[],
  step: number,
  values: Values,
  { from, to }: { from: number; to: number },
  top: number,
): string {
  let path = "";
  let drawing = false;
  times.forEach((time, index) => {
    const value = values[index] ?? null;
    const x = ((time + step / 2 - from) / (to - from)) * 100;
    if (value === null || x < 0 || x > 100) {
      drawing = false;
      return;
    }
    const y = 100 - (Math.min(value, top) / Math.max(top, 1e-9)) * 100;
    path += `${drawing ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`;
    drawing = true;
  });
  return path;
}
