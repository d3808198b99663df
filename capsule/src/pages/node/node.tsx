import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { tagFilter } from "../../core/nodes/filter";
import { shortRevision } from "../../core/nodes/revision";
import { age, pluralWord, size, t } from "../../core/text";
import { now } from "../../state/clock";
import { nodeName, rowOf } from "../../state/fleet";
import { runningOn } from "../../state/jobs";
import { lostSince, tryNow } from "../../state/live/link";
import { timeRangeQuery } from "../../core/charts/time-range";
import { NodeDetail } from "../../state/node-detail";
import { go } from "../../state/router";
import { mayAct } from "../../state/session";
import type { NodeView } from "../../state/types";
import { Boundary, Empty, Failure, Glyph, type GlyphKind, Icon, Segmented } from "../../ui";
import { Tabs } from "../../ui/tabs";
import { EventList } from "../events/list";
import type { NodeTab } from "../tabs";
import { Available, Hardware, Processes, Services } from "./tables";
import { AllMetrics } from "./all-metrics";
import { Overview } from "./overview";
import { Packages } from "./packages";
import { NodeChanges } from "./node-changes";
import { NodeJobs } from "./node-jobs";
import { LastJob } from "./last-job";
import { NodeLogs } from "./node-logs";
import { NodeRules } from "./node-rules";
import { NodeSettings } from "./node-settings";
import { PageSkeleton } from "./skeleton";
import { RangeButtons, useViewKeys, shownTimeRange } from "./time-bar";
import { NodeActions } from "./upgrade";
import { Notices } from "./notices";

/** The tabs that have several parts, with the first part first. Each part has its own address. */
const PARTS: readonly (readonly NodeTab[])[] = [
  ["packages", "jobs"],
  ["events", "changes", "logs"],
  ["settings", "hardware", "rules"],
];
const PART_LABELS: Partial<Record<NodeTab, string>> = {
  packages: t`Packages`,
  jobs: t`Jobs`,
  events: t`Events`,
  changes: t`Changes`,
  logs: t`Logs`,
  settings: t`General`,
  hardware: t`Hardware`,
  rules: t`Rules`,
};
/** Parts that show no samples and so are never dimmed. */
const TIMELESS: ReadonlySet<NodeTab> = new Set(["rules", "settings", "jobs", "logs", "events", "changes"]);

const hasCharts = (tab: NodeTab): boolean => tab === "overview" || tab === "measures";

