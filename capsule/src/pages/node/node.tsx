import type { VNode } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { factsOf, standingOf } from "../../core/facts";
import { age, clock } from "../../core/time";
import { size } from "../../core/units";
import { actionWord, phaseWord, stateWord } from "../../core/words";
import { now } from "../../state/clock";
import { runningOn } from "../../state/jobs";
import { lostSince, tryNow } from "../../state/link";
import { NodeDetail, RANGES, type Range } from "../../state/node";
import { go, place, setQuery } from "../../state/router";
import { mayAct } from "../../state/session";
import type { NodeView } from "../../state/types";
import { Glyph, type GlyphKind } from "../../ui/glyph";
import { Icon } from "../../ui/icon";
import { Banner, Empty, Failure, Loading, Segmented, Tabs } from "../../ui/parts";
import { Overview } from "./overview";
import { NodeEvents } from "./node-events";
import { NodeJobs } from "./node-jobs";
import { NodeSettings } from "./node-settings";
import type { NodeTab } from "./tabs";
import { UpgradeMenu } from "./upgrade";

const RANGE_WORDS: Record<Range, string> = { live: "Live", "1h": "1h", "24h": "24h" };

export function NodePage({ id, tab }: { id: string; tab: NodeTab }): VNode {
  const detail = useMemo(() => new NodeDetail(id), [id]);
  useEffect(() => () => detail.close(), [detail]);
  const view = detail.view.value;
  const failure = detail.failure.value;
  if (failure) {
    return (
      <div class="page">
        <h1 class="hidden-text" tabIndex={-1}>
          Node
        </h1>
        {failure.code === "not_found" || failure.status === 404 ? (
          <Empty icon="satellite" title="There is no such node" text="It was removed, or the address is wrong.">
            <a class="button" href="/">
              Go to the fleet
            </a>
          </Empty>
        ) : (
          <Failure title="The node could not be read" error={failure} onRetry={tryNow} />
        )}
      </div>
    );
  }
  if (!view) {
    return (
      <div class="page">
        <h1 class="hidden-text" tabIndex={-1}>
          Node
        </h1>
        <Loading rows={8} what="the node" onRetry={tryNow} />
      </div>
    );
  }
  return <Loaded detail={detail} view={view} tab={tab} />;
}

function Loaded({ detail, view, tab }: { detail: NodeDetail; view: NodeView; tab: NodeTab }): VNode {
  const asked = place.value.query.get("range");
  const range: Range = asked === "1h" || asked === "24h" ? asked : "live";
  const keep = range === "live" ? "" : `?range=${range}`;
  const base = `/n/${view.id}`;
  const tabs = [
    { key: "overview", label: "Overview", href: base + keep },
    { key: "jobs", label: "Jobs", href: `${base}/jobs` },
    { key: "events", label: "Events", href: `${base}/events` },
    { key: "settings", label: "Settings", href: `${base}/settings` },
  ];
  const standing = standingOf(view, factsOf(view), now.value);
  const dim = standing === "off" || standing === "stale" || lostSince.value !== null;
  return (
    <div class="page">
      <Head view={view} standing={standing} />
      <Notice view={view} standing={standing} />
      <div class="node-bar">
        <Tabs label="Parts of the node" tabs={tabs} current={tab} onPick={(picked) => go(picked.href)} />
        {tab === "overview" && (
          <Segmented
            label="Time range"
            value={range}
            onPick={(next) => setQuery({ range: next === "live" ? null : next })}
            options={(Object.keys(RANGES) as Range[]).map((key) => ({
              key,
              label: RANGE_WORDS[key],
              show: (
                <>
                  {key === "live" && <Glyph kind={dim ? "stale" : "ok"} label="" />}
                  {RANGE_WORDS[key]}
                </>
              ),
            }))}
          />
        )}
      </div>
      <div id="panel" role="tabpanel" aria-label={tabs.find((one) => one.key === tab)?.label} class={dim && tab === "overview" ? "dimmed" : ""}>
        {tab === "overview" && <Overview detail={detail} view={view} range={range} />}
        {tab === "jobs" && <NodeJobs id={view.id} />}
        {tab === "events" && <NodeEvents id={view.id} />}
        {tab === "settings" && <NodeSettings view={view} />}
      </div>
    </div>
  );
}

function Head({ view, standing }: { view: NodeView; standing: GlyphKind }): VNode {
  const { identity } = view;
  const busy = runningOn.value.has(view.id);
  const system = [identity.os_name, identity.os_version].filter(Boolean).join(" ");
  return (
    <div class="node-head">
      <Glyph kind={busy && standing !== "off" ? "run" : standing} size="large" />
      <div class="grow">
        <div class="row wrap">
          <h1 tabIndex={-1}>{view.name}</h1>
          {view.tags.map((tag) => (
            <a key={tag} class="tag" href={`/?q=${encodeURIComponent(`tag:${tag}`)}`}>
              {tag}
            </a>
          ))}
          {view.simulated && <span class="tag">simulated</span>}
        </div>
        <div class="identity">
          <span>{view.address}</span>
          {system && <span>{system}</span>}
          {identity.kernel && <span>Linux {identity.kernel}</span>}
          {identity.cpu_model && (
            <span>
              <Icon name="cpu" />
              {identity.cpu_model} · {identity.cpu_cores} {identity.cpu_cores === 1 ? "thread" : "threads"}
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
              up {age(now.value - identity.booted_at)}
            </span>
          )}
          {view.agent_version && <span>Spider {view.agent_version}</span>}
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

/** The one thing about this node that is to be known first. */
function Notice({ view, standing }: { view: NodeView; standing: GlyphKind }): VNode | null {
  const job = runningOn.value.get(view.id);
  const at = view.latest["cpu.total"]?.at;
  if (standing === "off") {
    const seen = view.last_seen_at;
    return (
      <Banner mark={<Glyph kind="off" label="" />}>
        <b>{view.name} is offline.</b>{" "}
        <span class="plain">{seen === null ? "It never connected." : `Last contact ${age(now.value - seen)} ago, at ${clock(seen)}. The values below are the last ones known.`}</span>
      </Banner>
    );
  }
  if (standing === "wait") {
    return (
      <Banner kind="calm" mark={<Glyph kind="wait" label="" />}>
        Waiting for the first contact.
      </Banner>
    );
  }
  if (job) {
    const state = job.state === "running" && job.phase ? phaseWord(job.phase) : stateWord(job.state).toLowerCase();
    return (
      <Banner
        kind="info"
        mark={<Glyph kind="run" label="" />}
        action={
          <a class="button slim" href={`/jobs/${job.id}`}>
            Open output
          </a>
        }
      >
        <b>{actionWord(job.action)}</b> <span class="plain">{job.progress_percent === null ? state : `${state}, ${job.progress_percent}%`}</span>
      </Banner>
    );
  }
  // Without a link the page cannot know; its own banner says so.
  if (standing === "stale" && at !== undefined && lostSince.value === null) {
    return (
      <Banner kind="calm" mark={<Glyph kind="stale" label="" />}>
        <b>No samples for {age(now.value - at)}.</b> <span class="plain">The last values are from {clock(at)}.</span>
      </Banner>
    );
  }
  if (view.reboot_required === "yes") {
    return (
      <Banner mark={<Icon name="rotate-cw" />}>
        <b>A restart is needed.</b> <span class="plain">Installed updates take effect after it.</span>
      </Banner>
    );
  }
  return null;
}
