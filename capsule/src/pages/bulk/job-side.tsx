/** The output and the load of one job of many, at the side of their table. */

import { useEffect, useMemo } from "preact/hooks";
import { outcomeGlyph, outcomeLabel } from "../../core/jobs/follow-up";
import { t } from "../../core/text";
import { JobDetail } from "../../state/job-detail";
import { Failure, Glyph, Loading } from "../../ui";
import { JobLoad } from "../job/job-load";
import { Output } from "../job/output";

export function JobSide({ id, name }: { id: string; name: string }) {
  const detail = useMemo(() => new JobDetail(id), [id]);
  useEffect(() => () => detail.close(), [detail]);
  const job = detail.view.value;
  const failure = detail.failure.value;
  return (
    <aside class="job-side stack" aria-label={t`Job on ${name}`}>
      <div class="row">
        {job && <Glyph kind={outcomeGlyph(job)} label="" />}
        <b class="strong cut grow">
          {name}
          {job && <span class="t2"> · {outcomeLabel(job)}</span>}
        </b>
        <a class="button slim" href={`/jobs/${id}`}>
          {t`Open the job`}
        </a>
      </div>
      {job?.error && <p class="crit anywhere">{job.error.message}</p>}
      {!job && failure && <Failure title={t`The job could not be read`} error={failure} onRetry={() => void detail.open()} />}
      {!job && !failure && <Loading rows={4} what={t`the job`} onRetry={() => void detail.open()} />}
      {job && <Output detail={detail} job={job} node={name} />}
      {job && job.started_at !== null && <JobLoad job={job} />}
    </aside>
  );
}
