/** Rows of the list of jobs: one for each batch, and one for each job without a batch. */

import type { JobView } from "../../wire/schema.gen";

type JobLike = Pick<JobView, "id" | "batch_id">;

export interface JobRow<J, B> {
  job: J;
  /** The batch that the row shows; null = the row shows the job alone. */
  batch: B | null;
}

/** Each job with its batch, in the order of the jobs. A job whose batch is not in `batches` has none. */
export function jobRows<J extends JobLike, B extends { id: string }>(jobs: readonly J[], batches: readonly B[]): JobRow<J, B>[] {
  const known = new Map(batches.map((batch) => [batch.id, batch]));
  return jobs.map((job) => ({ job, batch: job.batch_id === null ? null : (known.get(job.batch_id) ?? null) }));
}

/** The key of a row, which all jobs of a batch share. */
export const rowKey = ({ job, batch }: JobRow<JobLike, { id: string }>): string => batch?.id ?? job.id;

/** The first row of each key. */
export function foldRows<R extends JobRow<JobLike, { id: string }>>(rows: readonly R[]): R[] {
  const seen = new Set<string>();
  return rows.filter((row) => !seen.has(rowKey(row)) && seen.add(rowKey(row)));
}
