/** Finds the job of a request that got no answer, in the jobs that the hub reports. */

import type { JobView } from "../../wire/schema.gen";

export interface UnconfirmedJob {
  action: string;
  nodes: readonly string[];
  by: string;
  /** The time of the request by the hub's clock, in Unix seconds. */
  at: number;
  /** The ids of the jobs that the page knew before the request. */
  known: ReadonlySet<string>;
}

type JobLike = Pick<JobView, "id" | "action" | "node_id" | "created_by" | "created_at">;

/** The hub rounds times to the second. */
const ROUND_S = 1;

/** The first new job with the action, user and nodes of the request that was created after it. */
export const findUnconfirmedJob = <J extends JobLike>(
  jobs: readonly J[],
  { action, nodes, by, at, known }: UnconfirmedJob,
): J | undefined =>
  jobs.find(
    (job) =>
      !known.has(job.id) && job.action === action && job.created_by === by && job.created_at >= at - ROUND_S && nodes.includes(job.node_id),
  );
