"""Resource use of services and containers, from their cgroups."""

import os
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from spider.files import read_text
from spider.sampling.collectors.base import LARGEST, Collector, gained, label
from spider.sampling.collectors.cgroup import ROOT, SERVICE, Group, Hierarchies, groups, is_transient
from spider.sampling.collectors.container_engines import Names
from spider.wire.metrics import series_name

MOST = 40
"""Most services that are reported, and most containers."""
CHOOSE_S = 600.0
"""How long a choice of the largest services or containers is kept. Each change costs a new layout (the message with the names of series)."""
LINGER_S = 3600.0
"""How long a series continues after its service has ended. Otherwise each log-in and log-out of a user would cost a new layout."""
_PARTS = ("cpu", "memory", "read", "written")
"""Parts of the metric names, in the order of `ServiceUsage`."""


class ServiceUsage(NamedTuple):
    """Resource use of a cgroup. None: this host does not count the value for this cgroup."""

    cpu_ns: Optional[int]
    """CPU time since the cgroup was made."""
    memory: Optional[int]
    """Present memory in bytes."""
    read: Optional[int]
    """Bytes read from disks since the cgroup was made."""
    written: Optional[int]


_NOTHING = ServiceUsage(None, None, None, None)


def _pairs(text: str) -> Dict[str, int]:
    found: Dict[str, int] = {}
    for line in text.split("\n"):
        key, _, value = line.partition(" ")
        if value.isdecimal():
            found[key] = int(value)
    return found


def parse_io_stat(text: str, stacked: Set[str]) -> Tuple[int, int]:
    """Parse io.stat of version 2.

    Args:    stacked: major:minor of devices on top of others, whose bytes the devices below count.
    Returns: bytes read and written.
    Source:  Documentation/admin-guide/cgroup-v2.rst.
    """
    read = written = 0
    for line in text.split("\n"):
        device, *fields = line.split(" ")
        if device in stacked:
            continue
        for field in fields:
            key, _, value = field.partition("=")
            if value.isdecimal():
                read += int(value) if key == "rbytes" else 0
                written += int(value) if key == "wbytes" else 0
    return read, written


def parse_service_bytes(text: str, stacked: Set[str]) -> Tuple[int, int]:
    """Parse blkio.throttle.io_service_bytes of version 1.

    Args, returns: as `parse_io_stat`.
    Source: Documentation/admin-guide/cgroup-v1/blkio-controller.rst: `major:minor operation bytes`, then totals.
    """
    read = written = 0
    for line in text.split("\n"):
        fields = line.split()
        if len(fields) == 3 and fields[0] not in stacked and fields[2].isdecimal():
            read += int(fields[2]) if fields[1] == "Read" else 0
            written += int(fields[2]) if fields[1] == "Write" else 0
    return read, written


def stacked_devices(sys: str = "/sys") -> Set[str]:
    """Devices (major:minor) on top of other devices (dm, md) or of files (loop)."""
    found: Set[str] = set()
    try:
        names = os.listdir(sys + "/block")
    except OSError:
        return found
    for name in names:
        try:
            below = os.listdir(f"{sys}/block/{name}/slaves")
        except OSError:
            below = []
        if below or os.path.exists(f"{sys}/block/{name}/loop"):
            found.add(read_text(f"{sys}/block/{name}/dev", 32))
    return found


def read_usage(hierarchies: Hierarchies, path: str, stacked: Set[str]) -> ServiceUsage:
    """Read the resource use of one cgroup, as far as this host counts it.

    `memory` excludes inactive file pages, which the kernel frees under memory pressure.
    """
    cpu_ns = memory = None
    moved: Optional[Tuple[int, int]] = None
    if "cpuacct" in hierarchies.controllers:
        text = read_text(f"{hierarchies.controllers['cpuacct']}{path}/cpuacct.usage", 32)
        cpu_ns = int(text) if text.isdecimal() else None
    if cpu_ns is None and hierarchies.unified:
        used_us = _pairs(read_text(f"{hierarchies.unified}{path}/cpu.stat")).get("usage_usec")
        cpu_ns = None if used_us is None else used_us * 1000
    for base, level, inactive in (
        (hierarchies.controllers.get("memory", ""), "memory.usage_in_bytes", "total_inactive_file"),
        (hierarchies.unified, "memory.current", "inactive_file"),
    ):
        text = read_text(f"{base}{path}/{level}", 32) if base and memory is None else ""
        if text.isdecimal():
            memory = max(0, int(text) - _pairs(read_text(f"{base}{path}/memory.stat")).get(inactive, 0))
    if "blkio" in hierarchies.controllers and os.path.isdir(hierarchies.controllers["blkio"] + path):
        folder = hierarchies.controllers["blkio"] + path
        text = read_text(folder + "/blkio.throttle.io_service_bytes_recursive") or read_text(folder + "/blkio.throttle.io_service_bytes")
        moved = parse_service_bytes(text, stacked)
    elif hierarchies.unified and os.path.exists(f"{hierarchies.unified}{path}/io.stat"):
        moved = parse_io_stat(read_text(f"{hierarchies.unified}{path}/io.stat"), stacked)
    return ServiceUsage(cpu_ns, memory, *(moved or (None, None)))


