import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { listsAreOld } from "../../core/nodes/node-status";
import { tagFilter } from "../../core/nodes/filter";
import { forecastText } from "../../core/nodes/disk-forecast";
import { pluralWord, t } from "../../core/text/i18n";
import { labelled } from "../../core/metrics/series";
import { age, clock, timeOrDate } from "../../core/text/time";
import { size } from "../../core/text/units";
import { jobLabel, phaseLabel, stateLabel } from "../../core/jobs/job-labels";
import { worstIssue } from "../../core/nodes/node-issues";
import { now } from "../../state/clock";
import { nodeName } from "../../state/fleet";
import { diskGrowth } from "../../state/disk-growth";
import { runningOn } from "../../state/jobs";
import { lostSince, tryNow } from "../../state/live/link";
import { timeRangeQuery } from "../../core/charts/time-range";
import { NodeDetail } from "../../state/node-detail";
import { go } from "../../state/router";
import { smoothedCpu } from "../../state/sparklines";
import { mayAct } from "../../state/session";
import type { NodeView } from "../../state/types";
import { Banner } from "../../ui/banner";
import { Boundary } from "../../ui/boundary";
import { Button } from "../../ui/button";
import { Glyph, type GlyphKind } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { Empty, Failure } from "../../ui/load-states";
import { Tabs } from "../../ui/tabs";
import { EventList } from "../events/list";
import type { NodeTab } from "../tabs";
import { Available, Hardware, Processes, Services } from "./tables";
import { AllMetrics } from "./all-metrics";
import { Overview } from "./overview";
import { Packages } from "./packages";
import { offlineText } from "./offline-text";
import { NodeJobs } from "./node-jobs";
import { NodeLogs } from "./node-logs";
import { NodeSettings } from "./node-settings";
import { PageSkeleton } from "./skeleton";
import { RangeButtons, useViewKeys, shownTimeRange } from "./time-bar";
import { refusal, start, UpgradeMenu } from "./upgrade";

const hasCharts = (tab: NodeTab): boolean => tab === "overview" || tab === "measures";

export function NodePage({ id, tab }: { id: string; tab: NodeTab }): VNode {
  // Also while the node loads: a user who steps through nodes can select a range immediately.
  useViewKeys(hasCharts(tab));
  const detail = useMemo(() => new NodeDetail(id), [id]);
  useEffect(() => () => detail.close(), [detail]);
  const view = detail.view.value;
  const failure = detail.failure.value;
  const shown = useRef(view);
  if (view) shown.current = view;
  const was = shown.current?.id === id ? shown.current.name : undefined;
  const head = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    if (failure && was && document.activeElement === document.body) head.current?.focus();
  }, [failure, was]);
  if (failure) {
    return (
      <div class="page">
        <h1 class="hidden-text" tabIndex={-1} ref={head}>
          {was ?? t`Node`}
        </h1>
        {failure.code === "not_found" || failure.status === 404 ? (
          <Empty icon="satellite" title={was ? t`${was} is no longer here` : t`There is no such node`} text={was ? t`It was removed, or you no longer have access to it.` : t`It was removed, you do not have access to it, or the address is wrong.`}>
            <a class="button" href="/">
              {t`Go to the fleet`}
            </a>
          </Empty>
        ) : (
          <Failure title={t`The node could not be read`} error={failure} onRetry={tryNow} />
        )}
      </div>
    );
  }
  if (!view) {
    return (
      <div class="page">
        <h1 class="hidden-text" tabIndex={-1}>
          {nodeName(id) ?? t`Node`}
        </h1>
        <PageSkeleton name={nodeName(id)} onRetry={tryNow} />
      </div>
    );
  }
  return <Loaded detail={detail} view={view} tab={tab} />;
}

