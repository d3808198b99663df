/** The scale of a series: the same one in every chart. */

import { parseSeries } from "../metrics/series";

export interface Threshold {
  at: number;
  level: "warn" | "crit";
}

export interface ChartScale {
  /** 0 where the scale has no lower bound. */
  min?: number;
  /** A fixed upper bound. Without it the scale follows the values: it grows immediately and shrinks late. */
  max?: number;
  /** Axis marks at powers of two, for sizes in GiB. */
  binary?: boolean;
  threshold?: Threshold;
}

/** Percent of one core: two busy cores are 200 %. */
const OF_ONE_CORE = /^(?!cpu\.)\w+\.cpu$/;
/** Promised memory: it may be more than the node has. */
const BEYOND = new Set(["memory.committed"]);
const COLD = 30;
const HOTTEST = 95;

/** `unit` is the hub's unit. `memory` is the memory of the node in bytes, of several nodes the largest, or null if unknown. */
export function chartScaleOf(series: string, unit: string, memory: number | null): ChartScale {
  const metric = parseSeries(series)?.metric ?? "";
  if (unit === "celsius") return { min: COLD, max: HOTTEST };
  if (unit === "bytes") return { binary: true, ...(memory && metric.startsWith("memory.") && !BEYOND.has(metric) ? { max: memory } : {}) };
  if (unit !== "percent" || OF_ONE_CORE.test(metric)) return {};
  return { max: 100 };
}
