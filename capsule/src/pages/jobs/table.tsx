import { countGroups, groupsText, nodesOf, type JobGroup } from "../../core/jobs/batch";
import type { JobRow } from "../../core/jobs/job-rows";
import { elapsed as lasted, pluralWord, t, timeOrDate } from "../../core/text";
import { outcomeGlyph, outcomeLabel } from "../../core/jobs/follow-up";
import { jobEnded, jobLabel, phaseLabel, stateLabel } from "../../core/jobs/job-labels";
import { dayStart, now } from "../../state/clock";
import { nodeLabel } from "../../state/node-label";
import { go } from "../../state/router";
import type { BatchSummaryView, DeploymentView, JobView } from "../../state/types";
import { Glyph } from "../../ui";
import { GridHead, Cell } from "../../ui/grid-head";
import { rowOpening } from "../../ui/row-opening";
import { Time } from "../../ui/time";
import { DeploymentRow, RequestRow } from "./deployments";

function jobDuration(job: JobView, at: number): string {
  return job.started_at === null ? "—" : lasted(job.started_at, job.ended_at, at);
}

/** The status of a job in plain words. */
function jobStatusText(job: JobView): string {
  if (job.state === "running" && job.phase)
    return `${phaseLabel(job.phase, job.action)}${job.progress_percent === null ? "" : `, ${job.progress_percent}%`}`;
  if (job.state === "succeeded" && job.changes.length)
    return t`Succeeded, ${job.changes.length} ${pluralWord(job.changes.length, "change")}`;
  return job.error && job.state !== "cancelled" ? `${stateLabel(job.state)}: ${job.error.message}` : outcomeLabel(job);
}

/** A row: a job, a batch of jobs, or the deployments of one request. */
export type ListRow = JobRow<JobView, BatchSummaryView> | { deployments: readonly DeploymentView[]; cut: boolean };

/** `only`: counts only jobs of this group of states. */
export function JobsTable({ rows, only }: { rows: readonly ListRow[]; only?: JobGroup | undefined }) {
  return (
    <div class="card grid-table jobs-table" role="table" aria-label={t`Jobs`} aria-rowcount={rows.length + 1}>
      <GridHead labels={[t`State`, t`Job`, t`Node`, t`Outcome`, t`By`, t`Started`, t`Took`]} unseen={[t`State`]} />
      {rows.map((row) => {
        if ("job" in row)
          return row.batch ? <BatchRow key={row.batch.id} batch={row.batch} only={only} /> : <Row key={row.job.id} job={row.job} />;
        const [first] = row.deployments;
        if (!first) return null;
        return row.deployments.length > 1 ? (
          <RequestRow key={first.batch_id} all={row.deployments} cut={row.cut} />
        ) : (
          <DeploymentRow key={first.id} deployment={first} />
        );
      })}
    </div>
  );
}

/** The row of a batch of jobs. */
function BatchRow({ batch, only }: { batch: BatchSummaryView; only: JobGroup | undefined }) {
  const fitting = countGroups(batch.counts, only);
  // A batch is listed with problems, too, if only a server came back incomplete from its reboot.
  const counts = Object.values(fitting).some(Boolean) ? fitting : countGroups(batch.counts);
  const refused = only ? 0 : batch.refused.length;
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const mark = counts.open ? "run" : counts.failed ? "fail" : counts.done ? "done" : "ended";
  const result = [groupsText(counts), refused ? t`${refused} left out` : ""].filter(Boolean).join(", ");
  return (
    <div role="row" {...rowOpening(() => go(`/batches/${batch.id}`))}>
      <Cell>
        <Glyph kind={mark} label={counts.open ? t`Running` : counts.failed ? t`Ended with problems` : t`Ended`} />
      </Cell>
      <Cell head class="cut medium">
        <a href={`/batches/${batch.id}`} tabIndex={-1}>
          {jobLabel(batch)}
        </a>
      </Cell>
      <Cell class="cut">{nodesOf(total, total + refused)}</Cell>
      <Cell class={`anywhere ${!counts.open && counts.failed ? "crit" : "t2"}`}>{result}</Cell>
      <Cell class="cut t3">{batch.created_by}</Cell>
      <Cell class="t3">
        <Time at={batch.created_at}>{timeOrDate(batch.created_at, dayStart.value)}</Time>
      </Cell>
      <Cell class="t3">{lasted(batch.created_at, batch.ended_at, now.value)}</Cell>
    </div>
  );
}

function Row({ job }: { job: JobView }) {
  const node = nodeLabel(job.node_id);
  return (
    <div role="row" {...rowOpening(() => go(`/jobs/${job.id}`))}>
      <Cell>
        <Glyph kind={outcomeGlyph(job)} label={stateLabel(job.state)} />
      </Cell>
      <Cell head class="cut medium">
        <a href={`/jobs/${job.id}`} tabIndex={-1}>
          {jobLabel(job)}
        </a>
      </Cell>
      <Cell class="cut">{node}</Cell>
      <Cell class={`anywhere ${job.state === "failed" ? "crit" : "t2"}`}>{jobStatusText(job)}</Cell>
      <Cell class="cut t3">{job.created_by}</Cell>
      <Cell class="t3">{job.started_at !== null && <Time at={job.started_at}>{timeOrDate(job.started_at, dayStart.value)}</Time>}</Cell>
      <Cell class="t3">{jobDuration(job, jobEnded(job.state) ? 0 : now.value)}</Cell>
    </div>
  );
}
