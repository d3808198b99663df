/** Rows of the audit log: their labels, filtering, and the CSV file. */

import { detailText } from "./account-labels";
import { codeWords } from "../text/code-words";
import { csv } from "../text/csv";
import { isWithin, type Span } from "../text/day-range";
import { iso, t } from "../text";
import { actionLabel, jobGlyph, stateLabel } from "../jobs/job-labels";
import type { AuditView, SubjectView } from "../../wire/schema.gen";

export type AuditRowLike = Omit<AuditView, "chain">;

export interface AuditFilter extends Span {
  actor: string;
  action: string;
}

const containsText = (text: string, part: string): boolean => text.toLowerCase().includes(part.trim().toLowerCase());

const AUDIT_LABELS: Readonly<Record<string, string>> = {
  "auth.login": t`Signed in`,
  "auth.link": t`Account of a provider linked`,
  "auth.logout": t`Signed out`,
  "auth.passkey_add": t`Passkey added`,
  "auth.passkey_remove": t`Passkey removed`,
  "auth.password": t`Password changed`,
  "auth.recovery_code": t`Recovery code used`,
  "auth.recovery_codes": t`Recovery codes created`,
  "auth.refresh_reused": t`Old session token reused`,
  "auth.second_factor": t`Second factor code`,
  "auth.second_factor_begin": t`Second factor setup started`,
  "auth.second_factor_off": t`Second factor switched off`,
  "auth.second_factor_on": t`Second factor switched on`,
  "auth.session_end": t`Session ended`,
  "auth.sso": t`Sign-in through a provider`,
  "auth.sso_logout": t`Sign-out by a provider`,
  "auth.step_up": t`Password confirmed`,
  "auth.unlink": t`Link to a provider removed`,
  "agent.open": t`Node connection`,
  "agent.session": t`Node session`,
  "audit.anchor": t`Head of the audit log stored`,
  "batch.create": t`Bulk job created`,
  "clock.accept": t`Hub clock accepted`,
  "credential.save": t`SSH credentials stored`,
  "credential.shred": t`SSH credentials erased`,
  "hub_key.create": t`Stardust’s SSH key created`,
  "hub_key.replace": t`Stardust’s SSH key replaced`,
  "hub_key.remove": t`Stardust’s SSH key removed`,
  "hub_key.use": t`Stardust’s SSH key used`,
  "delivery.retry": t`Message sent again`,
  "keyring.rotate": t`Secret of the hub rotated`,
  "deployment.awaiting_host_key": t`Deployment waiting for the host key`,
  "deployment.cancelled": t`Deployment cancelled`,
  "deployment.create": t`Deployment created`,
  "deployment.failed": t`Deployment failed`,
  "deployment.host_key": t`Host key confirmed`,
  "deployment.policy": t`Policy of a server changed`,
  "deployment.redirect": t`Deployment target changed`,
  "deployment.running": t`Deployment retried`,
  "deployment.succeeded": t`Deployment succeeded`,
  "hub.restore": t`Hub restored from a backup`,
  "invite.create": t`Invite created`,
  "invite.revoke": t`Invite revoked`,
  "invite.use": t`Invite used`,
  "job.accepted": t`Job accepted by the server`,
  "job.cancelled": t`Job cancelled`,
  "job.create": t`Job created`,
  "job.dispatch": t`Job sent to the server`,
  "job.evidence": t`Job report rejected`,
  "job.expired": t`Job expired`,
  "job.failed": t`Job failed`,
  "job.interrupted": t`Job interrupted`,
  "job.running": t`Job started`,
  "job.stop": t`Job stop requested`,
  "job.succeeded": t`Job succeeded`,
  "job.unknown": t`Job outcome unknown`,
  "job.withdraw": t`Job withdrawn`,
  "journal.read": t`Journal of a unit read`,
  "member.break_glass": t`Looked inside the organisation`,
  "member.break_glass_end": t`Look inside the organisation ended`,
  "member.claim": t`Offer found by its user`,
  "member.decline": t`Membership declined`,
  "member.grant": t`Membership by a group`,
  "member.join": t`Member joined`,
  "member.offer": t`Membership offered`,
  "member.remove": t`Member removed`,
  "member.withdraw": t`Offer withdrawn`,
  "node.approve": t`Node approved`,
  "node.create": t`Node added`,
  "node.delete": t`Node removed`,
  "node.edit": t`Node changed`,
  "node.join": t`Node joined`,
  "node.move": t`Node address changed`,
  "node.rekeyed": t`Node keys replaced`,
  "preferences.edit": t`Preferences changed`,
  "recovery.end": t`Fleet recovery ended`,
  "recovery.print": t`Recovery key printed`,
  "refusal.summary": t`Refusals summarised`,
  "settings.edit": t`Settings changed`,
  "token.create": t`API token created`,
  "token.revoke": t`API token revoked`,
  "user.create": t`User added`,
  "user.edit": t`User changed`,
  "user.instance_admin": t`Admins of the hub changed`,
};

