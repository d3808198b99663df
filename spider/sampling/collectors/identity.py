"""Reads the identity of this server from files, without starting a program."""

import os
import re
from typing import Dict, Sequence

from spider.files import read_text
from spider.packages.after.reboot import Host, load_verdict, reboot_required
from spider.packages.host_manager import find_native
from spider.sampling.collectors.addresses import read_addresses
from spider.sampling.collectors.memory import parse_meminfo
from spider.sampling.collectors.other_patchers import other_patchers
from spider.sampling.collectors.virtualization import detect_container, detect_machine
from spider.wire.report_messages import Identity

SAME_BOOT_MS = 5000
"""A smaller change of the computed boot time is an adjustment of the clock. The time that was computed before stays."""
MAX_TEXT = 200
"""Most characters of each text."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse_os_release(text: str) -> Dict[str, str]:
    """Parse /etc/os-release.

    Returns: the value by name of each assignment in it; other lines are ignored.
    Source:  os-release(5): values are quoted as in a shell; no expansion.
    """
    found: Dict[str, str] = {}
    for line in text.split("\n"):
        key, sign, value = line.strip().partition("=")
        if not sign or not re.match(r"[A-Z][A-Z0-9_]*\Z", key):
            continue
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1] if value[0] == "'" else re.sub(r"\\(.)", r"\1", value[1:-1])
        found[key] = value
    return found


def parse_cpu_model(text: str, tree: str = "") -> str:
    """Parse /proc/cpuinfo.

    Args:    tree: the machine's name in the device tree; empty: there is none.
    Returns: the model of the first processor, else `tree`, else ARM's numbers of maker and part; empty: the kernel provides none of them.
    Source:  /proc/cpuinfo. The field of the model is `model name` (x86), `cpu` (POWER), or `Model` and `Hardware` (ARM boards).
    """
    fields: Dict[str, str] = {}
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    for key in ("model name", "cpu", "Model", "Hardware", "uarch", "Model Name"):
        if fields.get(key):
            return " ".join(fields[key].split())
    if tree:
        return tree
    if "CPU implementer" in fields:
        return f"ARM implementer {fields['CPU implementer']} part {fields.get('CPU part', '?')}"
    return ""


def read_timezone(root: str = "") -> str:
    """The time zone's name, from the target of the link /etc/localtime, else from /etc/timezone. Without both files: `UTC`. Empty: unknown.

    Source: localtime(5).
    """
    try:
        target = os.readlink(root + "/etc/localtime")
    except FileNotFoundError:
        return read_text(root + "/etc/timezone") or "UTC"
    except OSError:
        return read_text(root + "/etc/timezone")
    return target.partition("zoneinfo/")[2] or read_text(root + "/etc/timezone")


def parse_uptime(text: str) -> float:
    """Parse /proc/uptime.

    Returns: seconds since this system was booted. A container may have its own uptime, since its start.
    Raises:  ValueError: not a number of seconds.
    Source:  proc_uptime(5).
    """
    fields = text.split()
    seconds = float(fields[0]) if fields else -1.0
    if not 0 <= seconds < 1e11:
        raise ValueError("/proc/uptime has no uptime")
    return seconds


class IdentityReader:
    """Reads the identity. It stores the boot time, so that readings do not differ by small adjustments of the clock."""

    def __init__(self, root: str = "") -> None:
        self._root = root
        self._booted_at_ms = 0

    def read(self, now: float, version: str, policy_mode: str, policy_verbs: Sequence[str], units: int = 0) -> Identity:
        """Read about twenty small files (some hundred µs). A hung disk may block it, so it must not run on the event loop.

        Args: now: Unix seconds. The others are copied into the result.
        """
        root = self._root
        release = parse_os_release(read_text(root + "/etc/os-release") or read_text(root + "/usr/lib/os-release"))
        system = os.uname()
        container = detect_container(root)
        manager = find_native(root, release).name
        booted_at_ms = self._boot(now)
        return Identity(
            hostname=clean(system.nodename),
            machine_id=_machine_id(root),
            os_id=clean(release.get("ID", "linux")),
            os_name=clean(release.get("NAME", "Linux")),
            os_version=clean(release.get("VERSION_ID", "")),
            kernel=clean(system.release),
            architecture=clean(system.machine),
            virtualization=clean(container or detect_machine(root, system.machine)),
            cpu_model=clean(parse_cpu_model(read_text(root + "/proc/cpuinfo"), read_text(root + "/proc/device-tree/model").rstrip("\0"))),
            cpu_cores=os.cpu_count() or 0,
            memory_bytes=_memory(root),
            package_manager=manager,
            timezone=clean(read_timezone(root)),
            booted_at_ms=booted_at_ms,
            addresses=read_addresses(),
            agent_version=version,
            policy_mode=policy_mode,
            policy_verbs=list(policy_verbs),
            reboot_required=_reboot_required(root, Host(manager, clean(system.release), booted_at_ms / 1000, container, self._boot_id())),
            units=units,
            other_patchers=other_patchers(root),
            support_end=clean(release.get("SUPPORT_END", "")),
        )

    def _boot_id(self) -> str:
        return read_text(self._root + "/proc/sys/kernel/random/boot_id").replace("-", "")

    def _boot(self, now: float) -> int:
        try:
            booted_at_ms = round(now - parse_uptime(read_text(self._root + "/proc/uptime"))) * 1000
        except ValueError:
            return 0
        if abs(booted_at_ms - self._booted_at_ms) > SAME_BOOT_MS:
            self._booted_at_ms = max(0, booted_at_ms)
        return self._booted_at_ms


def _reboot_required(root: str, host: Host) -> str:
    """yes, no or unknown, by files on disk and by the package manager's answer when root last queried it."""
    return reboot_required(root, host, load_verdict(host.boot, root)).required


def clean(text: str) -> str:
    """Make a text sendable: a host name or the target of a link may contain any byte."""
    return _CONTROL.sub(" ", text).strip().encode("utf-8", "backslashreplace").decode("utf-8")[:MAX_TEXT]


def _machine_id(root: str) -> str:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        text = read_text(root + path)
        if re.match(r"[0-9a-f]{32}\Z", text):
            return text
    return ""


def _memory(root: str) -> int:
    try:
        return parse_meminfo(read_text(root + "/proc/meminfo").encode()).total
    except ValueError:
        return 0
