import type { Health } from "../../core/nodes/node-status";
import { digits3, networkParts, plural, share, sizeParts, SIZES, t, UNKNOWN } from "../../core/text";
import { NODE_STATE_LABELS } from "../../core/jobs/job-labels";
import { trail, fleetSummary, type FleetSummary } from "../../state/fleet";
import { inBits } from "../../state/preferences";
import { withQuery } from "../../state/router";
import { Glyph, Icon, Meter, Spark } from "../../ui";

const HEALTHS = [
  ["crit", "critical"],
  ["off", "offline"],
  ["warn", "warning"],
  ["stale", "stale"],
  ["back", "reconnecting"],
  ["notice", "notice"],
  ["wait", "pending"],
] as const;

const countOf = (v: FleetSummary, kind: Health): number => (kind === "crit" ? v.critical : v.counts[kind]);

/** The sparklines appear when they have this many points, one for each second. */
const LEAST_POINTS = 10;

export function FleetSummaryStrip() {
  const v = fleetSummary.value;
  const { cpu, network } = trail.value;
  const drawn = cpu.length >= LEAST_POINTS;
  const total = sizeParts(v.memoryTotal);
  const unit = 1024 ** SIZES.indexOf(total.unit as (typeof SIZES)[number]);
  const received = networkParts(v.received, inBits());
  const sent = networkParts(v.sent, inBits());
  const memory = share(v.memoryUsed, v.memoryTotal);
  return (
    <section class="vitals" aria-label={t`Fleet vitals`}>
      <div>
        <a class="name" href={withQuery({ q: null, sort: null })}>
          {t`Nodes`}
        </a>
        <div class="value">
          {v.online}
          <small>{t`of ${v.nodes} online`}</small>
        </div>
        <div class="state-bar" aria-hidden="true">
          {(["ok", "notice", "warn", "crit", "stale", "back", "off", "wait"] as const).map(
            (kind) => v.counts[kind] > 0 && <i key={kind} class={kind} style={{ flex: v.counts[kind] }} />,
          )}
        </div>
        <div class="states">
          {/* notices are counted by kind below */}
          {HEALTHS.filter(([kind]) => kind !== "notice" && countOf(v, kind) > 0).map(([kind, word]) => (
            <a key={kind} href={withQuery({ q: `state:${word}` })}>
              <Glyph kind={kind} label="" />
              {countOf(v, kind)} {kind === "wait" ? t`waiting` : NODE_STATE_LABELS[word]}
            </a>
          ))}
          {HEALTHS.every(([kind]) => countOf(v, kind) === 0) && <span class="t3">{t`all well`}</span>}
        </div>
      </div>
      <div>
        <a class="name" href={withQuery({ sort: "-cpu" })}>
          {t`CPU`}
        </a>
        <div class="value">
          {v.cpu === null ? UNKNOWN : digits3(v.cpu)}
          <small>{t`% avg`}</small>
        </div>
        <div class="under">{t`${v.cores} cores`}</div>
        {drawn && <Spark values={cpu} height={30} />}
      </div>
      <div>
        <a class="name" href={withQuery({ sort: "-memory" })}>
          {t`Memory`}
        </a>
        <div class="value">
          {v.memoryTotal ? digits3(v.memoryUsed / unit) : UNKNOWN}
          <small>{v.memoryTotal ? t`of ${total.value} ${total.unit}` : ""}</small>
        </div>
        <div class="row under">
          <Meter value={memory} />
          <span class="num">{memory === null ? UNKNOWN : `${memory.toFixed(0)}%`}</span>
        </div>
      </div>
      <div>
        <a class="name" href={withQuery({ sort: "-network" })}>
          {t`Network`}
        </a>
        <div class="value">
          {v.cpu === null ? UNKNOWN : received.value}
          <small>{t`${received.unit} in`}</small>
        </div>
        <div class="under num">{v.cpu === null ? "" : t`${sent.value} ${sent.unit} out`}</div>
        {drawn && <Spark values={network} height={30} kind="second" />}
      </div>
      <div>
        <a class="name" href={withQuery({ q: "updates>0", sort: "-updates" })}>
          {t`Updates`}
        </a>
        <div class="value">
          {v.updatesKnown ? v.updates : UNKNOWN}
          <small>{v.updatesKnown ? t`on ${plural(v.updateNodes, "node")}` : t`not checked yet`}</small>
        </div>
        <div class="states">
          {v.security > 0 ? (
            <a class="warn" href={withQuery({ q: "security>0", sort: "-updates" })}>
              <Icon name="shield" size="small" />
              {t`${v.security} security on ${plural(v.securityNodes, "node")}`}
            </a>
          ) : (
            v.updatesKnown && <span class="t3">{t`none for security`}</span>
          )}
        </div>
      </div>
    </section>
  );
}
