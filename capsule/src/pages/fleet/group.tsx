/** The header of a group of nodes: how many, and what holds for them together. */

import type { VNode } from "preact";
import type { Group } from "../../core/lineup";
import { t } from "../../core/say";
import { percent } from "../../core/units";
import { NODE_STATES } from "../../core/words";
import { now } from "../../state/clock";
import { nodeSignal, rowOf, tells } from "../../state/fleet";
import { place } from "../../state/router";
import { Icon } from "../../ui/icon";

const STATES = { crit: "critical", off: "offline", warn: "warning", stale: "stale" } as const;

/** A tag or a system is called what it is called; a state has a word. */
export const groupName = (key: string): string => (place.value.query.get("group") === "state" && NODE_STATES[key]) || key || t`untagged`;

/** Worked out anew each second, for the headers that are on the page. */
export function aggregate(ids: readonly string[]): string {
  const counts = { crit: 0, off: 0, warn: 0, stale: 0 };
  let weighted = 0;
  let weight = 0;
  for (const id of ids) {
    const node = nodeSignal(id)?.peek();
    if (!node) continue;
    const { facts, standing } = rowOf(node, now.value);
    if (standing in counts) counts[standing as keyof typeof counts] += 1;
    if (standing === "off" || facts.cpu === null || !tells(facts)) continue;
    const cores = node.identity.cpu_cores || 1;
    weighted += facts.cpu * cores;
    weight += cores;
  }
  const said = Object.entries(STATES).flatMap(([kind, word]) => (counts[kind as keyof typeof counts] ? [`${counts[kind as keyof typeof counts]} ${NODE_STATES[word] ?? ""}`] : []));
  return [...(weight ? [t`${percent(weighted / weight)} CPU`] : []), ...said].join(" · ");
}

export function CardGroup({ group, closed, onFold }: { group: Group; closed: boolean; onFold: () => void }): VNode {
  return (
    <h2>
      <button type="button" class="group-head row" aria-expanded={!closed} onClick={onFold}>
        <Icon name="chevron-down" size="small" />
        <span class="cut">{groupName(group.key)}</span> <span class="t3">{group.ids.length}</span>
        <span class="t3 end">{aggregate(group.ids)}</span>
      </button>
    </h2>
  );
}
