import { useEffect } from "preact/hooks";
import type { Page } from "../../core/live/paged-list";
import { t } from "../../core/text";
import { loadJobsOf } from "../../state/job-detail";
import { jobs, newest } from "../../state/jobs";
import type { JobView } from "../../state/types";
import { Empty, Failure, Loading } from "../../ui";
import { StaleNotice } from "../../ui/stale-notice";
import { ShowMore } from "../../ui/show-more";
import { JobsTable } from "../jobs/table";
import { usePaged } from "../use-paged";

export function NodeJobs({ id }: { id: string }) {
  const { list, found, failure } = usePaged<JobView, Page<JobView>>(
    async (cursor) => {
      const page = await loadJobsOf(id, cursor);
      return { items: page.jobs, next: page.next };
    },
    (job) => job.id,
    [id],
  );
  const load = (): void => void list.refresh();
  // The list is loaded again when the live list of jobs shows a change of a job of this node.
  const liveStates = jobs.value
    .filter((job) => job.node_id === id)
    .map((job) => job.id + job.state)
    .join();
  useEffect(load, [list, liveStates]);
  if (failure && !found) return <Failure title={t`The jobs could not be read`} error={failure} onRetry={load} />;
  if (!found) return <Loading what={t`the jobs`} onRetry={load} />;
  return (
    <div class="stack">
      <StaleNotice failure={failure} onRetry={load} />
      {found.items.length ? (
        <JobsTable rows={found.items.map((job) => ({ job: newest(job), batch: null }))} />
      ) : (
        <Empty
          icon="list-checks"
          title={t`No jobs yet`}
          text={t`Checks and upgrades of this node are listed here, each with its whole output.`}
        />
      )}
      <ShowMore more={found.next !== null} onMore={() => void list.more()} />
    </div>
  );
}
