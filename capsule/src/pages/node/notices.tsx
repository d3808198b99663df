/** The banners at the top of a node's page: its connection, the hub's findings, and its running job. */

import { listsAreOld } from "../../core/nodes/node-status";
import { jobLabel, phaseLabel, stateLabel } from "../../core/jobs/job-labels";
import { reader, sortRows } from "../../core/nodes/node-tables";
import { age, clock, percent, size, t, timeOrDate } from "../../core/text";
import { alerts } from "../../state/alerts";
import { dayStart, now } from "../../state/clock";
import { jobs, runningOn } from "../../state/jobs";
import { nodeQuiet } from "../../state/quiet";
import { lostSince } from "../../state/live/link";
import { mayAct } from "../../state/session";
import type { NodeDetail } from "../../state/node-detail";
import type { JobView, NodeView, TableView } from "../../state/types";
import { Banner, Glyph, type GlyphKind, lazy } from "../../ui";
import { quietText } from "../fleet/cells";
import { offlineText } from "./offline-text";
import type { UnitHelpProps } from "./unit-help";
import { VerbButton } from "./upgrade";

const UnitHelp = lazy<UnitHelpProps>(
  t`the units`,
  async () => (await import("./unit-help")).UnitHelp,
  () => null,
);

type Finding = NodeView["health"]["findings"][number];

const MOST = 3;
const REFRESH = "refresh";
/** Percent of one core. A process that uses less does not explain why a server is busy. */
const BUSY_PERCENT = 20;
const KINDS = { critical: "crit", warning: "", notice: "calm" } as const;
const GLYPHS = { critical: "crit", warning: "warn", notice: "notice" } as const;

/** `whole`: all findings, as on the overview; otherwise only the worst. */
export function Notices({ detail, view, health, whole }: { detail: NodeDetail; view: NodeView; health: GlyphKind; whole: boolean }) {
  // `Connection` shows an offline node with its cause.
  const findings = view.health.findings.filter(({ kind }) => kind !== "offline");
  const most = whole ? MOST : health === "off" ? 0 : 1;
  const more = findings.length - most;
  return (
    <div class="notices">
      <Connection view={view} health={health} />
      {findings.slice(0, most).map((finding) => (
        <FindingBanner key={finding.alert_id} view={view} finding={finding} culprit={culpritOf(finding.kind, detail.tables.value)} />
      ))}
      {whole && more > 0 && (
        <p class="meta t3">{more === 1 ? t`1 more finding is under Alerts.` : t`${more} more findings are under Alerts.`}</p>
      )}
      {whole && <Maintenance view={view} />}
      <RunningJob view={view} />
      {!findings.length && health === "ok" && <UnknownLists view={view} />}
    </div>
  );
}

/** The process that uses most CPU or memory, for a finding about these; empty if there is none or processes are not known. */
function culpritOf(kind: string, tables: Readonly<Record<string, TableView>> | null | undefined): string {
  if (kind === "packages_broken") return brokenText(tables?.["package_faults"]);
  const table = tables?.["processes"];
  const column = kind === "load" ? "cpu" : kind;
  if (!table || (column !== "cpu" && column !== "memory")) return "";
  const row = sortRows(table, { column, down: true })[0];
  const [name, used] = row ? reader(table, "name", column)(row) : [];
  if (typeof name !== "string" || typeof used !== "number") return "";
  if (column === "memory") return t`largest now: ${name}, ${size(used)}`;
  return used < BUSY_PERCENT ? "" : t`busiest now: ${name}, ${percent(used)} of one core`;
}

/** The names of broken packages, with the fault of the first. */
function brokenText(table: TableView | undefined): string {
  if (!table?.rows.length) return "";
  const read = reader(table, "package", "fault");
  const rows = table.rows.map(read);
  const names = rows.map(([name]) => (typeof name === "string" ? name : "")).filter(Boolean);
  const shown = names.slice(0, MOST).join(", ");
  const more = names.length - MOST;
  const fault = rows[0]?.[1];
  const words = more > 0 ? t`${shown} and ${more} more` : shown;
  return typeof fault === "string" && fault ? (words ? `${words}: ${fault}` : fault) : words;
}

/** The newest repair of the node that ended since this time, if it failed: another one would end the same way. */
const failedRepair = (view: NodeView, since: number): JobView | undefined => {
  const last = jobs.value.find(({ node_id, action, created_at }) => node_id === view.id && action === "repair" && created_at > since);
  return last?.state === "failed" ? last : undefined;
};

