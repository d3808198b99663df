import type { VNode } from "preact";
import { form, t } from "../../core/say";
import { moment, took as lasted } from "../../core/time";
import { jobEnded, jobGlyph, jobWord, phaseWord, stateWord } from "../../core/words";
import { now } from "../../state/clock";
import { nodeWord } from "../../state/named";
import { go } from "../../state/router";
import { today } from "../../state/today";
import type { JobView } from "../../state/types";
import { Glyph } from "../../ui/glyph";
import { GridHead } from "../../ui/grid-head";
import { Time } from "../../ui/parts";

export function took(job: JobView, at: number): string {
  return job.started_at === null ? "—" : lasted(job.started_at, job.ended_at, at);
}

/** Where it stands, in words. */
export function standing(job: JobView): string {
  if (job.state === "running" && job.phase) return `${phaseWord(job.phase, job.action)}${job.progress_percent === null ? "" : `, ${job.progress_percent}%`}`;
  if (job.state === "succeeded" && job.changes.length) return t`Succeeded, ${job.changes.length} ${form(job.changes.length, "change")}`;
  return job.error && job.state !== "cancelled" ? `${stateWord(job.state)}: ${job.error.message}` : stateWord(job.state);
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
  const node = nodeWord(job.node_id);
  const at = job.started_at ?? job.created_at;
  return (
    <div role="row" tabIndex={0} onClick={() => go(`/jobs/${job.id}`)} onKeyDown={(event) => event.key === "Enter" && go(`/jobs/${job.id}`)}>
      <span role="cell">
        <Glyph kind={jobGlyph(job.state)} label={stateWord(job.state)} />
      </span>
      <span role="rowheader" class="cut medium">
        <a href={`/jobs/${job.id}`} tabIndex={-1}>
          {jobWord(job)}
        </a>
      </span>
      <span role="cell" class="cut">
        {node}
      </span>
      <span role="cell" class={`cut ${job.state === "failed" ? "crit" : "t2"}`} title={standing(job)}>
        {standing(job)}
      </span>
      <span role="cell" class="cut t3">
        {job.created_by}
      </span>
      <span role="cell" class="t3">
        <Time at={at}>{moment(at, today.value)}</Time>
      </span>
      <span role="cell" class="t3">
        {took(job, jobEnded(job.state) ? 0 : now.value)}
      </span>
    </div>
  );
}
