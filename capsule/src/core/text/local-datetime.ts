/** A moment as a reader's own clock shows it, in a field of date and time, and back. */

import { t } from "./i18n";

const two = (value: number): string => String(value).padStart(2, "0");

/** What such a field holds. */
export function localDatetime(at: number): string {
  const date = new Date(at * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** By how much clocks are put back somewhere. */
const BACK_S = [1800, 3600, 7200];

/** In an hour that a clock shows twice: the moment that reads the same; else null. */
function twin(at: number): number | null {
  const text = localDatetime(at);
  return BACK_S.flatMap((by) => [at - by, at + by]).find((other) => localDatetime(other) === text) ?? null;
}

/** The moment of what a field holds; NaN where it holds none. `before`: which one its text was made of, since a text of an hour that comes twice does not say. */
export function parseLocalDatetime(text: string, before: number): number {
  if (text === localDatetime(before)) return before;
  return new Date(text).getTime() / 1000;
}

/** "UTC+02:00". */
function offsetText(at: number): string {
  const minutes = -new Date(at * 1000).getTimezoneOffset();
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}

/** Which of two moments is meant that a clock shows alike; empty for all others. */
export function repeatedHourOffset(at: number): string {
  const other = Number.isFinite(at) ? twin(at) : null;
  if (other === null) return "";
  return at < other ? t`This time comes twice: the first one is meant, ${offsetText(at)}.` : t`This time comes twice: the second one is meant, ${offsetText(at)}.`;
}
