// Made by scripts/gen/ts.py from spider/wire/verbs.py and groundcontrol/core/verbs.py: never edited by hand.

import { t } from "../text/i18n";

/** One verb of a job. */
export interface Verb {
  /** In a node's menu, if not the title. */
  menu?: string;
  hint?: string;
  /** On the button that starts it. */
  start?: string;
  /** What is good to know before it starts. */
  before?: string;
  /** Another word that finds it. */
  also?: string;
  /** It changes nothing that is installed. */
  readonly?: true;
  /** It removes or reboots. */
  dangerous?: true;
  /** A plan can be made and shown before. */
  planned?: true;
  upgrades?: true;
  /** It maintains the agent, and is not ordered as a job. */
  selfcare?: true;
  packages?: "optional" | "needed";
}

export type PlannedVerb = "upgrade" | "full-upgrade" | "security-upgrade" | "install" | "remove" | "autoremove";

export const VERBS: Readonly<Record<string, Verb>> = {
  "check": { menu: t`Check now`, readonly: true },
  "refresh": { menu: t`Check now`, hint: t`reads the repositories again`, readonly: true },
  "plan": { readonly: true },
  "upgrade": { start: t`Start upgrade`, planned: true, upgrades: true, packages: "optional" },
  "security-upgrade": { start: t`Start security upgrade`, planned: true, upgrades: true },
  "full-upgrade": { hint: t`may also remove packages`, start: t`Start full upgrade`, planned: true, upgrades: true },
  "install": { menu: t`Install`, hint: t`packages by name`, start: t`Install`, planned: true, packages: "needed" },
  "remove": { menu: t`Remove`, hint: t`packages by name`, start: t`Remove packages`, dangerous: true, planned: true, packages: "needed" },
  "autoremove": { start: t`Remove packages`, dangerous: true, planned: true },
  "hold": { menu: t`Hold`, hint: t`keep packages as they are`, start: t`Hold`, before: t`Held packages stay as they are in every upgrade, until the hold ends.`, packages: "needed" },
  "unhold": { menu: t`Unhold`, hint: t`end a hold`, start: t`Unhold`, before: t`These packages are upgraded again with the others.`, packages: "needed" },
  "clean": { start: t`Clear cache`, before: t`Downloaded package files are removed from the server’s cache. Installed packages do not change.` },
  "repair": { menu: t`Repair`, hint: t`interrupted package work`, start: t`Repair`, before: t`Finishes interrupted package work: half-configured packages, stale locks, unfinished transactions.` },
  "reboot": { start: t`Reboot server`, before: t`The server reboots now. The job ends when it is back, and says which units, ports and mounts are missing then.`, also: t`restart`, dangerous: true },
  "update": { selfcare: true },
  "rekey": { selfcare: true },
  "uninstall": { selfcare: true },
};
