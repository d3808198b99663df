/** What happened while the charts went on: jobs, events and restarts, as marks on their time axis. */

import { t } from "./say";
import { duration } from "./time";
import type { Span } from "./view";
import { actionWord, stateWord } from "./words";

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
  const [what, state] = [actionWord(job.action), stateWord(job.state).toLowerCase()];
  return job.started_at !== null && job.ended_at !== null ? t`${what}: ${state}, took ${duration(job.ended_at - job.started_at)}` : t`${what}: ${state}`;
}

/** By time; the newest where there are too many. Events that tell of a job are left out: the job is there itself. */
export function marksOf(jobs: readonly JobLike[], events: readonly EventLike[], bootedAt: number, { from, to }: Span): ChartMark[] {
  const all: ChartMark[] = [
    ...jobs.map((job): ChartMark => ({ at: job.started_at ?? job.created_at, kind: "job", level: job.state === "failed" ? "crit" : job.state === "interrupted" || job.state === "unknown" ? "warn" : "", text: jobText(job) })),
    ...events.filter((event) => !/^(job|batch)\b/.test(event.type)).map((event): ChartMark => ({ at: event.at, kind: "event", level: LEVELS[event.severity], text: event.message })),
    ...(bootedAt > 0 ? [{ at: bootedAt, kind: "restart", level: "", text: t`restarted` } as const] : []),
  ];
  return all
    .filter(({ at }) => at >= from && at <= to)
    .sort((a, b) => a.at - b.at)
    .slice(-MOST);
}

/** Those within `reach` seconds of a moment. */
export const marksNear = (marks: readonly ChartMark[], at: number, reach: number): ChartMark[] => marks.filter((mark) => Math.abs(mark.at - at) <= reach);
