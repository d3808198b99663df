"""What this server is: read from files, without starting a program."""

import os
import re
from typing import Dict, List, NamedTuple, Sequence, Set

from spider.collectors.addresses import read_addresses
from spider.collectors.base import read_text
from spider.collectors.memory import parse_meminfo
from spider.collectors.virtualization import detect_container, detect_machine
from spider.wire.frames import Identity

SAME_BOOT_MS = 5000
"""Two answers closer than this to each other name one boot: the clock was only trimmed."""
MAX_TEXT = 200

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MARKS = ("/run/reboot-required", "/var/run/reboot-required", "/run/reboot-needed")
_MARKERS = (
    "/etc/kernel/postinst.d/unattended-upgrades",
    "/etc/kernel/postinst.d/reboot-notifier",
    "/etc/kernel/postinst.d/update-notifier",
    "/usr/share/update-notifier/notify-reboot-required",
)
"""What writes the mark when a kernel is installed on Debian and its kin; without one of them a missing mark says nothing."""
_RPM_FAMILY = frozenset({"fedora", "rhel", "centos", "rocky", "almalinux", "amzn", "suse", "opensuse", "sles"})
_NATIVE = {
    "apt": frozenset({"debian", "ubuntu"}),
    "dnf": _RPM_FAMILY,
    "dnf5": _RPM_FAMILY,
    "yum": _RPM_FAMILY,
    "zypper": _RPM_FAMILY,
    "pacman": frozenset({"arch"}),
    "apk": frozenset({"alpine"}),
}
"""The distributions (ID and ID_LIKE of os-release) that each of them is at home in."""
_RPM_DATABASES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")


class HostIdentity(NamedTuple):
    """`frames.Identity` without what is Spider's own. Empty text or 0 = unknown."""

    hostname: str
    machine_id: str
    os_id: str
    os_name: str
    os_version: str
    kernel: str
    architecture: str
    virtualization: str
    cpu_model: str
    cpu_cores: int
    memory_bytes: int
    package_manager: str
    timezone: str
    booted_at_ms: int
    addresses: List[str]
    reboot_required: str

    def frame(self, agent_version: str, policy_mode: str, policy_verbs: Sequence[str]) -> Identity:
        """Add what Spider says of itself."""
        return Identity(*self[:-1], agent_version, policy_mode, list(policy_verbs), self.reboot_required)


def parse_os_release(text: str) -> Dict[str, str]:
    """Read /etc/os-release.

    Returns: its assignments; lines that are none are passed over.
    Source:  os-release(5): values as a shell would read them; no expansion.
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
    """Read /proc/cpuinfo.

    Args:    tree: the machine's name in the device tree, for processors that do not say theirs.
    Returns: the model of the first processor; empty when the kernel does not say.
    Source:  the field's name differs: `model name` (x86), `cpu` (POWER), `Model` and `Hardware` (ARM boards).
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


def detect_package_manager(root: str, release: Dict[str, str]) -> str:
    """The package manager whose own database this system is installed from; empty when there is none that we know.

    Programs tell nothing: Debian carries dnf, pacman and zypper, too. Where several databases have packages, the one of the
    distribution named by os-release counts.
    """
    if os.path.exists(root + "/etc/NIXOS"):
        return "nixos"
    if os.path.exists(root + "/run/ostree-booted"):
        return "rpm-ostree"
    found = []
    if _size(root + "/var/lib/dpkg/status"):
        found.append("apt")
    if any(_size(f"{root}{place}/{name}") for place in _RPM_DATABASES for name in ("rpmdb.sqlite", "Packages.db", "Packages")):
        found.append(_rpm_front(root))
    if _has_entries(root + "/var/lib/pacman/local"):
        found.append("pacman")
    if _size(root + "/lib/apk/db/installed") or _size(root + "/usr/lib/apk/db/installed"):
        found.append("apk")
    family = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    for manager in found:
        if _NATIVE[manager].intersection(family):
            return manager
    return found[0] if found else ""


def _rpm_front(root: str) -> str:
    """What drives rpm here; `dnf` and `yum` are names that lead to whichever is the system's."""
    programs = {
        name: os.path.realpath(f"{root}/usr/bin/{name}") for name in ("zypper", "dnf5", "dnf", "yum") if _size(f"{root}/usr/bin/{name}")
    }
    if "zypper" in programs:
        return "zypper"
    if os.path.basename(programs.get("dnf", programs.get("yum", ""))) == "dnf5" or list(programs) == ["dnf5"]:
        return "dnf5"
    return "dnf" if "dnf" in programs else "yum"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _has_entries(path: str) -> bool:
    try:
        with os.scandir(path) as entries:
            return any(entry.is_dir() for entry in entries)
    except OSError:
        return False


