/** The cells of a node, the same in the table and on a card. */

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { Level, Standing } from "../../core/facts";
import { form, t } from "../../core/say";
import { age, short } from "../../core/time";
import { percent, UNKNOWN } from "../../core/units";
import { actionWord, phaseWord } from "../../core/words";
import { now } from "../../state/clock";
import type { Row } from "../../state/fleet";
import { runningOn } from "../../state/jobs";
import { pick, picked } from "../../state/selection";
import { lookAtSpark, sparkFor } from "../../state/sparks";
import type { JobView } from "../../state/types";
import type { GlyphKind } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import type { LiveAttributes } from "../../ui/live";
import { Mark, Meter } from "../../ui/parts";

export const jobOn = (id: string): JobView | undefined => runningOn.value.get(id);

/** Ticks nodes, for an order to many of them. */
export const Pick = ({ ids, label, tab = 0 }: { ids: readonly string[]; label: string; tab?: number }): VNode => (
  <label class="pick" onClick={(event) => event.stopPropagation()}>
    <input type="checkbox" aria-label={label} tabIndex={tab} checked={ids.every((id) => picked.value.has(id))} onChange={(event) => pick(ids, event.currentTarget.checked)} />
  </label>
);

/** The last ten minutes of a node's CPU, for as long as this stands on the page. */
export function useSpark(id: string): readonly (number | null)[] {
  useEffect(() => lookAtSpark(id), [id]);
  return sparkFor(id).value;
}

export const glyphOf = (standing: Standing, busy: boolean): GlyphKind => (busy && standing !== "off" ? "run" : standing);

/** What stands beside the name: the address, or what is happening. */
export function Also({ row }: { row: Row }): VNode {
  const { node, facts, standing } = row;
  const job = jobOn(node.id);
  if (standing === "off") return <span class="also cut">{node.last_seen_at === null ? t`never connected` : t`last seen ${short(now.value - node.last_seen_at)} ago`}</span>;
  if (standing === "wait") return <span class="also cut">{t`waiting for the first contact`}</span>;
  if (job) {
    const what = job.phase ? phaseWord(job.phase, job.action) : actionWord(job.action).toLowerCase();
    return <span class="also cut accent">{job.progress_percent === null ? what : `${what} ${job.progress_percent}%`}</span>;
  }
  if (standing === "stale" && facts.at !== null) return <span class="also cut">{t`${age(now.value - facts.at)} old`}</span>;
  return <span class="also cut">{node.agent === "outdated" ? t`${node.address} · Spider ${node.agent_version}` : node.address}</span>;
}

/** A cell with a share beside its meter, or beside what `shown` is. Called instead of made parts of, as all that every row has each second: a part costs more than what it shows. */
export function shareCell(value: number | null, level: Level, live: LiveAttributes, title?: string, shown: VNode = Meter({ value, level })): VNode {
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

export function Security({ count }: { count: number | null }): VNode | null {
  if (!count) return null;
  return (
    <span class="pill warn small">
      <Icon name="shield" size="tiny" />
      {count}
      <span class="hidden-text"> {t`security ${form(count, "update")}`}</span>
    </span>
  );
}
