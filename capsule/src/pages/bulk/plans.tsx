/** The plans of many nodes. */

import { useEffect, useState } from "preact/hooks";
import { decimalSize, t } from "../../core/text";
import { listSome, restartsText } from "../../core/jobs/batch";
import { jobEnded, jobGlyph, phaseLabel, stateLabel } from "../../core/jobs/job-labels";
import { forEachLimited } from "../../state/bulk";
import { cancelBatch, loadBatch, loadPlan } from "../../state/job-detail";
import { nodeLabel } from "../../state/node-label";
import { ApiError, type BatchJobView, type BatchView, type PlanView } from "../../state/types";
import { Banner, Glyph } from "../../ui";
import { PlanChips } from "../job/plan-table";
import { Cell } from "../../ui/grid-head";

const EVERY_MS = 1000;
const AT_ONCE = 4;
/** After this many plans, the page shows those that it has. */
const SHOW_EVERY = 20;
const SHOWN = 200;

export interface Plans {
  batch: BatchView;
  /** The complete plans by node. */
  byNode: ReadonlyMap<string, PlanView>;
  /** Whether every node has answered or will not answer. */
  complete: boolean;
  failure: string;
}

/** Follows a batch of plans to its end; null = no batch, or not loaded yet. */
export function usePlans(started: BatchView | null): Plans | null {
  const [found, setFound] = useState<Plans | null>(null);
  useEffect(() => {
    setFound(null);
    if (!started) return;
    const byNode = new Map<string, PlanView>(); // a new map for each batch, so that late answers of an earlier batch are dropped
    const show = (batch: BatchView, complete: boolean): void => setFound({ batch, byNode: new Map(byNode), complete, failure: "" });
    let timer: ReturnType<typeof setTimeout> | undefined;
    let unmounted = false;
    const read = async (): Promise<void> => {
      let over = false;
      try {
        const batch = await loadBatch(started.id);
        for (const job of batch.jobs) if (!mayPlan(job)) byNode.delete(job.node_id);
        const fresh = batch.jobs.filter((job) => job.planned && mayPlan(job) && !byNode.has(job.node_id));
        let lost = false;
        for (let at = 0; at < fresh.length; at += SHOW_EVERY) {
          const { failed } = await forEachLimited(fresh.slice(at, at + SHOW_EVERY), AT_ONCE, async (job) => {
            const plan = await loadPlan(job.id);
            if (plan.complete) byNode.set(job.node_id, plan);
          });
          if (unmounted) return;
          lost ||= failed.some(({ error }) => error.status !== 404);
          show(withUnread(batch, fresh.slice(at + SHOW_EVERY)), false);
        }
        if (unmounted) return;
        over = batch.state === "done" && !lost;
        show(batch, over);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (unmounted) return;
        setFound((before) => ({ batch: before?.batch ?? started, byNode: new Map(byNode), complete: false, failure: error.detail }));
      }
      if (!over && !unmounted) timer = setTimeout(() => void read(), EVERY_MS);
    };
    void read();
    return () => {
      unmounted = true;
      clearTimeout(timer);
    };
  }, [started?.id]);
  return found?.batch.id === started?.id ? found : null; // until this batch is loaded, `found` is of the previous batch
}

/** Cancels the plans that have no answer yet. An error is ignored: a plan that is not cancelled changes nothing, and ends at its timeout. */
export function cancelPlans({ batch }: Plans): void {
  if (batch.state === "done") return;
  cancelBatch(batch.id).catch((error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
  });
}

/** The nodes whose plan changes something, and whose planning has succeeded: before that, the hub starts nothing from the plan. */
export const withWork = ({ batch, byNode }: Plans): string[] =>
  batch.jobs.filter((job) => job.state === "succeeded" && (byNode.get(job.node_id)?.steps.length ?? 0) > 0).map((job) => job.node_id);

/** The order of the nodes: failed plans first, then nodes that have not answered, plans that change something, and empty plans. */
function rankOf({ state }: BatchJobView, plan: PlanView | undefined): number {
  if (plan) return plan.steps.length ? 2 : 3;
  return jobEnded(state) ? 0 : 1;
}

function statusText(job: BatchJobView): string {
  if (job.error) return job.error.message;
  if (job.state === "succeeded") return t`No plan reported.`;
  return job.state === "running" && job.phase ? phaseLabel(job.phase, "plan") : stateLabel(job.state);
}

const PlanStatus = ({ job, plan }: { job: BatchJobView; plan: PlanView | undefined }) =>
  plan ? <PlanChips plan={plan} small /> : <>{statusText(job)}</>;

/** The batch, in which jobs whose plan is not read yet count as running: they have reported one. */
function withUnread(batch: BatchView, unread: readonly BatchJobView[]): BatchView {
  return { ...batch, jobs: batch.jobs.map((job) => (unread.includes(job) ? { ...job, state: "running" } : job)) };
}

