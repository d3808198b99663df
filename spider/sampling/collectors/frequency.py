"""Frequency of the cores, and thermal throttling."""

import os
import re
from typing import Dict, List, Optional

from spider.files import read_text
from spider.sampling.collectors.base import Collector, MaybeFile

MAX_QUERIED = 256
_CORE = re.compile(r"cpu\d+\Z")
_FASTEST_MHZ = 100_000


def parse_cpuinfo_mhz(data: bytes) -> List[float]:
    """Parse the `cpu MHz` lines of /proc/cpuinfo (x86; other processors have none).

    Raises: ValueError: a value is not a possible frequency.
    """
    found: List[float] = []
    for line in data.split(b"\n"):
        if line.startswith(b"cpu MHz"):
            value = float(line.partition(b":")[2])
            if not 0 <= value < _FASTEST_MHZ:
                raise ValueError("a frequency is out of range")
            found.append(value)
    return found


class Frequencies(Collector):
    """cpu.frequency, frequency_lowest: MHz; cpu.throttles: events since boot.

    A virtual machine shows the nominal frequency of its processor. Only Intel processors report throttling.
    """

    family = "breathe"
    blocking = True  # some drivers interrupt each core to read its frequency

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        super().__init__()
        self._cpuinfo = self._keep_open(MaybeFile(proc + "/cpuinfo"))
        self._base = sys + "/devices/system/cpu"

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        cores = self._cores()
        found: Dict[str, Optional[int]] = {}
        speeds = [value / 1000 for value in self._numbers(cores, "cpufreq/scaling_cur_freq")]
        speeds = [value for value in speeds if value < _FASTEST_MHZ] or parse_cpuinfo_mhz(self._cpuinfo.read_if_present() or b"")
        if speeds:
            found["cpu.frequency"] = round(sum(speeds) / len(speeds))
            found["cpu.frequency_lowest"] = round(min(speeds))
        throttles = self._numbers(cores, "thermal_throttle/core_throttle_count")
        if throttles:
            found["cpu.throttles"] = sum(throttles)
        return self._report(found.items())

    def _cores(self) -> List[str]:
        try:
            return [name for name in os.listdir(self._base) if _CORE.match(name)][:MAX_QUERIED]
        except OSError:
            return []

    def _numbers(self, cores: List[str], path: str) -> List[int]:
        texts = [read_text(f"{self._base}/{core}/{path}", 32) for core in cores]
        return [int(text) for text in texts if text.isdecimal() and len(text) < 17]
