/** The newest jobs, whoever began them, live on every page; what is done with one job is in `job.ts`. */

import { computed, effect, signal } from "@preact/signals";
import type { JobsChange, JobsData, JobView } from "../wire/schema.gen";
import { jobEnded } from "../core/words";
import { watch } from "./link";
import { onSessionEnd, phase } from "./session";

export const jobs = signal<readonly JobView[]>([]);
export const running = computed(() => jobs.value.filter((job) => !jobEnded(job.state)));
/** The job at work on a node, if any. */
export const runningOn = computed(() => new Map(running.value.map((job) => [job.node_id, job])));

/** A view of a job, or the one of the list if that is newer. */
export function newest(job: JobView): JobView {
  const known = jobs.value.find((one) => one.id === job.id);
  return known && known.version > job.version ? known : job;
}

/** Puts a view of a job into the list, unless a newer one is there: an answer may come after what was told live in the meantime. */
export function noteJob(job: JobView): void {
  if (newest(job) !== job) return;
  const known = jobs.peek().some((one) => one.id === job.id);
  jobs.value = known ? jobs.value.map((one) => (one.id === job.id ? job : one)) : [job, ...jobs.value];
}

let end: (() => void) | null = null;
effect(() => {
  if (phase.value !== "ready" || end) return;
  end = watch(
    "jobs",
    {
      snapshot: (data) => {
        jobs.value = (data as JobsData).jobs.map(newest);
      },
      change: (data) => {
        const { jobs: told, gone } = data as JobsChange;
        jobs.value = jobs.peek().filter(({ id }) => !gone.includes(id));
        for (const job of told.reverse()) noteJob(job);
      },
    },
    { whileHidden: true },
  );
});
onSessionEnd(() => {
  end?.();
  end = null;
  jobs.value = [];
});
