/** Formats for the values and axis marks of charts. */

import { columnLabel } from "../nodes/node-tables";
import { formatValue } from "../metrics/metric-list";
import { BITS, digits3, percent, RATES, scale, SIZES, translate, UNKNOWN } from "../text";
import { parseSeries } from "../metrics/series";

const NBSP = "\u00a0";

/** How a chart shows its numbers. */
export interface ValueFormat {
  /** One value with its unit. */
  text: (value: number) => string;
  /** An axis mark. */
  axis: (value: number) => string;
  /** Several values side by side. Sizes and rates share one unit, which only the last value shows; a much smaller value shows its own. Any other value shows its unit. */
  row: (values: readonly (number | null)[]) => string[];
}

const isKnown = (value: number | null): value is number => value !== null;

function scaled(base: number, units: readonly string[], axis: (text: string) => string): ValueFormat {
  const text = (value: number): string => {
    const parts = scale(value, base, units);
    return parts.value + NBSP + parts.unit;
  };
  return {
    text,
    axis: (value) =>
      axis(
        text(value)
          .replace(/(\.\d*?)0+(?=\s)/, "$1")
          .replace(/\.(?=\s)/, ""),
      ),
    row: (values) => {
      const { unit } = scale(Math.max(0, ...values.filter(isKnown).map(Math.abs)), base, units);
      const power = base ** units.indexOf(unit);
      const last = values.findLastIndex(isKnown);
      return values.map((value, index) => {
        if (value === null) return UNKNOWN;
        const small = value / power;
        // A value that would be rounded to zero gets a smaller unit.
        if (value !== 0 && Math.abs(small) < 0.005) return text(value);
        const digits = unit === units[0] ? small.toFixed(0) : digits3(small);
        return index === last ? digits + NBSP + unit : digits;
      });
    },
  };
}

const each = (text: (value: number) => string, axis = text): ValueFormat => ({
  text,
  axis,
  row: (values) => values.map((value) => (value === null ? UNKNOWN : text(value))),
});

export const SIZE_FORMAT = scaled(1024, SIZES, (text) => text);
export const RATE_FORMAT = scaled(1000, RATES, (text) => text.replace("/s", ""));
/** The hub counts bytes; network speeds are usually given in bits. */
const bits = scaled(1000, BITS, (text) => text.replace("/s", ""));
export const BIT_FORMAT: ValueFormat = {
  text: (value) => bits.text(value * 8),
  axis: (value) => bits.axis(value * 8),
  row: (values) => bits.row(values.map((value) => (value === null ? null : value * 8))),
};
export const PERCENT_FORMAT = each(
  (value) => percent(value, 1),
  (value) => `${axisMark(value)}%`,
);
export const PLAIN_FORMAT = each(
  (value) => value.toFixed(2),
  (value) => axisMark(value),
);
export const DEGREE_FORMAT = each((value) => `${value.toFixed(0)}°`);

/** An axis mark without trailing zeros: "5", "0.5", "12". */
export function axisMark(value: number): string {
  const text = digits3(value);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export const isNetworkSeries = (series: string): boolean => series.startsWith("network.");

/** A series as a heading: "CPU total", "Disk read sda". */
export function seriesLabel(series: string): string {
  const { metric, value } = parseSeries(series) ?? { metric: series, value: "" };
  const [family = "", ...rest] = metric.split(".");
  return [columnLabel(family), translate(rest.join(" ").replaceAll("_", " ")), value].filter(Boolean).join(" ");
}

/** The format for a unit of the hub's catalogue. `bits` shows network rates in bits. */
export function valueFormatOf(unit: string, bits = false): ValueFormat {
  if (unit === "bytes") return SIZE_FORMAT;
  if (unit === "bytes/s") return bits ? BIT_FORMAT : RATE_FORMAT;
  if (unit === "percent") return PERCENT_FORMAT;
  if (unit === "celsius") return DEGREE_FORMAT;
  return each(
    (value) => formatValue(value, unit),
    (value) => (unit === "flag" || unit === "bits/s" || unit === "seconds" ? formatValue(value, unit) : axisMark(value)),
  );
}
