/** The thresholds of firing alerts, for the charts of the metrics that their rules read. */

import { t } from "../text";
import { parseSeries } from "../metrics/series";
import type { Threshold } from "../charts/chart-scale";

export interface FiringRule {
  expr: string;
  /** The mount, sensor, interface or other object of the alert; empty: the server as a whole. */
  object: string;
  level: "warning" | "critical";
  threshold: number | null;
}

interface Server {
  cores: number;
  /** Bytes; null = unknown. */
  memory: number | null;
}

/** Key: a detector that compares one metric with a threshold. Value: this metric. */
const DETECTED: Readonly<Record<string, string>> = { cpu_saturated: "cpu.total", sensor_temperature: "temperature" };

/** The charted metric of a rule, with the threshold in its unit; null if no chart shows it. */
function inChart({ expr, threshold }: FiringRule, { cores, memory }: Server): { metric: string; at: number } | null {
  const metric = DETECTED[/^detector\((\w+)\)$/.exec(expr)?.[1] ?? ""] ?? /^\w+\(\s*([\w.]+)/.exec(expr)?.[1];
  if (metric === undefined || threshold === null) return null;
  // These two metrics are derived. Charts show the measured metrics instead.
  if (metric === "memory.available_percent") return memory === null ? null : { metric: "memory.used", at: memory * (1 - threshold / 100) };
  if (metric === "load.per_core") return { metric: "load.1", at: threshold * cores };
  return { metric, at: threshold };
}

/** The series that a chart of one alert draws, with the threshold in its unit. */
export interface AlertChart {
  series: string;
  metric: string;
  /** Null = the chart has no line for it. */
  at: number | null;
}

/** The chart of the value of an alert; null if no single series shows it. `names`: the series that the node measures. */
export function alertChart(rule: FiringRule, names: readonly string[], server: Server): AlertChart | null {
  const space = /^detector\(filesystem_(?:space|fills)\)$/.test(rule.expr);
  const found = space ? { metric: "filesystem.used", at: null } : inChart(rule, server);
  if (!found) return null;
  const { metric, at } = found;
  const series = rule.object
    ? names.find((name) => name.startsWith(`${metric}{`) && parseSeries(name)?.value === rule.object)
    : names.find((name) => name === metric);
  return series === undefined ? null : { series, metric, at };
}

const TITLES: Readonly<Record<string, string>> = {
  "cpu.total": t`CPU total`,
  "cpu.iowait": t`CPU that waits for disks`,
  "cpu.steal": t`CPU that the hypervisor takes`,
  "disk.busy": t`Disk busy`,
  "filesystem.used": t`Space used`,
  "filesystem.inodes_used": t`Inodes used`,
  "load.1": t`Load of one minute`,
  "memory.used": t`Memory used`,
  "pressure.memory_full": t`Time that programs wait for memory`,
  temperature: t`Temperature`,
};

/** The title of a chart of one series: "Space used, /var". A metric without a title of its own is named by its key, in words. */
export function chartTitle(series: string): string {
  const parts = parseSeries(series);
  if (!parts) return series;
  const words = parts.metric.replace(/[._]/g, " ");
  return [TITLES[parts.metric] ?? words.charAt(0).toUpperCase() + words.slice(1), parts.value].filter(Boolean).join(", ");
}

/** The worst threshold of the alerts about any of these series; null if there is none. */
export function firingThreshold(series: readonly string[], firing: readonly FiringRule[], server: Server): Threshold | null {
  const shown = series.map(parseSeries);
  let worst: Threshold | null = null;
  for (const rule of firing) {
    const found = inChart(rule, server);
    if (!found || !shown.some((one) => one?.metric === found.metric && (!one.label || one.value === rule.object))) continue;
    if (rule.level === "critical") return { at: found.at, level: "crit" };
    worst ??= { at: found.at, level: "warn" };
  }
  return worst;
}

/** The threshold that a chart of several servers draws: the first critical one, else the first one. */
export const worstThreshold = (found: readonly (Threshold | null)[]): Threshold | null =>
  found.find((one) => one?.level === "crit") ?? found.find((one) => one !== null) ?? null;
