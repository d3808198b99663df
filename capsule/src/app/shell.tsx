import type { ComponentChildren, VNode } from "preact";
import { tagFilter } from "../core/nodes/filter";
import { age, clock, plural, t } from "../core/text";
import { jobLabel } from "../core/jobs/job-labels";
import { showDialog } from "../state/dialogs";
import { activeDeployments, openDeployment } from "../state/deployments";
import { nodeName, silentFor, tags } from "../state/fleet";
import { jobs } from "../state/jobs";
import { connections, lastMessageBeforeLoss, live, lostSince, newerBuild, retryIn, tryNow } from "../state/live/link";
import { messengerTrouble } from "../state/messenger";
import { chosen, organisations, switchTo } from "../state/organisation";
import { preferences } from "../state/preferences";
import { go, pageUrl } from "../state/router";
import { logOut, mayAct, user } from "../state/session";
import { hubCanStore } from "../state/hub-health";
import { nextTheme, theme } from "../state/theme";
import type { DeploymentView } from "../state/types";
import { Banner, Button, Glyph, Icon, lazy, Logo, MenuButton } from "../ui";
import type { Route } from "./routes";
import { SECTIONS } from "./sections";

const StorageWarning = lazy(
  t`what is wrong`,
  async () => (await import("../pages/storage-warning")).StorageWarning,
  () => null,
);
const MessengerTrouble = lazy(
  t`what is wrong`,
  async () => (await import("../pages/alerts/messenger-trouble")).MessengerTrouble,
  () => null,
);
const THEME_ICONS = { auto: "sun-moon", light: "sun", dark: "moon" } as const;
const THEME_WORDS = { auto: t`auto`, light: t`light`, dark: t`dark` };

