/** The navigation: one row for each section of the page. The last one is in the foot of the sidebar, and on a phone in the menu. */

import { t } from "../core/text/i18n";
import { firingCount } from "../state/alerts";
import { ids, loaded, updateCount } from "../state/fleet";
import { running } from "../state/jobs";
import type { IconName } from "../ui/icon";

interface Row<K extends string = string> {
  /** `g` and its first letter go there. */
  key: K;
  href: string;
  icon: IconName;
  label: string;
  /** How many there are of what it shows; none while it is not known, or not worth a number. */
  number?: () => number | string;
  /** The number in the sidebar, with words. */
  words?: (number: number | string) => string;
  /** What the number counts: a phone shows the number with this hidden text. */
  counted?: string;
}

const ROWS = [
  { key: "fleet", href: "/", icon: "server", label: t`Fleet`, number: () => (loaded.value ? `${ids.value.length}` : "") },
  { key: "alerts", href: "/alerts", icon: "bell", label: t`Alerts`, number: () => firingCount.value, counted: t`firing:` },
  { key: "updates", href: "/updates", icon: "package", label: t`Updates`, number: () => updateCount.value },
  { key: "jobs", href: "/jobs", icon: "list-checks", label: t`Jobs`, number: () => running.value.length, words: (number) => t`${number} running`, counted: t`running:` },
  { key: "events", href: "/events", icon: "scroll-text", label: t`Events` },
  { key: "settings", href: "/settings", icon: "settings", label: t`Settings` },
] as const satisfies readonly Row[];

export type Section = (typeof ROWS)[number]["key"];
export const SECTIONS: readonly Row<Section>[] = ROWS;
