// Made by scripts/gen/ts.py from spider/wire/verbs.py and groundcontrol/core/verbs.py: never edited by hand.

import { t } from "../text/i18n";

export const ACTION_LABELS: Readonly<Record<string, string>> = {
  "refresh": t`Refresh package lists`,
  "check": t`Check for updates`,
  "plan": t`Plan`,
  "upgrade": t`Upgrade packages`,
  "full-upgrade": t`Full upgrade`,
  "security-upgrade": t`Security upgrade`,
  "install": t`Install packages`,
  "remove": t`Remove packages`,
  "autoremove": t`Remove unneeded packages`,
  "hold": t`Hold packages`,
  "unhold": t`Unhold packages`,
  "clean": t`Clear package cache`,
  "repair": t`Repair packages`,
  "unit-start": t`Start unit`,
  "unit-stop": t`Stop unit`,
  "unit-restart": t`Restart unit`,
  "unit-reload": t`Reload unit`,
  "container-restart": t`Restart container`,
  "action-run": t`Run action`,
  "reboot": t`Reboot`,
  "update": t`Update agent`,
  "rekey": t`Replace keys`,
  "uninstall": t`Remove agent`,
};
