"""Load averages over 1, 5 and 15 minutes."""

from typing import List, Optional, Tuple

from spider.sampling.collectors.base import Collector, KernelFile

_MOST = 1e9


def parse_loadavg(data: bytes) -> Tuple[float, float, float]:
    """Parse /proc/loadavg.

    Returns: the averages over 1, 5 and 15 minutes.
    Raises:  ValueError: not three non-negative numbers.
    Source:  proc_loadavg(5).
    """
    fields = data.split(None, 3)
    if len(fields) < 3:
        raise ValueError("/proc/loadavg has fewer than three fields")
    one, five, fifteen = (float(field) for field in fields[:3])
    if not all(0 <= value <= _MOST for value in (one, five, fifteen)):  # also refuses nan and inf
        raise ValueError("a load is out of range")
    return one, five, fifteen


class Load(Collector):
    """load.1, load.5, load.15."""

    family = "pulse"

    def __init__(self, proc: str = "/proc") -> None:
        super().__init__()
        self._file = self._keep_open(KernelFile(proc + "/loadavg"))

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        values = parse_loadavg(self._file.read())
        if not self._series:
            self._series = ["load.1", "load.5", "load.15"]
        return [round(value * 100) for value in values]
