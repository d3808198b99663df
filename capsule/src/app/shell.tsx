import type { ComponentChildren, VNode } from "preact";
import { clock } from "../core/time";
import { actionWord } from "../core/words";
import { show } from "../state/dialogs";
import { active } from "../state/deployments";
import { ids, loaded, nodeName, tags, updatesThere } from "../state/fleet";
import { jobs, running } from "../state/jobs";
import { connections, live, lostSince, newerBuild, retryIn, tryNow } from "../state/link";
import { preferences } from "../state/preferences";
import { go, place } from "../state/router";
import { logOut, mayAct, user } from "../state/session";
import { storing } from "../state/storing";
import { nextTheme, theme } from "../state/theme";
import { Button } from "../ui/button";
import { Glyph } from "../ui/glyph";
import { Icon, Logo, type IconName } from "../ui/icon";
import { MenuButton } from "../ui/menu";
import { Banner } from "../ui/parts";
import type { Route } from "./routes";

const THEME_ICONS = { auto: "sun-moon", light: "sun", dark: "moon" } as const;

export function Shell({ route, children }: { route: Route; children: ComponentChildren }): VNode {
  return (
    <>
      <a class="hidden-text skip" href="#main">
        Skip to content
      </a>
      <div class="shell">
        <Side route={route} />
        <div>
          <Top route={route} />
          <Banners />
          <main id="main" tabIndex={-1}>
            {children}
          </main>
        </div>
      </div>
      <TabBar route={route} />
    </>
  );
}

function Entry({ href, icon, label, count, current }: { href: string; icon: IconName; label: string; count?: string; current: boolean }): VNode {
  return (
    <a class="nav" href={href} title={label} aria-current={current ? "page" : undefined}>
      <Icon name={icon} />
      {label} {count && <span class="count">{count}</span>}
    </a>
  );
}

const runningWords = (): string => (running.value.length ? `${running.value.length} running` : "");

function Side({ route }: { route: Route }): VNode {
  const shownTags = tags.value.slice(0, 12);
  const query = place.value.query.get("q") ?? "";
  const { views } = preferences.value;
  return (
    <nav class="side" aria-label="Main">
      <a class="brand" href="/" title="Fleet">
        <Logo />
        <span>
          Stardust <small class="cut">{location.host}</small>
        </span>
      </a>
      <Entry href="/" icon="server" label="Fleet" count={loaded.value ? String(ids.value.length) : ""} current={route.section === "fleet"} />
      <Entry href="/updates" icon="package" label="Updates" count={updatesThere.value ? String(updatesThere.value) : ""} current={route.section === "updates"} />
      <Entry href="/jobs" icon="list-checks" label="Jobs" count={runningWords()} current={route.section === "jobs"} />
      <Entry href="/events" icon="scroll-text" label="Events" current={route.section === "events"} />
      {views.length > 0 && (
        <div class="tags">
          <h2>Views</h2>
          {views.map(({ name, query: saved }) => (
            <a key={name} class="nav" href={`/?${saved}`} aria-current={route.key === "fleet" && place.value.query.toString() === saved ? "true" : undefined}>
              <Icon name="filter" size="small" />
              <span class="cut">{name}</span>
            </a>
          ))}
        </div>
      )}
      {shownTags.length > 0 && (
        <div class="tags">
          <h2>Tags</h2>
          {shownTags.map(([tag, count]) => (
            <a key={tag} class="nav" href={`/?q=${encodeURIComponent(`tag:${tag}`)}`} aria-current={route.key === "fleet" && query === `tag:${tag}` ? "true" : undefined}>
              <Icon name="tag" size="small" />
              <span class="cut">{tag}</span>
              <span class="count">{count}</span>
            </a>
          ))}
        </div>
      )}
      <div class="foot">
        <Entry href="/settings" icon="settings" label="Settings" current={route.section === "settings"} />
        <button type="button" class="nav" onClick={nextTheme} title={`Theme: ${theme.value}`}>
          <Icon name={THEME_ICONS[theme.value]} />
          Theme <span class="count">{theme.value}</span>
        </button>
        <button type="button" class="nav" onClick={() => void logOut()} title={`Sign out ${user.value?.username ?? ""}`}>
          <Icon name="log-out" />
          Sign out <span class="count cut">{user.value?.username}</span>
        </button>
      </div>
    </nav>
  );
}

function Crumb({ route }: { route: Route }): VNode {
  if (route.node) {
    return (
      <div class="crumb cut">
        <a href="/">Fleet</a>
        <span class="slash">/</span>
        <span class="cut">{nodeName(route.node) ?? "Node"}</span>
      </div>
    );
  }
  if (route.job) {
    const job = jobs.value.find((one) => one.id === route.job);
    return (
      <div class="crumb cut">
        <a href="/jobs">Jobs</a>
        <span class="slash">/</span>
        <span class="cut">{job ? `${actionWord(job.action)}, ${nodeName(job.node_id) ?? "removed node"}` : "Job"}</span>
      </div>
    );
  }
  return <div class="crumb cut">{{ fleet: "Fleet", updates: "Updates", jobs: "Jobs", events: "Events", settings: "Settings" }[route.section]}</div>;
}

