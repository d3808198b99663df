"""Finds the package manager of a system by its database, not by the installed programs.

Debian also packages dnf, zypper, pacman and rpm, so a program proves nothing. os-release names the candidate, and a database with
packages confirms it. Image-based systems are recognised first: their package managers must not run. Only files are read, so an
unprivileged Spider gets the same result.
"""

import os
from typing import Dict, Mapping, NamedTuple, Sequence

from spider.files import read_file
from spider.mountinfo import parse_mounts

_RPM = frozenset({"fedora", "rhel", "centos", "rocky", "almalinux", "amzn", "suse", "opensuse", "sles"})
_SUSE = frozenset({"suse", "opensuse", "sles"})
_FAMILIES = {
    "apt": frozenset({"debian", "ubuntu"}),
    "rpm": _RPM,
    "pacman": frozenset({"arch"}),
    "apk": frozenset({"alpine"}),
}
"""The distributions (ID and ID_LIKE of os-release) that use each database."""
_RPM_DATABASES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_RPM_FILES = ("rpmdb.sqlite", "Packages.db", "Packages")
MAX_MOUNTS_CHARS = 1 << 20
_APK_DATABASES = ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")

INSTEAD: Mapping[str, str] = {
    "nixos": "This is NixOS: packages come with its configuration. Use 'nixos-rebuild switch --upgrade'.",
    "guix": "This is Guix System: packages come with its configuration. Use 'guix pull' and 'guix system reconfigure'.",
    "bootc": "This server is booted from an image (bootc). Use 'bootc upgrade', then reboot.",
    "rpm-ostree": "This server is booted from an image (rpm-ostree). Use 'rpm-ostree upgrade', then reboot.",
    "ostree": "This server is booted from an image (ostree). Use 'ostree admin upgrade', or its own updater, then reboot.",
    "transactional-update": "This server's root file system is changed in snapshots. Use 'transactional-update', then reboot.",
    "steamos": "This is SteamOS: its next image overwrites what is installed. Use its own updater ('steamos-update').",
    "ubuntu-core": "This is Ubuntu Core: everything is a snap. Use 'snap refresh'.",
    "read-only": "The root file system is mounted read-only: update the image that this server is started from. "
    "If it should be writable, look for a fault of its disk.",
}
"""A sentence with the alternative, for each kind of system that no package manager may change."""


class Native(NamedTuple):
    """The package manager of a system, or the kind of a system without one."""

    name: str
    """apt, dnf, dnf5, yum, zypper, pacman, apk or one of INSTEAD; empty = unknown."""

    @property
    def instead(self) -> str:
        """A sentence that names the alternative; empty = Spider may run the package manager."""
        return INSTEAD.get(self.name, "")


def find_native(root: str, release: Mapping[str, str]) -> Native:
    """Find the package manager by the files of a system.

    Args: root: the root folder without a trailing slash. release: its os-release.
    """
    family = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    special = _special(root, family)
    if special:
        return Native(special)
    name = _by_database(root, family)
    if name and root_is_read_only(root):
        return Native("transactional-update" if name == "zypper" and _there(root, "transactional-update") else "read-only")
    return Native(name)


def _special(root: str, family: Sequence[str]) -> str:
    if os.path.exists(root + "/etc/NIXOS") or family[0] == "nixos":
        return "nixos"
    if family[0] == "guix":
        return "guix"
    if os.path.exists(root + "/run/ostree-booted"):
        return "rpm-ostree" if _there(root, "rpm-ostree") else "bootc" if _there(root, "bootc") else "ostree"
    if family[0] == "ubuntu-core":
        return "ubuntu-core"
    return "steamos" if family[0] == "steamos" and "arch" in family else ""


def _there(root: str, program: str) -> bool:
    return any(_size(f"{root}/{directory}/{program}") for directory in ("usr/bin", "usr/sbin", "bin", "sbin"))


def _by_database(root: str, family: Sequence[str]) -> str:
    found = []
    if _size(root + "/var/lib/dpkg/status"):
        found.append("apt")
    if any(_size(f"{root}{directory}/{name}") for directory in _RPM_DATABASES for name in _RPM_FILES):
        found.append("rpm")
    if _has_folders(root + "/var/lib/pacman/local"):
        found.append("pacman")
    if any(_size(root + path) for path in _APK_DATABASES):
        found.append("apk")
    at_home = [name for name in found if _FAMILIES[name].intersection(family)]
    name = (at_home or found or [""])[0]
    return _rpm_front(root, family) if name == "rpm" else name


def _rpm_front(root: str, family: Sequence[str]) -> str:
    """The program that manages rpm packages. `dnf` and `yum` may be links, so their targets decide."""
    if _there(root, "zypper") and _SUSE.intersection(family):
        return "zypper"
    leads: Dict[str, str] = {}
    for name in ("dnf5", "dnf", "yum"):
        path = f"{root}/usr/bin/{name}"
        if _size(path):
            leads[name] = os.path.basename(os.path.realpath(path))
    if leads.get("dnf", leads.get("yum", "")) == "dnf5" or list(leads) == ["dnf5"]:
        return "dnf5"
    if "dnf" in leads or leads.get("yum", "").startswith("dnf"):
        return "dnf"
    return "yum" if leads else "zypper" if _there(root, "zypper") else ""


def name_by_version(version_text: str) -> str:
    """The manager that printed this `--version` output: dnf, dnf5 or yum; empty = another program."""
    words = version_text.split()
    if words[:2] == ["dnf5", "version"]:
        return "dnf5"
    if not words or not words[0][:1].isdigit():
        return ""
    return "dnf" if int(words[0].split(".")[0] or 0) >= 4 else "yum"


def root_is_read_only(root: str) -> bool:
    """Whether process 1 sees the root file system read-only. Spider's own view of it is always read-only.

    False if process 1 is hidden from Spider (`hidepid`). Root's runner always sees process 1.
    """
    topmost = [one for one in parse_mounts(read_file(f"{root}/proc/1/mountinfo", MAX_MOUNTS_CHARS)) if one.point == "/"][-1:]
    return any("ro" in one.options.split(",") for one in topmost)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _has_folders(path: str) -> bool:
    try:
        with os.scandir(path) as entries:
            return any(entry.is_dir() for entry in entries)
    except OSError:
        return False
