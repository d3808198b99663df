import { useEffect } from "preact/hooks";
import { t } from "../../core/text";
import { loadRules } from "../../state/alert-calls";
import { firingCount } from "../../state/alerts";
import { followIncidents } from "../../state/incidents";
import { go } from "../../state/router";
import { ApiError } from "../../state/types";
import { Tabs } from "../../ui/tabs";
import { ChannelsTab } from "./channels";
import { DeadlinesTab } from "./deadlines";
import { DeliveriesTab } from "./deliveries";
import { FiringTab } from "./firing";
import { HistoryTab } from "./history";
import { IncidentPanel } from "./incident";
import { MaintenanceTab } from "./maintenance";
import { RulesTab } from "./rules";

type AlertTab = "firing" | "history" | "rules" | "channels" | "maintenance" | "deadlines" | "deliveries";

interface AlertsTab {
  key: AlertTab;
  label: string;
  href: string;
}

const FIRING: AlertsTab = { key: "firing", label: t`Firing`, href: "/alerts" };
const TABS: readonly AlertsTab[] = [
  FIRING,
  { key: "history", label: t`History`, href: "/alerts/history" },
  { key: "rules", label: t`Rules`, href: "/alerts/rules" },
  { key: "channels", label: t`Channels`, href: "/alerts/channels" },
  { key: "maintenance", label: t`Maintenance`, href: "/alerts/maintenance" },
  { key: "deadlines", label: t`Deadlines`, href: "/alerts/deadlines" },
  { key: "deliveries", label: t`Delivery log`, href: "/alerts/deliveries" },
];

/** Loads the rules, whose units and names the alerts use. Without them, values are shown without units. */
async function readRules(): Promise<void> {
  try {
    await loadRules();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // the tab of the rules reports the error
  }
}

/** `tab` is the last part of the address: the key of a tab, the id of an incident, or "" for the first tab. */
export function AlertsPage({ tab }: { tab: string }) {
  useEffect(() => {
    void readRules();
    return followIncidents();
  }, []);
  const current = TABS.find((one) => one.key === (tab || "firing"));
  const tabs = TABS.map((one) => (one.key === "firing" && firingCount.value ? { ...one, count: parseInt(firingCount.value, 10) } : one));
  return (
    <div class="page">
      <div class="page-head">
        <h1 tabIndex={-1}>{t`Alerts`}</h1>
      </div>
      <Tabs label={t`Parts of the alerts`} tabs={tabs} current={(current ?? FIRING).key} onArrow={(next) => go(next.href)} />
      <div id="panel" role="tabpanel" aria-label={current?.label ?? t`Incident`}>
        {current ? <Panel tab={current.key} /> : <IncidentPanel id={tab} />}
      </div>
    </div>
  );
}

function Panel({ tab }: { tab: AlertTab }) {
  switch (tab) {
    case "firing":
      return <FiringTab />;
    case "history":
      return <HistoryTab />;
    case "rules":
      return <RulesTab />;
    case "channels":
      return <ChannelsTab />;
    case "maintenance":
      return <MaintenanceTab />;
    case "deadlines":
      return <DeadlinesTab />;
    case "deliveries":
      return <DeliveriesTab />;
  }
}
