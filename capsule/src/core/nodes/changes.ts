/** The words of changes on a node. */

import { actionLabel } from "../jobs/job-labels";
import { t } from "../text";
import type { NodeChangeView } from "../../wire/schema.gen";

type ChangeLike = Pick<NodeChangeView, "kind" | "object" | "from" | "to">;

export const CHANGE_KINDS = {
  package: t`package`,
  unit: t`unit`,
  kernel: t`kernel`,
  boot: t`boot`,
  mount: t`mount`,
  listener: t`port`,
  agent: t`agent`,
  policy: t`policy`,
  job: t`job`,
  alert: t`alert`,
  rollout: t`roll-out`,
  file: t`configuration`,
};

/** Types of events in words, beside their object. */
const TYPES: Readonly<Record<string, string>> = {
  packages_changed: t`changed`,
  unit_failed: t`failed`,
  unit_recovered: t`runs again`,
  unit_restarted: t`restarted`,
  oom_killed: t`out of memory, a process was killed`,
  node_rebooted: t`rebooted`,
  node_rebooted_unexpectedly: t`rebooted, and nobody had ordered it`,
  reboot_done: t`rebooted, as it needed`,
  filesystem_readonly: t`became read-only`,
  listener_added: t`is listened on`,
  listener_removed: t`is no longer listened on`,
  agent_updated: t`the agent was updated`,
  policy_changed: t`the policy of the owner changed`,
  job_started: t`started`,
  job_succeeded: t`succeeded`,
  job_incomplete: t`succeeded, but not everything came back`,
  job_failed: t`failed`,
  job_interrupted: t`interrupted`,
  job_unknown: t`outcome unknown`,
  alert_firing: t`fires`,
  alert_resolved: t`resolved`,
  config_applied: t`configuration applied`,
  service_deployed: t`deployed`,
  service_failed: t`reported as failed`,
  rollout_started: t`started`,
  rollout_stopped: t`stopped`,
  rollout_succeeded: t`succeeded`,
  rollout_expired: t`ended with its window`,
};

/** The action of a job, with what it was asked to do it to. */
function jobWords(object: string): string {
  const [action = "", ...names] = object.split(" ");
  return [actionLabel(action), ...names].join(" ");
}

/** What changed, from what to what. Of an event: its object and its type in words. */
export function changeWords({ kind, object, from, to }: ChangeLike): string {
  if ((kind === "package" || kind === "kernel") && to !== "packages_changed") {
    if (!from && to && object) return t`${object} ${to} installed`;
    if (from && !to) return t`${object} ${from} removed`;
    if (from) return t`${object} ${from} → ${to}`;
  }
  const what = TYPES[to] ?? to.replaceAll("_", " ");
  const thing = kind === "job" ? jobWords(object) : object;
  return thing ? `${thing}: ${what}` : what;
}
