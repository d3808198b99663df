/** The history of one series of several nodes, with the same steps. */

import { signal } from "@preact/signals";
import { ApiError, call } from "../wire/http";
import type { HistoriesView } from "../wire/schema.gen";
import type { Span } from "../core/charts/time-range";

export interface ComparedHistory extends Span {
  key: string;
  series: string;
  step: number;
  times: number[];
  nodes: HistoriesView["nodes"];
}

export class Comparison {
  readonly past = signal<ComparedHistory | null>(null);
  readonly failure = signal<ApiError | null>(null);
  #lastRequest = 0;
  #requestedKey = "";

  /** Loads a span. The shown data stays until the answer arrives, and answers to older requests are dropped. Returns the step in seconds; 0 = failed. */
  async load(key: string, { from, to }: Span, ids: readonly string[], series: string, points: number): Promise<number> {
    const mine = ++this.#lastRequest;
    if (key !== this.#requestedKey) this.failure.value = null;
    this.#requestedKey = key;
    try {
      const found = await call("GET", "history", { query: { node: ids, metric: series, from, to, points } });
      if (mine !== this.#lastRequest) return found.step;
      this.failure.value = null;
      this.past.value = { key, series, from, to, step: found.step, times: found.times, nodes: found.nodes };
      return found.step;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine === this.#lastRequest) this.failure.value = error;
      return 0;
    }
  }
}
