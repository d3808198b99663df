import { useComputed } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { TableRow } from "../../core/nodes/node-groups";
import { splitColumns } from "../../core/nodes/column-names";
import { cpuLevel, levelOf } from "../../core/nodes/node-status";
import { degrees, load, network, percent, shortDuration, size, t, UNKNOWN } from "../../core/text";
import { seriesName } from "../../core/metrics/series";
import { now } from "../../state/clock";
import { nodeSignal, rowOf } from "../../state/fleet";
import { inBits, preferences, singleKeys } from "../../state/preferences";
import { go } from "../../state/router";
import { pick, picked } from "../../state/selection";
import { mayAct } from "../../state/session";
import type { NodeView } from "../../state/types";
import { Glyph, GLYPH_WORDS, Icon, lazy, Mark, sampleAttributes, Spark, VirtualList } from "../../ui";
import { groupName } from "./group-name";
import { RowBadges, glyphOf, runningJobOn, RowCheckbox, SecurityPill, shareCell, useSpark } from "./cells";
import type { GroupRowProps } from "./group-header";
import type { SortKey } from "./sort-filter";

const COLUMNS: readonly { key: SortKey | null; label: string; right?: boolean }[] = [
  { key: "state", label: t`State` },
  { key: "name", label: t`Name` },
  { key: "cpu", label: t`CPU, last 10 min` },
  { key: "memory", label: t`Memory` },
  { key: "disk", label: t`Disk, fullest` },
  { key: "network", label: t`Network per s`, right: true },
  { key: "load", label: t`Load`, right: true },
  { key: "temperature", label: t`Temp`, right: true },
  { key: "updates", label: t`Updates`, right: true },
  { key: "up", label: t`Up`, right: true },
];

/** The cells of the columns that the user added; nothing until they are loaded. */
const ColumnCells = lazy(
  "",
  async () => (await import("./columns")).ColumnCells,
  () => null,
);
/** A group's row. Until its component is loaded, it has only the name of the group. */
const GroupRow = lazy<GroupRowProps>(
  "",
  async () => (await import("./group-header")).GroupRow,
  ({ line, index, current }) => (
    <div role="row" class="group" tabIndex={current ? 0 : -1} aria-rowindex={index + 2} data-index={index}>
      <span role="rowheader" class="row">
        {groupName(line.group)}
      </span>
    </div>
  ),
);
const ColumnHeads = lazy(
  "",
  async () => (await import("./columns")).ColumnHeads,
  () => null,
);

interface Props {
  lines: readonly TableRow[];
  /** The nodes of a group, also while it is closed. */
  members: (group: string) => readonly string[];
  sort: SortKey;
  down: boolean;
  onSort: (key: SortKey) => void;
  onHover: (over: boolean) => void;
  onFold: (group: string) => void;
}

const keyOf = (line: TableRow | undefined): string => (line === undefined ? "" : "id" in line ? line.id : `group:${line.group}`);

/** The key of the current row, which is restored when the user returns. */
let lastRowKey = "";

