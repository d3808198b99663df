/** The navigation: one row for each section of the page. The last section is in the foot of the sidebar, and on a phone in the menu. */

import { t } from "../core/text";
import { firingCount } from "../state/alerts";
import { ids, loaded, updateCount } from "../state/fleet";
import { running } from "../state/jobs";
import type { IconName } from "../ui";

interface Row<K extends string = string> {
  /** The keys `g` and then its first letter open the section. */
  key: K;
  href: string;
  icon: IconName;
  label: string;
  /** The number beside the label; "" or 0 = it is not shown. */
  number?: () => number | string;
  /** The text of the number in the sidebar; without it the number alone. */
  words?: (number: number | string) => string;
  /** Text for screen readers before the number on a phone; without it a phone shows no number. */
  counted?: string;
}

const ROWS = [
  { key: "fleet", href: "/", icon: "server", label: t`Fleet`, number: () => (loaded.value ? `${ids.value.length}` : "") },
  { key: "alerts", href: "/alerts", icon: "bell", label: t`Alerts`, number: () => firingCount.value, counted: t`firing:` },
  { key: "updates", href: "/updates", icon: "package", label: t`Updates`, number: () => updateCount.value },
  {
    key: "jobs",
    href: "/jobs",
    icon: "list-checks",
    label: t`Jobs`,
    number: () => running.value.length,
    words: (number) => t`${number} running`,
    counted: t`running:`,
  },
  { key: "events", href: "/events", icon: "scroll-text", label: t`Events` },
  { key: "settings", href: "/settings", icon: "settings", label: t`Settings` },
] as const satisfies readonly Row[];

export type Section = (typeof ROWS)[number]["key"];
export const SECTIONS: readonly Row<Section>[] = ROWS;
