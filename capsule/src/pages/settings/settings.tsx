import { t } from "../../core/text";
import { isHubAdmin, manyOrganisations } from "../../state/organisation";
import { go } from "../../state/router";
import { isAdmin, mayAct } from "../../state/session";
import { Tabs } from "../../ui/tabs";
import type { SettingsTab } from "../tabs";
import { AccountPage } from "./account";
import { AppearancePage } from "./appearance";
import { AuditPage } from "./audit";
import { HistoryPage } from "./history";
import { HubPage } from "./hub";
import { InvitesPage } from "./invites";
import { MembersPage } from "./members";
import { OrganisationsPage } from "./organisations";
import { PoliciesPage } from "./policies";
import { RoleRefusal } from "../list-view";
import { SsoPage } from "./sso";
import { TokensPage } from "./tokens";
import { UsersPage } from "./users";

/** The users who may open a tab. */
type Audience = "all" | "acting" | "admin" | "hub" | "members";

const ALL: readonly { key: SettingsTab; label: string; href: string; who: Audience }[] = [
  { key: "account", label: t`Account`, href: "/settings", who: "all" },
  { key: "users", label: t`Users`, href: "/settings/users", who: "admin" },
  { key: "members", label: t`Members`, href: "/settings/members", who: "members" },
  { key: "organisations", label: t`Organisations`, href: "/settings/organisations", who: "hub" },
  { key: "tokens", label: t`API tokens`, href: "/settings/tokens", who: "all" },
  { key: "joining", label: t`Enrollment`, href: "/settings/joining", who: "acting" },
  { key: "history", label: t`Retention`, href: "/settings/history", who: "hub" },
  { key: "hub", label: t`Hub`, href: "/settings/hub", who: "hub" },
  { key: "policies", label: t`Policies`, href: "/settings/policies", who: "acting" },
  { key: "sso", label: t`Single sign-on`, href: "/settings/sso", who: "admin" },
  { key: "audit", label: t`Audit`, href: "/settings/audit", who: "admin" },
  { key: "appearance", label: t`Appearance`, href: "/settings/appearance", who: "all" },
];

function mayOpen(who: Audience): boolean {
  switch (who) {
    case "all":
      return true;
    case "acting":
      return mayAct.value;
    case "admin":
      return isAdmin.value;
    case "members":
      return isAdmin.value && manyOrganisations.value;
    case "hub":
      return isHubAdmin.value;
  }
}

export function SettingsPage({ tab }: { tab: SettingsTab }) {
  const tabs = ALL.filter(({ who }) => mayOpen(who));
  const current = ALL.find((one) => one.key === tab);
  const closed = current !== undefined && !tabs.includes(current);
  return (
    <div class="page">
      <div class="page-head">
        <h1 tabIndex={-1}>{t`Settings`}</h1>
      </div>
      <Tabs label={t`Parts of the settings`} tabs={tabs} current={tab} onArrow={(next) => go(next.href)} />
      <div id="panel" role="tabpanel" aria-label={current?.label}>
        {closed ? (
          <RoleRefusal
            what={current.who === "acting" ? t`Only operators and admins can see this part.` : t`Only admins can see this part.`}
          />
        ) : (
          <Panel tab={tab} />
        )}
      </div>
    </div>
  );
}

function Panel({ tab }: { tab: SettingsTab }) {
  switch (tab) {
    case "account":
      return <AccountPage />;
    case "users":
      return <UsersPage />;
    case "members":
      return <MembersPage />;
    case "organisations":
      return <OrganisationsPage />;
    case "tokens":
      return <TokensPage />;
    case "joining":
      return <InvitesPage />;
    case "history":
      return <HistoryPage />;
    case "hub":
      return <HubPage />;
    case "policies":
      return <PoliciesPage />;
    case "sso":
      return <SsoPage />;
    case "audit":
      return <AuditPage />;
    case "appearance":
      return <AppearancePage />;
  }
}
