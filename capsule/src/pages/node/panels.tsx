/** The charts of a node: which series each shows, on which scale, in which words. */

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { labelled, rhythmOf, seriesName } from "../../core/series";
import { digits3, load as loadText, percent, rate, size } from "../../core/units";
import { fromBuckets, GAP_INTERVALS, type Columns } from "../../core/window";
import { ChartPanel } from "../../charts/panel";
import type { ChartData, ChartSeries } from "../../charts/chart";
import { LIVE_S, type NodeDetail, type Range } from "../../state/node";
import { shade } from "../../state/theme";
import type { NodeView } from "../../state/types";
import { liveAttributes } from "../../ui/live";


export interface Line extends ChartSeries {
  series: string;
}

interface PanelProps {
  detail: NodeDetail;
  view: NodeView;
  range: Range;
  until: number;
}

/** The data of some lines in the range that is shown. */
export function dataOf(detail: NodeDetail, lines: readonly Line[], range: Range, until: number, createdAt: number): ChartData {
  const names = lines.map((line) => line.series);
  const rhythm = Math.max(...names.map(rhythmOf), 1);
  if (range === "live") {
    void detail.version.value;
    const columns = detail.window.columns(names, until, rhythm);
    return { columns, from: until - LIVE_S, to: until, since: createdAt, hole: rhythm * GAP_INTERVALS };
  }
  const past = detail.past.value;
  if (!past || past.range !== range) return { columns: { times: [], values: names.map(() => []) }, from: until - 3600, to: until, since: createdAt, hole: Infinity };
  const part = (key: "avg" | "min" | "max"): (number | null)[][] => names.map((name) => past.series[name]?.[key] ?? past.times.map(() => null));
  const together = fromBuckets({ times: past.times, values: [...part("avg"), ...part("min"), ...part("max")] }, past.step, rhythm);
  const count = names.length;
  const columns: Columns = { times: together.times, values: together.values.slice(0, count) };
  return {
    columns,
    band: { min: together.values.slice(count, 2 * count), max: together.values.slice(2 * count) },
    from: past.from,
    to: past.to,
    since: createdAt,
    hole: Math.max(past.step * 1.5, rhythm * GAP_INTERVALS),
  };
}

const seen = (data: ChartData): boolean => data.columns.values.some((column) => column.some((value) => value !== null));

interface SpecProps extends PanelProps {
  label: string;
  title?: VNode;
  lines: readonly Line[];
  text: (value: number) => string;
  axis: (value: number) => string;
  min?: number;
  max?: number;
  wide?: boolean;
  binary?: boolean;
  threshold?: { at: number; level: "warn" | "crit" };
}

function Panel({ detail, view, range, until, label, title, lines, text, axis, ...rest }: SpecProps): VNode {
  const data = dataOf(detail, lines, range, until, view.created_at);
  const waiting = seen(data) ? "" : range === "live" ? (view.state === "offline" ? "No data: the node is offline" : "Waiting for the first samples") : detail.past.value?.range === range ? "No data in this time" : "Loading…";
  return (
    <ChartPanel
      label={label}
      title={title ?? label}
      series={lines}
      data={data}
      shade={shade.value}
      axis={axis}
      value={text}
      waiting={waiting}
      legend={lines.map(({ series, name, colour }) => {
        const sample = view.latest[series];
        return { name, colour, text: sample?.value == null ? "—" : text(sample.value), live: liveAttributes(series, sample) };
      })}
      {...rest}
    />
  );
}

const pct = (value: number): string => percent(value, 1);

export const CPU_LINES: readonly Line[] = [
  { series: "cpu.user", name: "user", colour: 1, filled: true },
  { series: "cpu.system", name: "system", colour: 2 },
  { series: "cpu.iowait", name: "iowait", colour: 3 },
  { series: "cpu.steal", name: "steal", colour: 4 },
];
export const MEMORY_LINES: readonly Line[] = [
  { series: "memory.used", name: "used", colour: 1, filled: true },
  { series: "memory.cached", name: "cache", colour: 5 },
];
export const LOAD_LINES: readonly Line[] = [
  { series: "load.1", name: "1 min", colour: 1, filled: true },
  { series: "load.15", name: "15 min", colour: 5, dashed: true },
];

/** Steal is shown where there is any: on a machine of one's own it is a line at nothing. */
export function cpuLines(view: NodeView): readonly Line[] {
  return (view.latest["cpu.steal"]?.value ?? 0) > 0.5 ? CPU_LINES : CPU_LINES.slice(0, 3);
}

