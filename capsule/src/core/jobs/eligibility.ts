/** Whether a node can run a job now, and if not, why. */

import { policyRefusal } from "./batch";
import { t } from "../text";

interface EligibilityInput {
  state: string;
  policy: { mode: string; verbs: readonly string[] } | null;
}

/** A short reason why a node cannot run a job now; empty = it can. */
export function ineligibleReason(node: EligibilityInput, action: string): string {
  const refusal = policyRefusal(node.policy, action);
  if (refusal)
    return node.policy?.mode === "monitor"
      ? t`monitoring only, by its own policy`
      : node.policy?.mode === "invalid"
        ? t`its policy file is not valid`
        : t`not allowed by its own policy`;
  if (node.state === "pending") return t`never connected`;
  return node.state === "online" ? "" : t`not connected`;
}

/** Reasons with the number of nodes for each, the most common first. */
export function ineligibleReasons(nodes: readonly EligibilityInput[], action: string): [string, number][] {
  const found = new Map<string, number>();
  for (const node of nodes) {
    const why = ineligibleReason(node, action);
    if (why) found.set(why, (found.get(why) ?? 0) + 1);
  }
  return [...found].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}
