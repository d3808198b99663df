/** The headers of groups of nodes, above the cards and in the table. */

import type { NodeGroup, TableRow } from "../../core/nodes/node-groups";
import { percent, t } from "../../core/text";
import { NODE_STATE_LABELS } from "../../core/jobs/job-labels";
import { now } from "../../state/clock";
import { nodeSignal, rowOf, isReporting } from "../../state/fleet";
import { mayAct } from "../../state/session";
import { Icon } from "../../ui";
import { RowCheckbox } from "./cells";
import { groupName } from "./group-name";

const STATES = { crit: "critical", off: "offline", warn: "warning", stale: "stale", back: "reconnecting" } as const;

/** The mean CPU and the number of nodes by state, as a text that changes every second. */
function aggregate(ids: readonly string[]): string {
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
  const counted = Object.entries(STATES).flatMap(([kind, word]) =>
    counts[kind as keyof typeof counts] ? [`${counts[kind as keyof typeof counts]} ${NODE_STATE_LABELS[word] ?? ""}`] : [],
  );
  return [...(weight ? [t`${percent(weighted / weight)} CPU`] : []), ...counted].join(" · ");
}

export function CardGroup({ group, closed, onFold }: { group: NodeGroup; closed: boolean; onFold: () => void }) {
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

export interface GroupRowProps {
  line: Extract<TableRow, { group: string }>;
  ids: readonly string[];
  index: number;
  current: boolean;
}

export function GroupRow({ line, ids, index, current }: GroupRowProps) {
  return (
    <div role="row" class="group" tabIndex={current ? 0 : -1} aria-rowindex={index + 2} data-index={index}>
      <span role="rowheader" class="row">
        {mayAct.value && <RowCheckbox ids={ids} label={t`Select all of ${groupName(line.group)}`} tab={-1} />}
        {/* The button has the expanded state, which a table row cannot have. The row handles the click. */}
        <button type="button" class="fold row" tabIndex={-1} aria-expanded={!line.closed}>
          <Icon name="chevron-down" size="small" />
          <span class="cut">{groupName(line.group)}</span> <span class="t3">{line.size}</span>
        </button>
      </span>
      <span role="cell" class="t3 cut">
        {aggregate(ids)}
      </span>
    </div>
  );
}
