/** The charts of a node: their series, scales and formats. */

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import {
  BIT_FORMAT,
  DEGREE_FORMAT,
  PERCENT_FORMAT,
  PLAIN_FORMAT,
  RATE_FORMAT,
  seriesLabel,
  SIZE_FORMAT,
  type ValueFormat,
} from "../../core/charts/value-format";
import { firingThreshold, type FiringRule } from "../../core/alerts/firing-thresholds";
import { t } from "../../core/text";
import { chartScaleOf } from "../../core/charts/chart-scale";
import { labelled, parseSeries, seriesName } from "../../core/metrics/series";
import { LIVE_S, timeRangeKey, type TimeRange } from "../../core/charts/time-range";
import { fromBuckets, GAP_INTERVALS, partOf, type Cell, type Columns } from "../../core/charts/window";
import { ChartPanel, type ChartData, type ChartGroup, type ChartSeries } from "../../charts/panel";
import type { NodeDetail } from "../../state/node-detail";
import { metricUnits, sampleInterval } from "../../state/metrics";
import { inBits } from "../../state/preferences";
import { go, pageUrl, setQuery } from "../../state/router";
import { shade } from "../../state/theme";
import type { NodeView } from "../../state/types";
import { type MenuItem, sampleAttributes } from "../../ui";
import { Skeleton } from "./skeleton";
import { Reading } from "./history-status";

export interface Line extends ChartSeries {
  series: string;
}

export interface PanelProps {
  detail: NodeDetail;
  node: NodeView;
  shown: TimeRange;
  /** The end of the live window. */
  until: number;
  group: ChartGroup;
  /** The rules whose alerts fire. */
  firing: readonly FiringRule[];
}

export interface LoadState {
  /** Whether data is still loading. */
  loading: boolean;
  /** Whether the data is not that of the chosen window. */
  other: boolean;
}

/** The data of some lines in the chosen window. While that window loads, the result is the data of the previous window, or no data if there was none. */
export function dataOf({ detail, node, shown, until }: PanelProps, lines: readonly Line[]): ChartData & LoadState {
  const names = lines.map((line) => line.series);
  const interval = Math.max(...names.map((name) => sampleInterval(parseSeries(name)?.metric ?? "")), 1);
  const window = timeRangeKey(shown);
  const base = { since: node.created_at, window };
  const past = detail.past.value;
  if (window === "live" || (shown.zoom && past?.key !== window && shown.range === "live")) {
    void detail.version.value;
    const columns = detail.window.columns(names, until, interval);
    const { from, to } = shown.zoom ?? { from: until - LIVE_S, to: until };
    return {
      ...base,
      columns,
      from,
      to,
      gapS: shown.zoom ? Infinity : detail.window.gapLimit(names, interval),
      loading: shown.zoom !== null,
      other: false,
    };
  }
  const own = past && partOf(past.parts, names);
  if (!own) {
    const { from, to } = shown.zoom ?? { from: until - LIVE_S, to: until };
    return { ...base, columns: { times: [], values: names.map(() => []) }, from, to, gapS: Infinity, loading: true, other: true };
  }
  const part = (key: "avg" | "min" | "max"): Cell[][] => names.map((name) => own.series[name]?.[key] ?? own.times.map(() => null));
  const together = fromBuckets({ times: own.times, values: [...part("avg"), ...part("min"), ...part("max")] }, own.step, interval);
  const count = names.length;
  const columns: Columns = { times: together.times, values: together.values.slice(0, count) };
  const loading = past.key !== window;
  // In buckets of one sample, minimum and maximum are the value itself.
  const band = own.step > interval ? { band: { min: together.values.slice(count, 2 * count), max: together.values.slice(2 * count) } } : {};
  return {
    ...base,
    columns,
    ...band,
    ...(loading && shown.zoom ? shown.zoom : { from: past.from, to: past.to }),
    gapS: loading ? Infinity : Math.max(own.step * 1.5, interval * GAP_INTERVALS),
    loading,
    other: loading,
  };
}

const hasValues = (data: ChartData): boolean => data.columns.values.some((column) => column.some((value) => value != null));

interface SpecProps extends PanelProps {
  label: string;
  title?: VNode;
  lines: readonly Line[];
  words: ValueFormat;
  wide?: boolean;
  more?: readonly MenuItem[];
}

