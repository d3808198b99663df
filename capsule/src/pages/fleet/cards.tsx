import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import { fillLevel, type Level } from "../../core/facts";
import { t } from "../../core/say";
import { degrees, load, network, percent } from "../../core/units";
import { now } from "../../state/clock";
import { nodeSignal, rowOf } from "../../state/fleet";
import { inBits } from "../../state/preferences";
import { mayAct } from "../../state/session";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { useNear } from "../../ui/near";
import { liveAttributes, type LiveAttributes } from "../../ui/live";
import { Mark, Meter } from "../../ui/parts";
import { Also, glyphOf, jobOn, Pick, Security } from "./cells";

/** With more than these, cards out of sight stand still and hold their name only. */
const ALL_ALIVE = 60;

export function NodeCards({ ids }: { ids: readonly string[] }): VNode {
  const many = ids.length > ALL_ALIVE;
  return (
    <ul class={many ? "cards many" : "cards"} aria-label={t`Nodes`}>
      {ids.map((id) => (
        <Place key={id} id={id} many={many} />
      ))}
    </ul>
  );
}

function Place({ id, many }: { id: string; many: boolean }): VNode {
  const box = useRef<HTMLLIElement>(null);
  const near = useNear(box, many);
  return (
    <li ref={box}>
      <NodeCard id={id} still={!near} />
      {mayAct.value && <Pick ids={[id]} label={t`Select ${nodeSignal(id)?.peek().name ?? ""}`} />}
    </li>
  );
}

function NodeCard({ id, still }: { id: string; still: boolean }): VNode | null {
  const held = nodeSignal(id);
  const node = still ? held?.peek() : held?.value;
  if (!node) return null;
  if (still) {
    return (
      <a class="node-card" href={`/n/${id}`} data-node={id}>
        <div class="first">
          <b class="cut">{node.name}</b>
        </div>
      </a>
    );
  }
  const row = rowOf(node, now.value);
  const { facts, standing, busy } = row;
  const { latest } = node;
  const gone = standing === "off" || standing === "wait";
  const job = jobOn(id);
  return (
    <a class={`node-card ${gone || standing === "stale" ? "dimmed" : ""}`} href={`/n/${id}`} data-node={id}>
      <div class="first">
        <Glyph kind={glyphOf(standing, job !== undefined)} />
        <b class="cut">{node.name}</b>
        <span class="meta t3 cut grow">
          <Also row={row} />
        </span>
        {job ? <span class="pill accent">{job.action === "upgrade" || job.action === "full-upgrade" ? t`Upgrading` : t`Working`}</span> : <Security count={node.updates.security} />}
      </div>
      <div class="three">
        <Third name={t`CPU`} value={gone ? null : facts.cpu} level={busy} live={liveAttributes("cpu.total", latest["cpu.total"])} />
        <Third name={t`Memory`} value={gone ? null : facts.memory} level={fillLevel(facts.memory)} live={liveAttributes("memory.used", latest["memory.used"])} />
        <Third name={t`Disk`} value={gone ? null : facts.disk} level={fillLevel(facts.disk)} live={{}} />
      </div>
      {!gone && (
        <div class="last">
          <span>
            <Icon name="arrow-down" size="small" />
            {network(facts.received, inBits())}
          </span>
          <span>
            <Icon name="arrow-up" size="small" />
            {network(facts.sent, inBits())}
          </span>
          <span class="end">{t`load ${load(facts.load)}`}</span>
          {facts.temperature !== null && <span>{degrees(facts.temperature)}</span>}
        </div>
      )}
    </a>
  );
}

function Third({ name, value, level, live }: { name: string; value: number | null; level: Level; live: LiveAttributes }): VNode {
  const shown = value === null ? "" : level;
  return (
    <div>
      <div class="name">
        {name}
        <b class={shown} {...live}>
          <Mark level={shown} />
          {percent(value)}
        </b>
      </div>
      <Meter value={value} level={shown} />
    </div>
  );
}
