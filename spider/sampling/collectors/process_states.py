"""Number of processes by state."""

import os
from typing import Dict, List, Optional

from spider.sampling.collectors.base import Collector, MaybeFile, numbers

MAX_PROCESSES = 100_000
"""About as many processes are counted at most."""
_STATES: Dict[str, str] = {
    "S": "sleeping",
    "I": "sleeping",
    "D": "uninterruptible",
    "T": "stopped",
    "t": "stopped",
    "Z": "zombie",
    "X": "zombie",
}
_REPORTED = ("sleeping", "uninterruptible", "stopped", "zombie")
_HEAD_BYTES = 128
"""Bytes that are read of a file: more than a pid and the longest name (63 bytes of a kernel thread, in parentheses)."""


def parse_state(data: bytes) -> str:
    """Parse the state in /proc/PID/stat.

    Raises:  ValueError: there is no state.
    Source:  proc_pid_stat(5): the name is in parentheses and may contain parentheses, so it ends at the last one.
    """
    state = data[data.rfind(b")") + 1 :].lstrip()[:1].decode("ascii", "replace")
    if b")" not in data or not state.isalpha():
        raise ValueError("a process has no state")
    return state


def parse_threads(data: bytes) -> int:
    """Parse the number of all threads in /proc/loadavg (`2/345`).

    Raises: ValueError: it is missing.
    """
    fields = data.split(None, 4)
    if len(fields) < 4 or b"/" not in fields[3]:
        raise ValueError("/proc/loadavg has no number of threads")
    return numbers([fields[3].partition(b"/")[2]])[0]


class ProcessStates(Collector):
    """processes.total, sleeping, uninterruptible, stopped, zombie; processes.threads.

    With hidepid, Spider sees only its own processes. Then only processes.threads is reported, because the kernel counts the threads.
    """

    family = "breathe"
    blocking = True  # thousands of small files

    def __init__(self, proc: str = "/proc") -> None:
        super().__init__()
        self._proc = proc
        self._load = self._keep_open(MaybeFile(proc + "/loadavg"))

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        found: Dict[str, Optional[int]] = {}
        if os.path.exists(self._proc + "/1/stat"):
            found.update(self._count())
        load = self._load.read_if_present()
        if load is not None:
            found["processes.threads"] = parse_threads(load)
        return self._report(found.items())

    def _count(self) -> Dict[str, int]:
        counts = dict.fromkeys(_REPORTED, 0)
        total = 0
        for name in os.listdir(self._proc)[: MAX_PROCESSES + 1000]:
            if not name.isdecimal():
                continue
            try:
                state = _state(f"{self._proc}/{name}/stat")
            except (OSError, ValueError):  # it ended meanwhile
                continue
            total += 1
            if state in _STATES:
                counts[_STATES[state]] += 1
        return {"processes.total": total, **{"processes." + name: count for name, count in counts.items()}}


def _state(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return parse_state(os.read(fd, _HEAD_BYTES))
    finally:
        os.close(fd)
