"""Names of systemd's units in orders, and the patterns of `units` in a policy. Hub and node use the same rules. Pure."""

KINDS = ("service", "socket", "timer")
UNIT_NAME = r"[A-Za-z0-9:_.\\][A-Za-z0-9:_.\\-]*(?:@[A-Za-z0-9:_.\\-]+)?\.(?:service|socket|timer)"
"""Pattern of the full name of a unit, in the characters that systemd allows. It excludes options, paths, globs and templates without an
instance."""
_POWER = (
    "poweroff", "reboot", "soft-reboot", "halt", "kexec", "exit", "suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate",
    "initctl", "shutdownd", "sysupdate-reboot", "halt-local",
)  # fmt: skip
_OFFERS_DISKS = ("storagetm",)
_RESETS = ("factory-reset.*", "bsod", "tpm2-clear")
_OFFLINE_UPDATES = (".*-offline-update.*", "system-update.*", "dnf5?-(?:system-upgrade|offline-transaction).*", "systemd-sysupdate.*")
PROTECTED = (
    r"(?:stardust.*|initrd-.*|(?:debug-shell|console-shell|rescue|emergency|ctrl-alt-del"
    rf"|systemd-(?:{'|'.join((*_POWER, *_OFFERS_DISKS, *_RESETS))})|{'|'.join(_OFFLINE_UPDATES)})(?:@.*)?)\.[a-z]+"
)
"""Pattern of the units that no policy allows: Stardust's own, root's shells, and those that stop the server, export its disks, reset it to
factory state, or update it at the next boot."""
_UPDATERS = (
    # package managers and their timers
    "apt-daily", "aptd", "cron-apt", "unattended-upgrades", "mintupdate-", "pop-upgrade", "dnf-automatic", "dnf5-automatic", "yum-cron",
    "yum-updatesd", "zypp", "yast2?-online-update", "os-update", "packagekit", "pamac-", "update-notifier", "flatpak-", "snapd", "fwupd",
    "podman-auto-update",
    # whole images
    "transactional-update", "rpm-ostree", "ostree-", "bootc-", "nixos-upgrade", "comin", "rauc", "mender", "swupd", "hawkbit", "update-engine",
    "zincati", "locksmithd", "rebootmgr", "eos-autoupdater", "eos-updater", "ublue-", "uupd", "atomupd", "steamos-", "balena-", "greenboot",
    # what is told from elsewhere what to install
    "puppet", "pe-puppet", "chef-client", "cinc-client", "salt-minion", "ansible-pull", "cf-execd", "cfengine", "landscape-client", "rhcd",
    "yggdrasil", "cloud-(?:init|config|final)", "amazon-ssm-agent", r"snap\.amazon-ssm-agent", "google-osconfig-agent", "walinuxagent", "waagent",
)  # fmt: skip
"""How the names of units begin that install packages by themselves, past the verbs that a policy lists."""
ONLY_BY_NAME = rf"(?:systemd-|dbus-(?:org|com|net|io|fi)\.|.*-offline-update|{'|'.join(_UPDATERS)}).*"
"""Pattern of the units that a pattern (`*`) of a policy never stands for: the system's own, whose list grows with each release, their other
names on the bus (dbus-org.freedesktop.login1.service is systemd-logind.service), and those that update it."""


def full_name(word: str) -> str:
    """Complete a name as systemctl does: a word without the suffix of a kind names a service."""
    return word if word.rpartition(".")[2] in KINDS or word.endswith("*") else word + ".service"


def fits(pattern: str, name: str) -> bool:
    """Whether a name matches a pattern, in which `*` stands for any characters. Patterns may be hostile, so this takes linear time."""
    parts = pattern.split("*")
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return name == first
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in parts[1:-1]:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
