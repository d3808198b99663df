"""CPU use over the last interval, and scheduler activity: all values of /proc/stat."""

import os
from typing import Dict, List, NamedTuple, Optional, Tuple

from spider.sampling.collectors.base import LARGEST, Collector, KernelFile, Previous, counters, level, per_second
from spider.wire.metrics import series_name

HERTZ = os.sysconf("SC_CLK_TCK")
MAX_CORES = 1024
"""Most cores with a series `cpu.core`."""
FEW_TICKS = 500
"""Below this number of ticks, shares are rounded to half a percent; else to a tenth."""
MAX_DETAILED = 256
"""Most cores with series of their states (`cpu.core_user` …)."""

_PARTS = ("total", "user", "system", "iowait", "steal", "nice", "irq", "softirq", "guest")
_CORE_PARTS = ("user", "nice", "system", "irq", "softirq", "iowait", "steal", "guest")
_RATES = ("kernel.context_switches", "kernel.interrupts", "kernel.forks")
_LEVELS = ("processes.running", "processes.blocked")


class CpuTicks(NamedTuple):
    """USER_HZ ticks since boot."""

    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    irq: int
    softirq: int
    steal: int
    guest: int = 0
    """Both kinds of guest time, which user and nice already include."""


class Activity(NamedTuple):
    """The other values of /proc/stat. None: this kernel, or its emulation (lxcfs), does not provide the value."""

    switches: Optional[int]
    interrupts: Optional[int]
    forks: Optional[int]
    running: Optional[int]
    blocked: Optional[int]


_NOTHING = Activity(None, None, None, None, None)


class CpuShares(NamedTuple):
    """Hundredths of a percent of the time between two readings.

    The shares are rounded, because one tick is the finest step: a second of two cores has about 200 ticks, half a percent each (`FEW_TICKS`).
    """

    total: int
    """All but idle and iowait."""
    user: int
    """With nice and guests."""
    system: int
    """With both kinds of interrupts."""
    iowait: int
    steal: int
    nice: int
    irq: int
    softirq: int
    guest: Optional[int]
    """None: the counter decreased, or rose by more than possible. The other values do not depend on it and are valid."""


def parse_stat(data: bytes) -> Tuple[CpuTicks, Dict[int, CpuTicks]]:
    """Parse the `cpu` lines of /proc/stat.

    Args:    data: the whole file.
    Returns: ticks of all cores together, and of each online core by its number.
    Raises:  ValueError: no `cpu` line, or a field is not a number.
    Source:  proc_stat(5). Linux has fields 9 and 10 (guest) since 2.6.24 and 2.6.33.
    """
    end = data.find(b"\nintr")
    total: Optional[CpuTicks] = None
    cores: Dict[int, CpuTicks] = {}
    for line in (data if end < 0 else data[:end]).split(b"\n"):
        if line[:3] != b"cpu":
            continue
        fields = line.split(None, 11)
        ticks = counters(fields[1:11])
        if len(ticks) < 8:
            raise ValueError("a cpu line of /proc/stat is too short")
        found = CpuTicks(*ticks[:8])._replace(guest=sum(ticks[8:]))
        if fields[0] == b"cpu":
            total = found
        else:
            cores[int(fields[0][3:])] = found
    if total is None:
        raise ValueError("/proc/stat has no cpu line")
    return total, cores


def parse_activity(data: bytes) -> Activity:
    """Parse the counters below the `cpu` lines of /proc/stat.

    Raises:  ValueError: a field is not a number.
    Source:  proc_stat(5): `ctxt`, the first number of `intr`, `processes`, `procs_running`, `procs_blocked`.
    """
    found = [_number_after(data, name) for name in (b"\nctxt ", b"\nintr ", b"\nprocesses ", b"\nprocs_running ", b"\nprocs_blocked ")]
    return Activity(*found)


def _number_after(data: bytes, name: bytes) -> Optional[int]:
    at = data.find(name)
    if at < 0:
        return None
    at += len(name)
    end = data.find(b"\n", at)
    fields = data[at : end if end >= 0 else len(data)][:40].split(None, 1)
    return counters(fields[:1])[0] if fields else None


def _passed(later: CpuTicks, earlier: CpuTicks, most: int) -> Optional[List[int]]:
    """Ticks of the first eight states between two readings. Guest time is left out, because user and nice include it.

    Iowait or idle may decrease (proc_stat(5)). The kernel learns why a core slept only when the core wakes. It then moves time from one state
    to the other (kernel/time/tick-sched.c). So if one of the two has decreased, it counts as 0, and the other gets the sum of both differences.

    Args:    most: most ticks of one state that can have passed.
    Returns: None: a state decreased, or more ticks than possible have passed; then no share is valid.
    """
    found = [after - before for after, before in zip(later[:8], earlier[:8])]
    rested = found[3] + found[4]
    found[4] = min(rested, max(0, found[4]))
    found[3] = rested - found[4]
    return found if min(found) >= 0 and max(found) <= most else None


