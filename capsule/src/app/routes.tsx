/** The page of a path. */

import type { ComponentType, VNode } from "preact";
import { t } from "../core/text";
import { FleetPage } from "../pages/fleet/fleet";
import { NODE_TABS, SETTINGS_TABS } from "../pages/tabs";
import { lazy } from "../ui";
import type { Section } from "./sections";

/** The id and the tab in a path; "" if it has none. */
interface Named<T extends string = string> {
  id: string;
  tab: T;
}

interface Row {
  section: Section;
  path: RegExp;
  tabs: readonly string[] | undefined;
  Page(props: Named): VNode | null;
}

/**
 * The page of a path, loaded when it is first shown.
 *
 * `path`: without its first slash. `:id` stands for an id. `/:tab` may be left out: it is one of `tabs`, by default the first; without
 * `tabs` the page checks it. `what`: the page in a sentence about loading it.
 */
function row<T extends string>(
  section: Section,
  path: string,
  what: string,
  load: () => Promise<ComponentType<Named<T>>>,
  tabs?: readonly T[],
): Row {
  const source = path.replace(":id", "(?<id>[0-9A-Za-z]{1,64})").replace("/:tab", "(/(?<tab>[^/]+))?");
  return { section, path: RegExp(`^${source}$`), tabs, Page: lazy(what, load, null, "page") };
}

const ROWS = [
  row("fleet", "n/:id/:tab", t`the node’s page`, async () => (await import("../pages/node/node")).NodePage, NODE_TABS),
  row("fleet", "deployments/:id", t`the servers`, async () => (await import("../pages/add/servers")).ServersPage),
  row("fleet", "compare", t`the comparison`, async () => (await import("../pages/compare/compare")).ComparePage),
  row("alerts", "alerts/:tab", t`the alerts`, async () => (await import("../pages/alerts/alerts")).AlertsPage),
  row("updates", "updates", t`the updates`, async () => (await import("../pages/updates/updates")).UpdatesPage),
  row("updates", "rollouts/:tab", t`the roll-outs`, async () => (await import("../pages/rollouts/rollouts")).RolloutsPage),
  row("updates", "rollout/:id", t`the roll-out`, async () => (await import("../pages/rollouts/rollout")).RolloutPage),
  row("updates", "patch-policies/:id", t`the patch policy`, async () => (await import("../pages/rollouts/policy")).PolicyPage),
  row("jobs", "jobs", t`the list of jobs`, async () => (await import("../pages/jobs/jobs")).JobsPage),
  row("jobs", "jobs/:id", t`the job’s page`, async () => (await import("../pages/job/job")).JobPage),
  row("jobs", "batches/:id", t`the bulk job`, async () => (await import("../pages/bulk/batch")).BatchPage),
  row("events", "events", t`the list of events`, async () => (await import("../pages/events/events")).EventsPage),
  row("settings", "settings/:tab", t`the settings`, async () => (await import("../pages/settings/settings")).SettingsPage, SETTINGS_TABS),
];
const NotFound = lazy(t`the page`, async () => (await import("../pages/not-found")).NotFound, null, "page");

export interface Route {
  section: Section;
  /** Another key = another page. */
  key: string;
  /** The id of the node or job that the page is about; "": of none. */
  node: string;
  job: string;
  view: () => VNode;
}

export function routeOf(path: string): Route {
  const parts = path.split("/").filter(Boolean);
  const [first] = parts;
  if (!first) return { section: "fleet", key: "fleet", node: "", job: "", view: () => <FleetPage /> };
  for (const { section, path, tabs, Page } of ROWS) {
    const found = path.exec(parts.join("/"));
    if (!found) continue;
    const { id = "", tab = tabs?.[0] ?? "" } = found.groups ?? {};
    if (!tabs || tabs.includes(tab))
      return {
        section,
        key: `${first}/${id}`,
        node: first === "n" ? id : "",
        job: first === "jobs" ? id : "",
        view: () => <Page id={id} tab={tab} />,
      };
  }
  return { section: "fleet", key: path, node: "", job: "", view: () => <NotFound /> };
}
