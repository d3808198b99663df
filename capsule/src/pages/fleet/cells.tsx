/** Parts of a node that the table and the cards share. */

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { Health, Level } from "../../core/nodes/node-status";
import { kindLabel } from "../../core/nodes/findings";
import { age, percent, pluralWord, shortDuration, t, timeOrDate, UNKNOWN } from "../../core/text";
import { actionLabel, phaseLabel } from "../../core/jobs/job-labels";
import type { Quiet } from "../../core/alerts/quiet";
import { dayStart, now } from "../../state/clock";
import type { Row } from "../../state/fleet";
import { runningOn } from "../../state/jobs";
import { nodeQuiet } from "../../state/quiet";
import { pick, picked } from "../../state/selection";
import { watchSpark, sparkFor } from "../../state/sparklines";
import type { JobView } from "../../state/types";
import { Glyph, type GlyphKind, Icon, type IconName, lazy, Mark, Meter, type SampleAttributes } from "../../ui";

/** Nothing until it is known: a temporary text would change while somebody reads it. */
const OfflineCause = lazy<{ id: string }>(
  "",
  async () => (await import("./issue-cause")).OfflineCause,
  () => null,
);

export const runningJobOn = (id: string): JobView | undefined => runningOn.value.get(id);

/** A checkbox that selects nodes for a bulk action. */
export const RowCheckbox = ({ ids, label, tab = 0 }: { ids: readonly string[]; label: string; tab?: number }) => (
  <label class="pick" onClick={(event) => event.stopPropagation()}>
    <input
      type="checkbox"
      aria-label={label}
      tabIndex={tab}
      checked={ids.every((id) => picked.value.has(id))}
      onChange={(event) => pick(ids, event.currentTarget.checked)}
    />
  </label>
);

/** The last ten minutes of a node's CPU, while the row is on the page. */
export function useSpark(id: string): readonly (number | null)[] {
  useEffect(() => watchSpark(id), [id]);
  return sparkFor(id).value;
}

export const glyphOf = (health: Health, busy: boolean): GlyphKind => (busy && health !== "off" ? "run" : health);

/** Findings that no value of the row shows. */
const FLAGS: readonly (readonly [string, IconName])[] = [
  ["packages_broken", "package"],
  ["unit_failed", "settings"],
  ["reboot_due", "rotate-cw"],
  ["lists_stale", "refresh-cw"],
];

function Flags({ findings }: Row["node"]["health"]) {
  return (
    <>
      {FLAGS.map(([kind, icon]) => {
        const found = findings.find((one) => one.kind === kind);
        return (
          found && (
            <span key={kind} class={`flag ${LEVEL_CLASSES[found.level]}`} role="img" aria-label={kindLabel(kind)} title={found.cause}>
              <Icon name={icon} size="small" />
            </span>
          )
        );
      })}
    </>
  );
}

/** The one sentence about a maintenance. */
export const quietText = ({ until, reason }: Quiet): string =>
  reason ? t`Maintenance until ${timeOrDate(until, dayStart.value)}: ${reason}` : t`Maintenance until ${timeOrDate(until, dayStart.value)}`;

const LEVEL_CLASSES = { critical: "crit", warning: "warn", notice: "" } as const;

/** The marks and the text after the name of a node: findings, and the address or the current state. */
export function RowBadges({ row }: { row: Row }) {
  const { findings } = row.node.health;
  const quiet = nodeQuiet(row.node);
  return (
    <>
      {quiet && (
        <span class="flag" title={quietText(quiet)}>
          <Glyph kind="pause" label={quietText(quiet)} />
        </span>
      )}
      {findings.length > 0 && <Flags {...row.node.health} />}
      <AlsoText {...row} />
    </>
  );
}

function AlsoText({ node, status, health, old }: Row) {
  const job = runningJobOn(node.id);
  if (health === "off") {
    if (node.last_seen_at === null) return <span class="also cut crit">{t`never connected`}</span>;
    return (
      <span class="also cut crit">
        {t`offline ${shortDuration(now.value - node.last_seen_at)}`}
        <OfflineCause id={node.id} />
      </span>
    );
  }
  if (health === "wait") return <span class="also cut">{t`waiting for the first contact`}</span>;
  if (job) {
    const what = job.phase ? phaseLabel(job.phase, job.action) : actionLabel(job.action).toLowerCase();
    return <span class="also cut accent">{job.progress_percent === null ? what : `${what} ${job.progress_percent}%`}</span>;
  }
  if (health === "back") return <span class="also cut">{t`reconnecting`}</span>;
  const { findings } = node.health;
  const [first] = findings;
  if (first && first.level !== "notice") {
    const since = first.since_at === null ? "" : t`, ${shortDuration(now.value - first.since_at)}`;
    return (
      <span class="also cut" title={findings.map(({ cause }) => cause).join("\n")}>
        {first.cause}
        {since}
      </span>
    );
  }
  if (old && status.at !== null) return <span class="also cut">{t`${age(now.value - status.at)} old`}</span>;
  return (
    <span class="also cut">
      {[node.address !== node.name && node.address, node.agent === "outdated" && t`agent ${node.agent_version}`]
        .filter(Boolean)
        .join(" · ")}
    </span>
  );
}

/**
 * A cell with a meter (or `shown`) and its percentage. It is a function and no component: each row has several of these cells, and a component
 * costs more than its content.
 */
export function shareCell(
  value: number | null,
  level: Level,
  live: SampleAttributes,
  title?: string,
  shown: VNode = Meter({ value, level }),
) {
  return (
    <span role="cell" class="metered" title={title}>
      {value === null ? <span class="unknown">{UNKNOWN}</span> : shown}
      {value !== null && (
        <span class={`figure ${level}`} {...live}>
          {Mark({ level })}
          {percent(value)}
        </span>
      )}
    </span>
  );
}

export function SecurityPill({ count }: { count: number | null }) {
  if (!count) return null;
  return (
    <span class="pill warn small">
      <Icon name="shield" size="tiny" />
      {count}
      <span class="hidden-text"> {t`security ${pluralWord(count, "update")}`}</span>
    </span>
  );
}
