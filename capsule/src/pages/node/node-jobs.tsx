import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../core/say";
import { loadJobsOf } from "../../state/job";
import { jobs, newest } from "../../state/jobs";
import { ApiError, type JobView } from "../../state/types";
import { Empty, Failure, Loading } from "../../ui/parts";
import { ShowMore } from "../../ui/show-more";
import { JobsTable } from "../jobs/table";

export function NodeJobs({ id }: { id: string }): VNode {
  const [found, setFound] = useState<readonly JobView[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const turn = useRef(0);
  const load = async (cursor?: string): Promise<void> => {
    const mine = ++turn.current;
    try {
      const page = await loadJobsOf(id, cursor);
      if (mine !== turn.current) return;
      setFound((before) => (cursor ? [...(before ?? []), ...page.jobs] : page.jobs));
      setNext(page.next);
      setFailure(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine === turn.current) setFailure(error);
    }
  };
  // What happens to this node's jobs is told by the list that is kept live.
  const sign = jobs.value.filter((job) => job.node_id === id).map((job) => job.id + job.state).join();
  useEffect(() => void load(), [id, sign]);
  if (failure) return <Failure title={t`The jobs could not be read`} error={failure} onRetry={() => void load()} />;
  if (!found) return <Loading what={t`the jobs`} onRetry={() => void load()} />;
  if (!found.length) return <Empty icon="list-checks" title={t`No jobs yet`} text={t`Checks and upgrades of this node are listed here, each with its whole output.`} />;
  return (
    <div class="stack">
      <JobsTable jobs={found.map(newest)} />
      <ShowMore more={next !== null} onMore={() => void load(next ?? undefined)} />
    </div>
  );
}
