import { useState } from "preact/hooks";
import {
  batchOutcome,
  nodesOf,
  compareJobs,
  JOB_GROUP_LABELS,
  jobGroupOf,
  JOB_GROUPS,
  countJobs,
  nodesToReboot,
  type JobGroup,
} from "../../core/jobs/batch";
import { outcomeGlyph, outcomeLabel } from "../../core/jobs/follow-up";
import { stopStatusText } from "../../core/jobs/package-actions";
import { elapsed, percent, plural, t, timeOrDate } from "../../core/text";
import { jobEnded, jobLabel, phaseLabel, stateLabel } from "../../core/jobs/job-labels";
import { dayStart, now } from "../../state/clock";
import { ids, loaded, nodeSignal } from "../../state/fleet";
import { cancelBatch, loadBatch } from "../../state/job-detail";
import { unknownNodeLabel } from "../../state/node-label";
import { go, pageUrl, setQuery } from "../../state/router";
import { mayAct } from "../../state/session";
import { toast } from "../../state/toasts";
import type { ApiError, BatchJobView, BatchView } from "../../state/types";
import { Banner, Button, Empty, Failure, Glyph, type GlyphKind, Loading } from "../../ui";
import { useIsWide } from "../../ui/use-is-phone";
import { GridHead, Cell } from "../../ui/grid-head";
import { rowOpening } from "../../ui/row-opening";
import { StaleNotice } from "../../ui/stale-notice";
import { ShowMore } from "../../ui/show-more";
import { Time } from "../../ui/time";
import { RepeatOrder } from "../jobs/submit/repeat-order";
import { JobSide } from "./job-side";
import { LeftOut, useLeftOut } from "./left-out";
import { usePolling } from "./use-polling";
import { StopBulkDialog, BulkSummary } from "./bulk-summary";

const EVERY_MS = 2000;
const SHOWN = 200;
const REBOOT = "reboot";
const MARKS: Record<JobGroup, GlyphKind> = { failed: "fail", open: "run", done: "done", other: "ended" };

export function BatchPage({ id }: { id: string }) {
  const {
    found: batch,
    failure,
    load,
    see,
  } = usePolling(
    id,
    EVERY_MS,
    () => loadBatch(id),
    (found) => found.state !== "done",
  );
  if (batch) return <Loaded batch={batch} failure={failure} onSee={see} />;
  return (
    <div class="page">
      <h1 class="hidden-text" tabIndex={-1}>
        {t`Bulk job`}
      </h1>
      {failure === null ? (
        <Loading rows={8} what={t`the bulk job`} onRetry={load} />
      ) : failure.status === 404 ? (
        <Empty
          icon="list-checks"
          title={t`There is no such bulk job`}
          text={t`Its nodes were removed, you do not have access to them, or the address is wrong.`}
        >
          <a class="button" href="/jobs">
            {t`Go to the jobs`}
          </a>
        </Empty>
      ) : (
        <Failure title={t`The bulk job could not be read`} error={failure} onRetry={load} />
      )}
    </div>
  );
}

const nameOf = (id: string): string => nodeSignal(id)?.peek().name ?? (loaded.value ? unknownNodeLabel() : "…");

