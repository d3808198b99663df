/** The hub's catalogue of metrics, as the pages behind the first view need it. */

import { METRICS } from "../wire/schema.gen";

let units: ReadonlyMap<string, string> | null = null;

/** The unit of every metric, in the catalogue's order. */
export function metricUnits(): ReadonlyMap<string, string> {
  return (units ??= new Map(METRICS.map((metric) => [metric.name, metric.unit])));
}

/** Seconds between two samples of a metric; a second where it is not known. */
export function rhythmOfMetric(name: string): number {
  return METRICS.find((metric) => metric.name === name)?.rhythm ?? 1;
}
