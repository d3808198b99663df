/** Converts a moment to the value of a date and time field in local time, and back. */

import { t } from "./i18n";

const two = (value: number): string => String(value).padStart(2, "0");

/** The value of a date and time field for a moment in Unix seconds. */
export function localDatetime(at: number): string {
  const date = new Date(at * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Clocks are set back by one of these times, depending on the zone. */
const BACK_S = [1800, 3600, 7200];

/** In a repeated hour, the other moment with the same local time; else null. */
function repeatedMoment(at: number): number | null {
  const text = localDatetime(at);
  return BACK_S.flatMap((by) => [at - by, at + by]).find((other) => localDatetime(other) === text) ?? null;
}

/**
 * The moment of a field's value in Unix seconds; NaN if the value is invalid. If the field still shows the moment `before`, the result is
 * `before`, because a text in a repeated hour is ambiguous.
 */
export function parseLocalDatetime(text: string, before: number): number {
  if (text === localDatetime(before)) return before;
  return new Date(text).getTime() / 1000;
}

/** The UTC offset at a moment: "UTC+02:00". */
function offsetText(at: number): string {
  const minutes = -new Date(at * 1000).getTimezoneOffset();
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}

/** For a moment in a repeated hour, a sentence that names its UTC offset; empty for all other moments. */
export function repeatedHourOffset(at: number): string {
  const other = Number.isFinite(at) ? repeatedMoment(at) : null;
  if (other === null) return "";
  return at < other
    ? t`This time comes twice: the first one is meant, ${offsetText(at)}.`
    : t`This time comes twice: the second one is meant, ${offsetText(at)}.`;
}