def most_ticks(elapsed_s: float) -> int:
    """Most ticks of one core that are believed after `elapsed_s`: those of twice the time plus a second, because a reading may be late."""
    return round((2 * elapsed_s + 1) * HERTZ)


def shares(later: CpuTicks, earlier: CpuTicks, most: int = LARGEST) -> Optional[CpuShares]:
    """The shares of each state between two readings.

    Args:    most: most ticks of one state that can have passed.
    Returns: None: no tick or more ticks than possible have passed, or a counter decreased.
    """
    found = _passed(later, earlier, most)
    if found is None:
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = found
    busy = user + nice + system + irq + softirq + steal
    whole = busy + idle + iowait
    if not whole:
        return None
    guest = later.guest - earlier.guest
    parts = (busy, user + nice, system + irq + softirq, iowait, steal, nice, irq, softirq, min(guest, whole))
    step = 50 if whole < FEW_TICKS else 10
    reported = CpuShares(*[step * round(10000 * part / whole / step) for part in parts])
    return reported if 0 <= guest <= most else reported._replace(guest=None)


def busy_percent(later: CpuTicks, earlier: CpuTicks, most: int = LARGEST) -> Optional[int]:
    """The busy share of one core in whole percent, because a tick of 10 ms is a percent of a second. None: as in `shares`."""
    found = _passed(later, earlier, most)
    whole = sum(found) if found is not None else 0
    if found is None or not whole:
        return None
    return round(100 * (whole - found[3] - found[4]) / whole)


class Cpu(Collector):
    """cpu.*: percent of all cores; cpu.core: whole percent of one core; processes.running, blocked.

    One reading of /proc/stat gives all these values. On a machine with many cores, writing that file is costly for the kernel.
    """

    family = "pulse"
    counts = True

    def __init__(self, proc: str = "/proc") -> None:
        super().__init__()
        self._file = self._keep_open(KernelFile(proc + "/stat"))
        self._previous: Previous[Optional[Tuple[CpuTicks, Dict[int, CpuTicks]]]] = Previous(None)
        self._cores: List[int] = []
        self._known: List[bool] = []

    def read(self, now: float) -> List[Optional[int]]:
        data = self._file.read()
        total, cores = parse_stat(data)
        levels = parse_activity(data)[3:]
        present = sorted(cores)[:MAX_CORES]
        known = [value is not None for value in levels]
        if present != self._cores or known != self._known or not self._series:
            self._cores, self._known = present, known
            self._series = ["cpu." + part for part in _PARTS]
            self._series += [series_name("cpu.core", "core", str(core)) for core in present]
            self._series += [name for name, there in zip(_LEVELS, known) if there]
        before, elapsed_s = self._previous.swap((total, cores), now)
        before_total, before_cores = before or (total, cores)
        most = most_ticks(elapsed_s)
        values: List[Optional[int]] = []
        values.extend(shares(total, before_total, most * (len(cores) or MAX_CORES)) or (None,) * len(_PARTS))
        for core in present:
            earlier = before_cores.get(core)
            values.append(busy_percent(cores[core], earlier, most) if earlier else None)
        values.extend(level(value) for value in levels if value is not None)
        return values


class CoresAndScheduler(Collector):
    """cpu.core_user, core_nice, core_system, core_irq, core_softirq, core_iowait, core_steal, core_guest: percent of one core in the last
    minute; kernel.*: events/s in the last minute.

    Eight states of each core each second would be most of the data of a machine with many cores. A value over a minute still shows if one core
    serves all interrupts, or waits.
    """

    family = "breathe"
    counts = True

    def __init__(self, proc: str = "/proc") -> None:
        super().__init__()
        self._file = self._keep_open(KernelFile(proc + "/stat"))
        self._previous: Previous[Tuple[Dict[int, CpuTicks], Activity]] = Previous(({}, _NOTHING))

    def read(self, now: float) -> List[Optional[int]]:
        data = self._file.read()
        cores, did = parse_stat(data)[1], parse_activity(data)
        (before, before_did), elapsed_s = self._previous.swap((cores, did), now)
        present = [core for core in sorted(cores)[:MAX_DETAILED] if core in before]
        self._series = [series_name("cpu.core_" + part, "core", str(core)) for core in present for part in _CORE_PARTS]
        values: List[Optional[int]] = []
        for core in present:
            found = shares(cores[core], before[core], most_ticks(elapsed_s))
            parts = [getattr(found, part, None) for part in _CORE_PARTS]
            values.extend(None if part is None else part // 10 for part in parts)
        for name, later, earlier in zip(_RATES, did, before_did):
            if later is not None and earlier is not None:
                self._series.append(name)
                values.append(per_second(later, earlier, elapsed_s))
        return values
