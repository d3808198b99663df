"""The collectors of a macOS host. They use psutil, since macOS has no /proc.

psutil is not part of Spider's bundle. On a host without it, only load and the clock are measured.
"""

import importlib
import os
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Protocol, Tuple

from spider.clock import Clock
from spider.mountinfo import Mount
from spider.sampling.collectors.base import MAX_LABELLED, Collector, label, per_second, per_second_fine
from spider.sampling.collectors.clock import Clocks, HubTime
from spider.sampling.collectors.cpu import CpuTicks, busy_percent, shares
from spider.sampling.collectors.disk import mean_wait
from spider.sampling.collectors.filesystems import MAX_MOUNTS, SpaceUsage, StatQueries
from spider.wire.metrics import series_name

TICKS_PER_S = 100
"""Ticks per second. psutil gives processor times as seconds with two decimals."""

_VIRTUAL = ("lo", "gif", "stf", "utun", "awdl", "llw", "anpi", "ap", "bridge", "ipsec", "ppp", "vmenet", "feth", "bond", "vlan")
_SYSTEM_VOLUMES = ("/System/Volumes/", "/private/var/vm", "/dev")
_FILE_SYSTEMS = frozenset({"apfs", "hfs", "exfat", "msdos", "ufsd_NTFS"})


class Psutil(Protocol):
    """The functions of psutil 5.9 and later that are used (https://psutil.readthedocs.io); its results are named tuples."""

    def cpu_times(self, percpu: bool = False) -> Any: ...
    def cpu_stats(self) -> Any: ...
    def virtual_memory(self) -> Any: ...
    def swap_memory(self) -> Any: ...
    def disk_io_counters(self, perdisk: bool = False) -> Any: ...
    def disk_partitions(self, all: bool = False) -> Iterable[Any]: ...  # noqa: A002 - psutil's own name
    def net_io_counters(self, pernic: bool = False) -> Any: ...
    def net_if_stats(self) -> Mapping[str, Any]: ...
    def net_if_addrs(self) -> Mapping[str, Any]: ...
    def boot_time(self) -> float: ...
    def pids(self) -> List[int]: ...


class _Counters:
    """The counters of the present and of the last reading, for rates. `begin` starts a reading."""

    def __init__(self) -> None:
        self._before: Dict[str, int] = {}
        self._now: Dict[str, int] = {}
        self._at = 0.0
        self.elapsed_s = 0.0

    def begin(self, now: float) -> None:
        self.elapsed_s, self._at = now - self._at, now
        self._before, self._now = self._now, {}

    def step(self, name: str, value: int) -> Optional[Tuple[int, int]]:
        """Store a counter. Returns: its present and previous value; None: the previous reading did not have it."""
        self._now[name] = value
        return (value, self._before[name]) if name in self._before else None

    def rate(self, name: str, value: int) -> Optional[int]:
        pair = self.step(name, value)
        return per_second(pair[0], pair[1], self.elapsed_s) if pair else None


class _Disk(NamedTuple):
    reads: int
    writes: int
    read_ms: int
    write_ms: int


def ticks_of(times: Any) -> CpuTicks:
    """psutil's user, nice, system and idle seconds, as ticks; macOS provides no other states."""
    user, nice, system, idle = (round(TICKS_PER_S * float(value)) for value in (times.user, times.nice, times.system, times.idle))
    return CpuTicks(user, nice, system, idle, 0, 0, 0, 0)


def _cards(psutil: Psutil) -> List[Tuple[str, Any]]:
    """The first MAX_LABELLED cards, sorted by name: name and counters of each."""
    every = sorted((psutil.net_io_counters(pernic=True) or {}).items())
    return [(name, io) for name, io in every if is_card(name)][:MAX_LABELLED]


def is_card(interface: str) -> bool:
    """Whether an interface carries the host's external traffic (`en0` …). Tunnels, bridges and Apple's own links repeat the traffic of others."""
    return interface.rstrip("0123456789") not in _VIRTUAL


