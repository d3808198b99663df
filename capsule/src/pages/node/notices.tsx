/** The banners at the top of a node's page: its connection, the hub's findings, and its running job. */

import type { VNode } from "preact";
import { listsAreOld } from "../../core/nodes/node-status";
import { jobLabel, phaseLabel, stateLabel } from "../../core/jobs/job-labels";
import { reader, sortRows } from "../../core/nodes/node-tables";
import { t } from "../../core/text/i18n";
import { age, clock, timeOrDate } from "../../core/text/time";
import { percent, size } from "../../core/text/units";
import { alerts } from "../../state/alerts";
import { dayStart, now } from "../../state/clock";
import { runningOn } from "../../state/jobs";
import { lostSince } from "../../state/live/link";
import { mayAct } from "../../state/session";
import type { NodeDetail } from "../../state/node-detail";
import type { NodeView, TableView } from "../../state/types";
import { Banner } from "../../ui/banner";
import { Glyph, type GlyphKind } from "../../ui/glyph";
import { lazy } from "../../ui/lazy";
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
const KINDS = { critical: "crit", warning: "", notice: "info" } as const;
const GLYPHS = { critical: "crit", warning: "warn", notice: "notice" } as const;

export function Notices({ detail, view, health }: { detail: NodeDetail; view: NodeView; health: GlyphKind }): VNode {
  // `Connection` shows an offline node with its cause.
  const findings = view.health.findings.filter(({ kind }) => kind !== "offline");
  const more = findings.length - MOST;
  return (
    <>
      <Connection view={view} health={health} />
      {findings.slice(0, MOST).map((finding) => (
        <FindingBanner
          key={finding.alert_id}
          view={view}
          finding={finding}
          culprit={culpritOf(finding.kind, detail.tables.value?.processes)}
        />
      ))}
      {more > 0 && <p class="meta t3">{more === 1 ? t`1 more finding is under Alerts.` : t`${more} more findings are under Alerts.`}</p>}
      <RunningJob view={view} />
      {!findings.length && health === "ok" && <UnknownLists view={view} />}
    </>
  );
}

/** The process that uses most CPU or memory, for a finding about these; empty if there is none or processes are not known. */
function culpritOf(kind: string, table: TableView | undefined): string {
  const column = kind === "load" ? "cpu" : kind;
  if (!table || (column !== "cpu" && column !== "memory")) return "";
  const row = sortRows(table, { column, down: true })[0];
  const [name, used] = row ? reader(table, "name", column)(row) : [];
  if (typeof name !== "string" || typeof used !== "number") return "";
  if (column === "memory") return t`largest now: ${name}, ${size(used)}`;
  return used < BUSY_PERCENT ? "" : t`busiest now: ${name}, ${percent(used)} of one core`;
}

function FindingBanner({ view, finding, culprit }: { view: NodeView; finding: Finding; culprit: string }): VNode {
  const { kind, level, cause, since_at, action, alert_id } = finding;
  const incident = alerts.value.get(alert_id)?.incident_id;
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
          {mayAct.value && action && <VerbButton view={view} verb={action} />}
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
function Connection({ view, health }: { view: NodeView; health: GlyphKind }): VNode | null {
  const at = view.latest["cpu.total"]?.at;
  if (health === "off") {
    const seen = view.last_seen_at;
    const restarting = runningOn.value.get(view.id)?.action === "reboot" ? t`A job is rebooting it.` : "";
    return (
      <Banner mark={<Glyph kind="off" label="" />}>
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

function RunningJob({ view }: { view: NodeView }): VNode | null {
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

function UnknownLists({ view }: { view: NodeView }): VNode | null {
  if (!listsAreOld(view)) return null;
  return (
    <Banner mark={<Glyph kind="warn" label="" />} action={mayAct.value && <VerbButton view={view} verb={REFRESH} />}>
      <b>{t`Not all package lists are known.`}</b>{" "}
      <span class="plain">{t`Updates published since then are not counted. If a refresh fails, its output names the repository.`}</span>
    </Banner>
  );
}
