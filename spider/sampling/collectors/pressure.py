"""Share of time in which tasks waited for a resource (PSI)."""

from typing import Dict, List, Optional, Tuple

from spider.sampling.collectors.base import Collector, MaybeFile, Previous, counters, gained

_FILES: Dict[str, Tuple[str, ...]] = {"cpu": ("some",), "memory": ("some", "full"), "io": ("some", "full"), "irq": ("full",)}
"""By file of /proc/pressure: the lines that are used. Not `full` of cpu, which is undefined for a whole system (the kernel writes 0). irq has
only `full`."""


def parse_pressure(data: bytes) -> Dict[str, int]:
    """Parse a file of /proc/pressure.

    Returns: the `total` of each line, microseconds since boot, by `some` or `full`.
    Raises:  ValueError: a line has no total, or its total is not a number.
    Source:  Documentation/accounting/psi.rst. The averages in these files are not used, because the totals give the share of each second.
    """
    found: Dict[str, int] = {}
    for line in data.split(b"\n"):
        if not line:
            continue
        head, mark, total = line.partition(b" total=")
        if not mark:
            raise ValueError("a line of /proc/pressure has no total")
        found[head.split(b" ", 1)[0].decode("ascii", "replace")] = counters([total])[0]
    return found


def stalled_share(later_us: int, earlier_us: int, elapsed_s: float) -> Optional[int]:
    """Share of the elapsed time in which tasks waited, in tenths of a percent. Limited to 100 %, because the kernel updates the counter with a
    delay.

    None: the counter decreased, or no time has passed.
    """
    rise_us = gained(later_us, earlier_us)
    if rise_us is None or elapsed_s <= 0:
        return None
    return min(1000, round(rise_us / elapsed_s / 1000))


class Pressure(Collector):
    """pressure.cpu_some, memory_some, memory_full, io_some, io_full, irq_full: percent of the time.

    Not reported by kernels before 4.20 or booted with psi=0 (the files exist but are not readable). Kernels before 6.1 have no irq.
    """

    family = "pulse"
    counts = True

    def __init__(self, proc: str = "/proc") -> None:
        super().__init__()
        self._files = {name: self._keep_open(MaybeFile(f"{proc}/pressure/{name}")) for name in _FILES}
        self._previous: Previous[Dict[str, int]] = Previous({})

    def read(self, now: float) -> List[Optional[int]]:
        totals: Dict[str, int] = {}
        for name, file in self._files.items():
            data = file.read_if_present()
            if data is not None:
                found = parse_pressure(data)
                totals.update((f"pressure.{name}_{part}", found[part]) for part in _FILES[name] if part in found)
        before, elapsed_s = self._previous.swap(totals, now)
        series = list(totals)
        if series != self._series:
            self._series = series
        return [stalled_share(total, before[name], elapsed_s) if name in before else None for name, total in totals.items()]
