/** Who needs a person, worst first, each in two short lines. */

import type { VNode } from "preact";
import { fillLevel, heatLevel, listsAreOld, standingOf, worry, type Level, type Standing } from "../../core/facts";
import { names } from "../../core/lineup";
import { form, t } from "../../core/say";
import { age } from "../../core/time";
import { degrees, load, percent, plural, size } from "../../core/units";
import type { Row } from "../../state/fleet";

export interface Trouble {
  id: string;
  kind: Exclude<Standing, "ok">;
  name: string;
  what: string;
  more: string;
  /** The disk that is nearly full. */
  mount?: string;
  /** Its CPU is the trouble: how much of one. */
  busy?: Level;
}

const MOST = 4;
/** A line that keeps its place. */
export const NOTHING = "\u00a0";
/**
 * Of those that are well, who has security updates comes behind the warnings: what is wrong now is not pushed out by what can wait. What was wrong when
 * a node was heard of last comes behind all that is known to be so.
 */
const weight = (standing: Standing, stale: boolean): number => (standing === "ok" ? worry.warn - 0.5 : worry[standing]) - (stale ? worry.crit : 0);

interface Found {
  name: string;
  weight: number;
  one: Trouble;
}

/** Of a large fleet many are in trouble, and four are described. */
export function troubles(rows: readonly Row[], at: number): Trouble[] {
  const found: Found[] = [];
  for (const row of rows) {
    const { node, facts } = row;
    // Where values do not come any more, what they said last was wrong is no better for that.
    const heardAt = row.standing === "stale" ? facts.at : null;
    const standing = heardAt === null ? row.standing : standingOf(node, facts, heardAt, row.busy);
    if (standing === "ok" && !node.updates.security) continue;
    const mine = { name: node.name, weight: weight(standing, heardAt !== null) };
    let place = found.length;
    // Comparing names is what takes the time: nearly all of them end behind the last one that is described.
    while (place > 0 && worse(mine, found[place - 1] as Found)) place -= 1;
    const one = place < MOST && describe({ ...row, standing }, at);
    if (one) found.splice(place, 0, { ...mine, one: heardAt === null ? one : { id: one.id, name: one.name, kind: "stale", what: one.what, more: t`${age(at - heardAt)} old` } });
    found.length = Math.min(found.length, MOST);
  }
  return found.map(({ one }) => one);
}

const worse = (a: Omit<Found, "one">, b: Found): boolean => (a.weight - b.weight || names.compare(b.name, a.name)) > 0;

function describe({ node, facts, standing, cpu, busy }: Row, at: number): Trouble | null {
  const base = { id: node.id, name: node.name };
  if (standing === "off") {
    const seen = node.last_seen_at;
    return { ...base, kind: "off", what: seen === null ? t`Never connected` : t`No contact for ${age(at - seen)}`, more: node.address };
  }
  if (standing === "warn" || standing === "crit") {
    const cores = node.identity.cpu_cores;
    const found: [Level, Omit<Trouble, keyof typeof base | "kind">][] = [
      [fillLevel(facts.disk), { what: t`${facts.mount} ${percent(facts.disk)} full`, more: node.address, mount: facts.mount }],
      [fillLevel(facts.inodes), { what: t`${percent(facts.inodes)} of inodes used`, more: node.address }],
      [busy, { what: t`CPU ${percent(cpu?.value ?? facts.cpu)}`, more: t`load ${load(facts.load)} on ${cores} cores`, busy: standing }],
      [fillLevel(facts.memory), { what: t`Memory ${percent(facts.memory)}`, more: t`${size(facts.memoryUsed)} of ${size(facts.memoryTotal)}` }],
      [heatLevel(facts.temperature), { what: `${degrees(facts.temperature)}C`, more: t`CPU ${percent(facts.cpu)}` }],
      [listsAreOld(node.updates, at) ? "warn" : "", { what: t`Old package lists`, more: t`${plural(node.updates.total ?? 0, "update")} in all` }],
    ];
    const first = found.find(([level]) => level === standing);
    return first ? { ...base, kind: standing, ...first[1] } : null;
  }
  if (standing === "ok" && node.updates.security) {
    const many = node.updates.security;
    return { ...base, kind: "warn", what: t`${many} security ${form(many, "update")}`, more: t`${plural(node.updates.total ?? many, "update")} in all` };
  }
  return null;
}

/** Its two lines; `since` and `more` where more is known. */
export const troubleWords = ({ name, what, more }: Trouble, since = ""): VNode => (
  <>
    <span class="cut">
      <b class="strong">{name}</b> <span class="t2">{since ? `${what} ${since}` : what}</span>
    </span>
    <p class="cut">{more}</p>
  </>
);
