/** Jobs: start and stop them, load plans and reports, follow one job with its output, and batches of jobs. */

import { named } from "./organisation";
import { signal } from "@preact/signals";
import { RecentBytes } from "../core/jobs/recent-bytes";
import { ApiError, call, idempotencyKey, url } from "../wire/http";
import type { BatchBody, JobBody, JobChange, JobChunk, JobView } from "../wire/schema.gen";
import { inSpiteOfFreeze } from "./freeze";
import { subscribeWithRetry } from "./live/subscribe-with-retry";
import { noteJob } from "./jobs";

const PAGE = 50;
/** The end of the output in which the page looks for the reason of a failure. */
const TAIL_BYTES = 65_536;
/** Of the output that arrived before the terminal was loaded, this much is shown. */
const MAX_EARLIER_BYTES = 4_000_000;

export const loadJobsOf = (nodeId: string, cursor?: string) => call("GET", "jobs", { query: { limit: PAGE, node: nodeId, cursor } });

export async function submitJob(nodeId: string, body: JobBody, key: string): Promise<JobView> {
  const job = await inSpiteOfFreeze((reason) =>
    call("POST", `nodes/${nodeId}/jobs`, { body: reason ? { ...body, override_freeze: reason } : body, idempotencyKey: key }),
  );
  noteJob(job);
  return job;
}

export const newIdempotencyKey = idempotencyKey;

/** Requests the stop of a job. `force` also ends a job that continues after an earlier stop request. */
export async function cancelJob(id: string, force = false): Promise<JobView> {
  const job = await call("POST", `jobs/${id}/cancel`, { body: { force }, idempotencyKey: idempotencyKey() });
  noteJob(job);
  return job;
}

export const outputUrl = (id: string): string => url(`jobs/${id}/output`, named());

/** One job, followed live. The receiver set by `onOutput` gets the last 4 MB of the output and all later bytes, once and in order. */
export class JobDetail {
  readonly view = signal<JobView | null>(null);
  /** The error of the first read, or of the live updates. While there is one, the shown data may be old. */
  readonly failure = signal<ApiError | null>(null);
  /** Bytes that are not shown because the output is too long. */
  readonly skipped = signal(0);
  /** The offset of the end of the received output. */
  readonly received = signal(0);
  #end: (() => void) | null = null;
  #closed = false;
  #offset = 0;
  #sink: ((bytes: Uint8Array) => void) | null = null;
  /** Output that arrived before there was a receiver. */
  readonly #early = new RecentBytes(MAX_EARLIER_BYTES);

  readonly #tail = new RecentBytes(TAIL_BYTES);

  constructor(readonly id: string) {
    void this.open();
  }

  /** Reads the job and follows it. May be called again after a failure, or while an earlier call waits for its answer: only the first answer counts. */
  async open(): Promise<void> {
    this.failure.value = null;
    try {
      const job = await call("GET", `jobs/${this.id}`);
      if (this.#closed || this.view.peek()) return; // following again from the start would repeat the output
      this.view.value = job;
      noteJob(job);
      this.#offset = Math.max(0, job.output_bytes - MAX_EARLIER_BYTES);
      this.skipped.value = this.#offset;
      this.#follow();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!this.#closed && !this.view.peek()) this.failure.value = error;
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

  /** Subscribes again now, without waiting for the next retry. */
  resubscribe(): void {
    if (!this.#closed) this.#follow();
  }

  #see(job: JobView): void {
    this.failure.value = null;
    this.view.value = job;
    noteJob(job);
  }

  #chunk({ output, offset }: JobChunk): void {
    const end = offset + output.length;
    if (offset > this.#offset) return this.#follow(); // bytes are missing in between: subscribe again from the stored offset
    if (end <= this.#offset) return;
    const fresh = output.subarray(this.#offset - offset);
    this.failure.value = null;
    this.#offset = end;
    this.#tail.push(fresh.slice());
    this.received.value = end;
    if (this.#sink) this.#sink(fresh.slice());
    else this.skipped.value += this.#early.push(fresh.slice());
  }

  /** The end of the received output as text. */
  tail(): string {
    const decoder = new TextDecoder();
    const chunks = this.#tail.take();
    for (const chunk of chunks) this.#tail.push(chunk);
    return chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("");
  }

  /** Sets the receiver of output, which gets earlier output immediately. */
  onOutput(sink: (bytes: Uint8Array) => void): void {
    this.#sink = sink;
    for (const chunk of this.#early.take()) sink(chunk);
  }

  close(): void {
    this.#closed = true;
    this.#end?.();
  }
}

export const loadPlan = (id: string) => call("GET", `jobs/${id}/plan`);
export const loadReport = (id: string) => call("GET", `jobs/${id}/report`);

export const submitBatch = (body: BatchBody, key: string) => call("POST", "jobs", { body, idempotencyKey: key });
export const loadBatch = (id: string) => call("GET", `batches/${id}`);
export const cancelBatch = (id: string) => call("POST", `batches/${id}/cancel`, { idempotencyKey: idempotencyKey() });
