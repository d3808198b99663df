/** Attributes of a shown value, for tests and inspection: the series, the raw value (empty = unknown), and its time in Unix seconds. */

import type { Sample } from "../wire/schema.gen";

export interface SampleAttributes {
  "data-series"?: string;
  "data-value"?: string;
  "data-at"?: string;
}

export function sampleAttributes(series: string, sample: Sample | undefined): SampleAttributes {
  if (!sample) return {};
  return { "data-series": series, "data-value": sample.value === null ? "" : String(sample.value), "data-at": String(sample.at) };
}
