/** On which scale a series is drawn: the same one wherever it stands. */

import { parseSeries } from "../metrics/series";

export interface Threshold {
  at: number;
  level: "warn" | "crit";
}

export interface ChartScale {
  /** 0 where there is none. */
  min?: number;
  /** A fixed top; else it follows the values, growing at once and shrinking late. */
  max?: number;
  /** Marks of the axis at powers of two: sizes in GiB. */
  binary?: boolean;
  threshold?: Threshold;
}

/** Percent of one core: what keeps two busy stands at 200. */
const OF_ONE_CORE = /^(?!cpu\.)\w+\.cpu$/;
/** Promised or counted elsewhere: these may be more than there is. */
const BEYOND = new Set(["memory.committed"]);
const BUSY = new Set(["cpu.total", "cpu.user", "cpu.system", "cpu.iowait", "cpu.steal", "cpu.core"]);
const HOT_AT = 80;
const BUSY_AT = 80;
const COLD = 30;
const HOTTEST = 95;

/** `unit` is the hub's word for it; `memory`: bytes that the node has, of several nodes the most; null = not known. */
export function chartScaleOf(series: string, unit: string, memory: number | null): ChartScale {
  const metric = parseSeries(series)?.metric ?? "";
  if (unit === "celsius") return { min: COLD, max: HOTTEST, threshold: { at: HOT_AT, level: "warn" } };
  if (unit === "bytes") return { binary: true, ...(memory && metric.startsWith("memory.") && !BEYOND.has(metric) ? { max: memory } : {}) };
  if (unit !== "percent" || OF_ONE_CORE.test(metric)) return {};
  return { max: 100, ...(BUSY.has(metric) ? { threshold: { at: BUSY_AT, level: "warn" } } : {}) };
}
