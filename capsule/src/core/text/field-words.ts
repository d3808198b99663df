/** The hub's sentences begin with the path of a field where one is wrong. The page says its own word for the field. */

import { t } from "./i18n";

/** What the page calls a field, where the last part of its path does not say it. */
const LABELS: Readonly<Record<string, string>> = {
  at_once: t`At the same time`,
  canary: t`Canaries`,
  max_failed: t`Accepted failures`,
  max_per_role: t`Reboots at the same time in a role`,
  notice_h: t`Notice, hours before`,
  percent: t`First wave, %`,
};

export const wordsOf = (name: string): string => LABELS[name] ?? name.replace(/_s$/, "").replaceAll("_", " ");

/** A sentence of the hub, with the page's word in place of the path in front of it. `field`: the path that the hub names beside it. */
export function withFieldWords(text: string, field: unknown): string {
  const path = typeof field === "string" && text.startsWith(`${field} `) ? field : (/^[a-z_.]+(?=: )/.exec(text)?.[0] ?? "");
  return path ? wordsOf(path.slice(path.lastIndexOf(".") + 1)) + text.slice(path.length) : text;
}
