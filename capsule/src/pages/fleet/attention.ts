/** Who needs a person, worst first, each in two short lines. */

import { cpuLevel, fillLevel, heatLevel, worry, type Standing } from "../../core/facts";
import { age } from "../../core/time";
import { degrees, load, percent } from "../../core/units";
import type { Row } from "../../state/fleet";

export interface Trouble {
  id: string;
  kind: Exclude<Standing, "ok">;
  name: string;
  what: string;
  more: string;
}

const MOST = 4;
const names = new Intl.Collator(undefined, { numeric: true });
/** Of those that are well, who has security updates comes with the warnings. */
const weight = ({ standing }: Row): number => worry[standing === "ok" ? "warn" : standing];

/** Of a large fleet many are in trouble, and four are described. */
export function troubles(rows: readonly Row[], at: number): Trouble[] {
  const found: Trouble[] = [];
  const asked = rows.filter(({ standing, node }) => standing !== "ok" || node.updates.security);
  asked.sort((a, b) => weight(b) - weight(a) || names.compare(a.node.name, b.node.name));
  for (const row of asked) {
    const one = describe(row, at);
    if (one) found.push(one);
    if (found.length === MOST) break;
  }
  return found;
}

function describe({ node, facts, standing, cpu }: Row, at: number): Trouble | null {
  const base = { id: node.id, name: node.name };
  if (standing === "off") {
    const seen = node.last_seen_at;
    return { ...base, kind: "off", what: seen === null ? "Never connected" : `No contact for ${age(at - seen)}`, more: node.address };
  }
  if (standing === "warn" || standing === "crit") {
    const cores = node.identity.cpu_cores;
    const found: [boolean, string, string][] = [
      [fillLevel(facts.disk) === standing, `${facts.mount} ${percent(facts.disk)} full`, node.address],
      [(cpu?.level ?? cpuLevel(facts.cpu)) === standing, `CPU ${percent(cpu?.value ?? facts.cpu)}`, `load ${load(facts.load)} on ${cores} cores`],
      [fillLevel(facts.memory) === standing, `Memory ${percent(facts.memory)}`, `load ${load(facts.load)} on ${cores} cores`],
      [heatLevel(facts.temperature) === standing, `${degrees(facts.temperature)}C`, `CPU ${percent(facts.cpu)}`],
    ];
    const first = found.find(([is]) => is);
    return first ? { ...base, kind: standing, what: first[1], more: first[2] } : null;
  }
  if (standing === "ok" && node.updates.security) {
    const many = node.updates.security;
    return { ...base, kind: "warn", what: `${many} security ${many === 1 ? "update" : "updates"}`, more: `${node.updates.total ?? many} updates in all` };
  }
  return null;
}
