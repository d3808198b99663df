/** Values of a chart in its own words: several in one unit, axes with round marks, network in bytes or bits. */

import { columnWords } from "./facts-table";
import { quantity } from "./measures";
import { said } from "./say";
import { parseSeries } from "./series";
import { BITS, digits3, percent, RATES, scale, SIZES, UNKNOWN } from "./units";

const NBSP = "\u00a0";

/** How the numbers of a chart are read. */
export interface Wording {
  /** One value with its unit. */
  text: (value: number) => string;
  /** A mark of the axis. */
  axis: (value: number) => string;
  /** Several side by side: the unit once, at the last. */
  row: (values: readonly (number | null)[]) => string[];
}

const known = (value: number | null): value is number => value !== null;

function scaled(base: number, units: readonly string[], axis: (text: string) => string): Wording {
  const text = (value: number): string => {
    const parts = scale(value, base, units);
    return parts.value + NBSP + parts.unit;
  };
  return {
    text,
    axis: (value) => axis(text(value).replace(/(\.\d*?)0+(?=\s)/, "$1").replace(/\.(?=\s)/, "")),
    row: (values) => {
      const { unit } = scale(Math.max(0, ...values.filter(known).map(Math.abs)), base, units);
      const power = base ** units.indexOf(unit);
      const last = values.findLastIndex(known);
      return values.map((value, index) => {
        if (value === null) return UNKNOWN;
        const small = value / power;
        // What would be shown as nothing is shown in a smaller unit of its own.
        if (value !== 0 && Math.abs(small) < 0.005) return text(value);
        const digits = unit === units[0] ? small.toFixed(0) : digits3(small);
        return index === last ? digits + NBSP + unit : digits;
      });
    },
  };
}

const each = (text: (value: number) => string, axis = text): Wording => ({ text, axis, row: (values) => values.map((value) => (value === null ? UNKNOWN : text(value))) });

export const SIZE_WORDS = scaled(1024, SIZES, (text) => text);
export const RATE_WORDS = scaled(1000, RATES, (text) => text.replace("/s", ""));
/** The hub's rates are bytes; networks are sold in bits. */
const bits = scaled(1000, BITS, (text) => text.replace("/s", ""));
export const BIT_WORDS: Wording = {
  text: (value) => bits.text(value * 8),
  axis: (value) => bits.axis(value * 8),
  row: (values) => bits.row(values.map((value) => (value === null ? null : value * 8))),
};
export const PERCENT_WORDS = each((value) => percent(value, 1), (value) => `${plainMark(value)}%`);
export const PLAIN_WORDS = each((value) => value.toFixed(2), (value) => plainMark(value));
export const DEGREE_WORDS = each((value) => `${value.toFixed(0)}°`);

/** "5", "0.5", "12", "100". */
export function plainMark(value: number): string {
  const text = digits3(value);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export const ofNetwork = (series: string): boolean => series.startsWith("network.");

/** A series as a heading: "CPU total", "Disk read sda". */
export function seriesWords(series: string): string {
  const { metric, value } = parseSeries(series) ?? { metric: series, value: "" };
  const [family = "", ...rest] = metric.split(".");
  return [columnWords(family), said(rest.join(" ").replaceAll("_", " ")), value].filter(Boolean).join(" ");
}

/** By the unit of the hub's catalogue; `bits`: of a network, for who wants them. */
export function wordingOf(unit: string, bits = false): Wording {
  if (unit === "bytes") return SIZE_WORDS;
  if (unit === "bytes/s") return bits ? BIT_WORDS : RATE_WORDS;
  if (unit === "percent") return PERCENT_WORDS;
  if (unit === "celsius") return DEGREE_WORDS;
  return each((value) => quantity(value, unit), (value) => (unit === "flag" || unit === "bits/s" || unit === "seconds" ? quantity(value, unit) : plainMark(value)));
}