/** Whether the job has a plan that counts, or may still get one. */
const mayPlan = ({ state }: BatchJobView): boolean => state === "succeeded" || !jobEnded(state);

interface TableProps {
  plans: Plans;
  /** The names of the chosen nodes of which no plan was asked, by reason. */
  leftOut: ReadonlyMap<string, readonly string[]>;
  /** Nodes that the user has left out. */
  without: ReadonlySet<string>;
  /** Whether the choice of nodes is fixed. */
  locked: boolean;
  onWithout: (node: string, out: boolean) => void;
}

export function PlansTable({ plans, leftOut, without, locked, onWithout }: TableProps) {
  const { batch, byNode } = plans;
  const names = new Intl.Collator(undefined, { numeric: true });
  const jobs = batch.jobs
    .map((job) => ({ job, name: nodeLabel(job.node_id) }))
    .sort((a, b) => rankOf(a.job, byNode.get(a.job.node_id)) - rankOf(b.job, byNode.get(b.job.node_id)) || names.compare(a.name, b.name));
  // The user can leave out plans that change something, so all of them are shown.
  const shown = jobs.filter(({ job }, at) => at < SHOWN || byNode.get(job.node_id)?.steps.length);
  const unplanned = [...leftOut.values()].flat();
  const answered = batch.jobs.filter(({ state, node_id }) => jobEnded(state) || byNode.has(node_id)).length;
  const included = [...byNode].filter(([node]) => !without.has(node)).map(([, plan]) => plan);
  const bytes = included.reduce((sum, plan) => sum + (plan.download_bytes ?? 0), 0);
  const restarts = restartsText(included);
  return (
    <div class="stack">
      {plans.failure && <Banner mark={<Glyph kind="stale" label="" />}>{plans.failure}</Banner>}
      <p class="t2" role="status">
        {plans.complete
          ? t`${withWork(plans).length} of ${batch.jobs.length} have something to do`
          : t`${answered} of ${batch.jobs.length} have answered…`}
        {unplanned.length > 0 &&
          ` · ${t`${unplanned.length} of the ${batch.jobs.length + unplanned.length} chosen without a plan: ${listSome(unplanned, 3)}`}`}
        {without.size > 0 && ` · ${t`${without.size} left out`}`}
        {bytes > 0 && ` · ${t`${decimalSize(bytes)} to download in all`}`}
      </p>
      {restarts && <p class="t2">{t`Will probably restart: ${restarts}`}</p>}
      <div class="grid-table plans-table" role="table" aria-label={t`Plans`} aria-rowcount={jobs.length + leftOut.size + 1}>
        <div role="row" class="head">
          <span role="columnheader">
            <span class="hidden-text">{t`Included`}</span>
          </span>
          <span role="columnheader">
            <span class="hidden-text">{t`State`}</span>
          </span>
          <span role="columnheader">{t`Node`}</span>
          <span role="columnheader">{t`Planned changes`}</span>
        </div>
        {shown.map(({ job, name }) => (
          <div role="row" key={job.id}>
            <Cell>
              {(byNode.get(job.node_id)?.steps.length ?? 0) > 0 && (
                <input
                  type="checkbox"
                  aria-label={t`Include ${name}`}
                  checked={!without.has(job.node_id)}
                  disabled={locked}
                  onChange={(event) => onWithout(job.node_id, !event.currentTarget.checked)}
                />
              )}
            </Cell>
            <Cell>
              <Glyph kind={jobGlyph(job.state)} label={stateLabel(job.state)} />
            </Cell>
            <Cell head class="cut medium">
              <a href={`/jobs/${job.id}`} target="_blank" rel="noreferrer">
                {name}
              </a>
            </Cell>
            <Cell class={job.state === "failed" ? "crit" : "t2"}>
              <PlanStatus job={job} plan={byNode.get(job.node_id)} />
              {job.error?.code === "job.packages_broken" && (
                // A new tab, so that the other plans are not lost.
                <>
                  {" "}
                  <a class="button slim" href={`/n/${job.node_id}`} target="_blank" rel="noreferrer">
                    {t`Repair on ${name}…`}
                  </a>
                </>
              )}
            </Cell>
          </div>
        ))}
        {[...leftOut].map(([why, names]) => (
          <div role="row" key={why}>
            <Cell />
            <Cell>
              <Glyph kind="ended" label={t`left out`} />
            </Cell>
            <Cell head class="medium anywhere">
              {listSome(names, 8)}
            </Cell>
            <Cell class="t2">{t`Left out. ${why}`}</Cell>
          </div>
        ))}
      </div>
      {jobs.length > shown.length && <p class="t3">{t`${jobs.length - shown.length} more are not shown.`}</p>}
    </div>
  );
}
