import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { go } from "../../state/router";
import { isAdmin } from "../../state/session";
import { Tabs } from "../../ui/parts";
import { AccountPage } from "./account";
import { AppearancePage } from "./appearance";
import { AuditPage } from "./audit";
import { Refused } from "./list";
import type { SettingsTab } from "./tabs";
import { TokensPage } from "./tokens";
import { UsersPage } from "./users";

const ALL: readonly { key: SettingsTab; label: string; href: string; admin: boolean }[] = [
  { key: "account", label: "Account", href: "/settings", admin: false },
  { key: "users", label: "Users", href: "/settings/users", admin: true },
  { key: "tokens", label: "API tokens", href: "/settings/tokens", admin: false },
  { key: "audit", label: "Audit", href: "/settings/audit", admin: true },
  { key: "appearance", label: "Appearance", href: "/settings/appearance", admin: false },
];

export function SettingsPage({ tab }: { tab: SettingsTab }): VNode {
  const tabs = ALL.filter((one) => isAdmin.value || !one.admin);
  const current = ALL.find((one) => one.key === tab);
  const page = useRef<HTMLDivElement>(null);
  // On a phone the tabs are wider than the screen.
  useEffect(() => page.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" }), [tab]);
  const closed = current !== undefined && !tabs.includes(current);
  return (
    <div class="page" ref={page}>
      <div class="page-head">
        <h1 tabIndex={-1}>Settings</h1>
      </div>
      <Tabs label="Parts of the settings" tabs={tabs} current={tab} onPick={(picked) => go(picked.href)} />
      <div id="panel" role="tabpanel" aria-label={current?.label}>
        {closed ? <Refused what="This part is for admins." /> : <Panel tab={tab} />}
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
    case "audit":
      return <AuditPage />;
    case "appearance":
      return <AppearancePage />;
  }
}