function Loaded({ batch, failure, onSee }: { batch: BatchView; failure: ApiError | null; onSee: (batch: BatchView) => void }) {
  const [only, setOnly] = useState<JobGroup | null>(null);
  const [most, setMost] = useState(SHOWN);
  const [asking, setAsking] = useState(false);
  const wide = useIsWide();
  void ids.value; // redraws when the names of the nodes arrive
  const counts = countJobs(batch.jobs);
  const total = batch.jobs.length;
  const reasons = useLeftOut(batch, nameOf);
  const leftOut = reasons.reduce((sum, [, nodes]) => sum + nodes.length, 0);
  const ended = total - counts.open;
  const collator = new Intl.Collator(undefined, { numeric: true });
  const fitting = batch.jobs
    .filter(({ state }) => only === null || jobGroupOf(state) === only)
    .map((job) => ({ job, name: nameOf(job.node_id) }))
    .sort((a, b) => compareJobs({ ...a.job, name: a.name }, { ...b.job, name: b.name }, collator));
  const chosen = wide ? (fitting.find(({ job }) => job.id === pageUrl.value.query.get("job")) ?? fitting[0]) : undefined;
  const failed = batch.jobs.filter((job) => jobGroupOf(job.state) === "failed" && nodeSignal(job.node_id)).map((job) => job.node_id);
  const due = new Set(nodesToReboot(batch, (node) => nodeSignal(node)?.value.reboot_required));
  return (
    <div class="page job-page">
      <div class="page-head">
        <div class="grow">
          <h1 tabIndex={-1}>{t`${jobLabel(batch)} on ${nodesOf(total, total + leftOut)}`}</h1>
          <p class="meta t3">
            {batch.packages.length > 0 && `${batch.packages.join(", ")} · `}
            {t`by ${batch.created_by} · ${timeOrDate(batch.created_at, dayStart.value)} ·`}{" "}
            <span class="num">{elapsed(batch.created_at, batch.ended_at, now.value)}</span>
          </p>
        </div>
        {counts.open > 0 && mayAct.value && (
          <Button kind="danger" icon="square" onClick={() => setAsking(true)}>
            {t`Stop all…`}
          </Button>
        )}
        {counts.open === 0 && (
          <RepeatOrder nodes={failed} action={batch.action} packages={batch.packages} label={t`Run again on ${failed.length}…`} />
        )}
      </div>
      <StaleNotice failure={failure} />
      <BulkSummary
        mark={counts.open ? "run" : counts.failed ? "fail" : total ? "done" : "ended"}
        words={batchOutcome(counts, due.size, leftOut)}
        ended={ended}
        total={total}
        groups={JOB_GROUPS.map((key) => ({ key, words: JOB_GROUP_LABELS[key], mark: MARKS[key], count: counts[key] }))}
        only={only}
        onOnly={setOnly}
      />
      {due.size > 0 && (
        <Banner
          kind="info"
          mark={<Glyph kind="notice" label="" />}
          action={<RepeatOrder nodes={[...due]} action={REBOOT} packages={[]} label={t`Reboot ${due.size}…`} />}
        >
          <b>{t`${plural(due.size, "server needs", "servers need")} a reboot.`}</b>
        </Banner>
      )}
      {total > 0 && (
        <div class={chosen ? "beside" : ""}>
          <div
            class="card grid-table jobs-table of-batch"
            role="table"
            aria-label={t`Jobs in this bulk job`}
            aria-rowcount={fitting.length + 1}
          >
            <GridHead labels={[t`State`, t`Node`, t`Outcome`, t`Changes`, t`Started`, t`Took`]} unseen={[t`State`]} />
            {fitting.slice(0, most).map(({ job, name }) => (
              <Row
                key={job.id}
                job={job}
                name={name}
                action={batch.action}
                due={due.has(job.node_id)}
                chosen={job.id === chosen?.job.id}
                onOpen={() => (wide ? setQuery({ job: job.id }) : go(`/jobs/${job.id}`))}
              />
            ))}
            {!fitting.length && <p class="pad t3">{t`None at the moment.`}</p>}
          </div>
          {chosen && <JobSide key={chosen.job.id} id={chosen.job.id} name={chosen.name} />}
        </div>
      )}
      <ShowMore more={fitting.length > most} onMore={() => setMost(most + SHOWN)}>{t`Show more of ${fitting.length}`}</ShowMore>
      <LeftOut reasons={reasons} total={total} nameOf={nameOf} />
      {asking && counts.open > 0 && <StopAll batch={batch} onClose={() => setAsking(false)} onSee={onSee} />}
    </div>
  );
}

/** The status of a job in plain words. `due`: its node needs a reboot. */
function jobResult(job: BatchJobView, action: string, due: boolean): string {
  if (due) return [outcomeLabel(job, "due"), job.error?.message].filter(Boolean).join(": ");
  if (job.error) return job.error.message;
  if (!jobEnded(job.state) && job.stop) return stopStatusText(job);
  if (job.state === "running" && job.phase) {
    const share = job.progress_percent === null ? "" : ` · ${percent(job.progress_percent)}`;
    return `${phaseLabel(job.phase, action)}${job.package ? ` ${job.package}` : ""}${share}`;
  }
  return outcomeLabel(job);
}

interface RowProps {
  job: BatchJobView;
  name: string;
  action: string;
  due: boolean;
  /** Whether its output is shown at the side. */
  chosen: boolean;
  onOpen: () => void;
}

function Row({ job, name, action, due, chosen, onOpen }: RowProps) {
  const ended = jobEnded(job.state);
  const statusText = jobResult(job, action, due);
  return (
    <div role="row" data-job={job.id} data-state={job.state} aria-current={chosen ? "true" : undefined} {...rowOpening(onOpen)}>
      <Cell>
        <Glyph kind={outcomeGlyph(job)} label={stateLabel(job.state)} />
      </Cell>
      <Cell head class="cut medium">
        <a href={`/jobs/${job.id}`} tabIndex={-1}>
          {name}
        </a>
      </Cell>
      <Cell class={`anywhere ${job.state === "failed" ? "crit" : "t2"}`}>{statusText}</Cell>
      <Cell class="t3">{job.changes || (ended ? t`none` : "")}</Cell>
      <Cell class="t3">{job.started_at !== null && <Time at={job.started_at}>{timeOrDate(job.started_at, dayStart.value)}</Time>}</Cell>
      <Cell class="t3">{job.started_at === null ? "—" : elapsed(job.started_at, job.ended_at, now.value)}</Cell>
    </div>
  );
}

function StopAll({ batch, onClose, onSee }: { batch: BatchView; onClose: () => void; onSee: (batch: BatchView) => void }) {
  const { open } = countJobs(batch.jobs);
  const waiting = batch.jobs.filter(({ state }) => state === "queued").length;
  // The number to type is fixed when the dialog opens.
  const [count] = useState(open);
  const stop = async (): Promise<void> => {
    onSee(await cancelBatch(batch.id));
    toast("done", t`The servers were asked to stop`);
    onClose();
  };
  const text = [
    waiting > 0 && t`${plural(waiting, "job")} waiting: cancelled.`,
    open > waiting && t`${plural(open - waiting, "job")} running: stopped if possible, after the current package.`,
    t`Jobs that have ended stay as they are.`,
  ];
  return (
    <StopBulkDialog
      title={t`Stop all jobs`}
      text={text.filter(Boolean).join(" ")}
      button={t`Stop ${plural(open, "job")}`}
      count={count}
      act={stop}
      onClose={onClose}
    />
  );
}
