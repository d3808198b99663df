"""What else patches this host by itself, such as unattended-upgrades. Read from its configuration, without starting a program."""

import os
import re
from typing import Dict, Iterator, List, Set

from spider.files import listed, read_file
from spider.sampling.collectors.systemd_units import enabled_units

NONE = "none"
MAX_FILE_CHARS = 256 * 1024
_APT_TOKEN = re.compile(r'//[^\n]*|#[^\n]*|/\*.*?\*/|"(?:[^"\\]|\\.)*"|[{};]|[^\s{};"]+', re.DOTALL)
_ASSIGNED = re.compile(r"^\s*([A-Za-z_]+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_INSTALLING = {
    "dnf-automatic-install.timer": "dnf-automatic",
    "transactional-update.timer": "transactional-update",
    "os-update.timer": "os-update",
    "systemd-sysupdate.timer": "systemd-sysupdate",
}
"""Timers that install whatever their configuration says."""
_CONFIGURED = {
    "dnf-automatic.timer": ("/etc/dnf/automatic.conf", "apply_updates", "dnf-automatic"),
    "dnf5-automatic.timer": ("/etc/dnf/automatic.conf", "apply_updates", "dnf-automatic"),
    "yum-cron.service": ("/etc/yum/yum-cron.conf", "apply_updates", "yum-cron"),
    "rpm-ostreed-automatic.timer": ("/etc/rpm-ostreed.conf", "AutomaticUpdatePolicy", "rpm-ostree"),
}
"""Timers that install only if a line of a file says so: the file, the key, and the name to show."""
_YES = ("yes", "true", "1", "on", "stage", "apply")


def apt_settings(text: str) -> Dict[str, str]:
    """Parse a file of apt.conf. Returns: the value by the whole name in lower case, such as `apt::periodic::enable`. Source: apt.conf(5)."""
    found: Dict[str, str] = {}
    scopes: List[str] = []
    words: List[str] = []
    for word in (match.group() for match in _APT_TOKEN.finditer(text)):
        if word.startswith(("//", "#", "/*")):
            continue
        if word == "{":
            scopes.append(words[0] if words else "")
            words = []
        elif word in ("}", ";"):
            if len(words) == 2:
                found["::".join((*scopes, words[0])).lower()] = words[1].strip('"')
            words = []
            if word == "}" and scopes:
                scopes.pop()
        else:
            words.append(word)
    return found


def other_patchers(root: str = "") -> str:
    """What patches this host besides Stardust, in words with commas between; `none`.

    Source: apt.systemd.daily, dnf-automatic(8), transactional-update(8), yum-cron(8).
    """
    return ", ".join(sorted(set(_found(root)))) or NONE


def _found(root: str) -> Iterator[str]:
    enabled = {name for name in enabled_units(root) if not _is_masked(root, name)}
    if _apt_upgrades(root, enabled):
        yield "unattended-upgrades"
    for timer, name in _INSTALLING.items():
        if timer in enabled:
            yield name
    for timer, (path, key, name) in _CONFIGURED.items():
        if timer in enabled and dict(_ASSIGNED.findall(read_file(root + path, MAX_FILE_CHARS))).get(key, "").lower() in _YES:
            yield name
    if any(name.endswith(".snap") for name in listed(root + "/var/lib/snapd/snaps")):
        yield "snap"


def _apt_upgrades(root: str, enabled: Set[str]) -> bool:
    """Whether apt's periodic work installs updates: its timer runs, and the values of apt.conf turn it on. A timer with the value 0 does nothing."""
    if not os.path.exists(root + "/usr/bin/unattended-upgrade"):
        return False
    with_systemd = os.path.isdir(root + "/etc/systemd/system") and os.path.exists(root + "/usr/lib/systemd/system/apt-daily-upgrade.timer")
    runs = "apt-daily-upgrade.timer" in enabled if with_systemd else os.path.exists(root + "/etc/cron.daily/apt-compat")
    if not runs:
        return False
    settings: Dict[str, str] = {}
    parts = [
        name
        for name in listed(root + "/etc/apt/apt.conf.d")
        if re.match(r"[A-Za-z0-9_.-]+\Z", name) and ("." not in name or name.endswith(".conf"))
    ]
    for path in (*(f"/etc/apt/apt.conf.d/{name}" for name in parts), "/etc/apt/apt.conf"):
        settings.update(apt_settings(read_file(root + path, MAX_FILE_CHARS)))
    return settings.get("apt::periodic::enable", "1") != "0" and settings.get("apt::periodic::unattended-upgrade", "0") not in ("", "0")


def _is_masked(root: str, unit: str) -> bool:
    try:
        return os.readlink(f"{root}/etc/systemd/system/{unit}") == os.devnull
    except OSError:
        return False
