/** Numbers for people: binary sizes, decimal rates, three significant digits, "—" for unknown. */

import { pluralWord } from "./i18n";

export const UNKNOWN = "—";
const NBSP = "\u00a0";

export interface Quantity {
  value: string;
  unit: string;
}

/** Three significant digits, but at most two decimals and no exponent. */
export function digits3(value: number): string {
  const size = Math.abs(value);
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.995) return value.toFixed(1);
  return value.toFixed(2);
}

export function scale(value: number, base: number, units: readonly string[]): Quantity {
  let at = 0;
  let left = value;
  while (Math.abs(left) >= base * 0.9995 && at < units.length - 1) {
    left /= base;
    at += 1;
  }
  return { value: at === 0 ? left.toFixed(0) : digits3(left), unit: units[at] ?? "" };
}

export const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;
export const RATES = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"] as const;
export const BITS = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"] as const;
const DECIMAL = ["B", "kB", "MB", "GB", "TB"] as const;

export const sizeParts = (bytes: number): Quantity => scale(bytes, 1024, SIZES);
const rateParts = (bytesPerSecond: number): Quantity => scale(bytesPerSecond, 1000, RATES);

export function size(bytes: number | null | undefined): string {
  if (bytes == null) return UNKNOWN;
  const { value, unit } = sizeParts(bytes);
  return value + NBSP + unit;
}

export function rate(bytesPerSecond: number | null | undefined): string {
  if (bytesPerSecond == null) return UNKNOWN;
  const { value, unit } = rateParts(bytesPerSecond);
  return value + NBSP + unit;
}

/** A network rate in bits or bytes. Network speeds are usually given in bits; the hub counts bytes. */
export const networkParts = (bytesPerSecond: number, bits: boolean): Quantity =>
  bits ? scale(bytesPerSecond * 8, 1000, BITS) : rateParts(bytesPerSecond);

/** A network rate as text. `column`: leaves out "/s", because the column's header says it. */
export function network(bytesPerSecond: number | null | undefined, bits: boolean, column = false): string {
  if (bytesPerSecond == null) return UNKNOWN;
  const { value, unit } = networkParts(bytesPerSecond, bits);
  return value + NBSP + (column ? unit.slice(0, -2) : unit);
}

/** The size of a download or an output in decimal units, which package managers use as well. */
export function decimalSize(bytes: number): string {
  const { value, unit } = scale(bytes, 1000, DECIMAL);
  return value + NBSP + unit;
}

export function percent(value: number | null | undefined, places = 0): string {
  return value == null ? UNKNOWN : `${value.toFixed(places)}%`;
}

export function degrees(value: number | null | undefined): string {
  return value == null ? UNKNOWN : `${value.toFixed(0)}°`;
}

export function load(value: number | null | undefined): string {
  return value == null ? UNKNOWN : value.toFixed(2);
}

/** A whole number with a thin space between thousands: 1 208. */
export function count(value: number | null | undefined): string {
  return value == null ? UNKNOWN : String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function plural(amount: number, one: string, many?: string): string {
  return count(amount) + NBSP + pluralWord(amount, one, many);
}

/** A part of a whole in percent; null if part or whole is unknown, or the whole is zero. */
export function share(part: number | null | undefined, whole: number | null | undefined): number | null {
  return part == null || whole == null || whole <= 0 ? null : (part / whole) * 100;
}
