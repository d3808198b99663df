/** The rules of a node, and its firing alerts. */

import type { FiringRule } from "../core/alerts/firing-thresholds";
import { call } from "../wire/http";
import type { EffectiveRuleView as NodeRule } from "../wire/schema.gen";

export type { NodeRule };

/** The rules that watch a node, with the values that apply to it. Raises: ApiError. */
export const nodeRules = async (id: string) => (await call("GET", `nodes/${id}/rules`)).rules;

/** The firing alerts of a node with the expressions of their rules. Raises: ApiError. */
export async function firingRules(id: string): Promise<FiringRule[]> {
  const [{ alerts }, rules] = await Promise.all([call("GET", "alerts", { query: { node: id, state: "firing" } }), nodeRules(id)]);
  const exprs = new Map(rules.map(({ rule }) => [rule.id, rule.expr]));
  return alerts.map(({ rule_id, object, level, threshold }) => ({ expr: exprs.get(rule_id) ?? "", object, level, threshold }));
}
