import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { codedText } from "../../core/text/coded-text";
import { age, elapsed, pluralWord, t, timeOrDate } from "../../core/text";
import { FORCE_STOP_HINT, hasPolicyNames, mayForce, packagesLabel, STOP_HINT, stopStatusText } from "../../core/jobs/package-actions";
import { policyRefusal } from "../../core/jobs/batch";
import { scriptFailures } from "../../core/jobs/script-failure";
import { checkResultText, outcomeGlyph, outcomeLabel, type RebootNeed } from "../../core/jobs/follow-up";
import { actionLabel, jobEnded, jobLabel, phaseLabel } from "../../core/jobs/job-labels";
import { dayStart, now } from "../../state/clock";
import { showDialog } from "../../state/dialogs";
import { nodeSignal } from "../../state/fleet";
import { cancelJob, JobDetail, newIdempotencyKey, submitJob } from "../../state/job-detail";
import { nodeLabel } from "../../state/node-label";
import { mayAct } from "../../state/session";
import { withStepUp } from "../../state/step-up";
import { toast } from "../../state/toasts";
import { ApiError, type ChangeView, type JobView, type NodeView } from "../../state/types";
import { Banner, Button, Empty, Failure, Glyph, lazy, Loading } from "../../ui";
import { Dialog, Foot } from "../../ui/dialog";
import { ConfirmName } from "../../ui/form";
import { GridHead, Cell } from "../../ui/grid-head";
import { StaleNotice } from "../../ui/stale-notice";
import { ActionError } from "../use-action";
import { RepeatOrder } from "../jobs/submit/repeat-order";
import { startJob } from "../jobs/submit/start-job";
import type { RunAction as RunActionButton } from "../node/action-help";
import type { RestartContainerProps } from "../node/container-help";
import type { UnitHelpProps } from "../node/unit-help";
import { VerbButton } from "../node/upgrade";
import { JobLoad } from "./job-load";
import type { JobReportProps } from "./job-report";
import { Output } from "./output";

const UnitHelp = lazy<UnitHelpProps>(
  t`the units`,
  async () => (await import("../node/unit-help")).UnitHelp,
  () => null,
);
const RunAction = lazy<Parameters<typeof RunActionButton>[0]>(t`the action`, async () => (await import("../node/action-help")).RunAction);
const RestartContainer = lazy<RestartContainerProps>(
  t`the container`,
  async () => (await import("../node/container-help")).RestartContainer,
  () => null,
);
const JobReport = lazy<JobReportProps>(t`the report`, async () => (await import("./job-report")).JobReport);

const QUIET_S = 5;

export function JobPage({ id }: { id: string }) {
  const detail = useMemo(() => new JobDetail(id), [id]);
  useEffect(() => () => detail.close(), [detail]);
  const job = detail.view.value;
  const failure = detail.failure.value;
  if (!job) {
    return (
      <div class="page">
        <h1 class="hidden-text" tabIndex={-1}>
          {t`Job`}
        </h1>
        {failure === null ? (
          <Loading rows={6} what={t`the job`} onRetry={() => void detail.open()} />
        ) : failure.status === 404 ? (
          <Empty
            icon="list-checks"
            title={t`There is no such job`}
            text={t`It was deleted with its node, you do not have access to it, or the address is wrong.`}
          >
            <a class="button" href="/jobs">
              {t`Go to the jobs`}
            </a>
          </Empty>
        ) : (
          <Failure title={t`The job could not be read`} error={failure} onRetry={() => void detail.open()} />
        )}
      </div>
    );
  }
  return <Loaded detail={detail} job={job} />;
}

