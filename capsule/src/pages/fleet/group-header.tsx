/** The header of a group of nodes: their number and totals. */

import type { VNode } from "preact";
import type { NodeGroup } from "../../core/nodes/node-groups";
import { t } from "../../core/text/i18n";
import { percent } from "../../core/text/units";
import { NODE_STATE_LABELS } from "../../core/jobs/job-labels";
import { now } from "../../state/clock";
import { nodeSignal, rowOf, isReporting } from "../../state/fleet";
import { pageUrl } from "../../state/router";
import { Icon } from "../../ui/icon";

const STATES = { crit: "critical", off: "offline", warn: "warning", stale: "stale", back: "reconnecting" } as const;

/** Tags and systems keep their names; states have labels. */
export const groupName = (key: string): string => (pageUrl.value.query.get("group") === "state" && NODE_STATE_LABELS[key]) || key || t`untagged`;

/** Computed every second, for visible headers. */
export function aggregate(ids: readonly string[]): string {
  const counts = { crit: 0, off: 0, warn: 0, stale: 0, back: 0 };
  let weighted = 0;
  let weight = 0;
  for (const id of ids) {
    const node = nodeSignal(id)?.peek();
    if (!node) continue;
    const { status, health } = rowOf(node, now.value);
    if (health in counts) counts[health as keyof typeof counts] += 1;
    if (health === "off" || status.cpu === null || !isReporting(status)) continue;
    const cores = node.identity.cpu_cores || 1;
    weighted += status.cpu * cores;
    weight += cores;
  }
  const said = Object.entries(STATES).flatMap(([kind, word]) => (counts[kind as keyof typeof counts] ? [`${counts[kind as keyof typeof counts]} ${NODE_STATE_LABELS[word] ?? ""}`] : []));
  return [...(weight ? [t`${percent(weighted / weight)} CPU`] : []), ...said].join(" · ");
}

export function CardGroup({ group, closed, onFold }: { group: NodeGroup; closed: boolean; onFold: () => void }): VNode {
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