function Panel({ label, title, lines, more = [], detail, node, shown, until, group, firing, ...rest }: SpecProps) {
  const data = dataOf({ detail, node, shown, until, group, firing }, lines);
  const threshold = firingThreshold(
    lines.map(({ series }) => series),
    firing,
    { cores: node.identity.cpu_cores, memory: memoryOf(node) },
  );
  const missing = (): string => {
    if (shown.range !== "live" || shown.zoom) return detail.pastFailure.value ? t`Could not be read` : t`No data in this time`;
    if (node.state === "offline") return t`No data: the node is offline`;
    return lines.some(({ series }) => node.latest[series]) ? t`No data in this time` : t`Waiting for the first samples`;
  };
  const series = lines[0]?.series ?? "";
  const scale = chartScaleOf(series, metricUnits().get(parseSeries(series)?.metric ?? "") ?? "", memoryOf(node));
  const waiting = hasValues(data) ? null : data.loading && !detail.pastFailure.value ? (
    <Skeleton what={label} />
  ) : (
    <div class="waiting">{missing()}</div>
  );
  return (
    <ChartPanel
      label={label}
      title={title ?? label}
      series={lines}
      data={data}
      group={group}
      shade={shade.value}
      waiting={waiting}
      over={data.other && hasValues(data) ? <Reading failed={detail.pastFailure.value !== null} /> : null}
      columns={lines.map(({ series }) => series)}
      more={[
        ...more,
        { label: t`Compare with other nodes…`, icon: "layout-grid", run: () => go(compareTarget(node.id, series, pageUrl.peek().query)) },
      ]}
      legend={lines.map(({ series }) => {
        const sample = node.latest[series];
        return shown.zoom
          ? {
              value: lastOf(
                data,
                lines.findIndex((line) => line.series === series),
              ),
              live: {},
            }
          : { value: sample?.value ?? null, live: sampleAttributes(series, sample) };
      })}
      {...scale}
      {...(threshold && { threshold })}
      {...rest}
    />
  );
}

/** The compare page for one series with this node and the same window. */
function compareTarget(id: string, series: string, query: URLSearchParams): string {
  const next = new URLSearchParams({ nodes: id, metric: series });
  for (const name of ["range", "from", "to"]) if (query.has(name)) next.set(name, query.get(name) ?? "");
  return `/compare?${next.toString()}`;
}

/** Memory in bytes; null = unknown. */
export const memoryOf = (node: NodeView): number | null => node.latest["memory.total"]?.value ?? (node.identity.memory_bytes || null);

/** The last value of a line; null = none. */
function lastOf({ columns }: ChartData, index: number): number | null {
  const column = columns.values[index];
  return column?.findLast((value) => value != null) ?? null;
}

export const CPU_LINES: readonly Line[] = [
  { series: "cpu.total", name: t`total`, colour: 1, filled: true },
  { series: "cpu.user", name: t`user`, colour: 2, stackedOn: 2 },
  { series: "cpu.system", name: t`system`, colour: 4, filled: true },
  { series: "cpu.iowait", name: t`iowait`, colour: 3 },
  { series: "cpu.steal", name: t`steal`, colour: 5 },
];
export const MEMORY_LINES: readonly Line[] = [
  { series: "memory.used", name: t`used`, colour: 1, filled: true },
  { series: "memory.cached", name: t`cache`, colour: 5 },
];
export const LOAD_LINES: readonly Line[] = [
  { series: "load.1", name: t`1 min`, colour: 1, filled: true },
  { series: "load.15", name: t`15 min`, colour: 5, dashed: true },
];

const STEAL = "cpu.steal";
const SHOWN_STEAL_PERCENT = 0.5;

/** The lines of the CPU chart. Steal is left out unless it exceeds 0.5 % in the window: on physical machines it is always zero. */
function cpuLines(props: PanelProps): readonly Line[] {
  const [steal = []] = dataOf(
    props,
    CPU_LINES.filter(({ series }) => series === STEAL),
  ).columns.values;
  return steal.some((value) => (value ?? 0) > SHOWN_STEAL_PERCENT) ? CPU_LINES : CPU_LINES.filter(({ series }) => series !== STEAL);
}

export function CpuPanel(props: PanelProps) {
  return <Panel {...props} label={t`CPU`} lines={cpuLines(props)} words={PERCENT_FORMAT} wide />;
}

