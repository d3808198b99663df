/** The hub's catalogue of metrics. Do not import it in the first view: it is large. */

import { METRICS } from "../wire/schema.gen";

let units: ReadonlyMap<string, string> | null = null;

/** The unit of each metric, in catalogue order. */
export function metricUnits(): ReadonlyMap<string, string> {
  return (units ??= new Map(METRICS.map((metric) => [metric.name, metric.unit])));
}

/** Seconds between two samples of a metric; one second if unknown. */
export function sampleInterval(name: string): number {
  return METRICS.find((metric) => metric.name === name)?.rhythm ?? 1;
}
