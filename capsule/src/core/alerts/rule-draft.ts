/** A rule while it is edited: thresholds may be incomplete. Values are in the rule's unit. */

import { t } from "../text";
import type { OverrideView, RuleView, SelectView, ThresholdView } from "../../wire/schema.gen";

/** The hub's limits. */
const LONGEST_S = 604_800;
const MOST_OVERRIDES = 100;

/** The two fields of a threshold; null if a field has no number. */
export interface ThresholdDraft {
  trigger: number | null;
  clear: number | null;
}

export interface OverrideDraft {
  select: SelectView;
  /** Whether the rule is on for these servers, whatever it is for others; null: as for others. */
  enabled: boolean | null;
  warn: ThresholdDraft | null;
  crit: ThresholdDraft | null;
  for_s: number | null;
}

export interface RuleDraft {
  name: string;
  expr: string;
  /** Null: all servers. */
  select: { tags: string[]; nodes: string[] } | null;
  when: "above" | "below";
  /** Null: this level is off. */
  warn: ThresholdDraft | null;
  crit: ThresholdDraft | null;
  for_s: number;
  clear_s: number;
  enabled: boolean;
  overrides: readonly OverrideDraft[];
}

export const NEW_DRAFT: RuleDraft = {
  name: "",
  expr: "avg(cpu.total, 10m)",
  select: null,
  when: "above",
  warn: { trigger: 90, clear: 80 },
  crit: null,
  for_s: 300,
  clear_s: 60,
  enabled: true,
  overrides: [],
};

type RuleLike = Pick<RuleView, "name" | "expr" | "select" | "when" | "warn" | "crit" | "for_s" | "clear_s" | "enabled" | "overrides">;

export function draftOf(rule: RuleLike): RuleDraft {
  const { name, expr, select, when, warn, crit, for_s, clear_s, enabled } = rule;
  return {
    name,
    expr,
    when,
    warn,
    crit,
    for_s,
    clear_s,
    enabled,
    select: select.all ? null : { tags: [...select.tags], nodes: [...select.nodes] },
    overrides: rule.overrides,
  };
}

const isWhole = (threshold: ThresholdDraft | null): threshold is ThresholdView | null =>
  threshold === null || (threshold.trigger !== null && threshold.clear !== null);

/** The body of the request; null while a number is missing. An exception that is off may have incomplete or contradictory levels: then it is sent without levels. */
export function bodyOf(draft: RuleDraft): RuleLike | null {
  const { warn, crit } = draft;
  if (!isWhole(warn) || !isWhole(crit)) return null;
  const overrides: OverrideView[] = [];
  for (const one of draft.overrides) {
    const { warn: lower, crit: upper, enabled, for_s } = one;
    const select = { all: one.select.all, tags: [...one.select.tags], nodes: [...one.select.nodes] };
    if (isWhole(lower) && isWhole(upper) && (enabled !== false || !levelFaults(draft, one).length))
      overrides.push({ select, enabled, warn: lower, crit: upper, for_s });
    else if (enabled === false) overrides.push({ select, enabled, warn: null, crit: null, for_s });
    else return null;
  }
  const select = draft.select ? { all: false, ...draft.select } : { all: true, tags: [], nodes: [] };
  return {
    name: draft.name.trim(),
    expr: draft.expr.trim(),
    select,
    when: draft.when,
    warn,
    crit,
    for_s: draft.for_s,
    clear_s: draft.clear_s,
    enabled: draft.enabled,
    overrides,
  };
}

/** The faults of the rule's levels, or of the levels that apply to the servers of an exception. */
function levelFaults(draft: RuleDraft, exception?: OverrideDraft): string[] {
  const warn = exception?.warn ?? draft.warn;
  const crit = exception?.crit ?? draft.crit;
  const sign = draft.when === "above" ? 1 : -1;
  const outOfOrder = (first: number | null, then: number | null): boolean => first !== null && then !== null && sign * (then - first) < 0;
  const faults: string[] = [];
  if ([warn, crit].some((one) => one && outOfOrder(one.clear, one.trigger))) {
    faults.push(
      draft.when === "above"
        ? t`A level must end at or below the value at which it starts.`
        : t`A level must end at or above the value at which it starts.`,
    );
  }
  if (warn && crit && outOfOrder(warn.trigger, crit.trigger)) faults.push(t`The critical level must start after the warning.`);
  return faults;
}

/** The faults that the user must correct, in the order of the fields. An empty name is not listed: the name's field shows that fault. */
export function draftFaults(draft: RuleDraft): string[] {
  const faults: string[] = [];
  if (!draft.warn && !draft.crit) faults.push(t`Switch on a warning, a critical level or both.`);
  // An exception that is off has hidden fields, and `bodyOf` leaves out faulty levels of such an exception.
  const exceptions = draft.overrides.filter(({ enabled }) => enabled !== false).flatMap((one) => levelFaults(draft, one));
  faults.push(...new Set([...levelFaults(draft), ...exceptions]));
  if (draft.select && !draft.select.tags.length && !draft.select.nodes.length) faults.push(t`Choose the servers of the rule.`);
  if ([draft.for_s, draft.clear_s, ...draft.overrides.map(({ for_s }) => for_s ?? 0)].some((seconds) => seconds < 0 || seconds > LONGEST_S))
    faults.push(t`A time is 0 to 7 days.`);
  if (draft.overrides.length > MOST_OVERRIDES) faults.push(t`A rule has at most ${MOST_OVERRIDES} exceptions.`);
  if (draft.overrides.some(({ select }) => !select.all && !select.tags.length && !select.nodes.length))
    faults.push(t`An exception needs a tag.`);
  return faults;
}
