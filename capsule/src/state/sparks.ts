/** The last ten minutes of each node's CPU in forty points: filled from history when a row is first seen, then by what comes live. */

import { signal, type Signal } from "@preact/signals";
import { Means } from "../core/means";
import { settle, type Settled } from "../core/settle";
import { call } from "../wire/http";
import type { HistoryView, Sample } from "../wire/schema.gen";
import { hubNow } from "./clock";

const POINTS = 40;
export const BUCKET_S = 15;
const AT_ONCE = 3;
const REDRAW_S = 5;

interface Spark {
  means: Means;
  shown: Signal<readonly (number | null)[]>;
  /** A row on screen shows it. */
  wanted: boolean;
  /** Its past is there: history was asked and has answered. */
  filled: boolean;
  lastAt: number;
  shownAt: number;
  settled: Settled | null;
}

const sparks = new Map<string, Spark>();
const queue: string[] = [];
let running = 0;
let era = 0;

function sparkOf(id: string): Spark {
  let spark = sparks.get(id);
  if (!spark) sparks.set(id, (spark = { means: new Means(POINTS, BUCKET_S), shown: signal([]), wanted: false, filled: false, lastAt: 0, shownAt: 0, settled: null }));
  return spark;
}

function show(spark: Spark): void {
  spark.shownAt = hubNow();
  spark.shown.value = spark.means.until(spark.shownAt);
}

export function noteCpu(id: string, sample: Sample | undefined): void {
  if (!sample || sample.value === null) return;
  const spark = sparkOf(id);
  if (sample.at <= spark.lastAt) return;
  // The page was not looking, or the node was away: history knows which.
  if (spark.filled && sample.at - spark.lastAt > BUCKET_S) ask(id, spark);
  spark.lastAt = sample.at;
  spark.settled = settle(spark.settled, sample.value, sample.at);
  spark.means.add(sample.at, sample.value);
  // A second moves the mean of the newest point by less than the line is wide.
  if (spark.wanted && hubNow() - spark.shownAt >= REDRAW_S) show(spark);
}

/** What its CPU was by and large of late; null = nothing is known. */
export const settledCpu = (id: string): Settled | null => sparks.get(id)?.settled ?? null;

/** For a row on screen. */
export function sparkFor(id: string): Signal<readonly (number | null)[]> {
  const spark = sparkOf(id);
  if (!spark.wanted) {
    spark.wanted = true;
    ask(id, spark);
  }
  return spark.shown;
}

function ask(id: string, spark: Spark): void {
  spark.filled = false;
  queue.push(id);
  queueMicrotask(pump);
}

function pump(): void {
  while (running < AT_ONCE && queue.length) {
    const id = queue.shift() as string;
    running += 1;
    void fill(id, era).finally(() => {
      running -= 1;
      pump();
    });
  }
}

async function fill(id: string, asked: number): Promise<void> {
  const spark = sparkOf(id);
  try {
    // At the edges of the buckets: from anywhere else, forty points would need wider steps, and every fourth bucket had none.
    const to = Math.ceil(hubNow() / BUCKET_S) * BUCKET_S;
    const past = await call<HistoryView>("GET", `nodes/${id}/history`, { query: { metric: "cpu.total", from: to - POINTS * BUCKET_S, to, points: POINTS } });
    if (asked !== era) return;
    const average = past.series["cpu.total"]?.avg ?? [];
    past.times.forEach((at, index) => {
      const value = average[index];
      if (value != null && !spark.means.has(at)) spark.means.add(at, value);
    });
  } catch {
    // Without its past a row still shows what comes live; the node's page reports what is wrong with history.
  }
  spark.filled = true;
  show(spark);
  // All rows of a page are filled at once: from then on each has its turn in a second of its own.
  spark.shownAt -= id.charCodeAt(id.length - 1) % REDRAW_S;
}

export function forgetSparks(): void {
  era += 1;
  sparks.clear();
  queue.length = 0;
}
