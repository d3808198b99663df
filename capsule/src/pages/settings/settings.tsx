import type { VNode } from "preact";
import { go } from "../../state/router";
import { isAdmin, mayAct } from "../../state/session";
import { Tabs } from "../../ui/parts";
import { AccountPage } from "./account";
import { AppearancePage } from "./appearance";
import { AuditPage } from "./audit";
import { HistoryPage } from "./history";
import { HubPage } from "./hub";
import { JoiningPage } from "./joining";
import { Refused } from "./list";
import type { SettingsTab } from "./tabs";
import { TokensPage } from "./tokens";
import { UsersPage } from "./users";

/** Who may open it. */
type Who = "all" | "acting" | "admin";

const ALL: readonly { key: SettingsTab; label: string; href: string; who: Who }[] = [
  { key: "account", label: "Account", href: "/settings", who: "all" },
  { key: "users", label: "Users", href: "/settings/users", who: "admin" },
  { key: "tokens", label: "API tokens", href: "/settings/tokens", who: "all" },
  { key: "joining", label: "Joining", href: "/settings/joining", who: "acting" },
  { key: "history", label: "History", href: "/settings/history", who: "admin" },
  { key: "hub", label: "Hub", href: "/settings/hub", who: "admin" },
  { key: "audit", label: "Audit", href: "/settings/audit", who: "admin" },
  { key: "appearance", label: "Appearance", href: "/settings/appearance", who: "all" },
];

export function SettingsPage({ tab }: { tab: SettingsTab }): VNode {
  const tabs = ALL.filter(({ who }) => who === "all" || (who === "admin" ? isAdmin.value : mayAct.value));
  const current = ALL.find((one) => one.key === tab);
  const closed = current !== undefined && !tabs.includes(current);
  return (
    <div class="page">
      <div class="page-head">
        <h1 tabIndex={-1}>Settings</h1>
      </div>
      <Tabs label="Parts of the settings" tabs={tabs} current={tab} onPick={(picked) => go(picked.href)} />
      <div id="panel" role="tabpanel" aria-label={current?.label}>
        {closed ? <Refused what={current.who === "acting" ? "This part is for operators and admins." : "This part is for admins."} /> : <Panel tab={tab} />}
      </div>
    </div>
  );
}

function Panel({ tab }: { tab: SettingsTab }): VNode {
  switch (tab) {
    case "account":
      return <AccountPage />;
    case "users":
      return <UsersPage />;
    case "tokens":
      return <TokensPage />;
    case "joining":
      return <JoiningPage />;
    case "history":
      return <HistoryPage />;
    case "hub":
      return <HubPage />;
    case "audit":
      return <AuditPage />;
    case "appearance":
      return <AppearancePage />;
  }
}
