/** Units of systemd on a node: the rows of its tab, and what its owner allows. */

import { reader, type TableCell, type TableLike } from "./node-tables";

export interface UnitRow {
  name: string;
  description: string;
  /** failed, or systemd's word for what it does: running, exited, listening, waiting, dead … */
  state: string;
  /** Why it failed; empty = it did not, or that is not known. */
  result: string;
  since: number | null;
  /** How often systemd has restarted it by itself; null = not known, or never. */
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

/**
 * The rows in the order of the node, with what other reports say of each. `services`: the table of failed and restarted units, which is newer
 * than `units`.
 */
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
    return { name, description: text(description), state: text(newer) || text(state), result: text(result), since: number(newer === null ? since : changed), restarts: number(restarts), cpu: usage("cpu"), memory: usage("memory") };
  });
  return rows.sort((a, b) => Number(hasFailed(b)) - Number(hasFailed(a)));
}

/** Whether one of the patterns of the policy names the unit, by the rules of the node (`spider/wire/units.py`). */
export function namesUnit(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => fits((KINDS.test(pattern) || pattern.endsWith("*") ? pattern : `${pattern}.service`).split("*"), name));
}

/** Whether the parts between the `*` of a pattern are in the name in this order. */
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

/** Units whose restart ends all log-in sessions, or more (`spider/packages/after/services.py`). */
const NEVER_ALONE = new Set(["dbus", "dbus-broker", "systemd-logind", "display-manager", "gdm", "sddm", "lightdm"].map((name) => `${name}.service`));
/** Units that no policy allows (`spider/wire/units.py`). */
const PROTECTED = /^(?:stardust.*|initrd-.*|(?:debug-shell|console-shell|rescue|emergency|ctrl-alt-del|systemd-(?:poweroff|reboot|soft-reboot|halt|kexec|exit|suspend|hibernate|hybrid-sleep|suspend-then-hibernate|initctl|shutdownd|sysupdate-reboot|halt-local))(?:@.*)?)\.[a-z]+$/;

/** Whether an order with this verb may name the unit, if its policy does. */
const isOrderable = (name: string, verb: string): boolean => KINDS.test(name) && !PROTECTED.test(name) && !(verb === "unit-restart" && NEVER_ALONE.has(name));

/** The verbs that make sense for a unit and that its node's owner allows. */
export function unitVerbs(row: UnitRow, policy: UnitPolicy | null): string[] {
  if (!policy || policy.mode !== "managed" || !namesUnit(policy.units, row.name)) return [];
  const fitting = row.state === "dead" || row.state === "failed" ? ["unit-start", "unit-restart"] : ["unit-restart", "unit-reload", "unit-stop"];
  return fitting.filter((verb) => policy.verbs.includes(verb) && isOrderable(row.name, verb));
}

/** The maximum of one order (`spider/wire/units.py`). */
const MAX_UNITS = 16;

export interface UnitOrder {
  /** The units that the policy allows. */
  allowed: string[];
  /** The units that it does not. */
  refused: string[];
  /** The lines of policy.conf that allow those. */
  lines: string[];
}

/** Which of these units an order may name. Units that must not be restarted from here, and what is no unit, are in neither list. */
export function unitOrder(policy: UnitPolicy | null, verb: string, units: readonly string[]): UnitOrder {
  const fitting = units.filter((name) => isOrderable(name, verb)).slice(0, MAX_UNITS);
  const patterns = policy?.units ?? [];
  const allowed = isListed(policy, verb, patterns) ? fitting.filter((name) => namesUnit(patterns, name)) : [];
  const refused = fitting.filter((name) => !allowed.includes(name));
  const unnamed = refused.filter((name) => !namesUnit(patterns, name));
  return { allowed, refused, lines: refused.length ? missingLines(policy, verb, "units", patterns, unnamed) : [] };
}

/** Whether mode and `verbs` allow the verb. Without patterns, a node does not report the verb even if they do. */
export const isListed = (policy: Policy | null, verb: string, patterns: readonly string[]): boolean => policy?.mode === "managed" && (!patterns.length || policy.verbs.includes(verb));

/** The lines of policy.conf that allow a verb for these names. `key`: the line that names them, which has `patterns` now. */
export function missingLines(policy: Policy | null, verb: string, key: string, patterns: readonly string[], unnamed: readonly string[]): string[] {
  const managed = policy?.mode === "managed";
  return [
    ...(patterns.length ? [] : ["version = 2"]),
    ...(managed ? [] : ["mode = managed"]),
    ...(managed && !isListed(policy, verb, patterns) ? [`verbs = ${[...policy.verbs, verb].join(", ")}`] : []),
    ...(unnamed.length ? [`${key} = ${[...patterns, ...unnamed].join(", ")}`] : []),
  ];
}