/** What the names in actions of the hub stand for, where no row of `AUDIT_LABELS` says it. */
const SUBJECTS: Readonly<Record<string, string>> = {
  rule: t`Rule`,
  channel: t`Channel`,
  expectation: t`Deadline`,
  patch_policy: t`Patch policy`,
  patch_window: t`Window`,
  rollout: t`Roll-out`,
  maintenance: t`Maintenance`,
  alert: t`Alert`,
  organisation: t`Organisation`,
  oidc_provider: t`Provider`,
};
const VERBS: Readonly<Record<string, string>> = {
  create: t`created`,
  edit: t`changed`,
  delete: t`deleted`,
  remove: t`removed`,
  end: t`ended`,
  pause: t`paused`,
  resume: t`resumed`,
  move: t`moved on`,
  test: t`tested`,
  use: t`used`,
  retry: t`retried`,
  acknowledge: t`acknowledged`,
  snooze: t`snoozed`,
  unsnooze: t`no longer snoozed`,
};

/** The label of an action, in words also for an action of a newer hub. */
export function auditLabel(action: string): string {
  const label = AUDIT_LABELS[action];
  if (label !== undefined) return label;
  const [subject = "", verb = ""] = action.split(".");
  const words = SUBJECTS[subject] ?? `${subject.charAt(0).toUpperCase()}${subject.slice(1)}`.replaceAll("_", " ");
  return `${words} ${VERBS[verb] ?? verb.replaceAll("_", " ")}`.trim();
}

export interface AuditOutcome {
  glyph: "done" | "fail" | "ended" | "warn";
  label: string;
}

/** The outcome of a row. A result other than `done` is a failure. With `done`, an action that names another end of a job or deployment than success (`job.failed`) gives that end. Any other row is done. */
export function auditOutcome({ action, result }: Pick<AuditRowLike, "action" | "result">): AuditOutcome {
  if (result !== "done") return { glyph: "fail", label: result };
  const [, subject, state = ""] = /^(job|deployment)\.(\w+)$/.exec(action) ?? [];
  const glyph = subject ? jobGlyph(state) : "done";
  return glyph === "run" || glyph === "wait" || glyph === "done" ? { glyph: "done", label: result } : { glyph, label: stateLabel(state) };
}

/** Whether a row is in the filter's span and contains its texts, in upper or lower case. An action matches by its label or by its name in the API. */
export const matchesAuditFilter = (row: AuditRowLike, { actor, action, ...span }: AuditFilter): boolean =>
  isWithin(row.at, span) &&
  (containsText(row.actor, actor) || containsText(row.by, actor)) &&
  (containsText(row.action, action) || containsText(auditLabel(row.action), action));

const ID = /^[0-9a-z]{26}$/;
/** The end of an id, enough to tell two ids apart; the title attribute has the whole id. */
export const shortId = (id: string): string => `…${id.slice(-6)}`;
/** A unique key of a row: each process of the hub numbers its own chain, and refusals have a chain of their own. */
export const auditKey = ({ chain, n }: { chain: string; n: number }): string => `${chain}:${n}`;
/** The id of a target without the prefix that some rows have. */
export const bareId = (target: string): string => target.replace(/^(?:node|job|user):/, "");

/** The person or program that ordered the job, deployment or order of a group; undefined = its rows do not say. */
export const orderedBy = (rows: readonly AuditRowLike[]): string | undefined =>
  rows.find(({ by }) => by)?.by ?? rows.find(({ action }) => /^(?:batch|job|deployment)\.create$/.test(action))?.actor;

