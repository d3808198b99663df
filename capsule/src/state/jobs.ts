/** Jobs: the list, starting one, and one in full with its output by offset. */

import { computed, signal } from "@preact/signals";
import { ApiError, bytes, call, idempotencyKey, url } from "../wire/http";
import type { JobBody, JobChange, JobChunk, JobView, JobsView } from "../wire/schema.gen";
import { jobEnded } from "../core/words";
import { onEvent } from "./events";
import { watch } from "./link";
import { onSessionEnd, phase } from "./session";

const PAGE = 50;
const SETTLE_MS = 400;

export const jobs = signal<readonly JobView[]>([]);
export const running = computed(() => jobs.value.filter((job) => !jobEnded(job.state)));
/** The job at work on a node, if any. */
export const runningOn = computed(() => new Map(running.value.map((job) => [job.node_id, job])));

let asked = 0;
/** What was noted since the list was asked for: the answer may not have it yet. */
const noted = new Set<string>();

/** A view of a job, or the one of the list if that is newer. */
export function newest(job: JobView): JobView {
  const known = jobs.value.find((one) => one.id === job.id);
  return known && known.version > job.version ? known : job;
}

/** The newest of them: what runs, and where. */
export async function loadJobs(): Promise<void> {
  const mine = ++asked;
  noted.clear();
  try {
    const page = await call<JobsView>("GET", "jobs", { query: { limit: PAGE } });
    if (mine !== asked) return; // a later question tells more
    const listed = new Set(page.jobs.map((job) => job.id));
    jobs.value = [...jobs.peek().filter((job) => noted.has(job.id) && !listed.has(job.id)), ...page.jobs.map(newest)];
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // What runs is missing then; the link's own banner says that the hub is away, and the list of jobs says what it was refused.
  }
}

export const loadJobsOf = (nodeId: string, cursor?: string): Promise<JobsView> =>
  call<JobsView>("GET", "jobs", { query: { limit: PAGE, node: nodeId, cursor } });

/** Puts a view of a job into the list, unless a newer one is there: an answer may come after what was told live in the meantime. */
export function noteJob(job: JobView): void {
  if (newest(job) !== job) return;
  noted.add(job.id);
  const known = jobs.peek().some((one) => one.id === job.id);
  jobs.value = known ? jobs.value.map((one) => (one.id === job.id ? job : one)) : [job, ...jobs.value];
}

export async function submitJob(nodeId: string, body: JobBody, key: string): Promise<JobView> {
  const job = await call<JobView>("POST", `nodes/${nodeId}/jobs`, { body, idempotencyKey: key });
  noteJob(job);
  return job;
}

export const newKey = idempotencyKey;

/** `force`: one that was asked before and goes on. */
export async function cancelJob(id: string, force = false): Promise<JobView> {
  const job = await call<JobView>("POST", `jobs/${id}/cancel`, { body: { force }, idempotencyKey: idempotencyKey() });
  noteJob(job);
  return job;
}

export const outputUrl = (id: string): string => url(`jobs/${id}/output`);
export const outputFrom = (id: string, offset: number): Promise<Uint8Array> => bytes(`jobs/${id}/output`, { offset });

/** One job followed live. `onOutput` gets every byte from `from` on, once and in order. */
export class JobDetail {
  readonly view = signal<JobView | null>(null);
  readonly failure = signal<ApiError | null>(null);
  /** Bytes not shown because the output is too long to show whole. */
  readonly skipped = signal(0);
  readonly received = signal(0);
  #end: (() => void) | null = null;
  #closed = false;
  #offset = 0;
  #sink: ((bytes: Uint8Array) => void) | null = null;
  #held: Uint8Array[] = [];

  static readonly LONGEST = 4_000_000;

  constructor(readonly id: string) {
    void this.open();
  }

  async open(): Promise<void> {
    this.failure.value = null;
    try {
      const job = await call<JobView>("GET", `jobs/${this.id}`);
      if (this.#closed) return;
      this.view.value = job;
      noteJob(job);
      this.#offset = Math.max(0, job.output_bytes - JobDetail.LONGEST);
      this.skipped.value = this.#offset;
      this.#follow();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!this.#closed) this.failure.value = error;
    }
  }

  #follow(): void {
    this.#end?.();
    this.#end = watch(
      `job:${this.id}`,
      {
        offset: () => this.#offset,
        snapshot: (data) => this.#see(data as JobView),
        change: (data) => {
          const said = data as JobChunk | JobChange;
          if ("output" in said) this.#chunk(said);
          else this.#see(said.job);
        },
        refused: ({ code, message }) => {
          this.failure.value = new ApiError(code as ApiError["code"], 404, message);
        },
      },
      { whileHidden: true },
    );
  }

  #see(job: JobView): void {
    this.view.value = job;
    noteJob(job);
  }

  #chunk({ output, offset }: JobChunk): void {
    const end = offset + output.length;
    if (offset > this.#offset) return this.#follow(); // something is missing between: go on from what is held
    if (end <= this.#offset) return;
    const fresh = output.subarray(this.#offset - offset);
    this.#offset = end;
    this.received.value = end;
    if (this.#sink) this.#sink(fresh.slice());
    else this.#held.push(fresh.slice());
  }

  /** Where output goes; what came before is handed over at once. */
  onOutput(sink: (bytes: Uint8Array) => void): void {
    this.#sink = sink;
    for (const part of this.#held) sink(part);
    this.#held = [];
  }

  close(): void {
    this.#closed = true;
    this.#end?.();
  }
}

phase.subscribe((at) => {
  if (at === "ready") void loadJobs();
});
let timer: ReturnType<typeof setTimeout> | undefined;
onEvent((event) => {
  if (!event.type.startsWith("job")) return;
  clearTimeout(timer);
  timer = setTimeout(() => void loadJobs(), SETTLE_MS);
});
onSessionEnd(() => {
  asked += 1;
  jobs.value = [];
});
