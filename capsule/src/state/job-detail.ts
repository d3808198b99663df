/** Jobs: start, stop, plan and report, one job with its output by offset, and batches of jobs. */

import { signal } from "@preact/signals";
import { ApiError, call, idempotencyKey, url } from "../wire/http";
import type { BatchBody, BatchView, JobBody, JobChange, JobChunk, JobsView, JobView, PlanView, ReportView } from "../wire/schema.gen";
import { subscribeWithRetry } from "./live/subscribe-with-retry";
import { noteJob } from "./jobs";

const PAGE = 50;

export const loadJobsOf = (nodeId: string, cursor?: string): Promise<JobsView> =>
  call<JobsView>("GET", "jobs", { query: { limit: PAGE, node: nodeId, cursor } });

export async function submitJob(nodeId: string, body: JobBody, key: string): Promise<JobView> {
  const job = await call<JobView>("POST", `nodes/${nodeId}/jobs`, { body, idempotencyKey: key });
  noteJob(job);
  return job;
}

export const newIdempotencyKey = idempotencyKey;

/** `force`: one that was asked before and goes on. */
export async function cancelJob(id: string, force = false): Promise<JobView> {
  const job = await call<JobView>("POST", `jobs/${id}/cancel`, { body: { force }, idempotencyKey: idempotencyKey() });
  noteJob(job);
  return job;
}

export const outputUrl = (id: string): string => url(`jobs/${id}/output`);

/** One job followed live. `onOutput` gets every byte from `from` on, once and in order. */
export class JobDetail {
  readonly view = signal<JobView | null>(null);
  /** Once it was read: what is shown may be old, and is no longer told anew or will be later. */
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
    this.#end = subscribeWithRetry(
      `job:${this.id}`,
      {
        offset: () => this.#offset,
        snapshot: (data) => this.#see(data as JobView),
        change: (data) => {
          const said = data as JobChunk | JobChange;
          if ("output" in said) this.#chunk(said);
          else this.#see(said.job);
        },
        refused: (error) => {
          this.failure.value = error;
        },
      },
      true,
    );
  }

  /** Of a job that is shown already: asks for what comes next, without waiting any longer. */
  again(): void {
    if (!this.#closed) this.#follow();
  }

  #see(job: JobView): void {
    this.failure.value = null;
    this.view.value = job;
    noteJob(job);
  }

  #chunk({ output, offset }: JobChunk): void {
    const end = offset + output.length;
    if (offset > this.#offset) return this.#follow(); // something is missing between: go on from what is held
    if (end <= this.#offset) return;
    const fresh = output.subarray(this.#offset - offset);
    this.failure.value = null;
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

export const planOf = (id: string): Promise<PlanView> => call<PlanView>("GET", `jobs/${id}/plan`);
export const reportOf = (id: string): Promise<ReportView> => call<ReportView>("GET", `jobs/${id}/report`);

export const submitBatch = (body: BatchBody, key: string): Promise<BatchView> => call<BatchView>("POST", "jobs", { body, idempotencyKey: key });
export const loadBatch = (id: string): Promise<BatchView> => call<BatchView>("GET", `batches/${id}`);
export const cancelBatch = (id: string): Promise<BatchView> => call<BatchView>("POST", `batches/${id}/cancel`, { idempotencyKey: idempotencyKey() });