export function CpuPanel(props: PanelProps): VNode {
  return <Panel {...props} label="CPU" lines={cpuLines(props.view)} text={pct} axis={(value) => `${value}%`} max={100} wide threshold={{ at: 80, level: "warn" }} />;
}

export function MemoryPanel(props: PanelProps): VNode {
  const total = props.view.latest["memory.total"]?.value ?? props.view.identity.memory_bytes;
  return <Panel {...props} label="Memory" lines={MEMORY_LINES} binary text={size} axis={(value) => size(value).replace(/\.0+(?=\s)/, "")} {...(total ? { max: total } : {})} />;
}

export function LoadPanel(props: PanelProps): VNode {
  return <Panel {...props} label="Load" lines={LOAD_LINES} text={loadText} axis={(value) => digits3(value).replace(/\.?0+$/, "") || "0"} />;
}

/** Busiest first; `lo` is nobody's network. */
function byTraffic(view: NodeView, first: string, second: string, skip: (name: string) => boolean): string[] {
  const sent = labelled(view.latest, second);
  return [...labelled(view.latest, first)]
    .filter(([name]) => !skip(name))
    .map(([name, sample]) => [name, (sample.value ?? 0) + (sent.get(name)?.value ?? 0)] as const)
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
    .map(([name]) => name);
}

interface PickProps {
  what: string;
  names: readonly string[];
  chosen: string;
  onPick: (name: string) => void;
}

function PickTitle({ what, names, chosen, onPick }: PickProps): VNode {
  if (names.length < 2) return <span>{chosen ? `${what}, ${chosen}` : what}</span>;
  return (
    <span class="row">
      {what}
      <select class="title-select" aria-label={`${what} shown`} value={chosen} onChange={(event) => onPick(event.currentTarget.value)}>
        {[...names].sort().map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </span>
  );
}

export const interfacesOf = (view: NodeView): string[] => byTraffic(view, "network.received", "network.sent", (name) => name === "lo");
export const devicesOf = (view: NodeView): string[] => byTraffic(view, "disk.read", "disk.written", (name) => /^(loop|ram|zram)\d/.test(name));

export function networkLines(name: string): readonly Line[] {
  return [
    { series: seriesName("network.received", "interface", name), name: "in", colour: 2, filled: true },
    { series: seriesName("network.sent", "interface", name), name: "out", colour: 4 },
  ];
}

export function diskLines(name: string): readonly Line[] {
  return [
    { series: seriesName("disk.read", "device", name), name: "read", colour: 1 },
    { series: seriesName("disk.written", "device", name), name: "write", colour: 3, filled: true },
  ];
}

const rateAxis = (value: number): string => rate(value).replace("/s", "").replace(/\.0+(?=\s)/, "");

/** The choice stays while the page is open: the busiest one of the first look, then what was picked. */
export function useChoice(names: readonly string[]): [string, (name: string) => void] {
  const [picked, setPicked] = useState("");
  const [first, setFirst] = useState("");
  const chosen = names.includes(picked) ? picked : names.includes(first) ? first : (names[0] ?? "");
  if (!first && chosen) setFirst(chosen);
  return [chosen, setPicked];
}

export function NetworkPanel({ names, chosen, onPick, ...props }: PanelProps & Omit<PickProps, "what">): VNode {
  return <Panel {...props} label={`Network ${chosen}`} title={<PickTitle what="Network" names={names} chosen={chosen} onPick={onPick} />} lines={networkLines(chosen)} text={rate} axis={rateAxis} />;
}

export function DiskPanel({ names, chosen, onPick, ...props }: PanelProps & Omit<PickProps, "what">): VNode {
  return <Panel {...props} label={`Disk ${chosen}`} title={<PickTitle what="Disk" names={names} chosen={chosen} onPick={onPick} />} lines={diskLines(chosen)} text={rate} axis={rateAxis} />;
}

const MOST_SENSORS = 4;

export function sensorLines(view: NodeView): readonly Line[] {
  return [...labelled(view.latest, "temperature")]
    .sort((a, b) => (b[1].value ?? 0) - (a[1].value ?? 0))
    .slice(0, MOST_SENSORS)
    .sort((a, b) => a[0].localeCompare(b[0]))
    .map(([sensor], index) => ({ series: seriesName("temperature", "sensor", sensor), name: sensor, colour: ([1, 3, 2, 4] as const)[index] ?? 5 }));
}

export function TemperaturePanel(props: PanelProps): VNode {
  const lines = sensorLines(props.view);
  return <Panel {...props} label="Temperature" lines={lines} text={(value) => `${value.toFixed(0)}°`} axis={(value) => `${value}°`} min={30} max={95} threshold={{ at: 80, level: "warn" }} />;
}

