/** The value scale of a series, the same in every chart. */

import { parseSeries } from "../metrics/series";

export interface Threshold {
  at: number;
  level: "warn" | "crit";
}

export interface ChartScale {
  /** The lower bound; 0 without it. */
  min?: number;
  /** A fixed upper bound. Without it the scale follows the values: it grows immediately and shrinks late. */
  max?: number;
  /** Axis marks at powers of two, for sizes in GiB. */
  binary?: boolean;
  threshold?: Threshold;
}

/** Percent of one core: two busy cores are 200 %. */
const OF_ONE_CORE = /^(?!cpu\.)\w+\.cpu$/;
/** Promised memory, of which there may be more than the node has. */
const BEYOND = new Set(["memory.committed"]);
const COLD_CELSIUS = 30;
const HOTTEST_CELSIUS = 95;

/** `unit` is the hub's unit. `memory` is the memory of the node in bytes, the largest of several nodes, or null if unknown. */
export function chartScaleOf(series: string, unit: string, memory: number | null): ChartScale {
  const metric = parseSeries(series)?.metric ?? "";
  if (unit === "celsius") return { min: COLD_CELSIUS, max: HOTTEST_CELSIUS };
  if (unit === "bytes") return { binary: true, ...(memory && metric.startsWith("memory.") && !BEYOND.has(metric) ? { max: memory } : {}) };
  if (unit !== "percent" || OF_ONE_CORE.test(metric)) return {};
  return { max: 100 };
}
