import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { cpuLevel, fillLevel, heatLevel } from "../../core/facts";
import { short } from "../../core/time";
import { degrees, load, percent, rateShort, size, UNKNOWN } from "../../core/units";
import { now } from "../../state/clock";
import { nodeSignal, rowOf } from "../../state/fleet";
import { go } from "../../state/router";
import { sparkFor } from "../../state/sparks";
import { Glyph, GLYPH_WORDS } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { liveAttributes } from "../../ui/live";
import { Mark, Spark } from "../../ui/parts";
import { Windowed } from "../../ui/windowed";
import { Also, Figure, glyphOf, jobOn, Security, Share } from "./cells";
import type { SortKey } from "./order";

const COLUMNS: readonly { key: SortKey | null; label: string; right?: boolean }[] = [
  { key: "state", label: "State" },
  { key: "name", label: "Name" },
  { key: "cpu", label: "CPU, last 10 min" },
  { key: "memory", label: "Memory" },
  { key: "disk", label: "Disk, fullest" },
  { key: "network", label: "Network per s", right: true },
  { key: "load", label: "Load", right: true },
  { key: "temperature", label: "Temp", right: true },
  { key: "updates", label: "Updates", right: true },
  { key: "up", label: "Up", right: true },
];

interface Props {
  ids: readonly string[];
  sort: SortKey;
  down: boolean;
  onSort: (key: SortKey) => void;
  onTouch: (touched: boolean) => void;
}

export function NodeTable({ ids, sort, down, onSort, onTouch }: Props): VNode {
  const [at, setAt] = useState(0);
  const wanted = useRef(false);
  const table = useRef<HTMLDivElement>(null);
  const height = matchMedia("(pointer: coarse), (max-width: 760px)").matches ? 48 : 36;
  useEffect(() => {
    if (!wanted.current) return;
    wanted.current = false;
    const find = (): HTMLElement | null | undefined => table.current?.querySelector<HTMLElement>(`[data-index="${at}"]`);
    const row = find();
    if (row) row.focus();
    else {
      // The row is not drawn yet: the table holds the focus meanwhile, so that the next key is not lost.
      (table.current as HTMLElement).focus({ preventScroll: true });
      const top = (table.current as HTMLElement).getBoundingClientRect().top + scrollY;
      scrollTo(0, top + at * height - innerHeight / 2);
      requestAnimationFrame(() => requestAnimationFrame(() => find()?.focus()));
    }
  }, [at, height]);
  const move = (to: number): void => {
    wanted.current = true;
    setAt(Math.max(0, Math.min(ids.length - 1, to)));
  };
  return (
    <div
      ref={table}
      class="card grid-table fleet"
      role="table"
      tabIndex={-1}
      aria-label="Nodes"
      aria-rowcount={ids.length + 1}
      onMouseEnter={() => onTouch(true)}
      onMouseLeave={() => onTouch(false)}
      onKeyDown={(event) => {
        if (event.key === "ArrowDown" || event.key === "j") move(at + 1);
        else if (event.key === "ArrowUp" || event.key === "k") move(at - 1);
        else if (event.key === "Home") move(0);
        else if (event.key === "End") move(ids.length - 1);
        else return;
        event.preventDefault();
      }}
    >
      <div role="rowgroup">
        <div role="row" class="head" aria-rowindex={1}>
          {COLUMNS.map(({ key, label, right }) => (
            <span key={label} role="columnheader" class={right ? "right" : ""} aria-sort={key === sort ? (down ? "descending" : "ascending") : "none"}>
              {key === "state" ? (
                <span class="hidden-text">State</span>
              ) : (
                <button type="button" onClick={() => key && onSort(key)}>
                  {label}
                  {key === sort && <Icon name={down ? "arrow-down" : "arrow-up"} size="small" />}
                </button>
              )}
            </span>
          ))}
        </div>
      </div>
      <Windowed count={ids.length} height={height} row={(index) => <NodeRow key={ids[index]} id={ids[index] as string} index={index} current={index === at} onFocus={() => setAt(index)} />} />
    </div>
  );
}

