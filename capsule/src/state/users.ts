/** Users, API tokens, the rule about second factors, and the audit log. */

import { t } from "../core/text";
import { matchesAuditFilter, type AuditFilter } from "../core/access/audit";
import { call } from "../wire/http";
import type {
  AuditPageView,
  AuditView,
  NewTokenBody,
  NewUserBody,
  OrderView,
  SettingsPatch,
  SubjectView,
  UserPatch,
} from "../wire/schema.gen";
import { isAdmin } from "./session";
import { withStepUp, withStrictStepUp } from "./step-up";

const PAGE = 100;

const user = (name: string) => `users/${encodeURIComponent(name)}` as const;

export const loadUsers = (cursor?: string) => call("GET", "users", { query: { limit: PAGE, cursor } });
export const addUser = (body: NewUserBody) =>
  withStrictStepUp(() => call("POST", "users", { body }), t`Enter your password to add a user.`);
export const patchUser = (name: string, body: UserPatch) =>
  withStrictStepUp(() => call("PATCH", user(name), { body }), t`Enter your password to change the user ${name}.`);
export const resetPassword = (name: string) =>
  withStrictStepUp(() => call("POST", `${user(name)}/password`), t`Enter your password to reset the password of ${name}.`);

/** A page of the viewer's own tokens; for an admin, of all tokens. */
export const loadTokens = (cursor?: string) =>
  call("GET", "tokens", { query: { limit: PAGE, cursor, user: isAdmin.peek() ? "*" : undefined } });
export const addToken = (body: NewTokenBody) =>
  withStrictStepUp(() => call("POST", "tokens", { body }), t`Enter your password to make an API token.`);
export const revokeToken = (id: string) => withStepUp(() => call("DELETE", `tokens/${id}`), t`Enter your password to revoke an API token.`);

export const loadSettings = () => call("GET", "settings");
export const patchSettings = (body: SettingsPatch) =>
  withStepUp(() => call("PATCH", "settings", { body }), t`Enter your password to change the settings of the hub.`);

const AUDIT_PAGE = 500;
const MAX_READ = 10_000;
const SHOWN = 100;

export interface AuditMatches {
  rows: readonly AuditView[];
  orders: readonly OrderView[];
  subjects: Readonly<Record<string, SubjectView>>;
  next: string | null;
  /** The number of rows that were read to find the matches. */
  read: number;
}

/** Reads the log from a cursor until enough rows match, the log ends, or `MAX_READ` rows were read. */
export async function searchAudit(filter: AuditFilter, cursor?: string): Promise<AuditMatches> {
  const all = !filter.actor && !filter.action && filter.to === undefined;
  const { from = -Infinity } = filter;
  const rows: AuditView[] = [];
  const orders: OrderView[] = [];
  const subjects: Record<string, SubjectView> = {};
  let next: string | null | undefined = cursor;
  let read = 0;
  do {
    const page: AuditPageView = await call("GET", "audit", {
      query: { limit: all ? SHOWN : AUDIT_PAGE, cursor: next ?? undefined },
    });
    rows.push(...page.audit.filter((row) => matchesAuditFilter(row, filter)));
    orders.push(...page.orders);
    Object.assign(subjects, page.subjects);
    read += page.audit.length;
    next = page.audit.every(({ at }) => at < from) ? null : page.next;
  } while (next && rows.length < SHOWN && read < MAX_READ);
  return { rows, orders, subjects, next, read };
}

/** A million rows take some twenty seconds. */
const VERIFY_MS = 300_000;
/** Checks every row of the audit log. */
export const verifyAudit = () => call("GET", "audit/verify", { patienceMs: VERIFY_MS });

/** All matching rows, for a file. `onRead` gets the number of rows read; if it returns false, the read stops and the result is null. */
export async function loadWholeAudit(filter: AuditFilter, onRead: (read: number) => boolean): Promise<AuditView[] | null> {
  const { from = -Infinity } = filter;
  const rows: AuditView[] = [];
  let next: string | null | undefined;
  let read = 0;
  do {
    const page: AuditPageView = await call("GET", "audit", { query: { limit: AUDIT_PAGE, cursor: next ?? undefined } });
    for (const row of page.audit) if (matchesAuditFilter(row, filter)) rows.push(row);
    read += page.audit.length;
    next = page.audit.every(({ at }) => at < from) ? null : page.next;
    if (!onRead(read)) return null;
  } while (next);
  return rows;
}