function Loaded({ detail, job }: { detail: JobDetail; job: JobView }) {
  const node = nodeLabel(job.node_id);
  const view = nodeSignal(job.node_id)?.value;
  const [need, setNeed] = useState<RebootNeed>("no");
  const ended = jobEnded(job.state);
  const percent = job.progress_percent;
  const about = packagesLabel(job);
  return (
    <div class="page job-page">
      <div class="page-head">
        <div class="grow">
          <h1 tabIndex={-1}>
            {jobLabel(job)}, {node}
          </h1>
          <p class="meta t3">
            {job.batch_id !== null && (
              <>
                <a class="accent" href={`/batches/${job.batch_id}`}>
                  {t`part of a bulk job`}
                </a>{" "}
                ·{" "}
              </>
            )}
            {about && `${about} · `}
            {t`by ${job.created_by} · ${timeOrDate(job.created_at, dayStart.value)}`}
            {job.started_at !== null && (
              <>
                {" "}
                · <Elapsed job={job} />
              </>
            )}
          </p>
        </div>
        {!ended && mayAct.value && (job.stop === null || job.stop.state === "asked") && <StopButton job={job} node={node} />}
        {!ended && mayAct.value && mayForce(job) && <ForceButton job={job} node={node} />}
        {job.error?.code === "job.packages_broken" && job.action !== "repair" && mayAct.value && <RepairButton job={job} node={node} />}
        {ended && job.state !== "succeeded" && job.error?.code !== "job.packages_broken" && !hasPolicyNames(job) && view && (
          <RepeatOrder nodes={[job.node_id]} action={job.action} packages={job.packages} label={t`Run again…`} />
        )}
        {ended && job.state !== "succeeded" && job.units.length > 0 && view && (
          <UnitHelp view={view} units={job.units} verb={job.action} label={t`Run again…`} slim={false} lines={job.units.length === 1} />
        )}
        {ended && job.state !== "succeeded" && job.container !== null && view && (
          <RestartContainer view={view} name={job.container} label={t`Run again…`} />
        )}
        {ended && job.named_action !== null && view && <RunAction view={view} name={job.named_action} label={t`Run again…`} />}
        {view && (
          <a class="button" href={`/n/${job.node_id}`}>
            {t`Open ${node}`}
          </a>
        )}
      </div>
      <section class="card job-sum" aria-label={t`State`}>
        <div class="row wrap">
          <Glyph kind={outcomeGlyph(job)} size="large" label="" />
          <b class="strong" role="status">
            {outcomeLabel(job, need)}
          </b>
          {!ended && job.phase && (
            <span class="t2 cut">
              {phaseLabel(job.phase, job.action)}
              {job.note ? `: ${codedText(job.note, job.note_coded)}` : job.package ? ` ${job.package}` : ""}
            </span>
          )}
          <span class="grow" />
          {!ended && <SilenceNote detail={detail} job={job} />}
          <span class="t3 num">
            {ended ? (job.exit_code === null ? "" : t`exit code ${job.exit_code}`) : percent === null ? "" : `${percent}%`}
          </span>
        </div>
        <div
          class={`progress ${ended ? (job.lost ? "unsure" : job.state === "succeeded" ? "done" : job.state === "failed" ? "fail" : "unsure") : ""}`}
          role="progressbar"
          aria-label={t`Progress`}
          aria-valuemin={0}
          aria-valuemax={100}
          {...(percent === null ? {} : { "aria-valuenow": percent })}
        >
          <i style={{ width: `${ended && job.state === "succeeded" ? 100 : (percent ?? 0)}%` }} />
        </div>
      </section>
      <DetailError detail={detail} />
      {!ended && job.stop && (
        <Banner kind={job.stop.state === "too_late" ? "" : "info"} mark={<Glyph kind="pause" label="" />}>
          {stopStatusText(job)}
        </Banner>
      )}
      {job.error && (
        <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
          {job.error.message}
        </Banner>
      )}
      {ended && job.state === "failed" && <FailedScripts detail={detail} job={job} view={view} />}
      {job.action === "refresh" || job.action === "check" ? job.state === "succeeded" && view && <CheckResult view={view} /> : null}
      {!job.error && (job.state === "interrupted" || job.state === "unknown") && (
        <Banner mark={<Glyph kind="warn" label="" />}>
          {job.state === "interrupted"
            ? t`The server was lost while this ran. Check the output and the server before you start it again.`
            : t`It is not known how this ended. Check the server before you start it again.`}
        </Banner>
      )}
      {(job.plan_digest !== null || job.has_report) && (
        <JobReport job={job} reboot={view && mayAct.value && <VerbButton view={view} verb="reboot" />} view={view} onNeed={setNeed} />
      )}
      {view && job.started_at !== null && <JobLoad job={job} />}
      <Output detail={detail} job={job} node={node} />
      {ended && job.changes.length > 0 && <Changes changes={job.changes} />}
    </div>
  );
}

