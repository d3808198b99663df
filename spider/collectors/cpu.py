"""How busy the processors were over the last interval."""

from typing import Dict, List, NamedTuple, Optional, Tuple

from spider.collectors.base import KernelFile, numbers
from spider.wire.metrics import series_name

MAX_CORES = 1024


class CpuTicks(NamedTuple):
    """USER_HZ ticks since boot. Guest time is already inside user, and guest_nice inside nice."""

    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    irq: int
    softirq: int
    steal: int


def parse_stat(data: bytes) -> Tuple[CpuTicks, Dict[int, CpuTicks]]:
    """Read the `cpu` lines of /proc/stat.

    Args:    data: the whole file.
    Returns: ticks of all cores together, and of each core that is online by its number.
    Raises:  ValueError: no `cpu` line, or a field is not a number.
    Source:  proc_stat(5): fields 9 and 10 (guest) are not added, since user and nice hold them.
    """
    end = data.find(b"\nintr")
    total: Optional[CpuTicks] = None
    cores: Dict[int, CpuTicks] = {}
    for line in (data if end < 0 else data[:end]).split(b"\n"):
        if line[:3] != b"cpu":
            continue
        fields = line.split(None, 9)
        ticks = numbers(fields[1:9])
        if len(ticks) != 8:
            raise ValueError("a cpu line of /proc/stat is too short")
        if fields[0] == b"cpu":
            total = CpuTicks(*ticks)
        else:
            cores[int(fields[0][3:])] = CpuTicks(*ticks)
    if total is None:
        raise ValueError("/proc/stat has no cpu line")
    return total, cores


def shares(later: CpuTicks, earlier: CpuTicks) -> Optional[Tuple[int, int, int, int, int]]:
    """Busy, user, system, iowait and steal in hundredths of a percent of the time between two readings.

    busy = all but idle and iowait; user holds nice, system holds both kinds of interrupts. A field that went back
    (iowait does, proc_stat(5)) counts as standing still. None: no tick has passed.
    """
    gone = [max(0, after - before) for after, before in zip(later, earlier)]
    whole = sum(gone)
    if not whole:
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = gone
    parts = (whole - idle - iowait, user + nice, system + irq + softirq, iowait, steal)
    busy, in_user, in_system, waiting, stolen = (round(10000 * part / whole) for part in parts)
    return busy, in_user, in_system, waiting, stolen


class Cpu:
    """cpu.total, user, system, iowait, steal: percent of all cores; cpu.core: percent of one."""

    family = "pulse"
    counts = True
    blocking = False

    def __init__(self, proc: str = "/proc") -> None:
        self._file = KernelFile(proc + "/stat")
        self._before: Optional[Tuple[CpuTicks, Dict[int, CpuTicks]]] = None
        self._cores: List[int] = []
        self._series: List[str] = []

    def series(self) -> List[str]:
        return self._series

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - a share of ticks needs no clock
        total, cores = parse_stat(self._file.read())
        numbers_now = sorted(cores)[:MAX_CORES]
        if numbers_now != self._cores or not self._series:
            self._cores = numbers_now
            self._series = ["cpu." + part for part in ("total", "user", "system", "iowait", "steal")]
            self._series += [series_name("cpu.core", "core", str(core)) for core in numbers_now]
        before_total, before_cores = self._before or (total, cores)
        self._before = (total, cores)
        values: List[Optional[int]] = []
        values.extend(shares(total, before_total) or (None,) * 5)
        for core in numbers_now:
            earlier = before_cores.get(core)
            parts = shares(cores[core], earlier) if earlier else None
            values.append(parts[0] if parts else None)
        return values

    def close(self) -> None:
        self._file.close()
