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
export const ONLY_BY_NAME = /^(?:systemd-|dbus-(?:org|com|net|io|fi)\.|.*-offline-update|apt-daily|aptd|cron-apt|unattended-upgrades|mintupdate-|pop-upgrade|dnf-automatic|dnf5-automatic|yum-cron|yum-updatesd|zypp|yast2?-online-update|os-update|packagekit|pamac-|update-notifier|flatpak-|snapd|fwupd|podman-auto-update|transactional-update|rpm-ostree|ostree-|bootc-|nixos-upgrade|comin|rauc|mender|swupd|hawkbit|update-engine|zincati|locksmithd|rebootmgr|eos-autoupdater|eos-updater|ublue-|uupd|atomupd|steamos-|balena-|greenboot|puppet|pe-puppet|chef-client|cinc-client|salt-minion|ansible-pull|cf-execd|cfengine|landscape-client|rhcd|yggdrasil|cloud-(?:init|config|final)|amazon-ssm-agent|snap\.amazon-ssm-agent|google-osconfig-agent|walinuxagent|waagent).*$/;

/** The most units of one job. */
export const MAX_UNITS = 16;
