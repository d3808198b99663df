"""One look at this host, as a roll-out compares it: units, ports, mounts, and processes killed for want of memory."""

import os
import re
from typing import Callable, Dict, List, NamedTuple, Optional, TypeVar

from spider.files import read_file
from spider.sampling.collectors.dbus import BUS, SystemBus
from spider.sampling.collectors.filesystems import Filesystems
from spider.sampling.collectors.listeners import Listening
from spider.sampling.collectors.memory import parse_vmstat
from spider.sampling.collectors.systemd_units import Failures, RestartCounts, has_systemd, list_units
from spider.wire.report_messages import EPHEMERAL_PORT, MAX_LOOK_PORTS, MAX_LOOK_UNITS
from spider.wire.text import plain
from spider.wire.units import KINDS

T = TypeVar("T")
UNITS, PORTS, MOUNTS = "units", "ports", "mounts"
_MOUNT = re.compile(r"filesystem\.(used|free|readonly)\{mount=(.+)\}\Z")
NOT_HERE = ""
_UP = ("active", "reloading")
MAX_NAME_CHARS = 200
MAX_VMSTAT_CHARS = 65_536


class Units(NamedTuple):
    """The units of a look, sorted by name."""

    failed: List[str]
    restarting: List[str]
    active: List[str]
    restarts: Dict[str, int]
    """How often systemd has restarted a service by itself; without those that it has not."""


class Mounted(NamedTuple):
    full_percent: int
    """Rounded down; -1: unknown."""
    read_only: bool


class HostLook(NamedTuple):
    """What a look shows. A part that could not be read is None; `absent` names the parts that this host cannot have."""

    units: Optional[Units]
    ports: Optional[List[str]]
    """`tcp 80 nginx.service`, sorted."""
    mounts: Optional[Dict[str, Mounted]]
    oom_kills: int
    """-1: unknown."""
    absent: List[str]


class HostLooks:
    """Takes looks. It blocks on a bus and on disks, so it runs in a thread, one look at a time."""

    def __init__(self, bus: str = BUS, root: str = "", proc: str = "/proc") -> None:
        self._bus = bus
        self._root = root
        self._proc = proc
        self._listening = Listening(proc)
        self._filesystems = Filesystems(proc)
        self._failures = Failures()
        self._restarts = RestartCounts(root)

    def look(self, now: float) -> HostLook:
        """Take one look. Args: now: monotonic seconds."""
        absent: List[str] = []
        has_units = has_systemd(self._root) and os.path.exists(self._bus)
        units = _readable(self._units) if has_units else None
        if not has_units or (units is not None and len(units.active) + len(units.failed) > MAX_LOOK_UNITS):
            absent, units = [UNITS], None  # a list that is cut off would show units as gone
        ports = _readable(lambda: self._ports(now))
        if ports == [NOT_HERE] or (ports is not None and len(ports) > MAX_LOOK_PORTS):
            absent, ports = [*absent, PORTS], None
        return HostLook(units, ports, _readable(lambda: self._mounts(now)), self._oom_kills(), absent)

    def _units(self) -> Units:
        with SystemBus(self._bus) as bus:
            bad = self._failures.read(bus)
            active = sorted(plain(unit.name, MAX_NAME_CHARS) for unit in list_units(bus, _UP, tuple(f"*.{kind}" for kind in KINDS)))
            counts = self._restarts.read(bus, active)
        failed = [plain(unit.name, MAX_NAME_CHARS) for unit in bad if unit.active == "failed"]
        waiting = [plain(unit.name, MAX_NAME_CHARS) for unit in bad if unit.active != "failed"]
        return Units(failed, waiting, active, {plain(name, MAX_NAME_CHARS): count for name, count in counts.items()})

    def _ports(self, now: float) -> List[str]:
        """The ports that a service or process of this host holds. One without an owner may belong to another network namespace.
        `[NOT_HERE]`: this kernel cannot be queried."""
        reading = self._listening.read(now)
        if reading is None:
            return [NOT_HERE]
        found = set()
        for protocol, _, port, _, service, _, process in reading.rows:
            if isinstance(port, int) and port < EPHEMERAL_PORT and (service or process):
                found.add(f"{protocol} {port} {service or process}"[:MAX_NAME_CHARS])
        return sorted(found)

    def _mounts(self, now: float) -> Dict[str, Mounted]:
        """Without those that come and go with their use: that one of them is not mounted now is no harm."""
        values = self._filesystems.read(now)
        found: Dict[str, Dict[str, Optional[int]]] = {}
        for name, value in zip(self._filesystems.series(), values):
            match = _MOUNT.match(name)
            if match and match.group(2) not in self._filesystems.on_demand:
                found.setdefault(match.group(2), {})[match.group(1)] = value
        return {mount: Mounted(_percent(parts), parts.get("readonly") == 1) for mount, parts in sorted(found.items())}

    def _oom_kills(self) -> int:
        try:
            return parse_vmstat(read_file(self._proc + "/vmstat", MAX_VMSTAT_CHARS).encode()).get(b"oom_kill", -1)
        except ValueError:  # a line of another form: the number is not known
            return -1


def _readable(read: Callable[[], T]) -> Optional[T]:
    """None: the bus or the kernel does not answer, or not in the agreed form. The look says that this part is unreadable."""
    try:
        return read()
    except (OSError, ValueError):
        return None


def _percent(parts: Dict[str, Optional[int]]) -> int:
    used, free = parts.get("used"), parts.get("free")
    return -1 if used is None or free is None or used + free <= 0 else 100 * used // (used + free)
