/** Texts for roll-outs, patch policies and windows. */

import { DAY_WORDS, daysWords, type Day } from "../alerts/schedule-text";
import { clock, date, iso, plural, t, timeOrDate } from "../text";

export const ROLLOUT_STATES = {
  planning: t`Planning`,
  ready: t`Waits for your confirmation`,
  waiting: t`Waits for its time`,
  running: t`Running`,
  holding: t`Holding`,
  paused: t`Paused`,
  stopping: t`Stopping`,
  succeeded: t`Succeeded`,
  stopped: t`Stopped`,
  cancelled: t`Cancelled`,
  expired: t`Out of time`,
  failed: t`Failed`,
} as const;
export type RolloutState = keyof typeof ROLLOUT_STATES;

/** The state of a roll-out. One that runs and is at work on no server waits, and its words say for what. */
export const stateWords = ({ state, waits }: { state: RolloutState; waits: boolean }): string =>
  waits ? t`Waiting` : ROLLOUT_STATES[state];

export const TARGET_STATES = {
  pending: t`not begun`,
  held: t`held`,
  running: t`at work`,
  passed: t`passed`,
  worse: t`got worse`,
  failed: t`failed`,
  unknown: t`unknown`,
  not_started: t`not started`,
} as const;
export type TargetState = keyof typeof TARGET_STATES;

export const TARGET_STEPS = {
  "": "",
  plan: t`planning`,
  before: t`action before`,
  patch: t`installing`,
  reboot: t`rebooting`,
  after: t`action after`,
  watch: t`being watched`,
} as const;

/** What a roll-out can still do. */
export type RolloutPhase = "open" | "going" | "over";

export const rolloutPhase = (state: RolloutState): RolloutPhase =>
  state === "ready" || state === "planning"
    ? "open"
    : ["succeeded", "stopped", "cancelled", "expired", "failed"].includes(state)
      ? "over"
      : "going";

/** How grave a state is, for its colour. */
export function rolloutTone({
  state,
  waits,
  targets: { failed, unknown },
}: {
  state: RolloutState;
  waits: boolean;
  targets: { failed: number; unknown: number };
}): "ok" | "warn" | "crit" | "run" | "wait" {
  if (state === "succeeded") return failed + unknown > 0 ? "warn" : "ok";
  if (state === "stopped" || state === "failed" || state === "stopping") return "crit";
  if (state === "holding" || state === "paused" || state === "expired" || state === "cancelled") return "warn";
  return !waits && (state === "running" || state === "planning") ? "run" : "wait";
}

type Counts = Readonly<Record<TargetState | "total", number>>;

/** "12 of 40 passed, 1 failed, 3 held": what is not zero, worst first. */
export function countsWords(counts: Counts): string {
  const order: TargetState[] = ["failed", "unknown", "worse", "held", "running", "not_started"];
  const rest = order.filter((state) => counts[state] > 0).map((state) => `${counts[state]} ${TARGET_STATES[state]}`);
  return [t`${counts.passed} of ${counts.total} passed`, ...rest].join(", ");
}

const MOST_NAMED = 5;

/** The packages of a server, a few by name. Empty: all that its list had, or none. */
export const packagesWords = (names: readonly string[]): string =>
  names.length > MOST_NAMED ? t`${names.slice(0, MOST_NAMED).join(", ")} and ${names.length - MOST_NAMED} more` : names.join(", ");

const NTHS = { first: t`first`, second: t`second`, third: t`third`, fourth: t`fourth`, last: t`last` } as const;

export interface WhenLike {
  weekly?: readonly Day[] | null | undefined;
  monthly?: { nth: keyof typeof NTHS; day: Day } | null | undefined;
  every_weeks?: { weeks: number; days: readonly Day[]; since: string } | null | undefined;
  once?: string | null | undefined;
}

/** "second Tue of each month", "every 2 weeks on Mon, Wed": without the time of day. */
export function whenWords(when: WhenLike): string {
  if (when.weekly) return daysWords(when.weekly);
  if (when.monthly) return t`${NTHS[when.monthly.nth]} ${DAY_WORDS[when.monthly.day]} of each month`;
  if (when.every_weeks) return t`every ${when.every_weeks.weeks} weeks on ${daysWords(when.every_weeks.days)}`;
  return when.once ? t`once, on ${when.once}` : t`never`;
}

export const WHATS = {
  security: t`Security updates`,
  all: t`All updates`,
  full: t`All updates, with removals that they need`,
  nothing: t`Nothing, only reboots`,
} as const;

export const REBOOTS = { never: t`Never`, if_required: t`If it is due`, always: t`Always` } as const;
export const APPROVALS = { none: t`Not needed`, person: t`One person`, two_persons: t`Two people` } as const;
export const ZONE_OF_NODE = "node";

const FIRST_ZONE_S = 14 * 3600;

/** When a date begins: as a time here, or as the local time of each node. `local` is that of the answer, such as "2026-12-04 02:30". */
export const beginWords = (dueAt: number, local: string, zone: string, now: number): string =>
  zone === ZONE_OF_NODE ? local : t`${date(dueAt, now)}, ${clock(dueAt, false)}`;

/** The next date of a patch policy: for times of each node, the date begins in the first zone on Earth. */
export const nextWords = (nextAt: number, start: string, zone: string, now: number): string =>
  zone === ZONE_OF_NODE ? `${iso(nextAt + FIRST_ZONE_S).slice(0, 10)} ${start}` : timeOrDate(nextAt, now);

export const zoneWords = (zone: string): string => (zone === ZONE_OF_NODE ? t`each node’s own time` : zone);

export const PAUSES = {
  owner: t`its owner may no longer act: an admin takes it over in its menu`,
  restored: t`the hub was restored from a backup: resume all policies to go on`,
  suspended: t`the organisation was suspended: save the policy again to go on`,
  stopped: t`its last roll-out was stopped: look at it, then save the policy again`,
} as const;

/** Whether Updates has the tabs of patching. A fleet of one server needs none, while a user of one server may see more of a larger fleet. */
export const updatesHasTabs = (servers: number, limited: boolean): boolean => servers > 1 || limited;

/** The sentence of the button's question. */
export const startWords = (count: number): string => t`Change ${plural(count, "server")}`;