export function MemoryPanel(props: PanelProps) {
  return <Panel {...props} label={t`Memory`} lines={MEMORY_LINES} words={SIZE_FORMAT} />;
}

export function LoadPanel(props: PanelProps) {
  return <Panel {...props} label={t`Load`} lines={LOAD_LINES} words={PLAIN_FORMAT} />;
}

/** The names of interfaces or devices, the busiest first. */
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

function PickTitle({ what, names, chosen, onPick }: PickProps) {
  if (names.length < 2) return <span>{chosen ? `${what}, ${chosen}` : what}</span>;
  return (
    <span class="row">
      {what}
      <select class="title-select" aria-label={t`${what} shown`} value={chosen} onChange={(event) => onPick(event.currentTarget.value)}>
        {[...names].sort().map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </span>
  );
}

/** The network interfaces without the loopback, the busiest first. */
export const interfacesOf = (view: NodeView): string[] => byTraffic(view, "network.received", "network.sent", (name) => name === "lo");
export const devicesOf = (view: NodeView): string[] =>
  byTraffic(view, "disk.read", "disk.written", (name) => /^(loop|ram|zram)\d/.test(name));

export function networkLines(name: string): readonly Line[] {
  return [
    { series: seriesName("network.received", "interface", name), name: t`in`, colour: 2, filled: true },
    { series: seriesName("network.sent", "interface", name), name: t`out`, colour: 4 },
  ];
}

export function diskLines(name: string): readonly Line[] {
  return [
    { series: seriesName("disk.read", "device", name), name: t`read`, colour: 1 },
    { series: seriesName("disk.written", "device", name), name: t`write`, colour: 3, filled: true },
  ];
}

/** The chosen name and its setter. The first choice is the busiest name, which stays chosen even if another one becomes busier. */
export function useChoice(names: readonly string[]): [string, (name: string) => void] {
  const [picked, setPicked] = useState("");
  const [first, setFirst] = useState("");
  const chosen = names.includes(picked) ? picked : names.includes(first) ? first : (names[0] ?? "");
  if (!first && chosen) setFirst(chosen);
  return [chosen, setPicked];
}

export function NetworkPanel({ names, chosen, onPick, ...props }: PanelProps & Omit<PickProps, "what">) {
  const bits = (pageUrl.value.query.get("network") ?? (inBits() ? "bits" : "bytes")) === "bits";
  const other = bits ? "bytes" : "bits";
  return (
    <Panel
      {...props}
      label={t`Network ${chosen}`}
      title={<PickTitle what={t`Network`} names={names} chosen={chosen} onPick={onPick} />}
      lines={networkLines(chosen)}
      words={bits ? BIT_FORMAT : RATE_FORMAT}
      more={[
        {
          label: bits ? t`Show bytes per second` : t`Show bits per second`,
          run: () => setQuery({ network: other === (inBits() ? "bits" : "bytes") ? null : other }),
        },
      ]}
    />
  );
}

export function DiskPanel({ names, chosen, onPick, ...props }: PanelProps & Omit<PickProps, "what">) {
  return (
    <Panel
      {...props}
      label={t`Disk ${chosen}`}
      title={<PickTitle what={t`Disk`} names={names} chosen={chosen} onPick={onPick} />}
      lines={diskLines(chosen)}
      words={RATE_FORMAT}
    />
  );
}

const MOST_SENSORS = 4;

export function sensorLines(view: NodeView): readonly Line[] {
  return [...labelled(view.latest, "temperature")]
    .sort((a, b) => (b[1].value ?? 0) - (a[1].value ?? 0))
    .slice(0, MOST_SENSORS)
    .sort((a, b) => a[0].localeCompare(b[0]))
    .map(([sensor], index) => ({
      series: seriesName("temperature", "sensor", sensor),
      name: sensor,
      colour: ([1, 3, 2, 4] as const)[index] ?? 5,
    }));
}

export function TemperaturePanel(props: PanelProps) {
  return <Panel {...props} label={t`Temperature`} lines={sensorLines(props.node)} words={DEGREE_FORMAT} />;
}

/** A panel for a single series. */
export function OnePanel({ series, words, wide, ...props }: PanelProps & { series: string; words: ValueFormat; wide: boolean }) {
  return <Panel {...props} label={seriesLabel(series)} lines={[{ series, name: "", colour: 1, filled: true }]} words={words} wide={wide} />;
}
