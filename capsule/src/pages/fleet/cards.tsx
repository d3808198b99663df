import type { VNode } from "preact";
import { cpuLevel, fillLevel, type Level } from "../../core/facts";
import { degrees, load, percent, rate } from "../../core/units";
import { now } from "../../state/clock";
import { nodeSignal, rowOf } from "../../state/fleet";
import { mayAct } from "../../state/session";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { liveAttributes, type LiveAttributes } from "../../ui/live";
import { Mark, Meter } from "../../ui/parts";
import { Also, glyphOf, jobOn, Pick, Security } from "./cells";

export function NodeCards({ ids }: { ids: readonly string[] }): VNode {
  return (
    <ul class="cards" aria-label="Nodes">
      {ids.map((id) => (
        <li key={id}>
          <NodeCard id={id} />
          {mayAct.value && <Pick ids={[id]} label={`Select ${nodeSignal(id)?.value.name ?? ""}`} />}
        </li>
      ))}
    </ul>
  );
}

function NodeCard({ id }: { id: string }): VNode | null {
  const node = nodeSignal(id)?.value;
  if (!node) return null;
  const row = rowOf(node, now.value);
  const { facts, standing } = row;
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
        {job ? <span class="pill accent">{job.action === "upgrade" || job.action === "full-upgrade" ? "Upgrading" : "Working"}</span> : <Security count={node.updates.security} />}
      </div>
      <div class="three">
        <Third name="CPU" value={gone ? null : facts.cpu} level={cpuLevel(facts.cpu)} live={liveAttributes("cpu.total", latest["cpu.total"])} />
        <Third name="Memory" value={gone ? null : facts.memory} level={fillLevel(facts.memory)} live={liveAttributes("memory.used", latest["memory.used"])} />
        <Third name="Disk" value={gone ? null : facts.disk} level={fillLevel(facts.disk)} live={{}} />
      </div>
      {!gone && (
        <div class="last">
          <span>
            <Icon name="arrow-down" size="small" />
            {rate(facts.received)}
          </span>
          <span>
            <Icon name="arrow-up" size="small" />
            {rate(facts.sent)}
          </span>
          <span class="end">load {load(facts.load)}</span>
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
