/** The log of deliveries in words: also why a message was not sent. */

import { t } from "../text/i18n";
import { timeOrDate } from "../text/time";

export interface DeliveryLike {
  kind: string;
  state: "due" | "sending" | "sent" | "deferred" | "skipped" | "failed";
  reason: string;
  attempts: number;
  next_at: number | null;
  sent_at: number | null;
}

const KINDS: Readonly<Record<string, string>> = {
  firing: t`New incident`,
  changed: t`Incident changed`,
  repeat: t`Still firing`,
  resolved: t`Incident ended`,
  event: t`Event`,
  test: t`Test`,
  digest: t`Summary`,
};
export const kindWords = (kind: string): string => KINDS[kind] ?? kind;

const REASONS: Readonly<Record<string, string>> = {
  channel_disabled: t`the channel is off`,
  channel_broken: t`the receiver refuses messages`,
  channel_deleted: t`the channel was deleted`,
  retroactive: t`it was over before Ground Control learned of it`,
  never_told_firing: t`the channel was never notified that it began`,
  below_severity: t`the channel takes only worse alerts`,
  acknowledged: t`somebody acknowledged it`,
  suppressed_by_parent: t`another alert of this server explains it`,
  flapping: t`it changes too often`,
  nothing_left: t`nothing fires any more`,
  already_told: t`the channel knows it`,
  resolved_before_delivery: t`it was over before the message could be sent`,
  grouped: t`it is part of a larger incident`,
  cap: t`the channel had too many messages in this hour`,
  summary: t`it is part of the summary after quiet hours`,
  settling: t`Ground Control has just started and waits for its servers`,
  maintenance: t`a maintenance window is open`,
  snoozed: t`somebody snoozed it`,
  cool_down: t`the channel was notified of the same trouble less than an hour ago`,
  quiet_hours: t`quiet hours`,
  grouping: t`it waits for other alerts of the same incident`,
  update_interval: t`the channel was notified of this incident minutes ago`,
  rule_info_only: t`the rule is only shown`,
};

const CODES: Readonly<Record<string, string>> = {
  timeout: t`no answer in time`,
  connect: t`no connection`,
  connection_lost: t`the connection was lost`,
  dns: t`the name was not found`,
  tls: t`no encrypted connection`,
  tls_certificate: t`the certificate is not valid`,
  denied: t`this address is not allowed`,
  url: t`the address is not valid`,
  password_without_tls: t`the password would have been sent without encryption`,
  not_offered: t`the mail server does not offer what is set`,
  no_target: t`the channel has no target`,
  target_unreadable: t`the target cannot be read`,
  internal: t`an error of Ground Control`,
};

/** The hub's reason; an unknown one is shown as it is. */
export function reasonWords(reason: string): string {
  const [kind = "", code = ""] = reason.split(":");
  if (kind === "http" && code) return t`the receiver answered ${code}`;
  if (kind === "smtp" && code) return t`the mail server answered ${code}`;
  return REASONS[reason] ?? CODES[reason] ?? reason.replaceAll("_", " ");
}

export function deliverySentence(one: DeliveryLike, now: number): string {
  const why = reasonWords(one.reason);
  switch (one.state) {
    case "sent":
      return one.attempts > 1 ? t`Sent at try ${one.attempts}` : t`Sent`;
    case "due":
    case "sending":
      return one.attempts && one.next_at !== null ? t`Try ${one.attempts} failed: ${why}. Next at ${timeOrDate(one.next_at, now)}` : t`About to be sent`;
    case "deferred":
      return one.next_at === null ? t`Held: ${why}` : t`Held until ${timeOrDate(one.next_at, now)}: ${why}`;
    case "skipped":
      return t`Not sent: ${why}`;
    case "failed":
      return t`Failed: ${why}`;
  }
}

export const isSettled = ({ state }: Pick<DeliveryLike, "state">): boolean => state === "sent" || state === "failed" || state === "skipped";