export function NodePage({ id, tab }: { id: string; tab: NodeTab }) {
  // The keys work even while the node loads, so that a user who steps through nodes can select a range immediately.
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
          <Empty
            icon="satellite"
            title={was ? t`${was} is no longer here` : t`There is no such node`}
            text={
              was
                ? t`It was removed, or you no longer have access to it.`
                : t`It was removed, you do not have access to it, or the address is wrong.`
            }
          >
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

function Loaded({ detail, view, tab }: { detail: NodeDetail; view: NodeView; tab: NodeTab }) {
  const shown = shownTimeRange();
  const query = new URLSearchParams(
    Object.entries(timeRangeQuery(shown)).filter((pair): pair is [string, string] => pair[1] !== null),
  ).toString();
  const keep = query && `?${query}`;
  const base = `/n/${view.id}`;
  const tabs = [
    { key: "overview", label: t`Overview`, href: base + keep },
    { key: "processes", label: t`Processes`, href: `${base}/processes`, ...counted(detail.tables.value?.processes?.total) },
    {
      key: "services",
      label: t`Services`,
      href: `${base}/services`,
      ...counted(view.health.findings.filter(({ kind }) => kind === "unit_failed").length),
    },
    { key: "packages", label: t`Software`, href: `${base}/packages`, ...counted(view.updates.total) },
    { key: "events", label: t`Logs & events`, href: `${base}/events` },
    { key: "measures", label: t`Metrics`, href: `${base}/measures${keep}` },
    { key: "settings", label: t`Settings`, href: `${base}/settings` },
  ];
  const parts = PARTS.find((found) => found.includes(tab)) ?? [tab];
  const current = tabs.find(({ key }) => key === parts[0]);
  const title = PART_LABELS[tab] ?? current?.label;
  const health = detail.health.value;
  const dim = rowOf(view, now.value).old || lostSince.value !== null;
  return (
    <div class="page">
      <Head view={view} health={health} />
      {view.note && (
        <p class="note" role="note" aria-label={t`Note`}>
          {view.note}
        </p>
      )}
      <Notices detail={detail} view={view} health={health} whole={tab === "overview"} />
      <div class="node-bar">
        <Tabs label={t`Parts of the node`} tabs={tabs} current={current?.key ?? tab} onArrow={(next) => go(next.href)} />
        {hasCharts(tab) && <RangeButtons view={shown} mark={<Glyph kind={dim || health === "wait" ? "stale" : "ok"} label="" />} />}
      </div>
      <div id="panel" role="tabpanel" aria-label={title} class={dim && !TIMELESS.has(tab) ? "dimmed" : ""}>
        <h2 class="hidden-text">{title}</h2>
        {parts.length > 1 && (
          <div class="node-parts">
            <Segmented
              label={current?.label ?? ""}
              value={tab}
              onPick={(part) => go(`${base}/${part}`)}
              options={parts.map((key) => ({ key, label: PART_LABELS[key] ?? key }))}
            />
          </div>
        )}
        <Boundary key={tab}>
          {tab === "overview" && <Overview detail={detail} node={view} shown={shown} />}
          {tab === "measures" && <AllMetrics detail={detail} node={view} shown={shown} />}
          {tab === "processes" && <Processes detail={detail} />}
          {tab === "hardware" && <Hardware detail={detail} />}
          {tab === "services" && <Services detail={detail} view={view} />}
          {tab === "packages" && (
            <div class="stack">
              <Available detail={detail} />
              <Packages detail={detail} />
            </div>
          )}
          {tab === "jobs" && <NodeJobs id={view.id} />}
          {tab === "logs" && <NodeLogs id={view.id} />}
          {tab === "events" && <EventList node={view.id} />}
          {tab === "changes" && <NodeChanges id={view.id} />}
          {tab === "rules" && <NodeRules view={view} />}
          {tab === "settings" && <NodeSettings detail={detail} view={view} />}
        </Boundary>
      </div>
    </div>
  );
}

const counted = (count: number | null | undefined): { count?: number } => (count ? { count } : {});

/** The hub reports a clock as wrong above this difference. */
const WRONG_CLOCK_S = 30;

function Head({ view, health }: { view: NodeView; health: GlyphKind }) {
  const { identity } = view;
  const skew = view.state === "online" ? (view.latest["clock.skew"]?.value ?? 0) / 1000 : 0;
  const busy = runningOn.value.has(view.id);
  const system = [identity.os_name, identity.os_version].filter(Boolean).join(" ");
  return (
    <div class="node-head">
      <Glyph kind={busy && health !== "off" ? "run" : health} size="large" />
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
          {identity.kernel && <span>{identity.os_id === "macos" ? t`Darwin ${identity.kernel}` : t`Linux ${identity.kernel}`}</span>}
          {identity.revision && <span title={identity.revision}>{t`revision ${shortRevision(identity.revision)}`}</span>}
          {identity.generation !== null && <span>{t`generation ${identity.generation}`}</span>}
          {view.location && <span>{view.location.location}</span>}
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
          <LastJob id={view.id} />
          {Math.abs(skew) > WRONG_CLOCK_S && (
            <span class="warn">
              <Icon name="clock" />
              {skew > 0 ? t`clock ${age(skew)} ahead` : t`clock ${age(-skew)} behind`}
            </span>
          )}
          {view.agent_version && (
            <span
              class={view.agent === "outdated" ? "warn" : ""}
              title={view.agent === "outdated" ? t`This hub ships another version` : undefined}
            >
              {t`agent ${view.agent_version}`}
            </span>
          )}
        </div>
      </div>
      {mayAct.value && (
        <div class="row actions">
          <NodeActions view={view} />
        </div>
      )}
    </div>
  );
}
