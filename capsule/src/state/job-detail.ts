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

/** `force`: for a job that continues after a stop request. */
export async function cancelJob(id: string, force = false): Promise<JobView> {
  const job = await call<JobView>("POST", `jobs/${id}/cancel`, { body: { force }, idempotencyKey: idempotencyKey() });
  noteJob(job);
  return job;
}

export const outputUrl = (id: string): string => url(`jobs/${id}/output`);

/** One job, followed live. `onOutput` receives every byte from `from` on, once and in order. */
export class JobDetail {
  readonly view = signal<JobView | null>(null);
  /** An error after the first read: the shown data may be old, and live updates stopped for now or for good. */
  readonly failure = signal<ApiError | null>(null);
  /** Bytes that are not shown because the output is too long. */
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
          const message = data as JobChunk | JobChange;
          if ("output" in message) this.#chunk(message);
          else this.#see(message.job);
        },
        refused: (error) => {
          this.failure.value = error;
        },
      },
      true,
    );
  }

  /** Requests the next output of a shown job without further waiting. */
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
    if (offset > this.#offset) return this.#follow(); // output is missing between: continue at the stored offset
    if (end <= this.#offset) return;
    const fresh = output.subarray(this.#offset - offset);
    this.failure.value = null;
    this.#offset = end;
    this.received.value = end;
    if (this.#sink) this.#sink(fresh.slice());
    else this.#held.push(fresh.slice());
  }

  /** Sets the receiver of output; earlier output is handed over immediately. */
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