function Loaded({ detail, view, tab }: { detail: NodeDetail; view: NodeView; tab: NodeTab }): VNode {
  const shown = shownTimeRange();
  const query = new URLSearchParams(Object.entries(timeRangeQuery(shown)).filter((pair): pair is [string, string] => pair[1] !== null)).toString();
  const keep = query && `?${query}`;
  const base = `/n/${view.id}`;
  const tabs = [
    { key: "overview", label: t`Overview`, href: base + keep },
    { key: "measures", label: t`All values`, href: `${base}/measures${keep}` },
    { key: "processes", label: t`Processes`, href: `${base}/processes`, ...counted(detail.tables.value?.processes?.total) },
    { key: "hardware", label: t`Disks & network`, href: `${base}/hardware` },
    { key: "services", label: t`Services`, href: `${base}/services` },
    { key: "packages", label: t`Packages`, href: `${base}/packages`, ...counted(view.updates.total) },
    { key: "jobs", label: t`Jobs`, href: `${base}/jobs` },
    { key: "logs", label: t`Logs`, href: `${base}/logs` },
    { key: "events", label: t`Events`, href: `${base}/events` },
    { key: "settings", label: t`Settings`, href: `${base}/settings` },
  ];
  const standing = detail.standing.value;
  const dim = standing === "off" || standing === "stale" || lostSince.value !== null;
  return (
    <div class="page">
      <Head view={view} standing={standing} />
      <Notice view={view} standing={standing} />
      <div class="node-bar">
        <Tabs label={t`Parts of the node`} tabs={tabs} current={tab} onPick={(picked) => go(picked.href)} />
        {hasCharts(tab) && (
          <RangeButtons view={shown} mark={<Glyph kind={dim || standing === "wait" ? "stale" : "ok"} label="" />} />
        )}
      </div>
      <div id="panel" role="tabpanel" aria-label={tabs.find((one) => one.key === tab)?.label} class={dim && tab !== "settings" && tab !== "jobs" && tab !== "logs" && tab !== "events" ? "dimmed" : ""}>
        <h2 class="hidden-text">{tabs.find((one) => one.key === tab)?.label}</h2>
        <Boundary key={tab}>
          {tab === "overview" && <Overview detail={detail} node={view} shown={shown} />}
          {tab === "measures" && <AllMetrics detail={detail} node={view} shown={shown} />}
          {tab === "processes" && <Processes detail={detail} />}
          {tab === "hardware" && <Hardware detail={detail} />}
          {tab === "services" && <Services detail={detail} />}
          {tab === "packages" && (
            <div class="stack">
              <Available detail={detail} />
              <Packages detail={detail} />
            </div>
          )}
          {tab === "jobs" && <NodeJobs id={view.id} />}
          {tab === "logs" && <NodeLogs id={view.id} />}
          {tab === "events" && <EventList node={view.id} />}
          {tab === "settings" && <NodeSettings detail={detail} view={view} />}
        </Boundary>
      </div>
    </div>
  );
}

const counted = (count: number | null | undefined): { count?: number } => (count ? { count } : {});

/** The hub calls a clock wrong from here on. */
const WRONG_CLOCK_S = 30;

function Head({ view, standing }: { view: NodeView; standing: GlyphKind }): VNode {
  const { identity } = view;
  const skew = view.state === "online" ? (view.latest["clock.skew"]?.value ?? 0) / 1000 : 0;
  const busy = runningOn.value.has(view.id);
  const system = [identity.os_name, identity.os_version].filter(Boolean).join(" ");
  return (
    <div class="node-head">
      <Glyph kind={busy && standing !== "off" ? "run" : standing} size="large" />
      <div class="grow">
        <div class="row wrap">
          <h1 tabIndex={-1}>{view.name}</h1>
          {view.tags.map((tag) => (
            <a key={tag} class="tag" title={tag} href={`/?q=${encodeURIComponent(tagFilter(tag))}`}>
              {tag}
            </a>
          ))}
          {view.simulated && <span class="tag">{t`simulated`}</span>}
        </div>
        <div class="identity">
          <span>{view.address}</span>
          {system && <span>{system}</span>}
          {identity.kernel && <span>{t`Linux ${identity.kernel}`}</span>}
          {identity.cpu_model && (
            <span>
              <Icon name="cpu" />
              {identity.cpu_model} · {t`${identity.cpu_cores} ${pluralWord(identity.cpu_cores, "thread")}`}
            </span>
          )}
          {identity.memory_bytes > 0 && (
            <span>
              <Icon name="memory-stick" />
              {size(identity.memory_bytes)}
            </span>
          )}
          {identity.booted_at > 0 && view.state === "online" && (
            <span>
              <Icon name="clock" />
              {t`up ${age(now.value - identity.booted_at)}`}
            </span>
          )}
          {Math.abs(skew) > WRONG_CLOCK_S && (
            <span class="warn">
              <Icon name="clock" />
              {skew > 0 ? t`clock ${age(skew)} ahead` : t`clock ${age(-skew)} behind`}
            </span>
          )}
          {view.agent_version && (
            <span class={view.agent === "outdated" ? "warn" : ""} title={view.agent === "outdated" ? t`This hub ships another version` : undefined}>
              {t`Spider ${view.agent_version}`}
            </span>
          )}
        </div>
      </div>
      {mayAct.value && (
        <div class="row actions">
          <UpgradeMenu view={view} />
        </div>
      )}
    </div>
  );
}

