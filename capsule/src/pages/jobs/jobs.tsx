import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { jobs, jobsFailure, jobsLoaded, jobsNext, loadJobs } from "../../state/jobs";
import { Button } from "../../ui/button";
import { Empty, Failure, Loading } from "../../ui/parts";
import { JobsTable } from "./table";

export function JobsPage(): VNode {
  useEffect(() => void loadJobs(), []);
  const next = jobsNext.value;
  const failure = jobsFailure.value;
  return (
    <div class="page">
      <div class="page-head">
        <h1 tabIndex={-1}>Jobs</h1>
      </div>
      {failure && !jobs.value.length ? (
        <Failure title="The jobs could not be read" error={failure} onRetry={() => void loadJobs()} />
      ) : !jobsLoaded.value ? (
        <Loading rows={8} what="the jobs" onRetry={() => void loadJobs()} />
      ) : !jobs.value.length ? (
        <Empty icon="list-checks" title="No jobs yet" text="Start a check or an upgrade from a node’s page. Each job keeps its whole output here." />
      ) : (
        <>
          <JobsTable jobs={jobs.value} />
          {next && (
            <div>
              <Button onClick={() => void loadJobs(next)}>Show more</Button>
            </div>
          )}
        </>
      )}
    </div>
  );
}
