/** Texts and groups of alerts and incidents. */

import { t, timeOrDate } from "../text";
import type { AlertView, IncidentView } from "../../wire/schema.gen";

export type AlertLike = Pick<
  AlertView,
  | "id"
  | "rule_id"
  | "rule_name"
  | "node_id"
  | "object"
  | "level"
  | "state"
  | "since_at"
  | "reason"
  | "flags"
  | "acknowledged_by"
  | "incident_id"
>;

export interface Flag {
  key: string;
  text: string;
  kind: "" | "ok" | "warn";
}

/** The flags of an alert as texts. `ruleName` gives the name of a rule by its id. */
export function flagWords(alert: AlertLike, now: number, ruleName: (rule: string) => string): Flag[] {
  const { flags } = alert;
  const found: Flag[] = [];
  if (flags.acknowledged)
    found.push({ key: "acknowledged", text: alert.acknowledged_by ? t`${alert.acknowledged_by} has it` : t`acknowledged`, kind: "ok" });
  if (alert.state === "firing" && flags.snoozed_until !== null && flags.snoozed_until > now)
    found.push({ key: "snoozed", text: t`snoozed until ${timeOrDate(flags.snoozed_until, now)}`, kind: "" });
  if (flags.suppressed_by) found.push({ key: "suppressed", text: t`because of: ${ruleName(flags.suppressed_by)}`, kind: "" });
  if (flags.maintenance) found.push({ key: "maintenance", text: t`in maintenance`, kind: "" });
  if (flags.flapping) found.push({ key: "flapping", text: t`changes too often`, kind: "warn" });
  if (flags.stale) found.push({ key: "stale", text: t`no data now`, kind: "warn" });
  return found;
}

const END_WORDS = {
  cleared: t`ended`,
  object_gone: t`no longer there`,
  rule_disabled: t`rule switched off`,
  rule_deleted: t`rule deleted`,
  not_selected: t`rule no longer covers this server`,
  node_removed: t`server removed`,
  not_repeated: t`not reported again`,
} as const;

export const endWords = ({ reason }: Pick<AlertLike, "reason">): string => (reason === null ? END_WORDS.cleared : END_WORDS[reason]);

export type IncidentLike = Pick<IncidentView, "id" | "level" | "state" | "since_at"> & { alerts: readonly AlertLike[] };

export interface IncidentGroup<I, A> {
  incident: I;
  firing: readonly A[];
  /** How many of its alerts ended. */
  ended: number;
}

const RANK = { critical: 0, warning: 1 } as const;

/** The open incidents with the newest views of their alerts, worst first, then newest. `known` has alerts by id. */
export function openIncidents<A extends AlertLike, I extends IncidentLike & { alerts: readonly A[] }>(
  incidents: readonly I[],
  known: ReadonlyMap<string, A>,
): IncidentGroup<I, A>[] {
  const byIncident = new Map<string, Map<string, A>>();
  const add = (alert: A): void => {
    const held = byIncident.get(alert.incident_id) ?? new Map<string, A>();
    byIncident.set(alert.incident_id, held.set(alert.id, known.get(alert.id) ?? alert));
  };
  for (const { alerts } of incidents) alerts.forEach(add);
  for (const alert of known.values()) if (alert.state === "firing") add(alert);
  return incidents
    .filter(({ state }) => state === "open")
    .map((incident) => {
      const all = [...(byIncident.get(incident.id)?.values() ?? [])];
      const firing = all.filter(({ state }) => state === "firing").sort((a, b) => RANK[a.level] - RANK[b.level] || b.since_at - a.since_at);
      return { incident, firing, ended: all.length - firing.length };
    })
    .sort((a, b) => RANK[a.incident.level] - RANK[b.incident.level] || b.incident.since_at - a.incident.since_at);
}

/** Whether all of it that fires is only shown: nobody is notified. */
export const isNotice = ({ firing }: { firing: readonly { notice: boolean }[] }): boolean =>
  firing.length > 0 && firing.every(({ notice }) => notice);

/** The end of "until tomorrow": 8:00 of the next day, in the browser's time zone. */
export function tomorrow(now: number): number {
  const at = new Date(now * 1000);
  return new Date(at.getFullYear(), at.getMonth(), at.getDate() + 1, 8).getTime() / 1000;
}
