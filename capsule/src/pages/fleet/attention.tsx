/** How many nodes need attention, by finding, each with a link to its filter. The rows below have the causes, the worst first. */

import { useEffect } from "preact/hooks";
import { countFindings, kindLabel } from "../../core/nodes/findings";
import { age, t } from "../../core/text";
import { now } from "../../state/clock";
import { fleetSummary, rows } from "../../state/fleet";
import { followFreezes, freezes } from "../../state/freezes";
import { hubStarted } from "../../state/live/link";
import { withQuery } from "../../state/router";
import { Glyph, lazy } from "../../ui";

const GLYPHS = { critical: "crit", warning: "warn", notice: "notice" } as const;
const FreezeBanners = lazy(
  "",
  async () => (await import("../rollouts/freeze-banner")).FreezeBanners,
  () => null,
);

export function Attention() {
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
    </section>
  );
}
