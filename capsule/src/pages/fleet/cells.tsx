/** The cells of a node, the same in the table and on a card. */

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { Level, Standing } from "../../core/facts";
import { t } from "../../core/say";
import { age } from "../../core/time";
import { percent } from "../../core/units";
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
  if (standing === "off") return <span class="also cut">{node.last_seen_at === null ? t`never connected` : t`last seen ${age(now.value - node.last_seen_at)} ago`}</span>;
  if (standing === "wait") return <span class="also cut">{t`waiting for the first contact`}</span>;
  if (job) {
    const what = job.phase ? phaseWord(job.phase, job.action) : actionWord(job.action).toLowerCase();
    return <span class="also cut accent">{job.progress_percent === null ? what : `${what} ${job.progress_percent}%`}</span>;
  }
  if (standing === "stale" && facts.at !== null) return <span class="also cut">{t`${age(now.value - facts.at)} old`}</span>;
  return <span class="also cut">{node.address}</span>;
}

export function Figure({ value, level, live }: { value: number | null; level: Level; live: LiveAttributes }): VNode {
  return (
    <span class={`figure ${level}`} {...live}>
      <Mark level={level} />
      {percent(value)}
    </span>
  );
}

export function Share({ value, level, live }: { value: number | null; level: Level; live: LiveAttributes }): VNode {
  if (value === null) return <span class="unknown">—</span>;
  return (
    <span class="metered">
      <Meter value={value} level={level} />
      <Figure value={value} level={level} live={live} />
    </span>
  );
}

export function Security({ count }: { count: number | null }): VNode | null {
  if (!count) return null;
  return (
    <span class="pill warn small">
      <Icon name="shield" size="tiny" />
      {count}
      <span class="hidden-text"> {t`security updates`}</span>
    </span>
  );
}
