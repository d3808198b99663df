/** The page of a path. */

import type { ComponentType, VNode } from "preact";
import { t } from "../core/text/i18n";
import { FleetPage } from "../pages/fleet/fleet";
import { NODE_TABS, type NodeTab, SETTINGS_TABS, type SettingsTab } from "../pages/tabs";
import { lazy } from "../ui/lazy";

const page = <P extends object>(what: string, load: () => Promise<ComponentType<P>>): ((props: P) => VNode | null) => lazy(what, load, null, "page");
const NodePage = page(t`the node’s page`, async () => (await import("../pages/node/node")).NodePage);
const JobsPage = page(t`the list of jobs`, async () => (await import("../pages/jobs/jobs")).JobsPage);
const JobPage = page(t`the job’s page`, async () => (await import("../pages/job/job")).JobPage);
const BatchPage = page(t`the bulk job`, async () => (await import("../pages/bulk/batch")).BatchPage);
const ServersPage = page(t`the servers`, async () => (await import("../pages/add/servers")).ServersPage);
const ComparePage = page(t`the comparison`, async () => (await import("../pages/compare/compare")).ComparePage);
const UpdatesPage = page(t`the updates`, async () => (await import("../pages/updates/updates")).UpdatesPage);
const EventsPage = page(t`the list of events`, async () => (await import("../pages/events/events")).EventsPage);
const AlertsPage = page(t`the alerts`, async () => (await import("../pages/alerts/alerts")).AlertsPage);
const NotFound = page(t`the page`, async () => (await import("../pages/not-found")).NotFound);
const SettingsPage = page(t`the settings`, async () => (await import("../pages/settings/settings")).SettingsPage);

export type Section = "fleet" | "alerts" | "updates" | "jobs" | "events" | "settings";

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
  if (first === "alerts" && parts.length <= 2) return { ...base, section: "alerts", key: "alerts", view: () => <AlertsPage tab={id || "firing"} /> };
  if (first === "settings" && parts.length <= 2 && (SETTINGS_TABS as readonly string[]).includes(id || "account")) {
    return { ...base, section: "settings", key: "settings", view: () => <SettingsPage tab={(id || "account") as SettingsTab} /> };
  }
  return { ...base, section: "fleet", key: path, view: () => <NotFound /> };
}
