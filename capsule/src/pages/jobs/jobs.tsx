import { useEffect } from "preact/hooks";
import type { Page } from "../../core/live/paged-list";
import { t } from "../../core/text";
import { JOB_GROUPS } from "../../core/jobs/batch";
import { ACTION_LABELS } from "../../core/jobs/job-labels";
import { foldRows, jobRows, type JobRow } from "../../core/jobs/job-rows";
import { deploymentFits, foldDeployments, mergeNewest } from "../../core/jobs/merged-list";
import { activeDeployments, newestDeployment } from "../../state/deployments";
import { jobs as known, newest } from "../../state/jobs";
import { findJobs } from "../../state/queries";
import { pageUrl, setQuery } from "../../state/router";
import { user } from "../../state/session";
import type { BatchSummaryView, DeploymentView, JobView } from "../../state/types";
import { Button, Empty, Failure, Glyph, Loading, SearchField, Segmented } from "../../ui";
import { FilterChips } from "../../ui/filter-chips";
import { StaleNotice } from "../../ui/stale-notice";
import { ShowMore } from "../../ui/show-more";
import { usePaged } from "../use-paged";
import { useSettledText } from "../use-settled-text";
import { Deployments, useDeployments } from "./deployments";
import { JobsTable, type ListRow } from "./table";

const STATES: Readonly<Record<string, string>> = {
  open: "queued,dispatched,accepted,running",
  done: "succeeded",
  failed: "failed,interrupted,unknown,incomplete",
  other: "cancelled,expired",
};
const CHIPS = [
  { key: "open", label: t`In progress`, mark: <Glyph kind="run" label="" /> },
  { key: "done", label: t`Succeeded`, mark: <Glyph kind="done" label="" /> },
  { key: "failed", label: t`With problems`, mark: <Glyph kind="fail" label="" /> },
  { key: "other", label: t`Cancelled or expired`, mark: <Glyph kind="ended" label="" /> },
];

/** The page of jobs and deployments. */
export function JobsPage() {
  const of = pageUrl.value.query.get("of") === "deployments" ? "deployments" : "jobs";
  const running = activeDeployments.value.length;
  return (
    <div class="page">
      <div class="page-head">
        <h1 tabIndex={-1}>{t`Jobs`}</h1>
        <span class="grow" />
        <Segmented
          label={t`Show`}
          value={of}
          onPick={(next) => setQuery({ of: next === "jobs" ? null : next, state: null, action: null, by: null, q: null, plans: null })}
          options={[
            { key: "jobs", label: t`All` },
            { key: "deployments", label: running ? t`Deployments, ${running} running` : t`Deployments` },
          ]}
        />
      </div>
      {of === "deployments" ? <Deployments /> : <Jobs />}
    </div>
  );
}

/** The hub refuses longer search texts. */
const MAX_SEARCH = 100;

type Row = JobRow<JobView, BatchSummaryView>;

const timeOf = (row: ListRow): number => ("job" in row ? row.job.created_at : (row.deployments[0]?.created_at ?? 0));

/** The rows of jobs and of the deployments that match `filter`; null = no deployments. */
function listRows(
  jobs: Page<Row> | null,
  deployments: Page<DeploymentView> | null,
  filtered: boolean,
  filter: Parameters<typeof deploymentFits>[1] | null,
): ListRow[] {
  const requests = foldDeployments(deployments?.items.map(newestDeployment) ?? []);
  const oldest = deployments?.items.at(-1);
  const cut = deployments?.next != null;
  const added = requests
    .map((all) => ({ deployments: all.filter((one) => filter && deploymentFits(one, filter)), cut: cut && all.at(-1)?.id === oldest?.id }))
    .filter(({ deployments: shown }) => shown.length > 0);
  const listed = foldRows(jobs?.items ?? []).map(({ job, batch }) => ({ job: newest(job), batch }));
  // With a filter, all found jobs are shown, even if deployments of their time are not loaded.
  return mergeNewest<ListRow>(timeOf, { items: listed, whole: filtered || jobs?.next == null }, { items: added, whole: filtered || !cut });
}