export function NodeTable({ lines, members, sort, down, onSort, onHover, onFold }: Props) {
  // The current row has a key, so that it stays the same when rows above it appear, disappear or fold.
  const [here, setHere] = useState({ key: lastRowKey, index: 0 });
  const place = (key: string): number => lines.findIndex((line) => keyOf(line) === key);
  const found = keyOf(lines[here.index]) === here.key ? here.index : place(here.key);
  const at = Math.max(0, Math.min(found < 0 ? here.index : found, lines.length - 1));
  /** Whether the current row gets the focus after the next drawing. */
  const focusNext = useRef(false);
  /** The key of the row that was selected last: the start of a range. */
  const last = useRef("");
  const table = useRef<HTMLDivElement>(null);
  const height = matchMedia("(pointer: coarse), (max-width: 760px)").matches ? 48 : 32;
  const { added, off } = splitColumns(preferences.value.columns);
  const setCurrent = (index: number): void => setHere({ key: (lastRowKey = keyOf(lines[index])), index });
  // A layout effect moves the focus before the browser handles the next key.
  useLayoutEffect(() => {
    if (!focusNext.current) return;
    focusNext.current = false;
    table.current?.querySelector<HTMLElement>(`[data-index="${at}"]`)?.focus();
  });
  const move = (to: number): void => {
    focusNext.current = true;
    setCurrent(Math.max(0, Math.min(lines.length - 1, to)));
  };
  const nodesOf = (some: readonly TableRow[]): string[] => some.flatMap((line) => ("id" in line ? [line.id] : []));
  const select = (row: number, range: boolean): void => {
    const line = lines[row];
    const from = Math.max(0, place(last.current));
    const chosen = range
      ? nodesOf(lines.slice(Math.min(from, row), Math.max(from, row) + 1))
      : line && "group" in line
        ? members(line.group)
        : nodesOf(lines.slice(row, row + 1));
    pick(chosen, range || !chosen.every((id) => picked.value.has(id)));
    last.current = keyOf(line);
  };
  const enter = (line: TableRow): void => ("id" in line ? go(`/n/${line.id}`) : onFold(line.group));
  /** The index of an event's row; -1 = none. The table has one handler of each kind for all rows. */
  const rowAt = (target: EventTarget | null): number =>
    Number(target instanceof Element ? (target.closest<HTMLElement>("[data-index]")?.dataset.index ?? -1) : -1);
  return (
    <div
      ref={table}
      class={`card grid-table fleet ${mayAct.value ? "picks" : ""} ${added.length ? "more" : ""} ${off.map((name) => `no-${name}`).join(" ")}`}
      style={{ "--added": added.length }}
      role="table"
      tabIndex={-1}
      aria-label={t`Nodes`}
      aria-rowcount={lines.length + 1}
      onMouseEnter={() => onHover(true)}
      onMouseLeave={() => onHover(false)}
      onFocusCapture={({ target }) => {
        const index = rowAt(target);
        if (index >= 0) setCurrent(index);
      }}
      onClick={({ target }) => {
        const line = lines[rowAt(target)];
        if (line) enter(line);
      }}
      onKeyDown={(event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        // The focused row may not be the drawn current row yet.
        const on = rowAt(event.target);
        const row = on < 0 ? at : on;
        const line = lines[row];
        const side = event.key === "ArrowRight" ? true : event.key === "ArrowLeft" ? false : null;
        const letter = singleKeys();
        const onRow = event.target instanceof Element && event.target.matches("[role=row], [role=table]");
        if (event.key === "ArrowDown" || (letter && event.key === "j")) move(row + 1);
        else if (event.key === "ArrowUp" || (letter && event.key === "k")) move(row - 1);
        else if (event.key === "Home") move(0);
        else if (event.key === "End") move(lines.length - 1);
        else if (side !== null && line && "group" in line && line.closed === side) onFold(line.group);
        else if (onRow && line && (event.key === "Enter" || (letter && event.key === "o") || (event.key === " " && "group" in line)))
          enter(line);
        else if (letter && /^x$/i.test(event.key) && mayAct.value) select(row, event.key === "X");
        else return;
        event.preventDefault();
      }}
    >
      <div role="rowgroup">
        <div role="row" class="head" aria-rowindex={1}>
          {COLUMNS.map(({ key, label, right }) => (
            <span
              key={label}
              role="columnheader"
              class={right ? "right" : ""}
              aria-sort={key === sort ? (down ? "descending" : "ascending") : "none"}
            >
              {key === "state" ? (
                <>
                  {mayAct.value && <RowCheckbox ids={nodesOf(lines)} label={t`Select all shown`} />}
                  <span class="hidden-text">{t`State`}</span>
                </>
              ) : (
                <button type="button" onClick={() => key && onSort(key)}>
                  {label}
                  {key === sort && <Icon name={down ? "arrow-down" : "arrow-up"} size="small" />}
                </button>
              )}
            </span>
          ))}
          {added.length > 0 && <ColumnHeads keys={added} sort={sort} down={down} onSort={onSort} />}
        </div>
      </div>
      <VirtualList
        count={lines.length}
        height={height}
        keep={at}
        row={(index) => {
          const line = lines[index] as TableRow;
          const shared = { index, current: index === at };
          return "id" in line ? (
            <NodeRow key={keyOf(line)} id={line.id} {...shared} />
          ) : (
            <GroupRow key={keyOf(line)} line={line} ids={members(line.group)} {...shared} />
          );
        }}
      />
    </div>
  );
}

interface Placed {
  index: number;
  current: boolean;
}

const upTime = ({ identity }: NodeView, at: number): string => (identity.booted_at ? shortDuration(at - identity.booted_at) : UNKNOWN);

