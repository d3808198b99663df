/** The nodes that need attention: counts by finding, each with a link to its filter, and the worst nodes with their cause. */

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { countFindings, kindLabel, severityOf } from "../../core/nodes/findings";
import type { Health } from "../../core/nodes/node-status";
import { nameCollator } from "../../core/nodes/node-groups";
import { t } from "../../core/text/i18n";
import { age, shortDuration } from "../../core/text/time";
import { now } from "../../state/clock";
import { fleetSummary, rows, type Row } from "../../state/fleet";
import { followFreezes, freezes } from "../../state/freezes";
import { hubStarted } from "../../state/live/link";
import { withQuery } from "../../state/router";
import { Glyph } from "../../ui/glyph";
import { lazy } from "../../ui/lazy";

const MOST = 4;
/** A blank that keeps the height of its line. */
const BLANK = "\u00a0";
const GLYPHS = { critical: "crit", warning: "warn", notice: "notice" } as const;
/** The line is blank until the cause is known: a temporary text would change while somebody reads it. */
const OfflineCause = lazy<{ id: string }>(
  "",
  async () => (await import("./issue-cause")).OfflineCause,
  () => <>{BLANK}</>,
);

const FreezeBanners = lazy(
  "",
  async () => (await import("../rollouts/freeze-banner")).FreezeBanners,
  () => null,
);

const needsAttention = (health: Health): boolean => health === "crit" || health === "off" || health === "warn";

/** The worst nodes, at most `MOST`. It does not sort all nodes, because comparing names is slow and many nodes may need attention. */
function worst(all: readonly Row[]): Row[] {
  const found: Row[] = [];
  for (const row of all) {
    if (!needsAttention(row.health)) continue;
    let index = found.length;
    while (index > 0 && isWorse(row, found[index - 1] as Row)) index -= 1;
    if (index < MOST) found.splice(index, 0, row);
    found.length = Math.min(found.length, MOST);
  }
  return found;
}

const isWorse = (a: Row, b: Row): boolean => (severityOf(a) - severityOf(b) || nameCollator.compare(b.node.name, a.node.name)) > 0;

export function Attention(): VNode | null {
  const at = now.value;
  const { nodes, kinds } = countFindings(rows.value);
  const { counts, nodes: all } = fleetSummary.value;
  const frozen = freezes.value.length > 0;
  useEffect(followFreezes, []);
  if (!nodes && !counts.back && !frozen) return null;
  return (
    <section class="attention stack" aria-label={t`Needs attention`}>
      {frozen && <FreezeBanners />}
      <div class="states">
        {nodes > 0 && <b class="strong">{nodes === 1 ? t`1 needs attention` : t`${nodes} need attention`}</b>}
        {kinds
          .filter(({ kind }) => kind !== "offline" /* the states above say it */)
          .map(({ kind, level, nodes: count }) => (
            <a key={kind} href={withQuery({ q: `finding:${kind}` })}>
              <Glyph kind={GLYPHS[level]} label="" />
              {count} {kindLabel(kind)}
            </a>
          ))}
        {counts.back > 0 && (
          <a href={withQuery({ q: "state:reconnecting" })}>
            <Glyph kind="back" label="" />
            {t`Ground Control restarted ${age(at - hubStarted)} ago, ${all - counts.back} of ${all} back`}
          </a>
        )}
      </div>
      <div class="worst">
        {worst(rows.value).map((row) => (
          <WorstNode key={row.node.id} {...row} />
        ))}
      </div>
    </section>
  );
}

function WorstNode({
  node: {
    id,
    name,
    health: { findings },
    last_seen_at,
  },
  health,
}: Row): VNode {
  const first = findings[0];
  const since = health === "off" ? last_seen_at : (first?.since_at ?? null);
  const more = findings.length - 1;
  return (
    <a href={`/n/${id}`}>
      <Glyph kind={health} />
      <span class="cut">
        <b class="strong">{name}</b>{" "}
        <span class="t2">
          {health === "off"
            ? since === null
              ? t`Never connected`
              : t`offline ${shortDuration(now.value - since)}`
            : since !== null && t`for ${shortDuration(now.value - since)}`}
        </span>
      </span>
      <p class="cut">{health === "off" ? <OfflineCause id={id} /> : more > 0 ? t`${first?.cause ?? ""} +${more}` : first?.cause}</p>
    </a>
  );
}
