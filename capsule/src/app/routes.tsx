/** Which page a path means. */

import type { VNode } from "preact";
import { t } from "../core/say";
import { FleetPage } from "../pages/fleet/fleet";
import { lazy } from "../ui/lazy";
import { Empty } from "../ui/parts";
import { NODE_TABS, type NodeTab } from "../pages/node/tabs";
import { SETTINGS_TABS, type SettingsTab } from "../pages/settings/tabs";

const NodePage = lazy(t`the node’s page`, async () => (await import("../pages/more")).NodePage);
const JobsPage = lazy(t`the list of jobs`, async () => (await import("../pages/more")).JobsPage);
const JobPage = lazy(t`the job’s page`, async () => (await import("../pages/more")).JobPage);
const BatchPage = lazy(t`the bulk job`, async () => (await import("../pages/more")).BatchPage);
const ServersPage = lazy(t`the servers`, async () => (await import("../pages/more")).ServersPage);
const ComparePage = lazy(t`the comparison`, async () => (await import("../pages/more")).ComparePage);
const UpdatesPage = lazy(t`the updates`, async () => (await import("../pages/more")).UpdatesPage);
const EventsPage = lazy(t`the list of events`, async () => (await import("../pages/more")).EventsPage);
const SettingsPage = lazy(t`the settings`, async () => (await import("../pages/access")).SettingsPage);

export type Section = "fleet" | "updates" | "jobs" | "events" | "settings";

export interface Route {
  section: Section;
  /** Another key = another page. */
  key: string;
  node: string | null;
  job: string | null;
  view: () => VNode;
}

const ID = /^[0-9A-Za-z]{1,64}$/;

export function routeOf(path: string): Route {
  const parts = path.split("/").filter(Boolean);
  const [first, id = "", tab = "overview"] = parts;
  const base = { node: null, job: null };
  if (first === undefined) return { ...base, section: "fleet", key: "fleet", view: () => <FleetPage /> };
  if (first === "n" && ID.test(id) && parts.length <= 3 && (NODE_TABS as readonly string[]).includes(tab)) {
    return { ...base, section: "fleet", key: `n/${id}`, node: id, view: () => <NodePage key={id} id={id} tab={tab as NodeTab} /> };
  }
  if (first === "jobs" && parts.length === 1) return { ...base, section: "jobs", key: "jobs", view: () => <JobsPage /> };
  if (first === "jobs" && parts.length === 2 && ID.test(id)) return { ...base, section: "jobs", key: `jobs/${id}`, job: id, view: () => <JobPage key={id} id={id} /> };
  if (first === "batches" && parts.length === 2 && ID.test(id)) return { ...base, section: "jobs", key: path, view: () => <BatchPage key={id} id={id} /> };
  if (first === "deployments" && parts.length === 2 && ID.test(id)) return { ...base, section: "fleet", key: path, view: () => <ServersPage key={id} id={id} /> };
  if (first === "compare" && parts.length === 1) return { ...base, section: "fleet", key: "compare", view: () => <ComparePage /> };
  if (first === "updates" && parts.length === 1) return { ...base, section: "updates", key: "updates", view: () => <UpdatesPage /> };
  if (first === "events" && parts.length === 1) return { ...base, section: "events", key: "events", view: () => <EventsPage /> };
  if (first === "settings" && parts.length <= 2 && (SETTINGS_TABS as readonly string[]).includes(id || "account")) {
    return { ...base, section: "settings", key: "settings", view: () => <SettingsPage tab={(id || "account") as SettingsTab} /> };
  }
  return { ...base, section: "fleet", key: path, view: () => <Nowhere /> };
}

function Nowhere(): VNode {
  return (
    <div class="page">
      <h1 class="hidden-text" tabIndex={-1}>
        {t`Not found`}
      </h1>
      <Empty icon="satellite" title={t`There is no such page`} text={t`The address is wrong, or what it showed is gone.`}>
        <a class="button" href="/">
          {t`Go to the fleet`}
        </a>
      </Empty>
    </div>
  );
}
