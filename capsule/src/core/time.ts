/** Times in the viewer's zone, durations in two parts at most. Seconds everywhere. */

import { t } from "./say";

const NBSP = "\u00a0";
const two = (value: number): string => String(value).padStart(2, "0");
const MONTHS = [t`Jan`, t`Feb`, t`Mar`, t`Apr`, t`May`, t`Jun`, t`Jul`, t`Aug`, t`Sep`, t`Oct`, t`Nov`, t`Dec`];
/** Said once: these stand on every row of a fleet, each second. */
const [D, H, MIN, S] = [t`d`, t`h`, t`min`, t`s`];

export function clock(at: number, withSeconds = true): string {
  const date = new Date(at * 1000);
  const base = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return withSeconds ? `${base}:${two(date.getSeconds())}` : base;
}

export function day(at: number): string {
  const date = new Date(at * 1000);
  return `${date.getDate()}${NBSP}${MONTHS[date.getMonth()] ?? ""}`;
}

/** The time when it was today, else the day with the time. */
export function moment(at: number, now: number): string {
  const same = new Date(at * 1000).toDateString() === new Date(now * 1000).toDateString();
  return same ? clock(at, false) : `${day(at)}, ${clock(at, false)}`;
}

export const iso = (at: number): string => new Date(at * 1000).toISOString();

/** "6 min 12 s", "142 d 6 h", "0.4 s". */
export function duration(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 0.05) return `0${NBSP}${S}`;
  if (s < 9.95) return `${s.toFixed(1)}${NBSP}${S}`;
  const whole = Math.round(s);
  if (whole < 60) return `${whole}${NBSP}${S}`;
  return parts(whole);
}

/** As `duration`, without tenths: what a clock that ticks each second shows. */
export function age(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  return whole < 60 ? `${whole}${NBSP}${S}` : parts(whole);
}

/** What lasted, and what still goes on. */
export const took = (from: number, to: number | null, now: number): string => (to === null ? age(now - from) : duration(to - from));

/** The largest part alone: a table's column. */
export function short(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s >= 86400) return `${Math.floor(s / 86400)}${NBSP}${D}`;
  if (s >= 3600) return `${Math.floor(s / 3600)}${NBSP}${H}`;
  if (s >= 60) return `${Math.floor(s / 60)}${NBSP}${MIN}`;
  return `${s}${NBSP}${S}`;
}

function parts(whole: number): string {
  const units: [number, string][] = [[86400, D], [3600, H], [60, MIN], [1, S]];
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
