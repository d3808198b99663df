/** Jobs, events and restarts as marks on the time axis of charts. */

import { duration, plural, t } from "../text";
import type { Span } from "./time-range";
import { actionLabel, stateLabel } from "../jobs/job-labels";
import type { EventView, JobView } from "../../wire/schema.gen";

export interface ChartMark {
  at: number;
  kind: "job" | "event" | "restart";
  level: "" | "warn" | "crit";
  text: string;
}

type JobLike = Pick<JobView, "id" | "action" | "created_at" | "started_at" | "ended_at"> & { state: string };

type EventLike = Pick<EventView, "type" | "severity" | "at" | "message">;

const MOST = 200;
const LEVELS = { info: "", warning: "warn", error: "crit" } as const;

function eventMarkText({ type, message }: EventLike): string {
  return type === "alert_firing" ? t`Alert: ${message}` : type === "alert_resolved" ? t`Alert ended: ${message}` : message;
}

function jobText(job: JobLike): string {
  const [what, state] = [actionLabel(job.action), stateLabel(job.state).toLowerCase()];
  return job.started_at !== null && job.ended_at !== null
    ? t`${what}: ${state}, took ${duration(job.ended_at - job.started_at)}`
    : t`${what}: ${state}`;
}

/** A computed boot time is the reported one if they differ by at most this time plus the width of a bucket. */
const BOOT_SLACK_S = 90;

interface Bucketed {
  step: number;
  times: readonly number[];
  min: readonly (number | null)[];
  max: readonly (number | null)[];
}

/** Boot times from the uptime series: uptime grows, and each time it falls the server has restarted. `times` are the starts of the buckets. */
export function bootTimes({ step, times, min, max }: Bucketed): number[] {
  const found: number[] = [];
  let uptime = -Infinity;
  let last = -Infinity;
  times.forEach((at, row) => {
    const [low, high] = [min[row], max[row]];
    if (low == null || high == null) return;
    const restarted = low < uptime;
    // The bucket has a sample with an uptime of `low` seconds. The restart was after the end of the previous bucket.
    if (restarted) found.push(Math.max(last, at - low));
    // In a bucket with a restart, the highest uptime is from before the restart.
    uptime = restarted ? low : high;
    last = at + step;
  });
  return found;
}

/**
 * The newest marks of the window, at most `MOST`, the oldest first. Events about a job are left out, because the job has its own mark.
 *
 * `bootedAt`: the reported boot time; 0 = unknown. `earlier`: boot times from `bootTimes`. `step`: the width of the uptime's buckets in seconds.
 */
export function chartMarks(
  jobs: readonly JobLike[],
  events: readonly EventLike[],
  bootedAt: number,
  { from, to }: Span,
  earlier: readonly number[] = [],
  step = 0,
): ChartMark[] {
  const boots = [...earlier.filter((at) => Math.abs(at - bootedAt) > step + BOOT_SLACK_S), ...(bootedAt > 0 ? [bootedAt] : [])];
  const all: ChartMark[] = [
    ...jobs.map(
      (job): ChartMark => ({
        at: job.started_at ?? job.created_at,
        kind: "job",
        level: job.state === "failed" ? "crit" : job.state === "interrupted" || job.state === "unknown" ? "warn" : "",
        text: jobText(job),
      }),
    ),
    ...events
      .filter((event) => !/^job_/.test(event.type))
      .map((event): ChartMark => ({ at: event.at, kind: "event", level: LEVELS[event.severity], text: eventMarkText(event) })),
    ...boots.map((at) => ({ at, kind: "restart", level: "", text: t`restarted` }) as const),
  ];
  return all
    .filter(({ at }) => at >= from && at <= to)
    .sort((a, b) => a.at - b.at)
    .slice(-MOST);
}

/** How many marks of each kind there are, with the shape that the charts draw: "▲ 1 job, ▼ 3 events, ┆ 1 restart". */
export function marksSummary(marks: readonly ChartMark[]): string {
  const count = (kind: ChartMark["kind"]): number => marks.filter((mark) => mark.kind === kind).length;
  const [jobs, events, restarts] = [count("job"), count("event"), count("restart")];
  return [jobs && `▲ ${plural(jobs, "job")}`, events && `▼ ${plural(events, "event")}`, restarts && `┆ ${plural(restarts, "restart")}`]
    .filter(Boolean)
    .join(", ");
}

/** The marks within `reach` seconds of a moment. */
export const marksNear = (marks: readonly ChartMark[], at: number, reach: number): ChartMark[] =>
  marks.filter((mark) => Math.abs(mark.at - at) <= reach);
