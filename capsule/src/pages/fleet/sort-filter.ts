/** Filters and sorts the rows of the fleet. */

import { revisionText } from "../../core/nodes/revision";
import { findingKinds, severityOf } from "../../core/nodes/findings";
import { parseFilter, type Filter, type Filterable } from "../../core/nodes/filter";
import { nameCollator, type Groupable } from "../../core/nodes/node-groups";
import { t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import type { Row } from "../../state/fleet";
import { nextPatches } from "../../state/next-patch";

export type SortKey =
  | "state"
  | "name"
  | "cpu"
  | "memory"
  | "disk"
  | "network"
  | "load"
  | "temperature"
  | "updates"
  | "up"
  | "tags"
  | "os"
  | "kernel"
  | "agent"
  | "address"
  | "location"
  | "revision"
  | "patch"
  | "reboot"
  | "failed"
  | "note";
const KEYS =
  /^(state|name|cpu|memory|disk|network|load|temperature|updates|up|tags|os|kernel|agent|address|location|revision|patch|reboot|failed|note)$/;

/** The sort order in the address. Without a valid order the worst nodes are first. */
export function parseSort(text: string | null): { key: SortKey; down: boolean } {
  const down = text?.startsWith("-") ?? false;
  const key = down ? (text ?? "").slice(1) : (text ?? "");
  return KEYS.test(key) ? { key: key as SortKey, down } : { key: "state", down: true };
}

const STATE_WORDS = {
  ok: "online",
  notice: "notice",
  warn: "warning",
  crit: "critical",
  off: "offline",
  stale: "stale",
  back: "reconnecting",
  wait: "pending",
} as const;

function patchText(node: string): string {
  const known = nextPatches.value;
  const next = known?.get(node);
  if (!known) return "";
  if (!next) return t`none`;
  return next.at === null ? next.policies : t`${timeOrDate(next.at, dayStart.value)} by ${next.policies}`;
}

/** Whether columns, sort order or filter need the next patches. */
export const needsPatches = (columns: readonly string[], sort: string | null, filter: string | null): boolean =>
  columns.includes("patch") || /^-?patch$/.test(sort ?? "") || /(^|[\s-])patch[:=]/i.test(filter ?? "");

function filterable(row: Row): Filterable {
  const { node, status, health } = row;
  const disconnected = health === "off" || health === "wait";
  return {
    name: node.name,
    address: node.address,
    tags: node.tags,
    os: `${node.identity.os_id} ${node.identity.os_name} ${node.identity.os_version}`,
    kernel: node.identity.kernel,
    agent: node.agent_version,
    location: node.location?.location ?? "",
    revision: revisionText(node.identity),
    patch: patchText(node.id),
    note: node.note,
    reboot: node.reboot_required,
    failed: node.health.findings.filter(({ kind }) => kind === "unit_failed").length,
    state: STATE_WORDS[health],
    health: node.health.level,
    findings: findingKinds(row),
    cpu: disconnected ? null : status.cpu,
    memory: disconnected ? null : status.memory,
    disk: disconnected ? null : status.disk,
    load: disconnected ? null : status.load,
    updates: node.updates.total,
    security: node.updates.security,
  };
}

/** The values of all columns of a row. */
export const columnsOf = (row: Row): Filterable & { system: string } => ({
  ...filterable(row),
  system: row.node.identity.os_name || row.node.identity.os_id,
});

export const groupable = ({ node, health }: Row): Groupable => ({
  id: node.id,
  tags: node.tags,
  os: node.identity.os_name || node.identity.os_id || t`unknown`,
  state: STATE_WORDS[health],
});

function weight(row: Row, shown: Filterable, key: SortKey): number | string | null {
  const { node, status, health } = row;
  const disconnected = health === "off" || health === "wait";
  switch (key) {
    case "state":
      return severityOf(row);
    case "updates":
      return node.updates.total;
    case "up":
      return disconnected || !node.identity.booted_at ? null : -node.identity.booted_at;
    case "network":
      return disconnected || status.received === null ? null : status.received + (status.sent ?? 0);
    case "name":
      return null;
    case "tags":
      return shown.tags.join(", ") || null;
    case "patch":
      return nextPatches.value?.get(node.id)?.at ?? null;
    case "temperature":
      return disconnected ? null : status.temperature;
    default:
      return shown[key] === "" ? null : shown[key];
  }
}

/** The rank of each name, cached because comparing names is slow and names rarely change. */
let ranks = new Map<string, number>();

/** Ranks that include the names of these rows. */
function rankNames(rows: readonly Row[]): ReadonlyMap<string, number> {
  if (rows.some(({ node }) => !ranks.has(node.name))) {
    const all = [...new Set(rows.map(({ node }) => node.name))].sort(nameCollator.compare);
    ranks = new Map(all.map((name, at) => [name, at]));
  }
  return ranks;
}

/** The rows that match, in this order. Unknown values are last in either direction. */
export function sortFilter(rows: readonly Row[], filter: Filter, key: SortKey, down: boolean): Row[] {
  const turn = down ? -1 : 1;
  const place = rankNames(rows);
  return rows
    .map((row) => ({ row, shown: filterable(row) }))
    .filter(({ shown }) => filter.matches(shown))
    .map(({ row, shown }) => ({ row, by: weight(row, shown, key), place: place.get(row.node.name) ?? 0 }))
    .sort((a, b) => {
      const named = a.place - b.place;
      if (key === "name") return named * turn;
      if (a.by === null || b.by === null) return a.by === b.by ? named : a.by === null ? 1 : -1;
      return (typeof a.by === "number" ? a.by - Number(b.by) : nameCollator.compare(a.by, String(b.by))) * turn || named;
    })
    .map(({ row }) => row);
}

export { parseFilter };
