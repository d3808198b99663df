import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../../core/text/i18n";
import { planOf, reportOf } from "../../state/job-detail";
import { ApiError, type JobView, type PlanView, type ReportView } from "../../state/types";
import { Banner } from "../../ui/banner";
import { Glyph } from "../../ui/glyph";
import { Failure } from "../../ui/load-states";
import { PlanTable } from "./plan-table";

/** The plan of a job, and what the user should check after it. */
export function JobReport({ job }: { job: JobView }): VNode {
  const [plan, setPlan] = useState<PlanView | null>(null);
  const [report, setReport] = useState<ReportView | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const load = async (): Promise<void> => {
    setFailure(null);
    try {
      if (job.plan_digest) setPlan(await planOf(job.id));
      if (job.has_report) setReport(await reportOf(job.id));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error);
    }
  };
  useEffect(() => void load(), [job.id, job.plan_digest, job.has_report]);
  if (failure) return <Failure title={t`The plan and the report could not be read`} error={failure} onRetry={() => void load()} />;
  return (
    <>
      {report && <Report report={report} />}
      {plan && (job.action === "plan" || job.error?.code === "job.plan_changed") && (
        <section class="card stack job-sum" aria-label={t`Plan`}>
          <h2 class="strong">{job.action === "plan" ? t`Plan` : t`Current plan`}</h2>
          <PlanTable plan={plan} />
        </section>
      )}
    </>
  );
}

function Report({ report }: { report: ReportView }): VNode | null {
  const { services, failed_units, config_files, notes } = report;
  const due = report.reboot === "yes";
  const lists: [string, readonly string[]][] = [
    [t`Services still running the old version`, services],
    [t`Units that failed since the job started`, failed_units],
    [t`Good to know`, notes],
  ];
  if (!due && report.reboot === "no" && !config_files.length && lists.every(([, items]) => !items.length)) return null;
  return (
    <section class="card stack job-sum" aria-label={t`Report`}>
      <h2 class="strong">{t`Follow-up`}</h2>
      {report.reboot !== "no" && (
        <Banner kind={due ? "" : "calm"} mark={<Glyph kind="warn" label="" />}>
          {due ? t`The server needs a reboot` : t`It is not known whether the server needs a reboot`}
          {report.reboot_why ? `: ${report.reboot_why}` : ""}
        </Banner>
      )}
      {lists.map(
        ([title, items]) =>
          items.length > 0 && (
            <div key={title}>
              <h3 class="medium">{title}</h3>
              <ul>
                {items.map((item) => (
                  <li key={item} class="mono t2">
                    {item}
                  </li>
                ))}
              </ul>
            </div>
          ),
      )}
      {config_files.length > 0 && <h3 class="medium">{t`Configuration files left beside those in use`}</h3>}
      {config_files.map((file) => (
        <details key={file.path}>
          <summary class="mono">{file.path}</summary>
          <pre class="mono t2">{file.diff || t`The difference cannot be shown.`}</pre>
        </details>
      ))}
    </section>
  );
}
