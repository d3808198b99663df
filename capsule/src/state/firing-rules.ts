/** The rules whose alerts fire for a node. */

import type { FiringRule } from "../core/alerts/firing-thresholds";
import { call } from "../wire/http";
import type { AlertsView, EffectiveRulesView } from "../wire/schema.gen";

/** Raises: ApiError. */
export async function firingRules(id: string): Promise<FiringRule[]> {
  const [{ alerts }, { rules }] = await Promise.all([call<AlertsView>("GET", "alerts", { query: { node: id, state: "firing" } }), call<EffectiveRulesView>("GET", `nodes/${id}/rules`)]);
  const exprs = new Map(rules.map(({ rule }) => [rule.id, rule.expr]));
  return alerts.map(({ rule_id, object, level, threshold }) => ({ expr: exprs.get(rule_id) ?? "", object, level, threshold }));
}
