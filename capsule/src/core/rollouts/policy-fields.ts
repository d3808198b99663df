/** The hub's rules for fields of a patch policy, checked before the request. Each function returns the error; empty = none. */

import { timeError, zoneError } from "../alerts/schedule-text";
import { t } from "../text";
import { type WhenLike, ZONE_OF_NODE } from "./rollout-text";

const MOST_PATTERNS = 100;
const MOST_ACTIONS = 10;
export const MOST_PROBES = 20;
export const LONGEST_ACTION_S = 3600;
const LONGEST_EVENT_S = 90 * 86_400;
const PATTERN = /^[A-Za-z0-9@._+:*?-]{1,128}$/;
const ACTION = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const EVENT = /^[a-z0-9_.:-]{1,100}$/;
const PROBES = {
  http: /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::([0-9]{1,5}))?(?:\/[!-~]{0,300})?$/,
  tcp: /^([1-9][0-9]{0,4})$/,
  unit: /^[A-Za-z0-9@._:-]{1,200}\.(?:service|socket|timer)$/,
} as const;
const HIGHEST_PORT = 65_535;

export type ProbeKind = keyof typeof PROBES;
export interface ActionLike {
  name: string;
  timeout_s?: number;
  must_succeed?: boolean;
}

export function patternsError(patterns: readonly string[]): string {
  const wrong = patterns.find((one) => !PATTERN.test(one));
  if (wrong !== undefined) return t`${wrong} is not a name or pattern of packages, such as postgresql-*.`;
  return patterns.length > MOST_PATTERNS ? t`There are at most ${MOST_PATTERNS} patterns.` : "";
}

/** Of “only”: it may not name what is left out. */
export function onlyError(only: readonly string[], leaveOut: readonly string[]): string {
  const both = only.find((one) => leaveOut.includes(one));
  return patternsError(only) || (both === undefined ? "" : t`${both} is also left out: remove it from one of the two.`);
}

export function actionNamesError(names: readonly string[]): string {
  const wrong = names.find((one) => !ACTION.test(one));
  if (wrong !== undefined) return t`${wrong} is not the name of an action: a-z, 0-9, _ and -.`;
  return names.length > MOST_ACTIONS ? t`There are at most ${MOST_ACTIONS} actions.` : "";
}

export const actionTimeError = (timeout_s: number): string =>
  Number.isInteger(timeout_s) && timeout_s >= 1 && timeout_s <= LONGEST_ACTION_S ? "" : t`It is 1 to ${LONGEST_ACTION_S} seconds.`;

/** The least and the most of each whole number. */
export const RANGES = {
  percent: [1, 100],
  canary: [0, 10],
  at_once: [1, 100],
  max_failed: [0, 1000],
  watch_minutes: [5, 60],
  max_per_role: [1, 10],
  age_days: [0, 365],
  notice_h: [0, 336],
  weeks: [1, 52],
} as const;

export function rangeError(field: keyof typeof RANGES, value: number): string {
  const [least, most] = RANGES[field];
  return Number.isInteger(value) && value >= least && value <= most ? "" : t`It is ${least} to ${most}.`;
}

/** The range of a field, for its input. */
export const rangeOf = (field: keyof typeof RANGES): { min: number; max: number } => ({ min: RANGES[field][0], max: RANGES[field][1] });

const SHORTEST_S = 900;
const LONGEST_S = 86_400;

export const lengthError = (length_s: number): string =>
  length_s >= SHORTEST_S && length_s <= LONGEST_S ? "" : t`It is 0.25 to 24 hours.`;

export const dateError = (text: string): string => (/^2[01]\d\d-\d\d-\d\d$/.test(text) ? "" : t`It is a date, such as 2026-12-24.`);

export const daysError = (days: readonly unknown[]): string => (days.length ? "" : t`Choose at least one day.`);

/** Of a calendar: any error of its fields. */
const whenError = ({ weekly, every_weeks: every, once }: WhenLike): string =>
  (weekly && daysError(weekly)) ||
  (every && (daysError(every.days) || rangeError("weeks", every.weeks) || dateError(every.since))) ||
  (typeof once === "string" && dateError(once)) ||
  "";

export const eventTypeError = (type: string): string =>
  EVENT.test(type) ? "" : t`It is a type of event or the name of a custom one: a-z, 0-9, _ . and -.`;

export const eventTimeError = (within_s: number): string =>
  within_s >= 60 && within_s <= LONGEST_EVENT_S ? "" : t`It is 1 minute to 90 days.`;

export function probeError(kind: ProbeKind, target: string): string {
  const found = PROBES[kind].exec(target);
  const port = Number(found?.[1] ?? 1);
  if (found && port > 0 && port <= HIGHEST_PORT) return "";
  if (kind === "http") return t`It is an address on the server itself, such as http://localhost:8080/health.`;
  return kind === "tcp" ? t`It is a port, 1 to ${HIGHEST_PORT}.` : t`It is a unit of systemd, such as nginx.service.`;
}

interface PolicyLike {
  when?: WhenLike;
  start?: string;
  length_s?: number;
  zone?: string;
  leave_out?: readonly string[];
  only?: readonly string[];
  before?: readonly ActionLike[];
  after?: readonly ActionLike[];
  needs_event?: { type: string; within_s: number } | null;
  order?: { percent?: number; canary?: number | null; at_once?: number };
  max_failed?: number;
  watch_s?: number;
  max_per_role?: number;
  min_age_days?: { security?: number; other?: number };
  notice_h?: number;
  probes?: readonly { kind: ProbeKind; target: string }[];
}

/** Whether a number is outside its range. */
const hasRangeError = ({ order = {}, min_age_days: age = {}, ...policy }: PolicyLike): boolean =>
  [
    rangeError("percent", order.percent ?? 10),
    rangeError("canary", order.canary ?? 0),
    rangeError("at_once", order.at_once ?? 10),
    rangeError("max_failed", policy.max_failed ?? 0),
    rangeError("watch_minutes", (policy.watch_s ?? 900) / 60),
    rangeError("max_per_role", policy.max_per_role ?? 1),
    rangeError("age_days", age.security ?? 0),
    rangeError("age_days", age.other ?? 0),
    rangeError("notice_h", policy.notice_h ?? 24),
  ].some(Boolean);

/** Whether a field that these rules are about has an error. */
export function hasFieldError({
  leave_out = [],
  only = [],
  before = [],
  after = [],
  needs_event: event,
  probes = [],
  when = {},
  start = "00:00",
  length_s = SHORTEST_S,
  zone = ZONE_OF_NODE,
  ...numbers
}: PolicyLike): boolean {
  const actions = [before, after].some(
    (steps) => actionNamesError(steps.map(({ name }) => name)) || steps.some((one) => actionTimeError(one.timeout_s ?? 600)),
  );
  return Boolean(
    whenError(when) ||
      timeError(start) ||
      lengthError(length_s) ||
      (zone !== ZONE_OF_NODE && zoneError(zone)) ||
      patternsError(leave_out) ||
      onlyError(only, leave_out) ||
      actions ||
      hasRangeError(numbers) ||
      (event && (eventTypeError(event.type) || eventTimeError(event.within_s))) ||
      probes.some(({ kind, target }) => probeError(kind, target)),
  );
}
