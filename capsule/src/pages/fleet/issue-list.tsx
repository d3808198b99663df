/** Nodes with issues, worst first, each in two short lines. */

import type { VNode } from "preact";
import { fillLevel, heatLevel, listsAreOld, healthOf, healthRank, type Level, type Health } from "../../core/nodes/node-status";
import { nameCollator } from "../../core/nodes/node-groups";
import { pluralWord, t } from "../../core/text/i18n";
import { age } from "../../core/text/time";
import { degrees, load, percent, plural, size } from "../../core/text/units";
import type { Row } from "../../state/fleet";

export interface FleetIssue {
  id: string;
  kind: Exclude<Health, "ok">;
  name: string;
  what: string;
  more: string;
  /** The disk that is nearly full. */
  mount?: string;
  /** The level of the CPU, if that is the issue. */
  busy?: Level;
}

const MOST = 4;
/** A blank line that keeps its place. */
export const BLANK = "\u00a0";
/** Security updates of healthy nodes come after warnings: current issues are more important. Stale issues come after current ones. */
const weight = (standing: Health, stale: boolean): number => (standing === "ok" ? healthRank.warn - 0.5 : healthRank[standing]) - (stale ? healthRank.crit : 0);

interface RankedIssue {
  name: string;
  weight: number;
  one: FleetIssue;
}

/** In a large fleet many nodes have issues, and four are described. */
export function fleetIssues(rows: readonly Row[], at: number): FleetIssue[] {
  const found: RankedIssue[] = [];
  for (const row of rows) {
    const { node, status } = row;
    // A stale node keeps its last issue.
    const receivedAt = row.health === "stale" ? status.at : null;
    const health = receivedAt === null ? row.health : healthOf(node, status, receivedAt, row.busy);
    if (health === "ok" && !node.updates.security) continue;
    const mine = { name: node.name, weight: weight(health, receivedAt !== null) };
    let place = found.length;
    // Comparing names is slow: nearly all nodes come after the last described one.
    while (place > 0 && isWorse(mine, found[place - 1] as RankedIssue)) place -= 1;
    const one = place < MOST && describe({ ...row, health }, at);
    if (one) found.splice(place, 0, { ...mine, one: receivedAt === null ? one : { id: one.id, name: one.name, kind: "stale", what: one.what, more: t`${age(at - receivedAt)} old` } });
    found.length = Math.min(found.length, MOST);
  }
  return found.map(({ one }) => one);
}

const isWorse = (a: Omit<RankedIssue, "one">, b: RankedIssue): boolean => (a.weight - b.weight || nameCollator.compare(b.name, a.name)) > 0;

function describe({ node, status, health, cpu, busy }: Row, at: number): FleetIssue | null {
  const base = { id: node.id, name: node.name };
  if (health === "off") {
    const seen = node.last_seen_at;
    return { ...base, kind: "off", what: seen === null ? t`Never connected` : t`No contact for ${age(at - seen)}`, more: node.address };
  }
  if (health === "warn" || health === "crit") {
    const cores = node.identity.cpu_cores;
    const found: [Level, Omit<FleetIssue, keyof typeof base | "kind">][] = [
      [fillLevel(status.disk), { what: t`${status.mount} ${percent(status.disk)} full`, more: node.address, mount: status.mount }],
      [fillLevel(status.inodes), { what: t`${percent(status.inodes)} of inodes used`, more: node.address }],
      [busy, { what: t`CPU ${percent(cpu?.value ?? status.cpu)}`, more: t`load ${load(status.load)} on ${cores} cores`, busy: health }],
      [fillLevel(status.memory), { what: t`Memory ${percent(status.memory)}`, more: t`${size(status.memoryUsed)} of ${size(status.memoryTotal)}` }],
      [heatLevel(status.temperature), { what: `${degrees(status.temperature)}C`, more: t`CPU ${percent(status.cpu)}` }],
      [listsAreOld(node.updates, at) ? "warn" : "", { what: t`Old package lists`, more: t`${plural(node.updates.total ?? 0, "update")} in all` }],
    ];
    const first = found.find(([level]) => level === health);
    return first ? { ...base, kind: health, ...first[1] } : null;
  }
  if (health === "ok" && node.updates.security) {
    const many = node.updates.security;
    return { ...base, kind: "warn", what: t`${many} security ${pluralWord(many, "update")}`, more: t`${plural(node.updates.total ?? many, "update")} in all` };
  }
  return null;
}

/** Its two lines, with `since` and `more` where known. */
export const issueText = ({ name, what, more }: FleetIssue, since = ""): VNode => (
  <>
    <span class="cut">
      <b class="strong">{name}</b> <span class="t2">{since ? `${what} ${since}` : what}</span>
    </span>
    <p class="cut">{more}</p>
  </>
);
