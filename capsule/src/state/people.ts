/** Other people, programs' tokens, the rule about second factors, and the audit log. */

import { call, url } from "../wire/http";
import type {
  AccountView, AccountsView, ApiTokensView, AuditPageView, NewTokenBody, NewTokenView, NewUserBody, OneTimePasswordView, SessionsView, SettingsPatch, SettingsView, UserPatch,
} from "../wire/schema.gen"; // prettier-ignore
import { withStepUp } from "./stepup";

const PAGE = 100;

const user = (name: string): string => `users/${encodeURIComponent(name)}`;

export const loadUsers = (cursor?: string): Promise<AccountsView> => call<AccountsView>("GET", "users", { query: { limit: PAGE, cursor } });
export const addUser = (body: NewUserBody): Promise<OneTimePasswordView> => withStepUp(() => call<OneTimePasswordView>("POST", "users", { body }));
export const patchUser = (name: string, body: UserPatch): Promise<AccountView> => withStepUp(() => call<AccountView>("PATCH", user(name), { body }));
export const resetPassword = (name: string): Promise<OneTimePasswordView> => withStepUp(() => call<OneTimePasswordView>("POST", `${user(name)}/password`));
export const loadSessionsOf = (name: string, cursor?: string): Promise<SessionsView> => call<SessionsView>("GET", `${user(name)}/sessions`, { query: { limit: PAGE, cursor } });

export const loadTokens = (cursor?: string): Promise<ApiTokensView> => call<ApiTokensView>("GET", "tokens", { query: { limit: PAGE, cursor } });
export const addToken = (body: NewTokenBody): Promise<NewTokenView> => withStepUp(() => call<NewTokenView>("POST", "tokens", { body }));
export const revokeToken = (id: string): Promise<void> => withStepUp(() => call<undefined>("DELETE", `tokens/${id}`));

export const loadSettings = (): Promise<SettingsView> => call<SettingsView>("GET", "settings");
export const patchSettings = (body: SettingsPatch): Promise<SettingsView> => withStepUp(() => call<SettingsView>("PATCH", "settings", { body }));

export interface AuditFilter {
  actor: string;
  action: string;
}

const asked = ({ actor, action }: AuditFilter): { actor?: string; action?: string } => ({ ...(actor ? { actor } : {}), ...(action ? { action } : {}) });

export const loadAudit = (filter: AuditFilter, cursor?: string): Promise<AuditPageView> => call<AuditPageView>("GET", "audit", { query: { limit: PAGE, cursor, ...asked(filter) } });
export const auditUrl = (filter: AuditFilter, format: "json" | "csv"): string => url("audit/export", { format, ...asked(filter) });