class DarwinPulse(Collector):
    """cpu.*, load.*, memory.*, swap.*, disk.*, network.* as far as macOS provides them; other series are left out."""

    family = "pulse"
    counts = True

    def __init__(self, psutil: Optional[Psutil], load: Callable[[], Tuple[float, float, float]] = os.getloadavg) -> None:
        super().__init__()
        self._psutil = psutil
        self._load = load
        self._counters = _Counters()
        self._cpu: List[CpuTicks] = []
        self._disks: Dict[str, _Disk] = {}

    def read(self, now: float) -> List[Optional[int]]:
        found: Dict[str, Optional[int]] = {}
        for name, value in zip(("load.1", "load.5", "load.15"), self._load()):
            found[name] = round(value * 100)
        if self._psutil is not None:
            self._counters.begin(now)
            self._read_cpu(self._psutil, found)
            self._read_memory(self._psutil, found)
            self._read_devices(self._psutil, found)
        return self._report(found.items())

    def _read_cpu(self, psutil: Psutil, found: Dict[str, Optional[int]]) -> None:
        ticks = [ticks_of(psutil.cpu_times()), *map(ticks_of, psutil.cpu_times(percpu=True))]
        before, self._cpu = self._cpu, ticks
        if len(before) != len(ticks):
            before = ticks
        parts = shares(ticks[0], before[0])
        for name in ("total", "user", "system", "nice"):
            found["cpu." + name] = getattr(parts, name) if parts else None
        for core, (later, earlier) in enumerate(zip(ticks[1:], before[1:])):
            found[series_name("cpu.core", "core", str(core))] = busy_percent(later, earlier)

    def _read_memory(self, psutil: Psutil, found: Dict[str, Optional[int]]) -> None:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        total, available = int(memory.total), min(int(memory.available), int(memory.total))
        found.update({"memory.total": total, "memory.used": total - available, "memory.available": available})
        found.update({"swap.total": int(swap.total), "swap.used": int(swap.used)})
        found["swap.in"] = self._counters.rate("sin", int(swap.sin))
        found["swap.out"] = self._counters.rate("sout", int(swap.sout))

    def _read_devices(self, psutil: Psutil, found: Dict[str, Optional[int]]) -> None:
        counters, disks = self._counters, {}
        for name, io in sorted((psutil.disk_io_counters(perdisk=True) or {}).items())[:MAX_LABELLED]:
            disks[name] = later = _Disk(int(io.read_count), int(io.write_count), int(io.read_time), int(io.write_time))
            earlier = self._disks.get(name, later)
            rates = {"read": io.read_bytes, "written": io.write_bytes, "reads": io.read_count, "writes": io.write_count}
            values = {part: counters.rate(f"{part} {name}", int(value)) for part, value in rates.items()}
            values["read_await"] = mean_wait(later.reads - earlier.reads, later.read_ms - earlier.read_ms)
            values["write_await"] = mean_wait(later.writes - earlier.writes, later.write_ms - earlier.write_ms)
            found.update((series_name("disk." + part, "device", label(name)), value) for part, value in values.items())
        self._disks = disks
        for name, io in _cards(psutil):
            rates = {
                "received": io.bytes_recv,
                "sent": io.bytes_sent,
                "packets_received": io.packets_recv,
                "packets_sent": io.packets_sent,
            }
            for part, value in rates.items():
                found[series_name("network." + part, "interface", label(name))] = counters.rate(f"{part} {name}", int(value))


class DarwinBreathe(Collector):
    """filesystem.*, network.errors_…, drops_…, up, kernel.context_switches, interrupts, system.uptime, processes.total."""

    family = "breathe"
    counts = True
    blocking = True  # a disk may not answer

    def __init__(self, psutil: Psutil, clock: Clock) -> None:
        super().__init__()
        self._psutil = psutil
        self._clock = clock
        self._counters = _Counters()
        self._questions = StatQueries()

    def read(self, now: float) -> List[Optional[int]]:
        self._counters.begin(now)
        found: Dict[str, Optional[int]] = {
            "system.uptime": max(0, int(self._clock.now() - self._psutil.boot_time())),
            "processes.total": len(self._psutil.pids()),
        }
        stats = self._psutil.cpu_stats()
        found["kernel.context_switches"] = self._counters.rate("switches", int(stats.ctx_switches))
        found["kernel.interrupts"] = self._counters.rate("interrupts", int(stats.interrupts))
        mounts = [
            Mount("", "/", str(part.mountpoint), str(part.fstype), "ro" in str(part.opts).split(","))
            for part in self._psutil.disk_partitions()
            if part.fstype in _FILE_SYSTEMS and not str(part.mountpoint).startswith(_SYSTEM_VOLUMES)
        ][:MAX_MOUNTS]
        asked = self._questions.ask({mount.point: [(mount, [mount.point])] for mount in mounts})
        for mount in mounts:
            question = asked.get(mount.point)
            usage = question.answer[1] if question is not None and question.answer is not None else None
            found.update(_file_system(mount, usage))
        states = self._psutil.net_if_stats()
        for name, io in _cards(self._psutil):
            faults = {"errors_received": io.errin, "errors_sent": io.errout, "drops_received": io.dropin, "drops_sent": io.dropout}
            for fault, value in faults.items():
                pair = self._counters.step(f"{fault} {name}", int(value))
                rate = per_second_fine(pair[0], pair[1], self._counters.elapsed_s, 1000) if pair else None
                found[series_name("network." + fault, "interface", label(name))] = rate
            if name in states:
                found[series_name("network.up", "interface", label(name))] = int(bool(states[name].isup))
        return self._report(found.items())


def _file_system(mount: Mount, usage: Optional[SpaceUsage]) -> Dict[str, Optional[int]]:
    values: Dict[str, Optional[int]] = {"size": None, "used": None, "free": None, "readonly": int(mount.readonly)}
    if usage is not None:  # otherwise the file system is mounted but does not answer
        values.update(size=usage.size, used=usage.used, free=usage.free)
        if usage.inodes_used is not None:
            values.update(inodes_used=usage.inodes_used, inodes_free=usage.inodes_free)
    return {series_name("filesystem." + part, "mount", label(mount.point)): value for part, value in values.items()}


def find_psutil() -> Optional[Psutil]:
    """The host's own psutil; None if it is not installed."""
    try:
        found: Psutil = importlib.import_module("psutil")
    except ImportError:
        return None
    return found


def darwin_collectors(clock: Clock, hub_time: HubTime = lambda: None) -> List[Collector]:
    """New collectors of all metrics of a macOS host, for one sampler."""
    psutil = find_psutil()
    found: List[Collector] = [DarwinPulse(psutil), Clocks(clock, hub_time, ask=lambda: None)]
    return [*found, DarwinBreathe(psutil, clock)] if psutil is not None else found