class Choice:
    """Chooses the largest of many, and keeps the choice for a while."""

    def __init__(self, most: int = MOST, choose_s: float = CHOOSE_S) -> None:
        self._most = most
        self._choose_s = choose_s
        self._chosen: Set[str] = set()
        self._chosen_at = float("-inf")

    def choose(self, now: float, cpu: Dict[str, int], memory: Dict[str, int]) -> Set[str]:
        """The chosen names: half by memory, the rest by CPU. If there is room for all names, all are chosen.

        Args: now: monotonic seconds. cpu, memory: use of each name, in any unit. A name that is not in `cpu` uses none.
        """
        names = set(memory)
        self._chosen &= names
        if len(names) <= self._most:
            self._chosen = names
        elif now - self._chosen_at >= self._choose_s or len(self._chosen) < self._most // 2:
            self._chosen_at = now
            by_memory = sorted(names, key=lambda name: (-memory[name], name))
            self._chosen = set(by_memory[: self._most // 2])
            for name in sorted(names, key=lambda name: (-cpu.get(name, 0), -memory[name], name)):
                if len(self._chosen) >= self._most:
                    break
                self._chosen.add(name)
        return self._chosen


class _Named(NamedTuple):
    """A cgroup with series."""

    seen_at: float
    parts: Tuple[str, ...]
    """The values that this host counts for the cgroup."""


class _Kind:
    """All services, or all containers."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._choice = Choice()
        self._before: Dict[str, ServiceUsage] = {}
        self._named: Dict[str, _Named] = {}

    def measure(self, usage: Dict[str, ServiceUsage], now: float, elapsed_s: float) -> List[Tuple[str, Optional[int]]]:
        """Series and values of the chosen services or containers. Those that were chosen and have ended have the values 0.

        Args: usage: resource use of each present service or container, by name.
        """
        before, self._before = self._before, usage
        self._named = {name: named for name, named in self._named.items() if name in usage or now - named.seen_at < LINGER_S}
        lasting = [name for name in usage if name in before or name in self._named]
        memory = {**dict.fromkeys(self._named, 0), **{name: usage[name].memory or 0 for name in lasting}}
        cpu = {name: (usage[name].cpu_ns or 0) - (before[name].cpu_ns or 0) for name in lasting if name in before}
        chosen = self._choice.choose(now, cpu, memory)
        for name in chosen & usage.keys():
            self._named[name] = _Named(now, tuple(part for part, value in zip(_PARTS, usage[name]) if value is not None))
        self._named = {name: named for name, named in self._named.items() if name in chosen}
        found: List[Tuple[str, Optional[int]]] = []
        for name in sorted(chosen):
            rates = dict(zip(_PARTS, _rates(usage[name], before.get(name, _NOTHING), elapsed_s))) if name in usage else {}
            # a service that does not run uses nothing, which is a valid value
            found += [(series_name(f"{self._word}.{part}", self._word, name), rates.get(part, 0)) for part in self._named[name].parts]
        return found


class ServicesAndContainers(Collector):
    """service.cpu, container.cpu: percent of one core; .memory: bytes; .read, .written: bytes/s from and to disks.

    The series of a service begin with its second reading: a service that lives for less than a minute gets none. They continue with 0 for an
    hour after its end. Values that a host does not count for a cgroup (a disabled controller) are left out.
    """

    family = "breathe"
    counts = True
    blocking = True  # hundreds of small files

    def __init__(self, root: str = ROOT, proc: str = "/proc", sys: str = "/sys", names: Optional[Names] = None) -> None:
        super().__init__()
        self._root = root
        self._proc = proc
        self._sys = sys
        self._names = names or Names()
        self._kinds = {SERVICE: _Kind("service"), "": _Kind("container")}
        self._before_at = 0.0

    def read(self, now: float) -> List[Optional[int]]:
        hierarchies, seen = groups(self._root, self._proc)
        stacked = stacked_devices(self._sys)
        elapsed_s, self._before_at = now - self._before_at, now
        found: List[Tuple[str, Optional[int]]] = []
        for name, kind in self._kinds.items():
            if hierarchies is not None:
                found += kind.measure(self._usage(hierarchies, seen, stacked, services=name == SERVICE), now, elapsed_s)
        return self._report(found)

    def _usage(self, hierarchies: Hierarchies, found: Iterable[Group], stacked: Set[str], *, services: bool) -> Dict[str, ServiceUsage]:
        wanted = [group for group in found if (group.kind == SERVICE) == services and not (services and is_transient(group.name))]
        names = {group: group.name for group in wanted} if services else self._names.of(wanted)
        return {label(name): read_usage(hierarchies, group.path, stacked) for group, name in names.items()}


def _rates(later: ServiceUsage, earlier: ServiceUsage, elapsed_s: float) -> Tuple[Optional[int], ...]:
    """CPU in hundredths of a percent of one core, memory in bytes, and bytes/s read and written."""
    return (
        _rate(later.cpu_ns, earlier.cpu_ns, elapsed_s * 100_000),
        later.memory,
        _rate(later.read, earlier.read, elapsed_s),
        _rate(later.written, earlier.written, elapsed_s),
    )


def _rate(later: Optional[int], earlier: Optional[int], divisor: float) -> Optional[int]:
    rise = gained(later, earlier) if later is not None and earlier is not None else None
    return min(LARGEST, round(rise / divisor)) if rise is not None and divisor > 0 else None
