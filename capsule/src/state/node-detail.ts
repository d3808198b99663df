/** One node: its tables, the live window of its series, and history for longer ranges. */

import { computed, effect, signal } from "@preact/signals";
import { ApiError, call } from "../wire/http";
import type {
  EventsView,
  EventView,
  HistoryView,
  JobsView,
  JobView,
  NodeChange,
  NodeView,
  PackagesView,
  Sample,
  TableView,
} from "../wire/schema.gen";
import { t } from "../core/text";
import { LIVE_S, type Span } from "../core/charts/time-range";
import { GAP_INTERVALS, findGaps, LiveWindow } from "../core/charts/window";
import { hubNow, now } from "./clock";
import { activeDeployments } from "./deployments";
import { onEvent } from "./events";
import { subscribeWithRetry } from "./live/subscribe-with-retry";
import { loaded, nodeSignal, rowOf } from "./fleet";
import { connections } from "./live/link";
import { dismiss, toast } from "./toasts";

/** The format of the hub's ids. */
const ID = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;
/** The maximum of points in a chart, and so of rows in its table. */
const MOST_POINTS = 600;
const MOST_SERIES = 50;
const MARK_PAGE = 200;
const MARK_PAGES = 3;
const UPTIME = "system.uptime";
/** An event starts a read of jobs and events after this wait, so that several events cause one read. */
const SETTLE_MS = 1000;
/** The interval at which gaps in the live window are read again. */
const MEND_MS = 10_000;
/** This long after the first live sample, history has the samples that the agent collected while nobody watched. */
const COMPLETE_AFTER_MS = 1500;
/** How many times the past is read after the first live sample, as long as the window has a gap. */
const COMPLETE_READS = 2;
/** A node whose newest sample is younger than this is still sending. */
const SENDING_S = 3;

/** The number of points to request for a chart of this width in pixels: two for each pixel, from 100 to `MOST_POINTS`. */
export const pointsFor = (width: number): number => Math.max(100, Math.min(MOST_POINTS, width * 2));

export interface HistoryData extends Span {
  /** The key of the time range that was read. */
  key: string;
  /** The width of the narrowest bucket in seconds. */
  step: number;
  /** One part for each answer, with its own times. */
  parts: readonly HistoryView[];
}

export class NodeDetail {
  readonly view = signal<NodeView | null>(null);
  readonly failure = signal<ApiError | null>(null);
  /** The node's health. A computed value, so that its readers do not redraw each second. */
  readonly health = computed(() => {
    const node = this.view.value;
    return node ? rowOf(node, now.value).health : "wait";
  });
  /** The end of the live window: the time of the newest sample, so that a chart does not move between two samples. Without new samples: now. */
  readonly until = computed(() => {
    const newest = this.view.value?.latest["cpu.total"]?.at ?? 0;
    return now.value - newest < SENDING_S ? newest : now.value;
  });
  /** Grows with each new sample, so that charts redraw. */
  readonly version = signal(0);
  readonly window = new LiveWindow(LIVE_S);
  readonly past = signal<HistoryData | null>(null);
  readonly pastFailure = signal<ApiError | null>(null);
  /** The error of the last try to load the past of the live window. */
  readonly fillFailure = signal<ApiError | null>(null);
  /** The node's uptime over the time range that `load` read last, in buckets. */
  readonly uptime = signal<{ step: number; times: number[]; min: (number | null)[]; max: (number | null)[] } | null>(null);
  /** The tables by subject; null = not loaded yet. */
  readonly tables = signal<Readonly<Record<string, TableView>> | null>(null);
  readonly tablesFailure = signal<ApiError | null>(null);
  /** The jobs and events since `#marksFrom`, perhaps with some older ones; at most `MARK_PAGES` pages of each, the newest. */
  readonly happened = signal<{ jobs: readonly JobView[]; events: readonly EventView[] }>({ jobs: [], events: [] });
  readonly #liveTables = new Map<string, TableView>();
  #marksFrom = Infinity;
  #marksRequested = 0;
  #marksTimer: ReturnType<typeof setTimeout> | undefined;
  #requestedKey = "";
  #lastRequest = 0;
  /** Whether a sample has arrived since the subscription. */
  #hasSample = false;
  #wholeTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #wanted = new Set<string>();
  /** The series of `#wanted` whose past was requested or has arrived. */
  readonly #filled = new Set<string>();
  readonly #ends: (() => void)[] = [];
  #closed = false;
  /** Whether the hub refused the node's topic for good. */
  #over = false;
  /** The toast that reports missing samples; 0 = none. */
  #note = 0;

