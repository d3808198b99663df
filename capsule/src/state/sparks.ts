/** The last ten minutes of each node's CPU in forty points: filled from history when a row is first seen, then by what comes live. */

import { signal, type Signal } from "@preact/signals";
import { call } from "../wire/http";
import type { HistoryView, Sample } from "../wire/schema.gen";
import { hubNow } from "./clock";

const POINTS = 40;
const BUCKET_S = 15;
const AT_ONCE = 3;

interface Spark {
  buckets: Map<number, { sum: number; count: number }>;
  shown: Signal<readonly (number | null)[]>;
  asked: boolean;
  lastAt: number;
}

const sparks = new Map<string, Spark>();
const queue: string[] = [];
let running = 0;
let era = 0;

function sparkOf(id: string): Spark {
  let spark = sparks.get(id);
  if (!spark) sparks.set(id, (spark = { buckets: new Map(), shown: signal([]), asked: false, lastAt: 0 }));
  return spark;
}

function show(spark: Spark): void {
  const newest = Math.floor(hubNow() / BUCKET_S);
  for (const bucket of spark.buckets.keys()) if (bucket <= newest - POINTS) spark.buckets.delete(bucket);
  spark.shown.value = Array.from({ length: POINTS }, (_, index) => {
    const held = spark.buckets.get(newest - POINTS + 1 + index);
    return held ? held.sum / held.count : null;
  });
}

export function noteCpu(id: string, sample: Sample | undefined): void {
  if (!sample || sample.value === null) return;
  const spark = sparkOf(id);
  if (sample.at <= spark.lastAt) return;
  spark.lastAt = sample.at;
  const bucket = Math.floor(sample.at / BUCKET_S);
  const held = spark.buckets.get(bucket);
  if (held) {
    held.sum += sample.value;
    held.count += 1;
  } else {
    spark.buckets.set(bucket, { sum: sample.value, count: 1 });
  }
  if (spark.asked) show(spark);
}

/** For a row on screen. */
export function sparkFor(id: string): Signal<readonly (number | null)[]> {
  const spark = sparkOf(id);
  if (!spark.asked) {
    spark.asked = true;
    queue.push(id);
    queueMicrotask(pump);
  }
  return spark.shown;
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
    const to = hubNow();
    const past = await call<HistoryView>("GET", `nodes/${id}/history`, { query: { metric: "cpu.total", from: to - POINTS * BUCKET_S, to, points: POINTS } });
    if (asked !== era) return;
    const average = past.series["cpu.total"]?.avg ?? [];
    past.times.forEach((at, index) => {
      const value = average[index];
      const bucket = Math.floor(at / BUCKET_S);
      if (value != null && !spark.buckets.has(bucket)) spark.buckets.set(bucket, { sum: value, count: 1 });
    });
  } catch {
    // Without its past a row still shows what comes live; the node's page reports what is wrong with history.
  }
  show(spark);
}

export function forgetSparks(): void {
  era += 1;
  sparks.clear();
  queue.length = 0;
}
