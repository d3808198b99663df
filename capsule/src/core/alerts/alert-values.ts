/** Formats values and thresholds of alerts, and converts the thresholds that fields show and edit. */

import { formatValue } from "../metrics/metric-list";
import { age, t } from "../text";

const NBSP = "\u00a0";
const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** A value with its unit: "95%", "5 min", "85 °C", "20 GiB". */
export function alertValue(value: number | null, unit: string): string {
  if (value === null) return "—";
  if (unit === "percent") return `${+value.toFixed(1)}%`;
  if (unit === "celsius") return `${+value.toFixed(1)}${NBSP}°C`;
  if (unit === "seconds")
    return value < 60 && !Number.isInteger(value) ? `${+value.toFixed(value < 10 ? 3 : 0)}${NBSP}${t`s`}` : age(value);
  return formatValue(value, unit);
}

/** A value with its limit. A limit of 0 is left out, because any value exceeds it. Empty if the value adds nothing to the name of the rule. */
export function readingText(value: number | null, threshold: number | null, unit: string): string {
  if (value === null || unit === "flag" || unit === "level" || unit === "") return "";
  if (threshold === 0 && value > 0) return unit === "seconds" || value <= 1 ? "" : alertValue(Math.ceil(value), unit);
  return threshold === null ? alertValue(value, unit) : t`${alertValue(value, unit)}, limit ${alertValue(threshold, unit)}`;
}

export interface FieldScale {
  factor: number;
  /** The unit shown at the field. */
  label: string;
}

/** The unit in which a field shows a threshold, for example days for a whole number of days in seconds. */
export function fieldScale(unit: string, value: number): FieldScale {
  const size = Math.abs(value);
  switch (unit) {
    case "seconds":
      if (size >= 86_400 && value % 86_400 === 0) return { factor: 86_400, label: t`days` };
      if (size >= 3600 && value % 3600 === 0) return { factor: 3600, label: t`h` };
      return size >= 60 && value % 60 === 0 ? { factor: 60, label: t`min` } : { factor: 1, label: t`s` };
    case "bytes":
      return size >= GIB ? { factor: GIB, label: "GiB" } : { factor: MIB, label: "MiB" };
    case "bytes/s":
      return { factor: 1_000_000, label: "MB/s" };
    case "bits/s":
      return { factor: 1_000_000, label: "Mbit/s" };
    case "percent":
      return { factor: 1, label: "%" };
    case "celsius":
      return { factor: 1, label: "°C" };
    default:
      return { factor: 1, label: unit };
  }
}

/** The text of a field, with at most three decimals. */
export const fieldText = (value: number, { factor }: FieldScale): string => String(+(value / factor).toFixed(3));

/** The number of a field in the rule's unit, or null if the text is no number. */
export function fieldNumber(text: string, { factor }: FieldScale): number | null {
  const value = Number(text.trim().replace(",", "."));
  return text.trim() === "" || !Number.isFinite(value) ? null : value * factor;
}
