/** The newest jobs and all running jobs of all users, live on every page. `job-detail.ts` has the actions on one job. */

import { computed, signal } from "@preact/signals";
import type { JobsChange, JobsData, JobView } from "../wire/schema.gen";
import { jobEnded } from "../core/jobs/job-labels";
import { followWhileSignedIn } from "./live/link";

export const jobs = signal<readonly JobView[]>([]);
export const running = computed(() => jobs.value.filter((job) => !jobEnded(job.state)));
/** The running job of each node. */
export const runningOn = computed(() => new Map(running.value.map((job) => [job.node_id, job])));

/** The newer of this view and the view of the same job in the list. */
export function newest(job: JobView): JobView {
  const known = jobs.value.find((one) => one.id === job.id);
  return known && known.version > job.version ? known : job;
}

/** Adds views to the list, newest first. A view that is older than the listed one is ignored: a live message may be newer than an answer. */
function take(received: readonly JobView[], removed: readonly string[] = []): void {
  const known = new Map(jobs.peek().map((job) => [job.id, job]));
  for (const id of removed) known.delete(id);
  const fresh = received.filter((job) => !known.has(job.id));
  for (const job of received) if (job.version >= (known.get(job.id)?.version ?? Infinity)) known.set(job.id, job);
  jobs.value = [...fresh, ...known.values()];
}

export const noteJob = (job: JobView): void => take([job]);

followWhileSignedIn(
  "jobs",
  {
    snapshot: (data) => {
      jobs.value = (data as JobsData).jobs.map(newest);
    },
    change: (data) => {
      const { jobs: received, gone: removed } = data as JobsChange;
      take(received, removed);
    },
  },
  () => (jobs.value = []),
);
