// Made by scripts/gen/ts.py from spider/wire/arg_kinds.py: never edited by hand.

/** What jobs name: the field of a job, whether it has one name or a list, the line of policy.conf that must list the names (empty: none),
 * and the first version of that file that may have this line. */
export const ARG_KINDS = [
  { name: "packages", single: false, line: "", version: 1 },
  { name: "units", single: false, line: "units", version: 2 },
  { name: "container", single: true, line: "containers", version: 2 },
  { name: "named_action", single: true, line: "actions", version: 3 },
] as const;

/** Units that no policy allows. */
export const PROTECTED_UNITS = /^(?:stardust.*|initrd-.*|(?:debug-shell|console-shell|rescue|emergency|ctrl-alt-del|systemd-(?:poweroff|reboot|soft-reboot|halt|kexec|exit|suspend|hibernate|hybrid-sleep|suspend-then-hibernate|initctl|shutdownd|sysupdate-reboot|halt-local|storagetm|factory-reset.*|bsod|tpm2-clear)|.*-offline-update.*|system-update.*|dnf5?-(?:system-upgrade|offline-transaction).*|systemd-sysupdate.*)(?:@.*)?)\.[a-z]+$/;

/** Units that a pattern (*) of the policy never stands for. */
export const ONLY_BY_NAME = /^(?:systemd-|dbus-org\.freedesktop\.|.*-offline-update|apt-daily|unattended-upgrades|dnf-automatic|dnf5-automatic|yum-cron|packagekit|flatpak-|snapd|fwupd|transactional-update|rpm-ostree|bootc-|nixos-upgrade|pamac-|update-notifier|update-engine|zincati|yum-updatesd|eos-autoupdater|podman-auto-update).*$/;

/** The most units of one job. */
export const MAX_UNITS = 16;
