import type { VNode } from "preact";
import { pluralWord, t } from "../../core/text/i18n";
import { timeOrDate, elapsed as lasted } from "../../core/text/time";
import { jobEnded, jobGlyph, jobLabel, phaseLabel, stateLabel } from "../../core/jobs/job-labels";
import { dayStart, now } from "../../state/clock";
import { nodeLabel } from "../../state/node-label";
import { go } from "../../state/router";
import type { JobView } from "../../state/types";
import { Glyph } from "../../ui/glyph";
import { GridHead } from "../../ui/grid-head";
import { Time } from "../../ui/time";

function jobDuration(job: JobView, at: number): string {
  return job.started_at === null ? "—" : lasted(job.started_at, job.ended_at, at);
}

/** The status of a job in plain words. */
function jobStatusText(job: JobView): string {
  if (job.state === "running" && job.phase) return `${phaseLabel(job.phase, job.action)}${job.progress_percent === null ? "" : `, ${job.progress_percent}%`}`;
  if (job.state === "succeeded" && job.changes.length) return t`Succeeded, ${job.changes.length} ${pluralWord(job.changes.length, "change")}`;
  return job.error && job.state !== "cancelled" ? `${stateLabel(job.state)}: ${job.error.message}` : stateLabel(job.state);
}

export function JobsTable({ jobs }: { jobs: readonly JobView[] }): VNode {
  return (
    <div class="card grid-table jobs-table" role="table" aria-label={t`Jobs`} aria-rowcount={jobs.length + 1}>
      <GridHead labels={[t`State`, t`Job`, t`Node`, t`Outcome`, t`By`, t`Started`, t`Took`]} unseen={[t`State`]} />
      {jobs.map((job) => (
        <Row key={job.id} job={job} />
      ))}
    </div>
  );
}

function Row({ job }: { job: JobView }): VNode {
  const node = nodeLabel(job.node_id);
  const at = job.started_at ?? job.created_at;
  return (
    <div role="row" tabIndex={0} onClick={() => go(`/jobs/${job.id}`)} onKeyDown={(event) => event.key === "Enter" && go(`/jobs/${job.id}`)}>
      <span role="cell">
        <Glyph kind={jobGlyph(job.state)} label={stateLabel(job.state)} />
      </span>
      <span role="rowheader" class="cut medium">
        <a href={`/jobs/${job.id}`} tabIndex={-1}>
          {jobLabel(job)}
        </a>
      </span>
      <span role="cell" class="cut">
        {node}
      </span>
      <span role="cell" class={`cut ${job.state === "failed" ? "crit" : "t2"}`} title={jobStatusText(job)}>
        {jobStatusText(job)}
      </span>
      <span role="cell" class="cut t3">
        {job.created_by}
      </span>
      <span role="cell" class="t3">
        <Time at={at}>{timeOrDate(at, dayStart.value)}</Time>
      </span>
      <span role="cell" class="t3">
        {jobDuration(job, jobEnded(job.state) ? 0 : now.value)}
      </span>
    </div>
  );
}
