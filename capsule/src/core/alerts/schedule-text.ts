/** Texts for maintenance windows and deadlines, and for the calendar of a deadline. */

import { age, t, timeOrDate } from "../text";
import type { DayView, ExpectationView, MaintenanceView } from "../../wire/schema.gen";

export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Day = (typeof DAYS)[number];

export const DAY_WORDS: Record<Day, string> = { mon: t`Mon`, tue: t`Tue`, wed: t`Wed`, thu: t`Thu`, fri: t`Fri`, sat: t`Sat`, sun: t`Sun` };

/** A text for days of the week: "every day", "Mon–Fri", "Mon, Wed". */
export function daysWords(days: readonly Day[]): string {
  if (days.length === DAYS.length) return t`every day`;
  const at = days.map((day) => DAYS.indexOf(day)).sort((a, b) => a - b);
  const [first = 0] = at;
  const last = at[at.length - 1] ?? 0;
  const name = (index: number): string => DAY_WORDS[DAYS[index] ?? "mon"];
  if (at.length > 2 && last - first === at.length - 1) return `${name(first)}–${name(last)}`;
  return at.map(name).join(", ");
}

/** The error of a time of day; empty = none. */
export const timeError = (text: string): string => (/^\d\d:\d\d$/.test(text) ? "" : t`It is a time of day, such as 02:30.`);

/** The error of the name of a time zone, as far as this browser knows them; empty = none. */
export function zoneError(zone: string): string {
  try {
    const known = new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone;
    // Browsers take any case, the hub does not. Another name is another spelling of the same zone, which the hub knows, too.
    return known !== zone && known.toLowerCase() === zone.toLowerCase() ? t`It is written ${known}.` : "";
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return t`There is no such time zone: it is a name such as Europe/Budapest.`;
  }
}

type WindowLike = Pick<MaintenanceView, "from_at" | "until_at" | "closed_at" | "weekly" | "zone">;

/** When a window is open. A window that was ended early has its real end; one that was cancelled before its start has its planned end. */
export function windowWords(window: WindowLike, now: number): string {
  const until = endOf(window);
  if (window.weekly) {
    const { days, start, end } = window.weekly;
    const times = t`${daysWords(days)} ${start}–${end} ${window.zone ?? ""}`;
    return until === null ? times : t`${times}, until ${timeOrDate(until, now)}`;
  }
  return until === null ? t`since ${timeOrDate(window.from_at, now)}` : t`${timeOrDate(window.from_at, now)} – ${timeOrDate(until, now)}`;
}

function endOf({ from_at, until_at, closed_at }: WindowLike): number | null {
  if (closed_at === null || closed_at < from_at) return until_at;
  return until_at === null ? closed_at : Math.min(closed_at, until_at);
}

type DeadlineLike = Pick<ExpectationView, "event" | "by" | "from" | "zone" | "days" | "grace_s">;

export const deadlineWords = (one: DeadlineLike): string => {
  const words = t`${one.event} by ${one.by} ${one.zone}, ${daysWords(one.days)}`;
  return one.grace_s > 0 ? t`${words}, ${age(one.grace_s)} of grace` : words;
};

export type DayLike = Pick<DayView, "date" | "due_at" | "met" | "arrived_late" | "late" | "missed" | "not_judged">;

export type DayState = "met" | "late" | "missed" | "not_judged" | "coming";

/** The worst result of a day. A day without a result is `coming` until `due_at`, then `not_judged`. */
export function dayState(day: DayLike, now: number): DayState {
  if (day.missed) return "missed";
  if (day.late) return "late";
  if (day.met || day.arrived_late) return "met";
  return day.due_at > now ? "coming" : "not_judged";
}

export const DAY_STATE_WORDS: Record<DayState, string> = {
  met: t`met`,
  late: t`late`,
  missed: t`missed`,
  not_judged: t`not judged`,
  coming: t`to come`,
};

/** The results of a day: "2026-11-03: 3 met, 1 missed". */
export function dayWords(day: DayLike, now: number): string {
  const parts = [
    day.met && t`${day.met} met`,
    day.arrived_late && t`${day.arrived_late} met, reported late`,
    day.late && t`${day.late} late`,
    day.missed && t`${day.missed} missed`,
    day.not_judged && t`${day.not_judged} not judged`,
  ].filter(Boolean);
  return `${day.date}: ${parts.join(", ") || DAY_STATE_WORDS[dayState(day, now)]}`;
}

/** Whether no day has a result: nothing was reported, and nothing was judged. */
export const nothingYet = (days: readonly DayLike[]): boolean =>
  days.every(({ met, arrived_late, late, missed }) => met + arrived_late + late + missed === 0);

/** How many servers missed a deadline on its worst day, if on no day any server has reported the event; otherwise 0. */
export const neverReported = (days: readonly { met: number; arrived_late: number; late: number; missed: number }[]): number =>
  days.some(({ met, arrived_late, late }) => met + arrived_late + late > 0) ? 0 : Math.max(0, ...days.map(({ missed }) => missed));