export function Shell({ route, children }: { route: Route; children: ComponentChildren }) {
  return (
    <>
      <a class="hidden-text skip" href="#main">
        {t`Skip to content`}
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

/** Entries of the sidebar. */
const entries = (sections: typeof SECTIONS, route: Route): VNode[] =>
  sections.map(({ key, href, icon, label, number, words }) => {
    const shown = number?.();
    return (
      <a key={key} class="nav" href={href} title={label} aria-current={route.section === key ? "page" : undefined}>
        <Icon name={icon} />
        {label} {shown ? <span class="count">{words ? words(shown) : shown}</span> : null}
      </a>
    );
  });

/** The sidebar shows so many tags, the most common ones; others are behind a summary. */
const MOST_TAGS = 12;

function Side({ route }: { route: Route }) {
  const more = tags.value.length - MOST_TAGS;
  const query = pageUrl.value.query.get("q") ?? "";
  const { views } = preferences.value;
  const tagged = ([tag, count]: readonly [string, number]) => (
    <a
      key={tag}
      class="nav"
      href={`/?q=${encodeURIComponent(tagFilter(tag))}`}
      aria-current={route.key === "fleet" && query === tagFilter(tag) ? "true" : undefined}
    >
      <Icon name="tag" size="small" />
      <span class="cut">{tag}</span>
      <span class="count">{count}</span>
    </a>
  );
  return (
    <nav class="side" aria-label={t`Main`}>
      <a class="brand" href="/" title={t`Fleet`}>
        <Logo />
        <span>
          Stardust <small class="cut">{location.host}</small>
        </span>
      </a>
      {organisations.value.length > 1 && (
        <select class="input" aria-label={t`Organisation`} value={chosen.value} onChange={(event) => switchTo(event.currentTarget.value)}>
          {organisations.value.map(({ slug, name, state }) => (
            <option key={slug} value={slug} disabled={state === "suspended"}>
              {state === "suspended" ? t`${name}, suspended` : name}
            </option>
          ))}
        </select>
      )}
      {entries(SECTIONS.slice(0, -1), route)}
      {views.length > 0 && (
        <div class="tags">
          <h2>{t`Views`}</h2>
          {views.map(({ name, query: saved }) => (
            <a
              key={name}
              class="nav"
              href={`/?${saved}`}
              aria-current={route.key === "fleet" && pageUrl.value.query.toString() === saved ? "true" : undefined}
            >
              <Icon name="filter" size="small" />
              <span class="cut">{name}</span>
            </a>
          ))}
        </div>
      )}
      {tags.value.length > 0 && (
        <div class="tags">
          <h2>{t`Tags`}</h2>
          {tags.value.slice(0, MOST_TAGS).map(tagged)}
          {more > 0 && (
            <details>
              <summary class="nav">{t`${more} more`}</summary>
              {tags.value.slice(MOST_TAGS).map(tagged)}
            </details>
          )}
        </div>
      )}
      <div class="foot">
        {entries(SECTIONS.slice(-1), route)}
        <button type="button" class="nav" onClick={nextTheme} title={t`Theme: ${THEME_WORDS[theme.value]}`}>
          <Icon name={THEME_ICONS[theme.value]} />
          {t`Theme`} <span class="count">{THEME_WORDS[theme.value]}</span>
        </button>
        <button type="button" class="nav" onClick={() => void logOut()} title={t`Sign out ${user.value?.username ?? ""}`}>
          <Icon name="log-out" />
          {t`Sign out`} <span class="count cut">{user.value?.username}</span>
        </button>
      </div>
    </nav>
  );
}

function Crumb({ route }: { route: Route }) {
  if (route.node) {
    return (
      <div class="crumb cut">
        <a href="/">{t`Fleet`}</a>
        <span class="slash">/</span>
        <span class="cut">{nodeName(route.node) ?? t`Node`}</span>
      </div>
    );
  }
  if (route.job) {
    const job = jobs.value.find((one) => one.id === route.job);
    return (
      <div class="crumb cut">
        <a href="/jobs">{t`Jobs`}</a>
        <span class="slash">/</span>
        <span class="cut">{job ? [jobLabel(job), nodeName(job.node_id)].filter(Boolean).join(", ") : t`Job`}</span>
      </div>
    );
  }
  return <div class="crumb cut">{SECTIONS.find(({ key }) => key === route.section)?.label}</div>;
}

function deploymentText({ kind, again, name, host }: DeploymentView): string {
  const what = name || host;
  if (kind === "install") return again ? t`Deploying ${what}` : t`Adding ${what}`;
  return kind === "update" ? t`Updating ${what}` : t`Removing ${what}`;
}

function Top({ route }: { route: Route }) {
  const working = activeDeployments.value;
  const first = working[0];
  const work = first && (working.length > 1 ? plural(working.length, "deployment") : deploymentText(first));
  return (
    <header class="top">
      <a class="only-phone" href="/" aria-label={t`Fleet`}>
        <Logo size={28} />
      </a>
      <Crumb route={route} />
      {organisations.value.length > 1 && (
        <span class="pill small cut only-phone">{organisations.value.find(({ slug }) => slug === chosen.value)?.name}</span>
      )}
      <button type="button" class="cmd" aria-keyshortcuts="Control+K" onClick={() => showDialog({ kind: "palette" })}>
        <Icon name="search" size="small" />
        <span class="grow">{t`Search or run a command`} </span>
        <kbd>{t`Ctrl K`}</kbd>
      </button>
      {first && (
        <Button
          slim
          kind="quiet"
          more={{ "aria-label": work }}
          onClick={() => {
            if (first.batch_id) go(`/deployments/${first.batch_id}`);
            else openDeployment(first);
          }}
        >
          <Glyph kind="run" label="" />
          <span class="only-desk">{work}</span>
        </Button>
      )}
      <Live />
      {mayAct.value && (
        <Button kind="primary" icon="plus" class="only-desk" onClick={() => showDialog({ kind: "add" })}>
          {t`Add node`}
        </Button>
      )}
    </header>
  );
}

/** The state of the live connection. The growing age is hidden from screen readers, which would otherwise read it each second. */
function Live() {
  const old = live.value && silentFor.value;
  return (
    <span class="live only-desk" role="status">
      <Glyph kind={live.value && !old ? "ok" : "stale"} {...(!old && { label: "" })} />
      {!live.value ? t`Connecting…` : old ? <span aria-hidden="true">{t`Silent · ${age(old)}`}</span> : t`Live · 1 s`}
    </span>
  );
}

function Banners() {
  const since = lostSince.value;
  const wait = retryIn.value;
  if (since === null && hubCanStore.value && !messengerTrouble.value && !newerBuild.value) return null;
  return (
    <div class="banners">
      {since !== null && (
        <Banner
          mark={<Icon name="wifi-off" />}
          action={
            <Button slim onClick={tryNow}>
              {t`Try now`}
            </Button>
          }
        >
          <b>{t`No connection to Ground Control.`}</b>{" "}
          <span class="plain">{connections.value ? t`Values are from ${clock(lastMessageBeforeLoss.value)}.` : t`No data yet.`} </span>
          <span class="plain num" aria-hidden="true">
            {wait === null || wait === 0 ? t`Trying now…` : t`Trying again in ${wait} s.`}
          </span>
        </Banner>
      )}
      {since === null && !hubCanStore.value && <StorageWarning />}
      {since === null && messengerTrouble.value && <MessengerTrouble {...messengerTrouble.value} />}
      {newerBuild.value && (
        <Banner
          kind="info"
          mark={<Icon name="info" />}
          action={
            <Button slim onClick={() => location.reload()}>
              {t`Reload`}
            </Button>
          }
        >
          {t`A new version of this page is ready.`}
        </Banner>
      )}
    </div>
  );
}

function TabBar({ route }: { route: Route }) {
  return (
    <nav class="tabbar" aria-label={t`Main, phone`}>
      {SECTIONS.slice(0, -1).map(({ key, href, icon, label, number, counted }) => {
        const shown = counted && number?.();
        return (
          <a key={key} href={href} aria-current={route.section === key ? "page" : undefined}>
            <Icon name={icon} size="large" />
            {label}
            {shown ? (
              <span class="dot">
                <span class="hidden-text">{counted} </span>
                {shown}
              </span>
            ) : null}
          </a>
        );
      })}
      <MenuButton
        label={t`Account`}
        class={route.section === "settings" ? "quiet at" : "quiet"}
        groups={[
          organisations.value.length > 1
            ? organisations.value
                .filter(({ state, slug }) => state === "active" && slug !== chosen.value)
                .map(({ slug, name }) => ({ label: t`Work in ${name}`, icon: "users", run: () => switchTo(slug) }))
            : [],
          [
            { label: t`Settings`, icon: "settings", run: () => go("/settings") },
            { label: t`Theme: ${THEME_WORDS[theme.value]}`, icon: THEME_ICONS[theme.value], run: () => void nextTheme() },
          ],
          [{ label: t`Sign out ${user.value?.username ?? ""}`, icon: "log-out", run: () => void logOut() }],
        ]}
      >
        <Icon name="settings" size="large" />
        {t`Account`}
      </MenuButton>
    </nav>
  );
}
