/** What a shown value is made of, for tests and for those who look: the series, the raw value, the moment. */

import type { SampleLike } from "../core/metrics/series";

export interface SampleAttributes {
  "data-series"?: string;
  "data-value"?: string;
  "data-at"?: string;
}

export function sampleAttributes(series: string, sample: SampleLike | undefined): SampleAttributes {
  if (!sample) return {};
  return { "data-series": series, "data-value": sample.value === null ? "" : String(sample.value), "data-at": String(sample.at) };
}