  constructor(readonly id: string) {
    this.window.whole = false;
    const topic = {
      snapshot: (data: unknown) => this.#snapshot(data as NodeView),
      change: (data: unknown) => this.#change(data as NodeChange),
      refused: (error: ApiError, last: boolean) => this.#refused(error, last),
    };
    if (ID.test(id)) this.#ends.push(subscribeWithRetry(`node:${id}`, topic));
    else this.#refused(new ApiError("not_found", 404, ""), true);
    this.#ends.push(() => dismiss(this.#note));
    this.#ends.push(
      onEvent((event) => {
        if (event.node_id !== id || !Number.isFinite(this.#marksFrom)) return;
        clearTimeout(this.#marksTimer);
        this.#marksTimer = setTimeout(() => {
          if (!this.#leaving()) void this.#readMarks();
        }, SETTLE_MS);
      }),
      () => clearTimeout(this.#marksTimer),
    );
    // Samples that a server stored while offline arrive some seconds after its return, through history and not live.
    const mending = setInterval(() => {
      if (!document.hidden && !this.#leaving() && (this.#filled.size < this.#wanted.size || this.#hasGap())) this.#reloadWindow();
    }, MEND_MS);
    this.#ends.push(
      () => clearInterval(mending),
      () => clearTimeout(this.#wholeTimer),
    );
    let first = true;
    this.#ends.push(
      effect(() => {
        void connections.value;
        if (first) first = false;
        else if (!this.#leaving()) this.#reloadWindow();
      }),
    );
  }

  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
  }

  /** Shows the error instead of the page if the hub refuses the topic for good (`last`), or if no data has arrived yet. Otherwise the page stays, and a toast shows the error. */
  #refused(error: ApiError, last: boolean): void {
    this.#over = last;
    if (last || !this.view.peek()) this.failure.value = error;
    else this.#note ||= toast("fail", t`No new data from ${this.view.peek()?.name ?? ""}`, t`${error.detail} Trying again.`);
  }

  #snapshot(node: NodeView): void {
    this.failure.value = null;
    dismiss(this.#note);
    this.#note = 0;
    this.view.value = node;
    this.#addSamples(node.latest);
    // An agent that nobody watched sends once a minute. Now it sends what it has collected since. An offline node sends nothing more, so gaps may be shown immediately (`whole`).
    this.#hasSample = false;
    this.window.whole = node.state !== "online";
    if (!this.window.whole) this.#completeIn(MEND_MS);
  }

  #completeIn(ms: number, reads = COMPLETE_READS): void {
    clearTimeout(this.#wholeTimer);
    this.#wholeTimer = setTimeout(() => void this.#complete(reads), ms);
  }

  /** Reads the past again once the collected samples have arrived. Until then a missing sample may still arrive, so the charts show no gap. */
  async #complete(reads: number): Promise<void> {
    this.#wholeTimer = undefined;
    if (this.#leaving()) return;
    this.#filled.clear();
    await this.fill([...this.#wanted]);
    if (this.#closed || this.#wholeTimer !== undefined) return;
    if (reads > 1 && this.#hasGap()) return this.#completeIn(COMPLETE_AFTER_MS, reads - 1);
    this.window.whole = true;
    this.version.value += 1;
  }

  #change({ latest, node, table }: NodeChange): void {
    if (table) {
      this.#liveTables.set(table.subject, table);
      if (this.tables.peek()) this.tables.value = { ...this.tables.peek(), [table.subject]: table };
      return;
    }
    const before = this.view.peek();
    if (!before && !node) return;
    const base = node ?? (before as NodeView);
    this.view.value = { ...base, latest: { ...before?.latest, ...node?.latest, ...latest } };
    this.#addSamples(latest);
    if (!this.window.whole && !this.#hasSample && latest["cpu.total"]) {
      this.#hasSample = true;
      this.#completeIn(COMPLETE_AFTER_MS);
    }
  }

  #addSamples(latest: Readonly<Record<string, Sample>>): void {
    for (const [name, { at, value }] of Object.entries(latest)) this.window.add(name, at, value, hubNow());
    this.version.value += 1;
  }

  /** Loads the last minutes of these series into the live window, unless they are loaded already. */
  async fill(names: readonly string[]): Promise<void> {
    const missing = names.filter((name) => !this.#filled.has(name));
    if (!missing.length) return;
    for (const name of missing) {
      this.#wanted.add(name);
      this.#filled.add(name);
    }
    try {
      const to = hubNow();
      const parts = await this.#history(missing, to - LIVE_S, to, MOST_POINTS);
      if (this.#closed) return;
      for (const { series, step, times } of parts) {
        for (const [name, { avg }] of Object.entries(series)) {
          times.forEach((at, index) => {
            const value = avg[index];
            if (value != null) this.window.addBucket(name, at, step, value);
          });
        }
      }
      this.fillFailure.value = null;
      this.window.markRead(missing);
      this.version.value += 1;
    } catch (error) {
      for (const name of missing) this.#filled.delete(name);
      if (!(error instanceof ApiError)) throw error;
      if (!this.#closed) this.fillFailure.value = error;
    }
  }

  /** Repeats the failed reads of the live window. */
  refill(): void {
    void this.fill([...this.#wanted]);
  }

  /** Whether the node is removed, being removed or refused for good, so that requests fail with "no such node". */
  #leaving(): boolean {
    return (
      this.#over ||
      (loaded.peek() && !nodeSignal(this.id)) ||
      activeDeployments.peek().some((one) => one.kind === "remove" && one.node_id === this.id)
    );
  }

  /** Whether the live window has a gap with samples after it. */
  #hasGap(): boolean {
    const at = this.view.peek()?.latest["cpu.total"]?.at;
    if (at === undefined || !this.#filled.has("cpu.user")) return false;
    const from = Math.max(at - LIVE_S, this.view.peek()?.created_at ?? 0);
    return findGaps(this.window.columns(["cpu.user"], at, 1), from, at, GAP_INTERVALS).length > 0;
  }

  #reloadWindow(): void {
    this.#filled.clear();
    void this.fill([...this.#wanted]);
    if (this.tables.peek()) void this.loadTables();
  }

  /** Reads all tables; later changes arrive live. */
  async loadTables(): Promise<void> {
    try {
      const { tables } = await call("GET", `nodes/${this.id}/tables`);
      if (this.#closed) return;
      this.tablesFailure.value = null;
      const read = tables.map((table) => [table.subject, table] as const);
      // Live tables that arrived during the read may be newer than the answer, or missing in it.
      const newer = [...this.#liveTables].filter(
        ([subject, table]) => !read.some(([one, { taken_at }]) => one === subject && taken_at > table.taken_at),
      );
      this.tables.value = Object.fromEntries([...read, ...newer]);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!this.#closed) this.tablesFailure.value = error;
    }
  }

  /** A page of the installed packages. */
  packages(search: string, cursor?: string): Promise<PackagesView> {
    return call("GET", `nodes/${this.id}/packages`, {
      query: { limit: 200, ...(search ? { search } : {}), ...(cursor ? { cursor } : {}) },
    });
  }

  /** Loads a time range of history. The shown range stays until the answer arrives. */
  async load(key: string, { from, to }: Span, names: readonly string[], points: number): Promise<void> {
    const mine = ++this.#lastRequest;
    if (key !== this.#requestedKey) this.pastFailure.value = null;
    this.#requestedKey = key;
    void this.#loadUptime(mine, from, to, points);
    try {
      const parts = await this.#history(names, from, to, points);
      if (this.#closed || mine !== this.#lastRequest) return; // a later request was faster
      this.pastFailure.value = null;
      this.past.value = { key, from, to, step: Math.min(...parts.map(({ step }) => step)), parts };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!this.#closed && mine === this.#lastRequest) this.pastFailure.value = error;
    }
  }

  /** Loads the uptime with a request of its own: the hub chooses one step for all series of an answer, and uptime is sampled less often. After an error only the marks of restarts are missing. */
  async #loadUptime(mine: number, from: number, to: number, points: number): Promise<void> {
    try {
      const [part] = await this.#history([UPTIME], from, to, points);
      const found = part?.series[UPTIME];
      if (!this.#closed && mine === this.#lastRequest)
        this.uptime.value = part && found ? { step: part.step, times: part.times, min: found.min, max: found.max } : null;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /** Reads the jobs and events since a moment, for the marks of the charts. A later event of this node repeats the read. */
  async loadMarks(from: number): Promise<void> {
    if (from >= this.#marksFrom) return;
    this.#marksFrom = from;
    await this.#readMarks();
  }

  async #readMarks(): Promise<void> {
    const from = this.#marksFrom;
    const mine = ++this.#marksRequested;
    const jobs: JobView[] = [];
    const events: EventView[] = [];
    const query = { limit: MARK_PAGE, node: this.id };
    try {
      let cursor: string | undefined;
      for (let page = 0; page < MARK_PAGES; page += 1) {
        const found: EventsView = await call("GET", "events", { query: { ...query, cursor } });
        events.push(...found.events);
        if (!found.next || (found.events.at(-1)?.at ?? 0) < from) break;
        cursor = found.next;
      }
      cursor = undefined;
      for (let page = 0; page < MARK_PAGES; page += 1) {
        const found: JobsView = await call("GET", "jobs", { query: { ...query, cursor } });
        jobs.push(...found.jobs);
        if (!found.next || (found.jobs.at(-1)?.created_at ?? 0) < from) break;
        cursor = found.next;
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // The next call of `loadMarks` tries again. No error is shown here, because the tabs of jobs and events show it.
      if (mine === this.#marksRequested) this.#marksFrom = Infinity;
      return;
    }
    if (!this.#closed && mine === this.#marksRequested) this.happened.value = { jobs, events };
  }

  /** Reads history with as many requests as necessary, because the hub limits the series of one answer. Each answer has its own steps. */
  #history(names: readonly string[], from: number, to: number, points: number): Promise<HistoryView[]> {
    const parts = Array.from({ length: Math.max(1, Math.ceil(names.length / MOST_SERIES)) }, (_, part) =>
      names.slice(part * MOST_SERIES, (part + 1) * MOST_SERIES),
    );
    return Promise.all(parts.map((metric) => call("GET", `nodes/${this.id}/history`, { query: { metric, from, to, points } })));
  }
}
