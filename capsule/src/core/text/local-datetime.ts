/** Converts a moment to the value of a date and time field in local time, and back. */

import { t } from "./i18n";

const two = (value: number): string => String(value).padStart(2, "0");

/** The value of such a field. */
export function localDatetime(at: number): string {
  const date = new Date(at * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** By how much clocks are set back in some places. */
const BACK_S = [1800, 3600, 7200];

/** In a repeated hour, the other moment with the same local time; else null. */
function repeatedMoment(at: number): number | null {
  const text = localDatetime(at);
  return BACK_S.flatMap((by) => [at - by, at + by]).find((other) => localDatetime(other) === text) ?? null;
}

/**
 * The moment of a field's value; NaN if there is none. `before` is the moment that the value came from, since the text of a repeated hour is
 * ambiguous.
 */
export function parseLocalDatetime(text: string, before: number): number {
  if (text === localDatetime(before)) return before;
  return new Date(text).getTime() / 1000;
}

/** "UTC+02:00". */
function offsetText(at: number): string {
  const minutes = -new Date(at * 1000).getTimezoneOffset();
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}

/** The UTC offset that distinguishes two moments with the same local time; empty for all others. */
export function repeatedHourOffset(at: number): string {
  const other = Number.isFinite(at) ? repeatedMoment(at) : null;
  if (other === null) return "";
  return at < other ? t`This time comes twice: the first one is meant, ${offsetText(at)}.` : t`This time comes twice: the second one is meant, ${offsetText(at)}.`;
}
