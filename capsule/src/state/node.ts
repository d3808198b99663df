/** One node in full: its facts, the live window of every series, and history for the longer ranges. */

import { effect, signal } from "@preact/signals";
import { ApiError, call } from "../wire/http";
import type { HistoryView, NodeChange, NodeView, Sample } from "../wire/schema.gen";
import { LiveWindow } from "../core/window";
import { hubNow } from "./clock";
import { connections, watch } from "./link";

export const LIVE_S = 300;
export const RANGES = { live: LIVE_S, "1h": 3600, "24h": 86_400 } as const;
export type Range = keyof typeof RANGES;
const POINTS = 600;
const MOST_SERIES = 24;

export interface Past {
  range: Range;
  from: number;
  to: number;
  step: number;
  times: number[];
  series: HistoryView["series"];
}

export class NodeDetail {
  readonly view = signal<NodeView | null>(null);
  readonly failure = signal<ApiError | null>(null);
  /** Grows with each new sample: charts redraw on it. */
  readonly version = signal(0);
  readonly window = new LiveWindow(LIVE_S);
  readonly past = signal<Past | null>(null);
  readonly pastFailure = signal<ApiError | null>(null);
  readonly #filled = new Set<string>();
  readonly #ends: (() => void)[] = [];
  #closed = false;

  constructor(readonly id: string) {
    this.#ends.push(
      watch(`node:${id}`, {
        snapshot: (data) => this.#snapshot(data as NodeView),
        change: (data) => this.#change(data as NodeChange),
        refused: ({ code, message }) => {
          this.failure.value = new ApiError(code as ApiError["code"], 404, message);
        },
      }),
    );
    let first = true;
    this.#ends.push(
      effect(() => {
        void connections.value;
        if (first) first = false;
        else this.#refill();
      }),
    );
  }

  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
  }

  #snapshot(node: NodeView): void {
    this.failure.value = null;
    this.view.value = node;
    this.#take(node.latest);
  }

  #change({ latest, node }: NodeChange): void {
    const before = this.view.peek();
    if (!before && !node) return;
    const base = node ?? (before as NodeView);
    this.view.value = { ...base, latest: { ...before?.latest, ...node?.latest, ...latest } };
    this.#take(latest);
  }

  #take(latest: Readonly<Record<string, Sample>>): void {
    for (const [name, { at, value }] of Object.entries(latest)) this.window.add(name, at, value);
    this.version.value += 1;
  }

  /** Puts the last minutes of these series into the live window; each is asked for once, and again after a lost link. */
  async fill(names: readonly string[]): Promise<void> {
    const missing = names.filter((name) => !this.#filled.has(name)).slice(0, MOST_SERIES);
    if (!missing.length) return;
    for (const name of missing) this.#filled.add(name);
    try {
      const to = hubNow();
      const past = await this.#history(missing, to - LIVE_S, to, POINTS);
      if (this.#closed) return;
      for (const [name, { avg }] of Object.entries(past.series)) {
        past.times.forEach((at, index) => {
          const value = avg[index];
          if (value != null) this.window.addPast(name, at, past.step, value);
        });
      }
      this.version.value += 1;
    } catch (error) {
      for (const name of missing) this.#filled.delete(name);
      if (!(error instanceof ApiError)) throw error;
    }
  }

  #refill(): void {
    const names = [...this.#filled];
    this.#filled.clear();
    void this.fill(names);
  }

  /** Loads a longer range; what is shown stays until the new one is there. */
  async load(range: Exclude<Range, "live">, names: readonly string[]): Promise<void> {
    const to = Math.ceil(hubNow());
    const from = to - RANGES[range];
    try {
      const past = await this.#history(names.slice(0, MOST_SERIES), from, to, POINTS);
      if (this.#closed) return;
      this.pastFailure.value = null;
      this.past.value = { range, from, to, step: past.step, times: past.times, series: past.series };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!this.#closed) this.pastFailure.value = error;
    }
  }

  #history(names: readonly string[], from: number, to: number, points: number): Promise<HistoryView> {
    return call<HistoryView>("GET", `nodes/${this.id}/history`, { query: { metric: names, from, to, points } });
  }
}