/** The most important note about this node. */
function Notice({ view, standing }: { view: NodeView; standing: GlyphKind }): VNode | null {
  const job = runningOn.value.get(view.id);
  const at = view.latest["cpu.total"]?.at;
  const worst = view.state === "online" && standing !== "stale" ? worstIssue(view.latest, smoothedCpu(view.id)) : null;
  const mount = worst?.mount ?? "";
  if (standing === "off") {
    const seen = view.last_seen_at;
    const restarting = job?.action === "reboot" ? t`It is being restarted by a job.` : "";
    return (
      <Banner mark={<Glyph kind="off" label="" />}>
        <b>{t`${view.name} is offline.`}</b>{" "}
        <span class="plain">{seen === null ? t`It has never connected.` : t`Last contact ${age(now.value - seen)} ago, at ${timeOrDate(seen, now.value)}. ${restarting || offlineText(view.id)?.long || ""} The values below are the last ones known.`}</span>
      </Banner>
    );
  }
  if (standing === "wait") {
    return (
      <Banner kind="calm" mark={<Glyph kind="wait" label="" />}>
        <b>{t`Waiting for the first contact.`}</b> {mayAct.value && <span class="plain">{t`If it does not connect, deploy the node again or remove it; both are in its settings.`}</span>}
      </Banner>
    );
  }
  if (view.reconnecting) {
    return (
      <Banner kind="calm" mark={<Glyph kind="stale" label="" />}>
        <b>{t`${view.name} is reconnecting.`}</b> <span class="plain">{t`The hub was started a moment ago. The values below are the last ones known.`}</span>
      </Banner>
    );
  }
  // Without a connection the page cannot know; the banner says so.
  if (standing === "stale" && at !== undefined && lostSince.value === null) {
    return (
      <Banner kind="calm" mark={<Glyph kind="stale" label="" />}>
        <b>{t`No samples for ${age(now.value - at)}.`}</b> <span class="plain">{t`The last values are from ${clock(at)}.`}</span>
      </Banner>
    );
  }
  const warning = worst && (
    <Banner kind={worst.level === "crit" ? "crit" : ""} mark={<Glyph kind={worst.level} label="" />}>
      <b>{worst.title}</b> <span class="plain">{mount ? forecastText(diskGrowth(view.id, mount).value, labelled(view.latest, "filesystem.used").get(mount)?.value ?? null, labelled(view.latest, "filesystem.size").get(mount)?.value ?? null) : ""}</span>
    </Banner>
  );
  if (worst?.level === "crit") return warning;
  if (job) {
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
  if (warning) return warning;
  if (listsAreOld(view.updates, now.value)) {
    const { checked_at } = view.updates;
    return (
      <Banner
        mark={<Glyph kind="warn" label="" />}
        action={
          mayAct.value &&
          !refusal(view, "refresh") && (
            <Button slim onClick={() => start(view, "refresh")}>
              {t`Refresh package lists`}
            </Button>
          )
        }
      >
        <b>{checked_at === null ? t`Not all package lists are known.` : t`The package lists are ${age(now.value - checked_at)} old.`}</b>{" "}
        <span class="plain">{t`Updates published since then are not counted. If a refresh fails, its output names the repository.`}</span>
      </Banner>
    );
  }
  if (view.reboot_required === "yes") {
    return (
      <Banner mark={<Icon name="rotate-cw" />}>
        <b>{t`A restart is needed.`}</b> <span class="plain">{t`Some installed updates take effect only after a restart.`}</span>
      </Banner>
    );
  }
  return null;
}
