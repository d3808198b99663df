/** Batches (the jobs of one request): counts by state, the groups that the page shows, and texts. */

import { plural, pluralWord, t } from "../text";
import { actionLabel, jobEnded } from "./job-labels";
import { VERBS } from "./verbs.gen";

interface JobLike {
  state: string;
}

interface PolicyLike {
  mode: string;
  verbs: readonly string[];
}

export const JOB_GROUPS = ["failed", "open", "done", "other"] as const;
export type JobGroup = (typeof JOB_GROUPS)[number];

export const JOB_GROUP_LABELS: Record<JobGroup, string> = {
  failed: t`with problems`,
  open: t`in progress`,
  done: t`succeeded`,
  other: t`cancelled or expired`,
};

/** The group of a job's state. */
export function jobGroupOf(state: string): JobGroup {
  if (!jobEnded(state)) return "open";
  if (state === "succeeded") return "done";
  return state === "cancelled" || state === "expired" ? "other" : "failed";
}

export function countJobs(jobs: readonly JobLike[]): Record<JobGroup, number> {
  const found: Record<JobGroup, number> = { failed: 0, open: 0, done: 0, other: 0 };
  for (const { state } of jobs) found[jobGroupOf(state)] += 1;
  return found;
}

/** Converts counts of states to counts of groups; `only`: counts this group and no other. */
export function countGroups(counts: Readonly<Record<string, number>>, only?: JobGroup): Record<JobGroup, number> {
  const found: Record<JobGroup, number> = { failed: 0, open: 0, done: 0, other: 0 };
  for (const [state, count] of Object.entries(counts)) {
    const group = jobGroupOf(state);
    if (!only || group === only) found[group] += count;
  }
  return found;
}

/** On how many of the chosen nodes an order acts, for example "3 of 4 nodes". */
export const nodesOf = (acting: number, chosen: number): string =>
  acting === chosen ? plural(chosen, "node") : t`${acting} of ${plural(chosen, "node")}`;

/** The outcome of a batch in one sentence. `reboots`: the nodes that need a reboot now. `refused`: the nodes that got no job. */
export function batchOutcome(counts: Record<JobGroup, number>, reboots: number, refused = 0): string {
  const total = counts.failed + counts.open + counts.done + counts.other;
  if (!total) return t`Nothing was started`;
  const done = counts.open ? t`${counts.done} of ${total} succeeded so far` : t`${counts.done} of ${total} succeeded`;
  const failed = counts.failed && t`${counts.failed} with problems`;
  const left = refused && t`${refused} left out`;
  return [done, failed, left, reboots && t`${reboots} ${pluralWord(reboots, "needs", "need")} a reboot`].filter(Boolean).join(", ");
}

/** Sorts the jobs of a batch: failed and running first, then by name. */
export function compareJobs(a: { state: string; name: string }, b: { state: string; name: string }, byName: Intl.Collator): number {
  const rank = ({ state }: JobLike): number => JOB_GROUPS.indexOf(jobGroupOf(state)) + (state === "queued" ? 0.5 : 0);
  return rank(a) - rank(b) || byName.compare(a.name, b.name);
}

/** For example "2 with problems, 31 succeeded", failures first; empty if there is no job. */
export const groupsText = (counts: Record<JobGroup, number>): string =>
  JOB_GROUPS.filter((group) => counts[group] > 0)
    .map((group) => `${counts[group]} ${JOB_GROUP_LABELS[group]}`)
    .join(", ");

/** Why the policy of a server refuses an action; without `action`, why it refuses every job. Empty = the policy does not refuse it, or is unknown. */
export function policyRefusal(policy: PolicyLike | null, action?: string): string {
  if (!policy || (action === "rekey" && (policy.mode === "managed" || policy.verbs.includes(action)))) return "";
  if (policy.mode === "monitor")
    return t`This server’s own policy (mode = monitor in its policy.conf) allows monitoring only. Its administrator can change that on the server, in /etc/stardust where the agent was installed.`;
  if (policy.mode === "invalid")
    return t`This server’s policy.conf is not valid, so it runs no jobs. Its administrator can fix that on the server, in /etc/stardust where the agent was installed.`;
  if (policy.mode === "readonly" && action && !VERBS[action]?.readonly)
    return t`This server’s own policy (mode = readonly) allows checks, plans and fresh package lists only.`;
  if (action && policy.verbs.length > 0 && !policy.verbs.some((verb) => verb === action || verb === `package.${action}` || verb === "*"))
    return t`This server’s own policy does not allow “${actionLabel(action)}” (verb ${action}).`;
  return "";
}

/** Whether an action removes something or reboots, so that it needs a typed confirmation. */
export const isDangerous = (action: string): boolean => VERBS[action]?.dangerous === true;

/** The consequence of an action for this many nodes; empty if it changes nothing. `planned`: the dialog also shows the plan of each node. */
export function consequence(action: string, nodes: number, planned = false): string {
  const servers = t`${nodes} ${pluralWord(nodes, "server")}`;
  switch (action) {
    case "remove":
      if (planned) return t`The packages are removed from ${servers}, along with what the plans list.`;
      return t`The packages are removed from ${servers}, along with whatever needs them there. That differs from server to server and is not shown beforehand.`;
    case "autoremove":
      return t`On ${servers}, every package that was installed for another one and is no longer needed is removed.`;
    case "reboot":
      return t`${servers} ${pluralWord(nodes, "reboots", "reboot")}. Services there are down until each server is back.`;
    default:
      return VERBS[action]?.readonly ? "" : t`Services on ${servers} may restart.`;
  }
}

/** For example "web-1, web-2, web-3 and 9 more". `total`: how many there are, if `names` are only some of them. */
export function listSome(names: readonly string[], most = 3, total = names.length): string {
  return total <= most + 1 && total === names.length
    ? names.join(", ")
    : t`${names.slice(0, most).join(", ")} and ${total - Math.min(most, names.length)} more`;
}

/** The services that these plans will probably restart, the most common first: "nginx on 12 servers, php-fpm on 1 server". Empty = none. */
export function restartsText(plans: readonly { restarts: readonly string[] }[], most = 4): string {
  const counts = new Map<string, number>();
  for (const { restarts } of plans) for (const name of restarts) counts.set(name, (counts.get(name) ?? 0) + 1);
  const found = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return listSome(
    found.map(([name, count]) => t`${name} on ${count} ${pluralWord(count, "server")}`),
    most,
  );
}

interface EndedBatch {
  action: string;
  jobs: readonly { node_id: string; state: string }[];
}

/** The nodes of a batch that need a reboot. Empty before all its jobs have ended, and for a batch of reboots. `required` gives a node's `reboot_required`. */
export const nodesToReboot = ({ action, jobs }: EndedBatch, required: (node: string) => string | undefined): string[] =>
  action === "reboot" || !jobs.every(({ state }) => jobEnded(state))
    ? []
    : jobs.map(({ node_id }) => node_id).filter((node) => required(node) === "yes");
