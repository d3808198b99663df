/** Series names in the hub's form: `disk.read{device=sda}`. */

import type { Sample } from "../../wire/schema.gen";

export interface Series {
  metric: string;
  label: string;
  value: string;
}

const FORM = /^([a-z0-9_.]+)(?:\{([a-z_]+)=([^{}]*)\})?$/;

/** The parts of a series name; null if the name has another form. Label and value are empty for a series without a label. */
export function parseSeries(name: string): Series | null {
  const found = FORM.exec(name);
  return found ? { metric: found[1] ?? "", label: found[2] ?? "", value: found[3] ?? "" } : null;
}

export const seriesName = (metric: string, label: string, value: string): string => `${metric}{${label}=${value}}`;

/** The label value of a series with a label: `sda` of `disk.read{device=sda}`. */
export const labelValueOf = (name: string): string => name.slice(name.indexOf("=") + 1, -1);

/** The samples of one labelled metric, by label value. */
export function labelled(latest: Readonly<Record<string, Sample>>, metric: string): Map<string, Sample> {
  const found = new Map<string, Sample>();
  const start = `${metric}{`;
  for (const name in latest) if (name.startsWith(start)) found.set(labelValueOf(name), latest[name] as Sample);
  return found;
}