function FindingBanner({ view, finding, culprit }: { view: NodeView; finding: Finding; culprit: string }) {
  const { kind, level, cause, since_at, action, alert_id } = finding;
  const incident = alerts.value.get(alert_id)?.incident_id;
  const failed = action === "repair" ? failedRepair(view, since_at) : undefined;
  return (
    <Banner
      kind={KINDS[level]}
      mark={<Glyph kind={GLYPHS[level]} />}
      action={
        <>
          {kind === "unit_failed" && (
            <a class="button slim" href={`/n/${view.id}/services`}>
              {t`Services`}
            </a>
          )}
          {kind === "unit_failed" && finding.object && <UnitHelp view={view} units={[finding.object]} lines />}
          {kind === "job_failed" && (
            <a class="button slim" href={`/n/${view.id}/jobs`}>
              {t`Jobs`}
            </a>
          )}
          {failed ? (
            <a class="button slim" href={`/jobs/${failed.id}`}>
              {t`Why the repair failed`}
            </a>
          ) : (
            mayAct.value && action && <VerbButton view={view} verb={action} />
          )}
          {alert_id && (
            <a class="button slim quiet" href={incident ? `/alerts/${incident}` : "/alerts"}>
              {t`Alert`}
            </a>
          )}
        </>
      }
    >
      <b>{cause}</b> <span class="plain nowrap">{t`since ${timeOrDate(since_at, dayStart.value)}`}</span>
      {culprit && <span class="plain"> · {culprit}</span>}
    </Banner>
  );
}

/** The banner about the connection of the node. */
function Connection({ view, health }: { view: NodeView; health: GlyphKind }) {
  const at = view.latest["cpu.total"]?.at;
  if (health === "off") {
    const seen = view.last_seen_at;
    const restarting = runningOn.value.get(view.id)?.action === "reboot" ? t`A job is rebooting it.` : "";
    return (
      <Banner kind="crit" mark={<Glyph kind="off" label="" />}>
        <b>{t`${view.name} is offline.`}</b>{" "}
        <span class="plain">
          {seen === null
            ? t`It has never connected.`
            : t`Last contact ${age(now.value - seen)} ago, at ${timeOrDate(seen, now.value)}. ${restarting || offlineText(view.id)?.long || ""} The values below are the last ones known.`}
        </span>
      </Banner>
    );
  }
  if (health === "wait") {
    return (
      <Banner kind="calm" mark={<Glyph kind="wait" label="" />}>
        <b>{t`Waiting for the first contact.`}</b>{" "}
        {mayAct.value && (
          <span class="plain">{t`If it does not connect, deploy the node again or remove it; both are in its settings.`}</span>
        )}
      </Banner>
    );
  }
  if (health === "back") {
    return (
      <Banner kind="calm" mark={<Glyph kind="back" label="" />}>
        <b>{t`${view.name} is reconnecting.`}</b>{" "}
        <span class="plain">{t`The hub was started a moment ago. The values below are the last ones known.`}</span>
      </Banner>
    );
  }
  // Without a connection to the hub another banner says so.
  if (health === "stale" && at !== undefined && lostSince.value === null) {
    return (
      <Banner kind="calm" mark={<Glyph kind="stale" label="" />}>
        <b>{t`No samples for ${age(now.value - at)}.`}</b> <span class="plain">{t`The last values are from ${clock(at)}.`}</span>
      </Banner>
    );
  }
  return null;
}

function Maintenance({ view }: { view: NodeView }) {
  const quiet = nodeQuiet(view);
  if (!quiet) return null;
  return (
    <Banner
      kind="calm"
      mark={<Glyph kind="pause" label="" />}
      action={
        <a class="button slim quiet" href="/alerts/maintenance">
          {t`Maintenance`}
        </a>
      }
    >
      <b>{quietText(quiet)}</b> <span class="plain">{t`Alerts are shown and not sent.`}</span>
    </Banner>
  );
}

function RunningJob({ view }: { view: NodeView }) {
  const job = runningOn.value.get(view.id);
  if (!job || view.state !== "online") return null;
  const state = job.state === "running" && job.phase ? phaseLabel(job.phase, job.action) : stateLabel(job.state).toLowerCase();
  return (
    <Banner
      kind="info"
      mark={<Glyph kind="run" label="" />}
      action={
        <a class="button slim" href={`/jobs/${job.id}`}>
          {t`Open output`}
        </a>
      }
    >
      <b>{jobLabel(job)}</b> <span class="plain">{job.progress_percent === null ? state : `${state}, ${job.progress_percent}%`}</span>
    </Banner>
  );
}

function UnknownLists({ view }: { view: NodeView }) {
  if (!listsAreOld(view)) return null;
  return (
    <Banner mark={<Glyph kind="warn" label="" />} action={mayAct.value && <VerbButton view={view} verb={REFRESH} />}>
      <b>{t`Not all package lists are known.`}</b>{" "}
      <span class="plain">{t`Updates published since then are not counted. If a refresh fails, its output names the repository.`}</span>
    </Banner>
  );
}
