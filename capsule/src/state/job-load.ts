/** The history of a node around a job, and the watch on a node whose job runs: a watched node sends its samples each second. */

import { seriesName } from "../core/metrics/series";
import { call } from "../wire/http";
import type { HistoryView } from "../wire/schema.gen";
import { subscribeWithRetry } from "./live/subscribe-with-retry";

const POINTS = 120;

/** Watches a node without showing it. Returns the unsubscriber. */
export const watchNode = (id: string): (() => void) =>
  subscribeWithRetry(`node:${id}`, { snapshot: () => undefined, change: () => undefined, refused: () => undefined });

export const loadNode = (id: string) => call("GET", `nodes/${id}`);

/** `device` and `network` are the names of a disk and an interface; empty = the node has none. `from` and `to`: Unix seconds. */
export function loadJobHistory(
  id: string,
  device: string,
  network: string,
  { from, to }: { from: number; to: number },
): Promise<HistoryView> {
  const metric = [
    "cpu.total",
    "memory.used",
    ...(device ? DISK.map((name) => seriesName(name, "device", device)) : []),
    ...(network ? NETWORK.map((name) => seriesName(name, "interface", network)) : []),
  ];
  return call("GET", `nodes/${id}/history`, { query: { metric, from, to, points: POINTS } });
}

/** One series of a node, in Unix seconds. */
export const loadSeries = (id: string, series: string, { from, to }: { from: number; to: number }) =>
  call("GET", `nodes/${id}/history`, { query: { metric: [series], from, to, points: POINTS } });

export const DISK = ["disk.read", "disk.written"] as const;
export const NETWORK = ["network.received", "network.sent"] as const;
