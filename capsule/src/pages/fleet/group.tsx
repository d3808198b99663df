/** The header of a group of nodes: how many, and what holds for them together. */

import type { VNode } from "preact";
import type { Group } from "../../core/lineup";
import { percent } from "../../core/units";
import { now } from "../../state/clock";
import { nodeSignal, rowOf } from "../../state/fleet";
import { Icon } from "../../ui/icon";

const WORDS = { crit: "critical", off: "offline", warn: "warning", stale: "stale" } as const;

export const groupName = (key: string): string => key || "untagged";

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
    if (node.state !== "online" || facts.cpu === null) continue;
    const cores = node.identity.cpu_cores || 1;
    weighted += facts.cpu * cores;
    weight += cores;
  }
  const said = Object.entries(WORDS).flatMap(([kind, word]) => (counts[kind as keyof typeof counts] ? [`${counts[kind as keyof typeof counts]} ${word}`] : []));
  return [...(weight ? [`${percent(weighted / weight)} CPU`] : []), ...said].join(" · ");
}

export function CardGroup({ group, closed, onFold }: { group: Group; closed: boolean; onFold: () => void }): VNode {
  return (
    <h2>
      <button type="button" class="group-head row" aria-expanded={!closed} onClick={onFold}>
        <Icon name="chevron-down" size="small" />
        {groupName(group.key)} <span class="t3">{group.ids.length}</span>
        <span class="t3 end">{aggregate(group.ids)}</span>
      </button>
    </h2>
  );
}
