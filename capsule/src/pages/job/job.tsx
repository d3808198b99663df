import type { VNode } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { age, clock, moment } from "../../core/time";
import { decimalSize } from "../../core/units";
import { actionWord, jobEnded, jobGlyph, phaseWord, stateWord } from "../../core/words";
import { hubNow, now } from "../../state/clock";
import { nodeSignal } from "../../state/fleet";
import { cancelJob, JobDetail, outputUrl } from "../../state/jobs";
import { live } from "../../state/link";
import { mayAct } from "../../state/session";
import { shade } from "../../state/theme";
import { toast } from "../../state/toasts";
import { ApiError, type ChangeView, type JobView } from "../../state/types";
import type { ScreenHandle, ScreenProps } from "../../terminal/screen";
import { Button } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Glyph } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { lazy } from "../../ui/lazy";
import { Banner, Empty, Failure, Loading, Time } from "../../ui/parts";

const Screen = lazy<ScreenProps>("the terminal", async () => (await import("../../terminal/screen")).Screen);

export function JobPage({ id }: { id: string }): VNode {
  const detail = useMemo(() => new JobDetail(id), [id]);
  useEffect(() => () => detail.close(), [detail]);
  const job = detail.view.value;
  const failure = detail.failure.value;
  if (!job) {
    return (
      <div class="page">
        <h1 class="hidden-text" tabIndex={-1}>
          Job
        </h1>
        {failure === null ? (
          <Loading rows={6} what="the job" onRetry={() => void detail.open()} />
        ) : failure.status === 404 ? (
          <Empty icon="list-checks" title="There is no such job" text="It went with its node, or the address is wrong.">
            <a class="button" href="/jobs">
              Go to the jobs
            </a>
          </Empty>
        ) : (
          <Failure title="The job could not be read" error={failure} onRetry={() => void detail.open()} />
        )}
      </div>
    );
  }
  return <Loaded detail={detail} job={job} />;
}

function Loaded({ detail, job }: { detail: JobDetail; job: JobView }): VNode {
  const node = nodeSignal(job.node_id)?.value.name ?? "removed node";
  const ended = jobEnded(job.state);
  const percent = job.progress_percent;
  return (
    <div class="page job-page">
      <div class="page-head">
        <div class="grow">
          <h1 tabIndex={-1}>
            {actionWord(job.action)}, {node}
          </h1>
          <p class="meta t3">
            {job.packages.length ? job.packages.join(", ") : "All packages"} · by {job.created_by} · {moment(job.created_at, hubNow())}
            {job.started_at !== null && (
              <>
                {" "}
                · <Elapsed job={job} />
              </>
            )}
          </p>
        </div>
        {job.state === "queued" && mayAct.value && <CancelButton job={job} />}
        {nodeSignal(job.node_id) && (
          <a class="button" href={`/n/${job.node_id}`}>
            Open {node}
          </a>
        )}
      </div>
      <section class="card job-sum" aria-label="State">
        <div class="row wrap">
          <Glyph kind={jobGlyph(job.state)} size="large" label="" />
          <b class="strong" role="status">
            {stateWord(job.state)}
          </b>
          {!ended && job.phase && <span class="t2">{phaseWord(job.phase)}</span>}
          <span class="grow" />
          <span class="t3 num">{ended ? (job.exit_code === null ? "" : `exit code ${job.exit_code}`) : percent === null ? "" : `${percent}%`}</span>
        </div>
        <div class={`progress ${ended ? (job.state === "succeeded" ? "done" : job.state === "failed" ? "fail" : "unsure") : ""}`} role="progressbar" aria-label="Progress" aria-valuemin={0} aria-valuemax={100} {...(percent === null ? {} : { "aria-valuenow": percent })}>
          <i style={{ width: `${ended && job.state === "succeeded" ? 100 : (percent ?? 0)}%` }} />
        </div>
      </section>
      {job.error && (
        <Banner kind="crit" alert mark={<Glyph kind="fail" label="" />}>
          {job.error.message}
        </Banner>
      )}
      {!job.error && (job.state === "interrupted" || job.state === "unknown") && (
        <Banner mark={<Glyph kind="warn" label="" />}>
          {job.state === "interrupted" ? "The server went away while this ran. Look at the output and at the server before you start it again." : "How this ended is not known. Look at the server before you start it again."}
        </Banner>
      )}
      <Output detail={detail} job={job} node={node} />
      {ended && job.changes.length > 0 && <Changes changes={job.changes} />}
    </div>
  );
}

function Elapsed({ job }: { job: JobView }): VNode {
  return <span class="num">{age((job.ended_at ?? now.value) - (job.started_at ?? 0))}</span>;
}

