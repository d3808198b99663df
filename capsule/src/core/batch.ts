/** Many jobs of one order: what they come to, which of them are shown, and which nodes will not take part. */

import { form, t } from "./say";
import { actionWord, jobEnded } from "./words";

interface JobLike {
  state: string;
}

interface PolicyLike {
  mode: string;
  verbs: readonly string[];
}

export const GROUPS = ["failed", "open", "done", "other"] as const;
export type Group = (typeof GROUPS)[number];

export const GROUP_WORDS: Record<Group, string> = { failed: t`with problems`, open: t`in progress`, done: t`succeeded`, other: t`cancelled or expired` };

/** What a person asks first: what went wrong, what is still to come. */
export function groupOf(state: string): Group {
  if (!jobEnded(state)) return "open";
  if (state === "succeeded") return "done";
  return state === "cancelled" || state === "expired" ? "other" : "failed";
}

export function tally(jobs: readonly JobLike[]): Record<Group, number> {
  const found: Record<Group, number> = { failed: 0, open: 0, done: 0, other: 0 };
  for (const { state } of jobs) found[groupOf(state)] += 1;
  return found;
}

const READS = new Set(["check", "refresh", "plan"]);

/** Why a server would refuse this by its own policy; empty = it would not. What nobody knows yet is not guessed. */
export function policyRefusal(policy: PolicyLike | null, action?: string): string {
  if (!policy || (action === "rekey" && (policy.mode === "managed" || policy.verbs.includes(action)))) return "";
  if (policy.mode === "monitor") return t`This server’s own policy (mode = monitor in its policy.conf) allows monitoring only. Its administrator can change that on the server, in /etc/stardust where Spider was installed.`;
  if (policy.mode === "invalid") return t`This server’s policy.conf is not valid, so it runs no jobs. Its administrator can fix that on the server, in /etc/stardust where Spider was installed.`;
  if (policy.mode === "readonly" && action && !READS.has(action)) return t`This server’s own policy (mode = readonly) allows checks, plans and fresh package lists only.`;
  if (action && policy.verbs.length > 0 && !policy.verbs.some((verb) => verb === action || verb === `package.${action}` || verb === "*")) return t`This server’s own policy does not allow “${actionWord(action)}” (verb ${action}).`;
  return "";
}

/** What removes or reboots wants the number typed. */
export const isDangerous = (action: string): boolean => action === "remove" || action === "autoremove" || action === "reboot";

/** What happens if it is done to so many, in words; empty = nothing that cannot be undone. `planned`: what goes on each is shown beside it. */
export function consequence(action: string, nodes: number, planned = false): string {
  const servers = t`${nodes} ${form(nodes, "server")}`;
  switch (action) {
    case "remove":
      if (planned) return t`The packages are removed from ${servers}, along with what the plans list.`;
      return t`The packages are removed from ${servers}, along with whatever needs them there. That differs from server to server and is not shown beforehand.`;
    case "autoremove":
      return t`On ${servers}, every package that was installed for another one and is no longer needed is removed.`;
    case "reboot":
      return t`${servers} ${form(nodes, "restarts", "restart")}, each as soon as its job starts. What runs there is unavailable until it is back.`;
    default:
      return READS.has(action) ? "" : t`Services on ${servers} may restart.`;
  }
}

/** "web-1, web-2, web-3 and 9 more". */
export function someOf(names: readonly string[], most = 3): string {
  return names.length <= most + 1 ? names.join(", ") : t`${names.slice(0, most).join(", ")} and ${names.length - most} more`;
}