function NodeRow({ id, index, current, onFocus }: { id: string; index: number; current: boolean; onFocus: () => void }): VNode | null {
  const node = nodeSignal(id)?.value;
  if (!node) return null;
  const row = rowOf(node, now.value);
  const { facts, standing } = row;
  const { latest } = node;
  const gone = standing === "off" || standing === "wait";
  const glyph = glyphOf(standing, jobOn(id) !== undefined);
  const cpu = cpuLevel(facts.cpu);
  const heat = heatLevel(facts.temperature);
  const updates = node.updates.total;
  const label = `${node.name}, ${GLYPH_WORDS[glyph].toLowerCase()}, CPU ${percent(facts.cpu)}, memory ${percent(facts.memory)}, ${updates ?? "unknown"} updates`;
  const open = (): void => go(`/n/${id}`);
  return (
    <div
      role="row"
      class={gone || standing === "stale" ? "dimmed" : ""}
      tabIndex={current ? 0 : -1}
      aria-label={label}
      aria-rowindex={index + 2}
      data-index={index}
      data-node={id}
      onFocus={onFocus}
      onClick={open}
      onKeyDown={(event) => {
        if (event.key === "Enter" || event.key === "o") open();
      }}
    >
      <span role="cell">
        <Glyph kind={glyph} />
      </span>
      <span role="rowheader" class="who">
        <b>
          <a href={`/n/${id}`} tabIndex={-1}>
            {node.name}
          </a>
        </b>
        <Also row={row} />
      </span>
      <span role="cell">
        {gone || facts.cpu === null ? (
          <span class="unknown">{UNKNOWN}</span>
        ) : (
          <span class="metered">
            <CpuSpark id={id} level={cpu} />
            <Figure value={facts.cpu} level={cpu} live={liveAttributes("cpu.total", latest["cpu.total"])} />
          </span>
        )}
      </span>
      <span role="cell" title={gone ? undefined : `${size(facts.memoryUsed)} of ${size(facts.memoryTotal)}`}>
        <Share value={gone ? null : facts.memory} level={fillLevel(facts.memory)} live={liveAttributes("memory.used", latest["memory.used"])} />
      </span>
      <span role="cell" title={gone ? undefined : facts.mount}>
        <Share value={gone ? null : facts.disk} level={fillLevel(facts.disk)} live={liveAttributes(`filesystem.used{mount=${facts.mount}}`, latest[`filesystem.used{mount=${facts.mount}}`])} />
      </span>
      <span role="cell" class="both-ways">
        {gone ? (
          <span class="unknown">{UNKNOWN}</span>
        ) : (
          <>
            <span {...liveAttributes("network.received", latest["network.received"])}>
              <Icon name="arrow-down" size="tiny" />
              {rateShort(facts.received)}
            </span>
            <span {...liveAttributes("network.sent", latest["network.sent"])}>
              <Icon name="arrow-up" size="tiny" />
              {rateShort(facts.sent)}
            </span>
          </>
        )}
      </span>
      <span role="cell" class={`right ${facts.load !== null && facts.load > node.identity.cpu_cores && !gone ? "strong" : ""}`} {...liveAttributes("load.1", gone ? undefined : latest["load.1"])}>
        {gone ? <span class="unknown">{UNKNOWN}</span> : load(facts.load)}
      </span>
      <span role="cell" class={`row right ${gone ? "" : heat} ${heat && !gone ? "strong" : ""}`}>
        {gone || facts.temperature === null ? (
          <span class="unknown">{UNKNOWN}</span>
        ) : (
          <>
            <Mark level={heat} />
            {degrees(facts.temperature)}
          </>
        )}
      </span>
      <span role="cell" class="row right">
        <Security count={node.updates.security} />
        {updates === null ? <span class="unknown">{UNKNOWN}</span> : <span class={updates ? (node.updates.security ? "" : "t2") : "t3"}>{updates}</span>}
      </span>
      <span role="cell" class="right t3 nowrap">
        {gone || !node.identity.booted_at ? UNKNOWN : short(now.value - node.identity.booted_at)}
      </span>
    </div>
  );
}

function CpuSpark({ id, level }: { id: string; level: "" | "warn" | "crit" }): VNode {
  return <Spark values={sparkFor(id).value} width={72} max={100} kind={level} />;
}
