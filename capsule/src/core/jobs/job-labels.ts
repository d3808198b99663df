/** Labels for states, phases and actions of jobs. */

import { t } from "../text";
import { ACTION_LABELS } from "./verb-titles.gen";

export { ACTION_LABELS };

const PHASE_LABELS: Record<string, string> = {
  refresh: t`reading package lists`,
  plan: t`planning`,
  waiting_lock: t`waiting for another package manager`,
  download: t`downloading`,
  commit: t`installing`,
  triggers: t`finishing`,
  check: t`checking the result`,
};

export const STATE_LABELS: Record<string, string> = {
  queued: t`Waiting for the server`,
  dispatched: t`Sent to the server`,
  accepted: t`Accepted by the server`,
  running: t`Running`,
  succeeded: t`Succeeded`,
  failed: t`Failed`,
  cancelled: t`Cancelled`,
  interrupted: t`Interrupted`,
  expired: t`Expired`,
  unknown: t`Outcome unknown`,
};

const ENDED = new Set(["succeeded", "failed", "cancelled", "interrupted", "expired", "unknown"]);

export const jobEnded = (state: string): boolean => ENDED.has(state);
export const actionLabel = (action: string): string => ACTION_LABELS[action] ?? action;
/** The label of a job's action; for a plan also that of the planned action. */
export const jobLabel = (job: { action: string; for?: string | null }): string =>
  job.action === "plan" && job.for ? t`Plan: ${actionLabel(job.for)}` : actionLabel(job.action);
/** The label of a phase. The phase `commit` has the label of its action, because some actions do not install anything. */
export function phaseLabel(phase: string, action: string): string {
  if (phase === "commit" && /remove$/.test(action)) return t`removing`;
  if (phase === "commit" && action === "reboot") return t`rebooting`;
  if (phase === "commit" && !/upgrade|install|update/.test(action)) return t`working`;
  return PHASE_LABELS[phase] ?? phase;
}
export const stateLabel = (state: string): string => STATE_LABELS[state] ?? state;

/** The glyph of a job's state. */
export function jobGlyph(state: string): "done" | "fail" | "run" | "wait" | "ended" | "warn" {
  if (state === "succeeded") return "done";
  if (state === "failed") return "fail";
  if (state === "cancelled" || state === "expired") return "ended";
  if (state === "interrupted" || state === "unknown") return "warn";
  return state === "queued" ? "wait" : "run";
}

/** Labels for the states of the fleet's filter. */
export const NODE_STATE_LABELS: Record<string, string> = {
  online: t`online`,
  critical: t`critical`,
  warning: t`warning`,
  notice: t`notice`,
  stale: t`stale`,
  offline: t`offline`,
  reconnecting: t`reconnecting`,
  pending: t`pending`,
};
export const GROUPING_LABELS: Record<string, string> = { tag: t`tag`, os: t`os`, state: t`state` };

/** The policies that the owner of a server can set, for a choice. */
export const POLICIES: readonly [string, string][] = [
  ["managed", t`Managed`],
  ["readonly", t`Read only`],
  ["monitor", t`Monitor`],
];
