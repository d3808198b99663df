/** The outcome of the node's last job, in the header of the node's page. */

import { useEffect, useState } from "preact/hooks";
import { outcomeGlyph, outcomeLabel } from "../../core/jobs/follow-up";
import { jobEnded, jobLabel } from "../../core/jobs/job-labels";
import { t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { jobs } from "../../state/jobs";
import { findJobs } from "../../state/queries";
import { ApiError, type JobView } from "../../state/types";
import { Glyph } from "../../ui";

export function LastJob({ id }: { id: string }) {
  const [read, setRead] = useState<JobView | null>(null);
  useEffect(() => {
    let unmounted = false;
    findJobs({ node: id, plans: "false" }).then(
      (page) => unmounted || setRead(page.jobs.find(({ state }) => jobEnded(state)) ?? null),
      (error: unknown) => {
        if (!(error instanceof ApiError)) throw error;
        // The list of jobs reports the error.
      },
    );
    return () => {
      unmounted = true;
    };
  }, [id]);
  const job = jobs.value.find(({ node_id, action, state }) => node_id === id && action !== "plan" && jobEnded(state)) ?? read;
  if (!job) return null;
  const shown = `${jobLabel(job)} · ${outcomeLabel(job)} · ${timeOrDate(job.ended_at ?? job.created_at, dayStart.value)}`;
  return (
    <a href={`/jobs/${job.id}`} aria-label={t`Last job: ${shown}`}>
      <span>
        <Glyph kind={outcomeGlyph(job)} size="tiny" label="" />
        {shown}
      </span>
    </a>
  );
}