/**
 * Groups the rows about one job or deployment, or about all of one order for many nodes, at the position of the first one. The row of such an
 * order stands first in its group. A row with another result than `done` is not grouped.
 */
export function foldAudit<R extends AuditRowLike>(rows: readonly R[]): R[][] {
  const orders = new Map<string, string>();
  for (const { action, target, detail } of rows)
    if (/^(?:job|deployment)\.create$/.test(action) && typeof detail["batch"] === "string") orders.set(bareId(target), detail["batch"]);
  const folded: R[][] = [];
  const groups = new Map<string, R[]>();
  for (const row of rows) {
    const id = /^(?:job|batch|deployment)\./.test(row.action) && row.result === "done" ? bareId(row.target) : "";
    const key = id && (row.order ?? orders.get(id) ?? id);
    const group = groups.get(key);
    if (group && row.action === "batch.create") group.unshift(row);
    else if (group) group.push(row);
    else {
      const entry = [row];
      if (key) groups.set(key, entry);
      folded.push(entry);
    }
  }
  return folded;
}

/** The name of what an id stands for: of a job its action and node. Undefined = it has none. */
export function subjectName(subject: SubjectView | undefined): string | undefined {
  if (!subject) return undefined;
  return [subject.action && actionLabel(subject.action), subject.name].filter(Boolean).join(", ") || undefined;
}

/** Key: the id of a target. Value: its name, or the action and node of a job. Targets that no row names are missing. */
export function auditNames(rows: readonly AuditRowLike[], nodeName: (id: string) => string | undefined): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { action, actor, target, result, detail } of rows) {
    const signedIn = action === "auth.login" && result === "done";
    // `detail.username` names the target only in `user.` rows. In rows about servers it is the SSH login.
    const name = signedIn ? actor : action.startsWith("user.") ? detail.username : (detail.name ?? detail.host);
    const id = bareId(target);
    if (action === "job.create" && typeof detail.action === "string") {
      const node = typeof detail.node === "string" ? (nodeName(detail.node) ?? names.get(detail.node)) : undefined;
      names.set(id, node ? `${actionLabel(detail.action)}, ${node}` : actionLabel(detail.action));
    } else if (typeof name === "string" && name && ID.test(id) && !names.has(id)) names.set(id, name);
  }
  return names;
}

/** Details whose values are codes of the hub. */
const CODED: ReadonlySet<string> = new Set(["code", "error", "reason", "why"]);

/** The details of a row in plain words: states and actions with their labels, ids with the name of their target, no code beside its sentence. */
export function auditDetail({ action, detail }: AuditRowLike, nameOf: (id: string) => string | undefined, now: number): string {
  const ofWork = /^(?:job|deployment|batch)\./.test(action);
  const named = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(named);
    if (typeof value === "object" && value !== null)
      return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, named(part)]));
    return typeof value === "string" && ID.test(bareId(value)) ? (nameOf(bareId(value)) ?? shortId(bareId(value))) : value;
  };
  const entries = Object.entries(detail).flatMap(([name, value]) => {
    if (name === "error" && typeof detail["why"] === "string") return [];
    if (name.includes(".")) return [[auditLabel(name), value]];
    if (typeof value !== "string") return [[name, named(value)]];
    if (ID.test(bareId(value))) return [[name, name === "session" ? shortId(value) : named(value)]];
    if (ofWork && name === "from") return [["before", stateLabel(value)]];
    if (ofWork && name === "state") return [[name, stateLabel(value)]];
    if (ofWork && /^(?:for_)?action$/.test(name)) return [[name, actionLabel(value)]];
    return [[name, CODED.has(name) ? codeWords(value) : value]];
  });
  return detailText(Object.fromEntries(entries) as Record<string, unknown>, now);
}

const COLUMNS = ["n", "at", "actor", "by", "address", "action", "target", "result", "detail"] as const;

/** The rows as CSV, with times in ISO 8601 and details as JSON. */
export const auditCsv = (rows: readonly AuditRowLike[]): string =>
  csv([
    COLUMNS,
    ...rows.map((row) => [
      row.n,
      iso(row.at),
      row.actor,
      row.by,
      row.address,
      row.action,
      row.target,
      row.result,
      JSON.stringify(row.detail),
    ]),
  ]);
