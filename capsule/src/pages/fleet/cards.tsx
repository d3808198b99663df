import { useRef } from "preact/hooks";
import { cpuLevel, type Level, levelOf } from "../../core/nodes/node-status";
import { degrees, load, network, percent, t } from "../../core/text";
import { now } from "../../state/clock";
import { nodeSignal, rowOf } from "../../state/fleet";
import { inBits } from "../../state/preferences";
import { mayAct } from "../../state/session";
import { Glyph, Icon, Mark, Meter, sampleAttributes, type SampleAttributes } from "../../ui";
import { useInView } from "../../ui/use-in-view";
import { RowBadges, glyphOf, runningJobOn, RowCheckbox, SecurityPill } from "./cells";

/** With more cards, a card out of view shows only its name and is not redrawn. */
const MAX_LIVE_CARDS = 60;

export function NodeCards({ ids }: { ids: readonly string[] }) {
  const many = ids.length > MAX_LIVE_CARDS;
  return (
    <ul class={many ? "cards many" : "cards"} aria-label={t`Nodes`}>
      {ids.map((id) => (
        <Place key={id} id={id} many={many} />
      ))}
    </ul>
  );
}

function Place({ id, many }: { id: string; many: boolean }) {
  const box = useRef<HTMLLIElement>(null);
  const near = useInView(box, many);
  return (
    <li ref={box}>
      <NodeCard id={id} still={!near} />
      {mayAct.value && <RowCheckbox ids={[id]} label={t`Select ${nodeSignal(id)?.peek().name ?? ""}`} />}
    </li>
  );
}

function NodeCard({ id, still }: { id: string; still: boolean }) {
  const known = nodeSignal(id);
  const node = still ? known?.peek() : known?.value;
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
  const { status, health, old } = row;
  const { latest } = node;
  const disconnected = health === "off" || health === "wait";
  const levels = node.health;
  const job = runningJobOn(id);
  return (
    <a class={`node-card ${disconnected || old ? "dimmed" : ""}`} href={`/n/${id}`} data-node={id}>
      <div class="first">
        <Glyph kind={glyphOf(health, job !== undefined)} />
        <b class="cut">{node.name}</b>
        <span class="meta t3 cut grow">
          <RowBadges row={row} />
        </span>
        {job ? (
          <span class="pill accent">{job.action === "upgrade" || job.action === "full-upgrade" ? t`Upgrading` : t`Working`}</span>
        ) : (
          <SecurityPill count={node.updates.security} />
        )}
      </div>
      {!disconnected && (
        <div class="three">
          <Third
            name={t`CPU`}
            value={status.cpu}
            level={cpuLevel(levels, status.cpu)}
            live={sampleAttributes("cpu.total", latest["cpu.total"])}
          />
          <Third
            name={t`Memory`}
            value={status.memory}
            level={levelOf(levels, "memory")}
            live={sampleAttributes("memory.used", latest["memory.used"])}
          />
          <Third name={t`Disk`} value={status.disk} level={levelOf(levels, "filesystem", status.mount)} live={{}} />
        </div>
      )}
      {!disconnected && (
        <div class="last">
          <span>
            <Icon name="arrow-down" size="small" />
            {network(status.received, inBits())}
          </span>
          <span>
            <Icon name="arrow-up" size="small" />
            {network(status.sent, inBits())}
          </span>
          <span class="end">{t`load ${load(status.load)}`}</span>
          {status.temperature !== null && <span>{degrees(status.temperature)}</span>}
        </div>
      )}
    </a>
  );
}

function Third({ name, value, level, live }: { name: string; value: number | null; level: Level; live: SampleAttributes }) {
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
