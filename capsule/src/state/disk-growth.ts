/** The growth rate of a disk over its last hours. It is loaded for the few disks with an issue, and again after a while. */

import { signal, type ReadonlySignal, type Signal } from "@preact/signals";
import { growthRate } from "../core/nodes/disk-forecast";
import { seriesName } from "../core/metrics/series";
import { call, ApiError } from "../wire/http";
import type { HistoryView } from "../wire/schema.gen";
import { hubNow } from "./clock";
import { onSessionEnd } from "./session";

const SPAN_S = 6 * 3600;
const POINTS = 72;
const GOOD_S = 600;
const REFETCH_S = 60;

interface CachedRate {
  rate: Signal<number | null>;
  /** Loaded again after this time. */
  until: number;
}

const cache = new Map<string, CachedRate>();

/** Bytes per second; null = unknown. */
export function diskGrowth(id: string, mount: string): ReadonlySignal<number | null> {
  const series = seriesName("filesystem.used", "mount", mount);
  const key = `${id} ${series}`;
  let one = cache.get(key);
  if (!one) cache.set(key, (one = { rate: signal(null), until: 0 }));
  if (hubNow() >= one.until) void ask(one, id, series);
  return one.rate;
}

async function ask(one: CachedRate, id: string, metric: string): Promise<void> {
  const to = hubNow();
  one.until = to + GOOD_S;
  try {
    const { times, series } = await call<HistoryView>("GET", `nodes/${id}/history`, { query: { metric, from: to - SPAN_S, to, points: POINTS } });
    one.rate.value = growthRate(times, series[metric]?.avg ?? []);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    one.until = to + REFETCH_S; // without a forecast the current value is shown
  }
}

onSessionEnd(() => cache.clear());
