/**
 * The last ten minutes of each node's CPU in forty points. When a row has been visible for a moment, the page reads the node's points from
 * history. Live samples continue them.
 */

import { signal, type Signal } from "@preact/signals";
import { RollingMean } from "../core/metrics/rolling-mean";
import { ApiError, call } from "../wire/http";
import type { HistoriesView, Sample } from "../wire/schema.gen";
import { hubNow } from "./clock";

const POINTS = 40;
export const BUCKET_S = 15;
const REDRAW_S = 5;
/** Rows that are visible for a shorter time, while the user types or scrolls, are not loaded. */
const SETTLE_MS = 300;
/** The hub's maximum of nodes in one request. */
const MOST_NODES = 50;

interface Spark {
  means: RollingMean;
  shown: Signal<readonly (number | null)[]>;
  /** The number of places on screen that show the sparkline. */
  watchers: number;
  /** Whether the request for history has ended, with or without success. False again after a gap in the live samples. */
  filled: boolean;
  lastAt: number;
  shownAt: number;
}

const sparks = new Map<string, Spark>();
const queue = new Set<string>();
let waiting: ReturnType<typeof setTimeout> | undefined;
/** Grows when the session ends: an answer to a request of an earlier session is dropped. */
let era = 0;

function sparkOf(id: string): Spark {
  let spark = sparks.get(id);
  if (!spark)
    sparks.set(
      id,
      (spark = { means: new RollingMean(POINTS, BUCKET_S), shown: signal([]), watchers: 0, filled: false, lastAt: 0, shownAt: 0 }),
    );
  return spark;
}

function show(spark: Spark): void {
  spark.shownAt = hubNow();
  spark.shown.value = spark.means.until(spark.shownAt);
}

/** Adds a live sample to the node's sparkline. */
export function noteCpu(id: string, sample: Sample | undefined): void {
  if (!sample || sample.value === null) return;
  const spark = sparkOf(id);
  if (sample.at <= spark.lastAt) return;
  // Live samples are missing: the page was hidden, or the node was offline. If the page was hidden, history has these samples.
  if (spark.filled && sample.at - spark.lastAt > BUCKET_S) {
    spark.filled = false;
    if (spark.watchers) enqueue(id);
  }
  spark.lastAt = sample.at;
  spark.means.add(sample.at, sample.value);
  // One second changes the mean of the newest point by less than the width of the line.
  if (spark.watchers && hubNow() - spark.shownAt >= REDRAW_S) show(spark);
}

export const sparkFor = (id: string): Signal<readonly (number | null)[]> => sparkOf(id).shown;

/** Keeps a sparkline current for one place on screen. Returns the unsubscriber. */
export function watchSpark(id: string): () => void {
  const spark = sparkOf(id);
  spark.watchers += 1;
  if (!spark.filled) enqueue(id);
  else if (hubNow() - spark.shownAt >= REDRAW_S) show(spark);
  return () => {
    spark.watchers -= 1;
    if (!spark.watchers && sparks.get(id) === spark) queue.delete(id);
  };
}

function enqueue(id: string): void {
  queue.add(id);
  waiting ??= setTimeout(pump, SETTLE_MS);
}

/** Requests the history of the queued nodes: one request at a time, with at most `MOST_NODES` nodes. */
async function pump(): Promise<void> {
  const startedIn = era;
  const some = [...queue].slice(0, MOST_NODES);
  for (const id of some) queue.delete(id);
  if (some.length) await fill(some, startedIn);
  if (startedIn === era) waiting = queue.size ? setTimeout(pump, SETTLE_MS) : undefined;
}

async function fill(some: readonly string[], startedIn: number): Promise<void> {
  // The span ends on a bucket border. Otherwise the hub would choose wider steps, and every fourth point would be empty.
  const to = Math.ceil(hubNow() / BUCKET_S) * BUCKET_S;
  let past: HistoriesView | null = null;
  try {
    past = await call("GET", "history", {
      query: { node: some, metric: "cpu.total", from: to - POINTS * BUCKET_S, to, points: POINTS },
    });
  } catch (error) {
    // The hub refuses a request if one of its nodes was removed, so each node is asked for alone.
    if (error instanceof ApiError && error.status === 404 && some.length > 1) {
      for (const id of some) await fill([id], startedIn);
      return;
    }
    // Without its past a row still shows live values. The node's page reports the error.
  }
  if (startedIn !== era) return;
  for (const id of some) {
    const spark = sparkOf(id);
    const average = past?.nodes[id]?.["cpu.total"]?.avg ?? [];
    past?.times.forEach((at, index) => {
      const value = average[index];
      if (value != null && !spark.means.has(at)) spark.means.add(at, value);
    });
    spark.filled = true;
    show(spark);
    // All rows are filled at the same moment. Different offsets make them redraw in different seconds.
    spark.shownAt -= id.charCodeAt(id.length - 1) % REDRAW_S;
  }
}

export function forgetSparks(): void {
  era += 1;
  sparks.clear();
  queue.clear();
  clearTimeout(waiting);
  waiting = undefined;
}
