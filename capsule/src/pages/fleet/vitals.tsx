import type { VNode } from "preact";
import { digits3, rateParts, sizeParts, share, UNKNOWN } from "../../core/units";
import { trail, vitals } from "../../state/fleet";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { Meter, Spark } from "../../ui/parts";

const STANDINGS = [
  ["crit", "critical"],
  ["warn", "warning"],
  ["off", "offline"],
  ["stale", "stale"],
  ["wait", "waiting"],
] as const;

export function Vitals(): VNode {
  const v = vitals.value;
  const { cpu, network } = trail.value;
  const total = sizeParts(v.memoryTotal);
  const unit = 1024 ** ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].indexOf(total.unit);
  const received = rateParts(v.received);
  const sent = rateParts(v.sent);
  const memory = share(v.memoryUsed, v.memoryTotal);
  return (
    <section class="vitals" aria-label="Fleet vitals">
      <div>
        <a class="name" href="/">
          Nodes
        </a>
        <div class="value">
          {v.online}
          <small>of {v.nodes} online</small>
        </div>
        <div class="state-bar" aria-hidden="true">
          {(["ok", "warn", "crit", "stale", "off", "wait"] as const).map((kind) => v.counts[kind] > 0 && <i key={kind} class={kind} style={{ flex: v.counts[kind] }} />)}
        </div>
        <div class="states">
          {STANDINGS.filter(([kind]) => v.counts[kind] > 0).map(([kind, word]) => (
            <a key={kind} href={`/?q=state:${word === "waiting" ? "pending" : word}`}>
              <Glyph kind={kind} label="" />
              {v.counts[kind]} {word}
            </a>
          ))}
          {STANDINGS.every(([kind]) => v.counts[kind] === 0) && <span class="t3">all well</span>}
        </div>
      </div>
      <div>
        <a class="name" href="/?sort=-cpu">
          CPU
        </a>
        <div class="value">
          {v.cpu === null ? UNKNOWN : digits3(v.cpu)}
          <small>% avg</small>
        </div>
        <div class="under">{v.cores} cores</div>
        <Spark values={cpu} height={30} />
      </div>
      <div>
        <a class="name" href="/?sort=-memory">
          Memory
        </a>
        <div class="value">
          {v.memoryTotal ? digits3(v.memoryUsed / unit) : UNKNOWN}
          <small>{v.memoryTotal ? `of ${total.value} ${total.unit}` : ""}</small>
        </div>
        <div class="row under">
          <Meter value={memory} />
          <span class="num">{memory === null ? UNKNOWN : `${memory.toFixed(0)}%`}</span>
        </div>
      </div>
      <div>
        <a class="name" href="/?sort=-network">
          Network
        </a>
        <div class="value">
          {v.online ? received.value : UNKNOWN}
          <small>{received.unit} in</small>
        </div>
        <div class="under num">{v.online ? `${sent.value} ${sent.unit} out` : ""}</div>
        <Spark values={network} height={30} kind="second" />
      </div>
      <div>
        <a class="name" href="/?q=updates%3E0&sort=-updates">
          Updates
        </a>
        <div class="value">
          {v.updatesKnown ? v.updates : UNKNOWN}
          <small>{v.updatesKnown ? `on ${v.updateNodes} ${v.updateNodes === 1 ? "node" : "nodes"}` : "not checked yet"}</small>
        </div>
        <div class="states">
          {v.security > 0 ? (
            <a class="warn" href="/?q=security%3E0&sort=-updates">
              <Icon name="shield" size="small" />
              {v.security} security on {v.securityNodes} {v.securityNodes === 1 ? "node" : "nodes"}
            </a>
          ) : (
            v.updatesKnown && <span class="t3">none for security</span>
          )}
        </div>
      </div>
    </section>
  );
}