function Jobs() {
  const { query } = pageUrl.value;
  const state = query.get("state") ?? "";
  const action = query.get("action") ?? "";
  const search = (query.get("q") ?? "").trim();
  const [typed, setTyped] = useSettledText(search, (text) => setQuery({ q: text || null }));
  const mine = query.get("by") === "me";
  const plans = query.get("plans") === "1";
  const question = `${state}|${action}|${mine}|${plans}|${search}`;
  const { list, found, failure } = usePaged<Row, Page<Row>>(
    async (cursor) => {
      const states = Object.hasOwn(STATES, state) ? STATES[state] : undefined;
      const only = Object.hasOwn(ACTION_LABELS, action) ? action : undefined;
      const by = mine ? user.peek()?.username : undefined;
      const page = await findJobs(
        {
          state: states,
          action: only,
          by,
          search: search || undefined,
          plans: plans || only === "plan" ? undefined : "false",
          folded: "true",
        },
        cursor,
      );
      return { items: jobRows(page.jobs, page.batches), next: page.next };
    },
    ({ job }) => job.id,
    [question],
  );
  const load = (): void => void list.refresh();
  // The list is loaded again whenever a job changes its state.
  const liveStates = known.value.map((job) => `${job.id}${job.state}`).join();
  useEffect(load, [list, liveStates]);
  const filtered = state !== "" || action !== "" || search !== "" || mine;
  const added = useDeployments();
  const rows = listRows(found, added.found, filtered, action ? null : { state, search, by: mine ? (user.value?.username ?? "") : "" });
  const more = Boolean(found?.next ?? added.found?.next);
  const refused = added.failure?.status === 403; // the user may not see deployments
  const loadAll = (): void => {
    load();
    added.load();
  };
  return (
    <>
      <div class="tools wrap">
        <SearchField
          label={t`Search jobs`}
          placeholder={t`Node, package or user`}
          text={typed}
          onText={(text) => setTyped(text.slice(0, MAX_SEARCH))}
        />
        <FilterChips label={t`State`} chips={CHIPS} value={state} onPick={(next) => setQuery({ state: next })} />
        <FilterChips
          label={t`Who`}
          chips={[{ key: "me", label: t`My jobs` }]}
          value={mine ? "me" : ""}
          onPick={(next) => setQuery({ by: next })}
        />
        <FilterChips
          label={t`Plans`}
          chips={[{ key: "1", label: t`Plans too` }]}
          value={plans ? "1" : ""}
          onPick={(next) => setQuery({ plans: next })}
        />
        <select
          class="input short"
          aria-label={t`Action`}
          value={action}
          onChange={(event) => setQuery({ action: event.currentTarget.value })}
        >
          <option value="">{t`Every action`}</option>
          {Object.entries(ACTION_LABELS).map(([key, words]) => (
            <option key={key} value={key}>
              {words}
            </option>
          ))}
        </select>
      </div>
      <StaleNotice failure={(found && failure) ?? (refused ? null : added.failure)} onRetry={loadAll} />
      {failure && !found ? (
        <Failure title={t`The jobs could not be read`} error={failure} onRetry={load} />
      ) : !found || !(added.found ?? added.failure) ? (
        <Loading rows={8} what={t`the jobs`} onRetry={load} />
      ) : !rows.length ? (
        filtered ? (
          <Empty icon="filter" title={t`No job matches`} text={t`There are none of this kind.`}>
            <Button onClick={() => setQuery({ state: null, action: null, by: null, q: null })}>{t`Show all jobs`}</Button>
          </Empty>
        ) : (
          <Empty
            icon="list-checks"
            title={t`No jobs yet`}
            text={t`Start a check or an upgrade from a node’s page. Each job keeps its whole output here.`}
          />
        )
      ) : (
        <>
          <JobsTable only={JOB_GROUPS.find((group) => group === state)} rows={rows} />
          <ShowMore
            more={more}
            onMore={() => {
              void list.more();
              void added.list.more();
            }}
          />
        </>
      )}
    </>
  );
}