/** The packages whose scripts failed, with the script's own words, and what helps where a repair cannot. */
function FailedScripts({ detail, job, view }: { detail: JobDetail; job: JobView; view: NodeView | undefined }) {
  void detail.received.value;
  const found = scriptFailures(detail.tail());
  if (!found.length) return null;
  const removes = job.action === "repair" && view && mayAct.value && !policyRefusal(view.policy, "remove");
  return (
    <section class="card stack job-sum" aria-label={t`Failed scripts`}>
      <ul class="rows-card follow-up">
        {found.map(({ package: name, cause }) => (
          <li key={name}>
            <Glyph kind="crit" label="" />
            <div class="grow">
              <p class="medium">{t`The script of ${name} failed`}</p>
              <p class="t2 anywhere">{cause ? <code class="mono">{cause}</code> : t`It said nothing. The output has all that is known.`}</p>
              {job.action === "repair" && (
                <p class="t2">{t`Another repair runs the same script again. Mend its cause on the server, or remove the package.`}</p>
              )}
            </div>
            {removes && (
              <Button slim onClick={() => showDialog({ kind: "job", node: view.id, action: "remove", packages: [name] })}>
                {t`Remove ${name}…`}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What a check found, with the next step. */
function CheckResult({ view }: { view: NodeView }) {
  const { total, security } = view.updates;
  return (
    <Banner
      kind="calm"
      mark={<Glyph kind={total === 0 ? "done" : "notice"} label="" />}
      action={
        total !== null && total > 0 && mayAct.value && !policyRefusal(view.policy, "upgrade") ? (
          <Button slim kind="primary" onClick={() => showDialog({ kind: "job", node: view.id, action: "upgrade" })}>
            {t`Preview`}
          </Button>
        ) : undefined
      }
    >
      <b>{checkResultText(view.updates)}</b>
      {security ? <span class="plain"> {t`${security} for security`}</span> : null}
    </Banner>
  );
}

/** A notice that says why the job gets no updates. */
function DetailError({ detail }: { detail: JobDetail }) {
  const failure = detail.failure.value;
  if (!failure) return null;
  if (failure.status === 404 || failure.status === 403) {
    return (
      <Banner mark={<Glyph kind="stale" label="" />}>
        <b>{failure.status === 404 ? t`This job is no longer kept.` : t`You no longer have access to this job.`}</b>{" "}
        <span class="plain">{t`This is the last that was reported.`}</span>
      </Banner>
    );
  }
  return <StaleNotice failure={failure} onRetry={() => detail.resubscribe()} />;
}

/** Says how long a job has printed nothing (since its start if it never printed), once that is `QUIET_S`: the job may hang. */
function SilenceNote({ detail, job }: { detail: JobDetail; job: JobView }) {
  const seen = useRef({ bytes: job.output_bytes, at: 0 });
  const bytes = Math.max(detail.received.value, job.output_bytes);
  if (bytes > seen.current.bytes) seen.current = { bytes, at: now.value };
  const at = Math.max(seen.current.at, job.last_output_at ?? 0);
  const quietS = now.value - (at || (job.started_at ?? now.value));
  return quietS >= QUIET_S ? <span class="t3 num">{at ? t`last output ${age(quietS)} ago` : t`no output for ${age(quietS)}`}</span> : null;
}

function Elapsed({ job }: { job: JobView }) {
  return <span class="num">{elapsed(job.started_at ?? 0, job.ended_at, now.value)}</span>;
}

/** The button that cancels a waiting job, or requests the stop of a running job. */
function StopButton({ job, node }: { job: JobView; node: string }) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const there = useRef(false);
  there.current = asking;
  useEffect(() => () => void (there.current = false), []);
  const waits = job.state === "queued";
  const close = (): void => {
    setAsking(false);
    setWrong("");
  };
  const stop = async (): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      await cancelJob(job.id);
      close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // While the dialog is open, it would cover a toast.
      if (there.current) setWrong(error.detail);
      else toast("fail", t`The job was not stopped`, error.detail);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button
        kind="danger"
        icon="square"
        busy={busy || job.stop?.state === "asked"}
        onClick={() => (waits ? void stop() : setAsking(true))}
      >
        {waits ? t`Cancel job` : t`Stop job…`}
      </Button>
      {asking && (
        <Dialog title={t`Stop this job?`} subtitle={`${jobLabel(job)}, ${node}`} size="narrow" onClose={close}>
          <div class="body">
            <ActionError text={wrong} />
            <p class="t2">{STOP_HINT}</p>
          </div>
          <Foot out={t`Keep it running`} focused onClose={close}>
            <Button kind="destroy" busy={busy} onClick={() => void stop()}>
              {t`Stop job`}
            </Button>
          </Foot>
        </Dialog>
      )}
    </>
  );
}

function ForceButton({ job, node }: { job: JobView; node: string }) {
  const [asking, setAsking] = useState(false);
  const [typed, setTyped] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const there = useRef(false);
  there.current = asking;
  useEffect(() => () => void (there.current = false), []);
  const close = (): void => {
    setAsking(false);
    setTyped("");
    setWrong("");
  };
  const force = async (): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      await withStepUp(
        () => cancelJob(job.id, true),
        t`Enter your password to force-stop a job on ${node}.`,
        () => there.current,
      );
      close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!there.current) toast("fail", t`The job was not stopped`, error.detail);
      else if (error.code !== "auth.step_up_required") setWrong(error.detail);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button kind="danger" icon="square" onClick={() => setAsking(true)}>
        {t`Force stop…`}
      </Button>
      {asking && (
        <Dialog title={t`Force stop`} subtitle={`${jobLabel(job)}, ${node}`} size="narrow" onClose={close}>
          <div class="body">
            <ActionError text={wrong} />
            <p class="t2">{stopStatusText(job)}</p>
            <Banner kind="crit" mark={<Glyph kind="crit" label="" />}>
              {FORCE_STOP_HINT}
            </Banner>
            <ConfirmName name={node} value={typed} onText={setTyped} />
          </div>
          <Foot out={t`Keep it running`} focused onClose={close}>
            <Button kind="destroy" busy={busy} disabled={typed !== node} onClick={() => void force()}>
              {t`Force stop`}
            </Button>
          </Foot>
        </Dialog>
      )}
    </>
  );
}

function RepairButton({ job, node }: { job: JobView; node: string }) {
  const [busy, setBusy] = useState(false);
  const key = useRef(newIdempotencyKey());
  const repair = async (): Promise<void> => {
    setBusy(true);
    try {
      await startJob(`${actionLabel("repair")}: ${node}`, () => submitJob(job.node_id, { action: "repair" }, key.current));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Button kind="primary" busy={busy} onClick={() => void repair()}>
      {t`Repair packages`}
    </Button>
  );
}

function Changes({ changes }: { changes: readonly ChangeView[] }) {
  return (
    <section class="stack" aria-label={t`Changes`}>
      <h2 class="strong">{t`${changes.length} ${pluralWord(changes.length, "package")} changed`}</h2>
      <div class="card grid-table changes" role="table" aria-label={t`Changed packages`} aria-rowcount={changes.length + 1}>
        <GridHead labels={[t`Package`, t`From`, t`To`]} />
        {changes.map((change) => (
          <div role="row" key={change.package}>
            <Cell head class="mono medium cut">
              {change.package}
            </Cell>
            <Cell class="mono t3 cut">{change.from || t`new`}</Cell>
            <Cell class={`mono cut ${change.to ? "" : "crit"}`}>{change.to || t`removed`}</Cell>
          </div>
        ))}
      </div>
    </section>
  );
}