function CancelButton({ job }: { job: JobView }): VNode {
  const [busy, setBusy] = useState(false);
  const cancel = async (): Promise<void> => {
    setBusy(true);
    try {
      await cancelJob(job.id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast("fail", "The job was not cancelled", error.detail);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Button kind="danger" icon="square" busy={busy} onClick={() => void cancel()}>
      Cancel job
    </Button>
  );
}

function Output({ detail, job, node }: { detail: JobDetail; job: JobView; node: string }): VNode {
  const screen = useRef<ScreenHandle | null>(null);
  const [following, setFollowing] = useState(true);
  const [paused, setPaused] = useState<readonly Uint8Array[] | null>(null);
  const held = useRef<Uint8Array[] | null>(null);
  const ended = jobEnded(job.state);
  const ready = (made: ScreenHandle): void => {
    screen.current = made;
    detail.onOutput((bytes) => {
      if (held.current) {
        held.current.push(bytes);
        setPaused([...held.current]);
      } else made.write(bytes);
    });
  };
  const follow = (): void => {
    for (const bytes of held.current ?? []) screen.current?.write(bytes);
    held.current = null;
    setPaused(null);
    screen.current?.toEnd();
    setFollowing(true);
  };
  const pause = (): void => {
    held.current = [];
    setPaused([]);
    setFollowing(false);
  };
  const waiting = paused?.reduce((sum, bytes) => sum + bytes.length, 0) ?? 0;
  const received = Math.max(detail.received.value, ended ? job.output_bytes : 0);
  return (
    <section class="card terminal" aria-label="Output">
      <div class="terminal-head">
        <Glyph kind={jobGlyph(job.state)} label="" />
        <b class="cut strong">{node}</b>
        <span class="t3 cut only-desk">{actionWord(job.action).toLowerCase()}</span>
        <span class="grow" />
        {!ended && (
          <Button slim kind="quiet" icon={following && !paused ? "pause" : "arrow-down"} more={{ "aria-pressed": following && !paused, "aria-label": "Follow output" }} onClick={following && !paused ? pause : follow}>
            {following && !paused ? "Following" : waiting ? `Follow (${decimalSize(waiting)} new)` : "Follow"}
          </Button>
        )}
        <CopyButton name="Copy output" text={() => screen.current?.text() ?? ""} />
        <a class="button quiet slim only-icon" href={outputUrl(job.id)} download={`${node}-${job.action}-${job.id}.log`} aria-label="Download log" title="Download log">
          <Icon name="download" size="small" />
        </a>
      </div>
      {detail.skipped.value > 0 && (
        <p class="terminal-foot">
          <Icon name="info" size="small" />
          The first {decimalSize(detail.skipped.value)} are not shown here; the download has everything.
        </p>
      )}
      <Screen label={`Output of ${actionWord(job.action)} on ${node}`} shade={shade.value} onReady={ready} onFollow={(on) => !held.current && setFollowing(on)} />
      <div class="terminal-foot">
        <span class="row">
          {ended ? (
            <>ended {job.ended_at !== null && <Time at={job.ended_at}>{clock(job.ended_at)}</Time>}</>
          ) : (
            <>
              <Glyph kind={live.value ? (paused ? "pause" : "ok") : "stale"} label="" />
              {live.value ? (paused ? "paused" : job.state === "running" ? "streaming" : stateWord(job.state).toLowerCase()) : "no connection"}
            </>
          )}
        </span>
        <span class="num" data-output-bytes={received}>
          {decimalSize(received)}
        </span>
        <span class="grow" />
        {job.output_sha256 && (
          <span class="mono only-desk" title={job.output_sha256}>
            SHA-256 {job.output_sha256.slice(0, 12)}…
          </span>
        )}
      </div>
    </section>
  );
}

function Changes({ changes }: { changes: readonly ChangeView[] }): VNode {
  return (
    <section class="stack" aria-label="Changes">
      <h2 class="strong">
        {changes.length} {changes.length === 1 ? "package" : "packages"} changed
      </h2>
      <div class="card grid-table changes" role="table" aria-label="Changed packages" aria-rowcount={changes.length + 1}>
        <div role="row" class="head">
          <span role="columnheader">Package</span>
          <span role="columnheader">From</span>
          <span role="columnheader">To</span>
        </div>
        {changes.map((change) => (
          <div role="row" key={change.package}>
            <span role="rowheader" class="mono medium cut">
              {change.package}
            </span>
            <span role="cell" class="mono t3 cut">
              {change.from || "new"}
            </span>
            <span role="cell" class={`mono cut ${change.to ? "" : "crit"}`}>
              {change.to || "removed"}
            </span>
          </div>
        ))}
      </div>
    </section>
  );
}