function Top({ route }: { route: Route }): VNode {
  const working = active.value;
  const first = working[0];
  return (
    <header class="top">
      <a class="only-phone" href="/" aria-label="Fleet">
        <Logo size={28} />
      </a>
      <Crumb route={route} />
      <button type="button" class="cmd" aria-keyshortcuts="Control+K" onClick={() => show({ kind: "palette" })}>
        <Icon name="search" size="small" />
        <span class="grow">Search or run a command </span>
        <kbd>Ctrl K</kbd>
      </button>
      {first && (
        <Button
          slim
          kind="quiet"
          class="only-desk"
          onClick={() => {
            if (first.batch_id) go(`/deployments/${first.batch_id}`);
            else if (first.kind === "update") go(`/n/${first.node_id}`);
            else show(first.kind === "remove" && first.node_id ? { kind: "remove", node: first.node_id, deployment: first.id } : { kind: "add", deployment: first.id });
          }}
        >
          <Glyph kind="run" label="" />
          {working.length > 1 ? `${working.length} deployments` : `${{ install: first.again ? "Deploying" : "Adding", update: "Updating", remove: "Removing" }[first.kind]} ${first.name || first.host}`}
        </Button>
      )}
      <span class="live only-desk" role="status">
        {live.value ? (
          <>
            <Glyph kind="ok" label="" />
            Live · 1 s
          </>
        ) : (
          <>
            <Glyph kind="stale" label="" />
            Connecting…
          </>
        )}
      </span>
      {mayAct.value && (
        <Button kind="primary" icon="plus" class="only-desk" onClick={() => show({ kind: "add" })}>
          Add node
        </Button>
      )}
    </header>
  );
}

function Banners(): VNode | null {
  const since = lostSince.value;
  const wait = retryIn.value;
  if (since === null && storing.value && !newerBuild.value) return null;
  return (
    <div class="banners">
      {since !== null && (
        <Banner
          mark={<Icon name="wifi-off" />}
          action={
            <Button slim onClick={tryNow}>
              Try now
            </Button>
          }
        >
          <b>No connection to Ground Control.</b> <span class="plain">{connections.value ? `Values are from ${clock(since)}.` : "Nothing has come yet."} </span>
          <span class="plain num" aria-hidden="true">
            {wait === null || wait === 0 ? "Trying now…" : `Trying again in ${wait} s.`}
          </span>
        </Banner>
      )}
      {since === null && !storing.value && (
        <Banner kind="crit" mark={<Icon name="circle-alert" />} alert>
          <b>Ground Control cannot store anything.</b>{" "}
          <span class="plain">
            What is shown is live or older; servers keep what they measure until it can again. <code>stardust doctor</code> on its machine says why.
          </span>
        </Banner>
      )}
      {newerBuild.value && (
        <Banner
          kind="info"
          mark={<Icon name="info" />}
          action={
            <Button slim onClick={() => location.reload()}>
              Reload
            </Button>
          }
        >
          A newer version of this page is there.
        </Banner>
      )}
    </div>
  );
}

function TabBar({ route }: { route: Route }): VNode {
  const at = (section: Route["section"]): "page" | undefined => (route.section === section ? "page" : undefined);
  return (
    <nav class="tabbar" aria-label="Main, phone">
      <a href="/" aria-current={at("fleet")}>
        <Icon name="server" size="large" />
        Fleet
      </a>
      <a href="/updates" aria-current={at("updates")}>
        <Icon name="package" size="large" />
        Updates
      </a>
      <a href="/jobs" aria-current={at("jobs")}>
        <Icon name="list-checks" size="large" />
        Jobs
        {running.value.length > 0 && (
          <span class="dot">
            <span class="hidden-text">running: </span>
            {running.value.length}
          </span>
        )}
      </a>
      <a href="/events" aria-current={at("events")}>
        <Icon name="scroll-text" size="large" />
        Events
      </a>
      <MenuButton
        label="Account"
        class={route.section === "settings" ? "quiet at" : "quiet"}
        groups={[
          [
            { label: "Settings", icon: "settings", run: () => go("/settings") },
            { label: `Theme: ${theme.value}`, icon: THEME_ICONS[theme.value], run: () => void nextTheme() },
          ],
          [{ label: `Sign out ${user.value?.username ?? ""}`, icon: "log-out", run: () => void logOut() }],
        ]}
      >
        <Icon name="settings" size="large" />
        Account
      </MenuButton>
    </nav>
  );
}
