/** All values of a node as a list for people: named, grouped and with units. */

import { parseSeries } from "./series";
import { age, count, degrees, digits3, percent, rate, size, t, translate, UNKNOWN } from "../text";
import type { Sample } from "../../wire/schema.gen";

export interface MetricValue {
  series: string;
  /** The name without the family, or the family if nothing else is left: `total`, `read sda`. */
  name: string;
  unit: string;
  sample: Sample;
}

export interface MetricGroup {
  family: string;
  values: MetricValue[];
}

const NBSP = "\u00a0";
/** Created once, since `localeCompare` with options creates a collator at each call. */
const collator = new Intl.Collator("en", { numeric: true });

/** A value with its unit. `unit` is the hub's name of the unit. */
export function formatValue(value: number | null | undefined, unit: string): string {
  if (value == null) return UNKNOWN;
  switch (unit) {
    case "bytes":
      return size(value);
    case "bytes/s":
      return rate(value);
    case "percent":
      return percent(value, 1);
    case "celsius":
      return degrees(value);
    case "bits/s":
      return rate(value).replace("B/s", "bit/s");
    case "seconds":
      return age(value);
    case "milliseconds":
      return `${plain(value) + NBSP}ms`;
    case "flag":
      return value ? t`yes` : t`no`;
    case "":
      return plain(value);
    default:
      return plain(value) + NBSP + translate(unit);
  }
}

const plain = (value: number): string => (Number.isInteger(value) ? count(value) : digits3(value));

/** The values by family, in catalogue order. Only series whose names contain all of `words` are listed. */
export function metricGroups(latest: Readonly<Record<string, Sample>>, units: ReadonlyMap<string, string>, words: string): MetricGroup[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const order = new Map([...units.keys()].map((metric, index) => [metric, index]));
  const found: (MetricValue & { family: string; order: number })[] = [];
  for (const [series, sample] of Object.entries(latest)) {
    const parts = parseSeries(series);
    const unit = parts && units.get(parts.metric);
    if (!parts || typeof unit !== "string" || !wanted.every((word) => series.toLowerCase().includes(word))) continue;
    const [family = "", ...rest] = parts.metric.split(".");
    found.push({
      series,
      sample,
      unit,
      family,
      name: [translate(rest.join(" ").replaceAll("_", " ")), parts.value].filter(Boolean).join(" ") || translate(family),
      order: order.get(parts.metric) ?? 0,
    });
  }
  found.sort((a, b) => a.order - b.order || collator.compare(a.name, b.name));
  const groups = new Map<string, MetricGroup>();
  for (const { family, order: _, ...value } of found) {
    const group = groups.get(family) ?? { family, values: [] };
    group.values.push(value);
    groups.set(family, group);
  }
  return [...groups.values()];
}