def read_timezone(root: str = "") -> str:
    """The zone's name, as /etc/localtime links to it; where that is no link, as /etc/timezone has it; `UTC` without either.

    Source: localtime(5).
    """
    try:
        target = os.readlink(root + "/etc/localtime")
    except FileNotFoundError:
        return read_text(root + "/etc/timezone") or "UTC"
    except OSError:
        return read_text(root + "/etc/timezone")
    return target.partition("zoneinfo/")[2] or read_text(root + "/etc/timezone")


def reboot_required(root: str, package_manager: str, kernel: str, booted_at: float, in_container: bool) -> str:
    """`yes`, `no` or `unknown`; never `no` for want of evidence.

    yes: the mark is there, or the running kernel's modules are gone while another kernel's are there.
    no: (apt) something is installed that would have made the mark, or no kernel came since the boot; (pacman, apk) the running
    kernel's modules are still there, which these replace with the kernel. A container's kernel is not its own.
    """
    if any(os.path.exists(root + mark) for mark in _MARKS):
        return "yes"
    kernels = set() if in_container else _modules(root)
    if kernels and kernel not in kernels:
        return "yes"
    if package_manager == "apt" and any(os.path.exists(root + marker) for marker in _MARKERS):
        return "no"
    if package_manager == "apt" and kernel in kernels and not _kernel_since(root, booted_at):
        return "no"
    if package_manager in ("pacman", "apk") and kernel in kernels:
        return "no"
    return "unknown"


def _modules(root: str) -> Set[str]:
    """The kernels whose modules are installed (/lib is /usr/lib nearly everywhere)."""
    try:
        with os.scandir(root + "/lib/modules") as entries:
            return {entry.name for entry in entries if os.path.exists(entry.path + "/modules.dep")}
    except OSError:
        return set()


def _kernel_since(root: str, booted_at: float) -> bool:
    """Whether a kernel image was written after the boot; True, too, when that cannot be told."""
    try:
        with os.scandir(root + "/boot") as entries:
            images = [entry.stat().st_ctime for entry in entries if entry.name.startswith(("vmlinuz", "vmlinux", "Image"))]
    except OSError:
        return True
    return not images or max(images) > booted_at


def parse_uptime(text: str) -> float:
    """Read /proc/uptime.

    Returns: seconds since this system was booted; inside containers that show their own, since those were.
    Raises:  ValueError: not a number of seconds.
    Source:  proc_uptime(5).
    """
    fields = text.split()
    seconds = float(fields[0]) if fields else -1.0
    if not 0 <= seconds < 1e11:
        raise ValueError("/proc/uptime has no uptime")
    return seconds


class IdentityReader:
    """Reads the identity; keeps what should not flutter between two readings (the moment of the boot)."""

    def __init__(self, root: str = "") -> None:
        self._root = root
        self._booted_at_ms = 0

    def read(self, now: float) -> HostIdentity:
        """Read about twenty small files (some hundred µs; a hung disk may make it wait, so not on the loop).

        Args: now: Unix seconds.
        """
        root = self._root
        release = parse_os_release(read_text(root + "/etc/os-release") or read_text(root + "/usr/lib/os-release"))
        system = os.uname()
        container = detect_container(root)
        manager = detect_package_manager(root, release)
        booted_at_ms = self._boot(now)
        return HostIdentity(
            hostname=_clean(system.nodename),
            machine_id=_machine_id(root),
            os_id=_clean(release.get("ID", "linux")),
            os_name=_clean(release.get("NAME", "Linux")),
            os_version=_clean(release.get("VERSION_ID", "")),
            kernel=_clean(system.release),
            architecture=_clean(system.machine),
            virtualization=_clean(container or detect_machine(root, system.machine)),
            cpu_model=_clean(parse_cpu_model(read_text(root + "/proc/cpuinfo"), read_text(root + "/proc/device-tree/model").rstrip("\0"))),
            cpu_cores=os.cpu_count() or 0,
            memory_bytes=_memory(root),
            package_manager=manager,
            timezone=_clean(read_timezone(root)),
            booted_at_ms=booted_at_ms,
            addresses=read_addresses(),
            reboot_required=reboot_required(root, manager, system.release, booted_at_ms / 1000, bool(container)),
        )

    def _boot(self, now: float) -> int:
        try:
            booted_at_ms = round(now - parse_uptime(read_text(self._root + "/proc/uptime"))) * 1000
        except ValueError:
            return 0
        if abs(booted_at_ms - self._booted_at_ms) > SAME_BOOT_MS:
            self._booted_at_ms = max(0, booted_at_ms)
        return self._booted_at_ms


def _clean(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()[:MAX_TEXT]


def _machine_id(root: str) -> str:
    for place in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        text = read_text(root + place)
        if re.match(r"[0-9a-f]{32}\Z", text):
            return text
    return ""


def _memory(root: str) -> int:
    try:
        return parse_meminfo(read_text(root + "/proc/meminfo").encode()).total
    except ValueError:
        return 0
