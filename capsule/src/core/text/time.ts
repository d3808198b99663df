/** Times in the viewer's zone, and durations with at most two parts. All values are in seconds. */

import { t } from "./i18n";

const NBSP = "\u00a0";
const MONTHS = [t`Jan`, t`Feb`, t`Mar`, t`Apr`, t`May`, t`Jun`, t`Jul`, t`Aug`, t`Sep`, t`Oct`, t`Nov`, t`Dec`];
/** Units are translated once, because every row of the fleet shows them every second. */
const [D, H, MIN, S] = [t`d`, t`h`, t`min`, t`s`];

const local = (at: number): Date => new Date(at * 1000);

/** The time as "14:05:09". `toTimeString` begins with it in every browser and language. */
export const clock = (at: number, withSeconds = true): string =>
  local(at)
    .toTimeString()
    .slice(0, withSeconds ? 8 : 5);

/** Day and month without the year, for the axis of a chart. */
export const day = (at: number): string => `${local(at).getDate()}${NBSP}${MONTHS[local(at).getMonth()] ?? ""}`;

/** A text that is unique for each day: "Sun Nov 22 2026". */
const dayText = (at: number): string => local(at).toDateString();

/** Day and month, with the year unless it is the current one. */
export const date = (at: number, now: number): string =>
  day(at) + (dayText(at).slice(11) === dayText(now).slice(11) ? "" : NBSP + dayText(at).slice(11));

export const sameDay = (one: number, other: number): boolean => dayText(one) === dayText(other);

/** The time if it is today, else the date with the time. */
export const timeOrDate = (at: number, now: number): string => (sameDay(at, now) ? "" : `${date(at, now)}, `) + clock(at, false);

export const iso = (at: number): string => local(at).toISOString();

/** A duration as "6 min 12 s", "142 d 6 h" or "0.4 s". */
export function duration(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 0.05) return `0${NBSP}${S}`;
  if (s < 9.95) return `${s.toFixed(1)}${NBSP}${S}`;
  const whole = Math.round(s);
  if (whole < 60) return `${whole}${NBSP}${S}`;
  return parts(whole);
}

/** Like `duration` without tenths, for ages that tick every second. */
export function age(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return whole < 60 ? `${whole}${NBSP}${S}` : parts(whole);
}

/** The duration of a period that has ended, or that is running (`to` is null). */
export const elapsed = (from: number, to: number | null, now: number): string => (to === null ? age(now - from) : duration(to - from));

/** Only the largest part of a duration, for a column of a table. */
export function shortDuration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s >= 86400) return `${Math.floor(s / 86400)}${NBSP}${D}`;
  if (s >= 3600) return `${Math.floor(s / 3600)}${NBSP}${H}`;
  if (s >= 60) return `${Math.floor(s / 60)}${NBSP}${MIN}`;
  return `${s}${NBSP}${S}`;
}

function parts(whole: number): string {
  const units: [number, string][] = [
    [86400, D],
    [3600, H],
    [60, MIN],
    [1, S],
  ];
  const first = units.findIndex(([length]) => whole >= length);
  const out: string[] = [];
  let left = whole;
  for (const [length, name] of units.slice(first, first + 2)) {
    const amount = Math.floor(left / length);
    left -= amount * length;
    if (amount > 0) out.push(`${amount}${NBSP}${name}`);
  }
  return out.join(" ");
}
