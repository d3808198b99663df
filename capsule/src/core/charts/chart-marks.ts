/** What happened while the charts went on: jobs, events and restarts, as marks on their time axis. */

import { t } from "../text/i18n";
import { duration } from "../text/time";
import type { Span } from "./time-range";
import { actionLabel, stateLabel } from "../jobs/job-labels";

export interface ChartMark {
  at: number;
  kind: "job" | "event" | "restart";
  level: "" | "warn" | "crit";
  text: string;
}

interface JobLike {
  id: string;
  action: string;
  state: string;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
}

interface EventLike {
  type: string;
  severity: "info" | "warning" | "error";
  at: number;
  message: string;
}

const MOST = 200;
const LEVELS = { info: "", warning: "warn", error: "crit" } as const;

function jobText(job: JobLike): string {
  const [what, state] = [actionLabel(job.action), stateLabel(job.state).toLowerCase()];
  return job.started_at !== null && job.ended_at !== null ? t`${what}: ${state}, took ${duration(job.ended_at - job.started_at)}` : t`${what}: ${state}`;
}

/** So far may a boot that was worked out be from the one that the server names: buckets begin and end somewhere. */
const BOOT_SLACK_S = 90;

interface Bucketed {
  step: number;
  times: readonly number[];
  min: readonly (number | null)[];
  max: readonly (number | null)[];
}

/** When a server began anew, by how long it is up: that grows, and where it is less than before there was a restart in between. To the bucket, or by the uptime itself where that says more. */
export function bootTimes({ step, times, min, max }: Bucketed): number[] {
  const found: number[] = [];
  let before = -Infinity;
  let last = -Infinity;
  times.forEach((at, row) => {
    const [low, high] = [min[row], max[row]];
    if (low == null || high == null) return;
    const anew = low < before;
    // Its first sample was taken in this bucket, and it was up for `low` seconds then.
    if (anew) found.push(Math.max(last, at - low));
    // The highest of a bucket with a restart in it is of the time before.
    before = anew ? low : high;
    last = at + step;
  });
  return found;
}

/** By time; the newest where there are too many. Events that tell of a job are left out: the job is there itself. */
export function chartMarks(jobs: readonly JobLike[], events: readonly EventLike[], bootedAt: number, { from, to }: Span, earlier: readonly number[] = [], step = 0): ChartMark[] {
  const boots = [...earlier.filter((at) => Math.abs(at - bootedAt) > step + BOOT_SLACK_S), ...(bootedAt > 0 ? [bootedAt] : [])];
  const all: ChartMark[] = [
    ...jobs.map((job): ChartMark => ({ at: job.started_at ?? job.created_at, kind: "job", level: job.state === "failed" ? "crit" : job.state === "interrupted" || job.state === "unknown" ? "warn" : "", text: jobText(job) })),
    ...events.filter((event) => !/^(job|batch)\b/.test(event.type)).map((event): ChartMark => ({ at: event.at, kind: "event", level: LEVELS[event.severity], text: event.message })),
    ...boots.map((at) => ({ at, kind: "restart", level: "", text: t`restarted` }) as const),
  ];
  return all
    .filter(({ at }) => at >= from && at <= to)
    .sort((a, b) => a.at - b.at)
    .slice(-MOST);
}

/** Those within `reach` seconds of a moment. */
export const marksNear = (marks: readonly ChartMark[], at: number, reach: number): ChartMark[] => marks.filter((mark) => Math.abs(mark.at - at) <= reach);
