import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { hasFollowUp, isLoss, rebootNeed, type RebootNeed } from "../../core/jobs/follow-up";
import { codedText } from "../../core/text/coded-text";
import { t, timeOrDate } from "../../core/text";
import { dayStart } from "../../state/clock";
import { jobs } from "../../state/jobs";
import { loadPlan, loadReport } from "../../state/job-detail";
import type { JobView, NodeView, PlanView, ReportView } from "../../state/types";
import { Failure, Glyph, type GlyphKind } from "../../ui";
import { useAnswer } from "../use-answer";
import { UnitHelp } from "../node/unit-help";
import { PlanTable } from "./plan-table";

export interface JobReportProps {
  job: JobView;
  /** The button that reboots the node; empty if the user or the node may not. */
  reboot: ComponentChildren;
  /** The node, if this user sees it. */
  view: NodeView | undefined;
  onNeed: (need: RebootNeed) => void;
}

/** The plan of a job, and what the user should check after it. */
export function JobReport({ job, onNeed, ...rest }: JobReportProps) {
  const read = async (): Promise<[PlanView | null, ReportView | null]> => [
    job.plan_digest ? await loadPlan(job.id) : null,
    job.has_report ? await loadReport(job.id) : null,
  ];
  const { found, failure, load } = useAnswer(read, [job.id, job.plan_digest, job.has_report]);
  const [plan, report] = found ?? [null, null];
  const need = report ? rebootNeed(report, job.ended_at, rest.view) : "no";
  useEffect(() => onNeed(need), [need]);
  if (failure) return <Failure title={t`The plan and the report could not be read`} error={failure} onRetry={load} />;
  return (
    <>
      {report && hasFollowUp(report) && <Report job={job} report={report} need={need} {...rest} />}
      {plan && (job.action === "plan" || job.error?.code === "job.plan_changed") && (
        <section class="card stack job-sum" aria-label={t`Plan`}>
          <h2 class="strong">{job.action === "plan" ? t`Plan` : t`Current plan`}</h2>
          <PlanTable plan={plan} />
        </section>
      )}
    </>
  );
}

interface ReportProps extends Pick<JobReportProps, "job" | "reboot" | "view"> {
  report: ReportView;
  need: RebootNeed;
}

function Report({ job, report, need, reboot, view }: ReportProps) {
  const { services, failed_units, config_files, notes } = report;
  const rebooted = view !== undefined && job.ended_at !== null && view.identity.booted_at > job.ended_at;
  const why = codedText(report.reboot_why, report.reboot_why_coded);
  return (
    <section class="card stack job-sum" aria-label={t`Report`}>
      <h2 class="strong">{job.action === "reboot" ? t`After the reboot` : t`Follow-up`}</h2>
      <ul class="rows-card follow-up">
        {need === "due" && <Line mark="warn" title={why ? t`Reboot needed (${why})` : t`Reboot needed`} action={reboot} />}
        {need === "since" && view && (
          <Line
            mark="done"
            title={t`Rebooted since, at ${timeOrDate(view.identity.booted_at, dayStart.value)}`}
            action={<RebootLink after={job} />}
          />
        )}
        {need === "past" && <Line mark="done" title={t`A reboot is no longer needed`} action={<RebootLink after={job} />} />}
        {need === "unknown" && (
          <Line
            mark="notice"
            title={why ? t`It is not known whether a reboot is needed: ${why}` : t`It is not known whether a reboot is needed`}
          />
        )}
        {services.length > 0 && !rebooted && (
          <Line
            mark="warn"
            title={t`Services still running the old version`}
            items={services}
            action={<Units view={view} units={services} />}
          />
        )}
        {failed_units.length > 0 && (
          <Line
            mark="crit"
            title={t`Units that failed since the job started`}
            items={failed_units}
            action={<Units view={view} units={failed_units} lines />}
          />
        )}
        {config_files.length > 0 && (
          <Line mark="notice" title={t`New configuration files, not applied`}>
            {config_files.map((file) => (
              <details key={file.path}>
                <summary class="mono">{file.path}</summary>
                <pre class="mono t2">{file.diff || t`The difference cannot be shown.`}</pre>
              </details>
            ))}
          </Line>
        )}
        {notes.map((note, at) => (
          <Line
            key={note}
            mark={isLoss(report.notes_coded[at]) ? "warn" : "notice"}
            title={codedText(note, report.notes_coded[at])}
            plain
          />
        ))}
      </ul>
    </section>
  );
}

/** A link to the newest loaded job that rebooted the node after this job; null if there is none. */
function RebootLink({ after }: { after: JobView }) {
  const job = jobs.value.find(
    ({ node_id, action, state, created_at }) =>
      node_id === after.node_id && action === "reboot" && state === "succeeded" && created_at > after.created_at,
  );
  if (!job) return null;
  return (
    <a class="button slim" href={`/jobs/${job.id}`}>
      {t`Open the reboot`}
    </a>
  );
}

/** Buttons for units: their page, a restart, and with `lines` the last lines of a single unit. */
function Units({ view, units, lines = false }: { view: NodeView | undefined; units: readonly string[]; lines?: boolean }) {
  if (!view) return null;
  return (
    <span class="row wrap">
      <a class="button slim" href={`/n/${view.id}/services`}>
        {t`Services`}
      </a>
      <UnitHelp view={view} units={units} lines={lines && units.length === 1} />
    </span>
  );
}

/** One finding and its buttons. */
function Line({
  mark,
  title,
  items = [],
  plain = false,
  action,
  children,
}: {
  mark: GlyphKind;
  title: string;
  items?: readonly string[];
  plain?: boolean;
  action?: ComponentChildren;
  children?: ComponentChildren;
}) {
  return (
    <li>
      <Glyph kind={mark} label="" />
      <div class="grow">
        <p class={plain ? "" : "medium"}>{title}</p>
        {items.length > 0 && <p class="mono t2">{items.join(", ")}</p>}
        {children}
      </div>
      {action}
    </li>
  );
}
