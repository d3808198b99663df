/** Rows of the list of jobs: one for each order of many nodes, one for each other job. */

interface JobLike {
  id: string;
  batch_id: string | null;
}

export interface JobRow<J, B> {
  job: J;
  /** The order that the row stands for; null = the row is the job alone. */
  batch: B | null;
}

/** Jobs with their orders, in the order of the jobs. A job whose order is not known stays a row of its own. */
export function jobRows<J extends JobLike, B extends { id: string }>(jobs: readonly J[], batches: readonly B[]): JobRow<J, B>[] {
  const known = new Map(batches.map((batch) => [batch.id, batch]));
  return jobs.map((job) => ({ job, batch: job.batch_id === null ? null : (known.get(job.batch_id) ?? null) }));
}

/** The key of a row: jobs of one order have the same. */
export const rowKey = ({ job, batch }: JobRow<JobLike, { id: string }>): string => batch?.id ?? job.id;
/** The first row of each key. */
export function foldRows<R extends JobRow<JobLike, { id: string }>>(rows: readonly R[]): R[] {
  const seen = new Set<string>();
  return rows.filter((row) => !seen.has(rowKey(row)) && seen.add(rowKey(row)));
}
