/** Units of systemd on a node: the rows of their table, and what the node's policy allows. */

import { ARG_KINDS, MAX_UNITS, ONLY_BY_NAME, PROTECTED_UNITS } from "../jobs/arg-kinds.gen";
import { reader, type TableCell, type TableLike } from "./node-tables";

export interface UnitRow {
  name: string;
  description: string;
  /** `failed`, or systemd's substate: running, exited, listening, waiting, dead … */
  state: string;
  /** Why the unit failed; empty = it did not fail, or the reason is unknown. */
  result: string;
  since: number | null;
  /** How often systemd has restarted the unit by itself; null = never, or not known. */
  restarts: number | null;
  cpu: number | null;
  memory: number | null;
}

export interface Policy {
  mode: string;
  verbs: readonly string[];
}

export interface UnitPolicy extends Policy {
  units: readonly string[];
}

type Latest = Readonly<Record<string, { value: number | null } | undefined>>;

const KINDS = /\.(?:service|socket|timer)$/;
const DOWN = new Set(["failed", "dead", "auto-restart"]);
export const isDown = (row: UnitRow): boolean => DOWN.has(row.state);
export const hasFailed = (row: UnitRow): boolean => row.state === "failed" || row.state === "auto-restart";

const text = (cell: TableCell): string => (typeof cell === "string" ? cell : "");
const number = (cell: TableCell): number | null => (typeof cell === "number" ? cell : null);

/** The rows of the table, failed units first. `services` is the table of failed and restarted units; its values are newer than those of `units`. */
export function unitRows(units: TableLike, services: TableLike | undefined, latest: Latest): UnitRow[] {
  const known = new Map<string, TableCell[]>();
  if (services) {
    const read = reader(services, "unit", "state", "result", "since", "restarts");
    for (const row of services.rows) known.set(text(read(row)[0] ?? null), read(row));
  }
  const read = reader(units, "unit", "description", "state", "since");
  const rows = units.rows.map((row): UnitRow => {
    const [unit = null, description = null, state = null, since = null] = read(row);
    const name = text(unit);
    const [, newer = null, result = null, changed = null, restarts = null] = known.get(name) ?? [];
    const usage = (part: string): number | null => latest[`service.${part}{service=${name}}`]?.value ?? null;
    return {
      name,
      description: text(description),
      state: text(newer) || text(state),
      result: text(result),
      since: number(newer === null ? since : changed),
      restarts: number(restarts),
      cpu: usage("cpu"),
      memory: usage("memory"),
    };
  });
  return rows.sort((a, b) => Number(hasFailed(b)) - Number(hasFailed(a)));
}

/** Whether one of the patterns of the policy names the unit, by the rules of the node (`spider/wire/units.py`). */
export function namesUnit(patterns: readonly string[], name: string): boolean {
  const whole = patterns.map((pattern) => (KINDS.test(pattern) || pattern.endsWith("*") ? pattern : `${pattern}.service`));
  return ONLY_BY_NAME.test(name) ? whole.includes(name) : whole.some((pattern) => fits(pattern.split("*"), name));
}

/** Whether a name matches a pattern. `parts` are the texts around each `*` of the pattern. */
export function fits(parts: readonly string[], name: string): boolean {
  const [first = "", last = ""] = [parts[0], parts.at(-1)];
  if (parts.length === 1) return name === first;
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  let [at, end] = [first.length, name.length - last.length];
  for (const part of parts.slice(1, -1)) {
    const found = name.slice(0, end).indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= end;
}

/** Units that no job may restart, because their restart ends all log-in sessions (`spider/packages/after/services.py`). */
const NEVER_ALONE = new Set(
  ["dbus", "dbus-broker", "systemd-logind", "display-manager", "gdm", "sddm", "lightdm"].map((name) => `${name}.service`),
);
/** Whether a job with this verb may name the unit, provided that the policy allows it. */
const isOrderable = (name: string, verb: string): boolean =>
  KINDS.test(name) && !PROTECTED_UNITS.test(name) && !(verb === "unit-restart" && NEVER_ALONE.has(name));

/** The verbs that make sense in the unit's state and that the policy allows. */
export function unitVerbs(row: UnitRow, policy: UnitPolicy | null): string[] {
  if (!policy || policy.mode !== "managed" || !namesUnit(policy.units, row.name)) return [];
  const fitting =
    row.state === "dead" || row.state === "failed" ? ["unit-start", "unit-restart"] : ["unit-restart", "unit-reload", "unit-stop"];
  return fitting.filter((verb) => policy.verbs.includes(verb) && isOrderable(row.name, verb));
}

export interface UnitSplit {
  /** The units that the policy allows. */
  allowed: string[];
  /** The units that the policy does not allow. */
  refused: string[];
  /** The lines of policy.conf that allow the refused units. */
  lines: string[];
}

/** Splits units into those that a job may name and those that the policy refuses. Units that no policy may allow are in neither list. Both lists together have at most `MAX_UNITS` units. */
export function splitUnits(policy: UnitPolicy | null, verb: string, units: readonly string[]): UnitSplit {
  const fitting = units.filter((name) => isOrderable(name, verb)).slice(0, MAX_UNITS);
  const patterns = policy?.units ?? [];
  const allowed = allowsVerb(policy, verb, patterns) ? fitting.filter((name) => namesUnit(patterns, name)) : [];
  const refused = fitting.filter((name) => !allowed.includes(name));
  const unnamed = refused.filter((name) => !namesUnit(patterns, name));
  return { allowed, refused, lines: refused.length ? missingLines(policy, verb, "units", patterns, unnamed) : [] };
}

/** Whether mode and `verbs` of the policy allow the verb. Without patterns a node does not report the verb, so only the mode counts. */
export const allowsVerb = (policy: Policy | null, verb: string, patterns: readonly string[]): boolean =>
  policy?.mode === "managed" && (!patterns.length || policy.verbs.includes(verb));

/** The lines of policy.conf that allow a verb for the names in `unnamed`. `key`: the key of the line that lists names. `patterns`: what that line lists now; empty = there is no such line. */
export function missingLines(
  policy: Policy | null,
  verb: string,
  key: string,
  patterns: readonly string[],
  unnamed: readonly string[],
): string[] {
  const managed = policy?.mode === "managed";
  return [
    ...(patterns.length ? [] : [`version = ${ARG_KINDS.find(({ line }) => line === key)?.version ?? 1}`]),
    ...(managed ? [] : ["mode = managed"]),
    ...(managed && !allowsVerb(policy, verb, patterns) ? [`verbs = ${[...policy.verbs, verb].join(", ")}`] : []),
    ...(unnamed.length ? [`${key} = ${[...patterns, ...unnamed].join(", ")}`] : []),
  ];
}
