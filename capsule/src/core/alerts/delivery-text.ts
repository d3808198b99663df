/** Texts for deliveries, with the reason if a message waits, was not sent or failed. */

import { t, timeOrDate } from "../text";
import { DELIVERY_REASONS } from "./delivery-reasons.gen";
import type { DeliveryView } from "../../wire/schema.gen";

export type DeliveryLike = Pick<DeliveryView, "kind" | "state" | "reason" | "attempts" | "next_at" | "sent_at">;

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

/** The reasons why an attempt failed. */
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

/** The text of a hub's reason. An unknown reason is shown with the hub's name. */
export function reasonWords(reason: string): string {
  const [kind = "", code = ""] = reason.split(":");
  if (kind === "http" && code) return t`the receiver answered ${code}`;
  if (kind === "smtp" && code) return t`the mail server answered ${code}`;
  return DELIVERY_REASONS[reason] ?? CODES[reason] ?? reason.replaceAll("_", " ");
}

export function deliverySentence(one: DeliveryLike, now: number): string {
  const why = reasonWords(one.reason);
  switch (one.state) {
    case "sent":
      return one.attempts > 1 ? t`Sent at try ${one.attempts}` : t`Sent`;
    case "due":
    case "sending":
      return one.attempts && one.next_at !== null
        ? t`Try ${one.attempts} failed: ${why}. Next at ${timeOrDate(one.next_at, now)}`
        : t`About to be sent`;
    case "deferred":
      return one.next_at === null ? t`Held: ${why}` : t`Held until ${timeOrDate(one.next_at, now)}: ${why}`;
    case "skipped":
      return t`Not sent: ${why}`;
    case "failed":
      return t`Failed: ${why}`;
  }
}

export const isSettled = ({ state }: Pick<DeliveryLike, "state">): boolean => state === "sent" || state === "failed" || state === "skipped";