function NodeRow({ id, index, current }: Placed & { id: string }) {
  // This text changes when health, age or uptime change with time alone. New values of the node redraw the row by themselves.
  const aged = useComputed(() => {
    const known = nodeSignal(id)?.value;
    if (!known) return "";
    const { health, old } = rowOf(known, now.value);
    return `${health} ${old} ${upTime(known, now.value)}`;
  });
  const node = nodeSignal(id)?.value;
  if (!node || !aged.value) return null;
  const row = rowOf(node, now.peek());
  const { status, health, old } = row;
  const { latest } = node;
  const disconnected = health === "off" || health === "wait";
  const glyph = glyphOf(health, runningJobOn(id) !== undefined);
  const heat = levelOf(node.health, "temperature");
  const busy = cpuLevel(node.health, status.cpu);
  const updates = node.updates.total;
  const label = t`${node.name}, ${GLYPH_WORDS[glyph].toLowerCase()}, CPU ${disconnected ? UNKNOWN : percent(status.cpu)}, memory ${disconnected ? UNKNOWN : percent(status.memory)}, ${updates ?? t`unknown`} updates`;
  const { columns } = preferences.value;
  const { added } = splitColumns(columns);
  const up = disconnected ? UNKNOWN : upTime(node, now.peek());
  const picks = mayAct.value;
  // Parts that rarely change are memoised, so that most values do not redraw them. Preact can skip fragments but not plain elements. A whole new
  // view of a node redraws all parts.
  const who = useMemo(
    () => (
      <>
        <span role="cell" class="row">
          {picks && <RowCheckbox ids={[id]} label={t`Select ${node.name}`} tab={-1} />}
          <Glyph kind={glyph} />
        </span>
        <span role="rowheader" class="who">
          <b>
            <a href={`/n/${id}`} tabIndex={-1}>
              {node.name}
            </a>
          </b>
          <RowBadges row={row} />
        </span>
      </>
    ),
    [node.identity, glyph, health, old && status.at, picks],
  );
  const fullest = seriesName("filesystem.used", "mount", status.mount);
  const disk = useMemo(
    () => (
      <>
        {shareCell(
          disconnected ? null : status.disk,
          levelOf(node.health, "filesystem", status.mount),
          sampleAttributes(fullest, latest[fullest]),
          disconnected ? undefined : status.mount,
        )}
      </>
    ),
    [latest[fullest], status.disk, node.health, disconnected],
  );
  const rest = useMemo(
    () => (
      <>
        <span role="cell" class={`row right ${disconnected ? "" : heat} ${heat && !disconnected ? "strong" : ""}`}>
          {disconnected || status.temperature === null ? (
            <span class="unknown">{UNKNOWN}</span>
          ) : (
            <>
              <Mark level={heat} />
              {degrees(status.temperature)}
            </>
          )}
        </span>
        <span role="cell" class="row right">
          <SecurityPill count={node.updates.security} />
          {updates === null ? (
            <span class="unknown">{UNKNOWN}</span>
          ) : (
            <span class={updates ? (node.updates.security ? "" : "t2") : "t3"}>{updates}</span>
          )}
        </span>
        <span role="cell" class="right t3 nowrap">
          {up}
        </span>
        {added.length > 0 && <ColumnCells keys={added} row={row} />}
      </>
    ),
    [node.identity, node.health, health, status.temperature, up, columns],
  );
  const rateCell = (name: "received" | "sent") => (
    <span class={name} {...sampleAttributes(`network.${name}`, latest[`network.${name}`])}>
      {network(status[name], inBits(), true)}
    </span>
  );
  return (
    <div
      role="row"
      class={disconnected || old ? "dimmed" : ""}
      tabIndex={current ? 0 : -1}
      aria-label={label}
      aria-rowindex={index + 2}
      data-index={index}
      data-node={id}
    >
      {who}
      {shareCell(
        disconnected ? null : status.cpu,
        busy,
        sampleAttributes("cpu.total", latest["cpu.total"]),
        undefined,
        <CpuSpark id={id} level={busy} />,
      )}
      {shareCell(
        disconnected ? null : status.memory,
        levelOf(node.health, "memory"),
        sampleAttributes("memory.used", latest["memory.used"]),
        disconnected ? undefined : t`${size(status.memoryUsed)} of ${size(status.memoryTotal)}`,
      )}
      {disk}
      <span role="cell" class="both-ways">
        {disconnected ? <span class="unknown">{UNKNOWN}</span> : rateCell("received")}
        {!disconnected && rateCell("sent")}
      </span>
      <span
        role="cell"
        class={`right ${status.load !== null && status.load > node.identity.cpu_cores && !disconnected ? "strong" : ""}`}
        {...sampleAttributes("load.1", disconnected ? undefined : latest["load.1"])}
      >
        {disconnected ? <span class="unknown">{UNKNOWN}</span> : load(status.load)}
      </span>
      {rest}
    </div>
  );
}

function CpuSpark({ id, level }: { id: string; level: "" | "warn" | "crit" }) {
  return <Spark values={useSpark(id)} width={72} max={100} kind={level} />;
}
