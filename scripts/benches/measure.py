"""Measurements of processes, for several benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Results = list[dict[str, Any]]

SLICES = 6
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def fields_of(pid: int) -> list[str]:
    """/proc/PID/stat from its third field on (proc_pid_stat(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(pid: int) -> list[int]:
    """The pids of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(fields_of(int(name))[1]), []).append(int(name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def until(what: str, look: Callable[[], T], limit_s: float = 600.0, every_s: float = 0.05) -> T:
    """Look again until something is found. Raises: TimeoutError: nothing was found within `limit_s`."""
    ends_at = time.monotonic() + limit_s
    while not (found := look()):
        if time.monotonic() > ends_at:
            raise TimeoutError(what)
        time.sleep(every_s)
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process with its ended threads and the children that it waited for. Source: clock_getcpuclockid(3), proc_pid_stat(5)."""
    waited = sum(int(field) for field in fields_of(pid)[13:15])
    return time.clock_gettime((~pid << 3) | 2) + waited / TICKS_PER_S


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB: VmRSS of proc_pid_status(5). Raises: ValueError: it is a zombie or a thread of the kernel."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"process {pid} has no memory")


@contextlib.contextmanager
def started(argv: list[str], log: Path, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A running program with its output in `log`. It ends with the block."""
    settings = {"PATH": os.environ["PATH"], **(environment or {})}
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=settings, cwd="/")
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _spent(pid: int) -> float:
    """CPU time of a process and its descendants, in seconds. Ended descendants count at the parent that waited for them."""
    total = 0.0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            total += cpu_seconds(each)
    return total


async def shares(pids: list[int], seconds: float) -> list[float]:
    """Percent of one core that each process took with its descendants: the median of SLICES equal slices of one window."""
    slices: list[list[float]] = [[] for _ in pids]
    for _ in range(SLICES):
        before, began = [_spent(pid) for pid in pids], time.monotonic()
        await asyncio.sleep(seconds / SLICES)
        elapsed = time.monotonic() - began
        for mine, pid, start in zip(slices, pids, before, strict=True):
            mine.append(100 * (_spent(pid) - start) / elapsed)
    return [statistics.median(mine) for mine in slices]


def line(name: str, value: float, unit: str, versus: float | None = None, **more: object) -> dict[str, Any]:
    """One result. `versus` was measured in the same run; the ratio is value / versus. `more`: further fields."""
    found: dict[str, Any] = {"name": name, "value": round(value, 4), "unit": unit, **more}
    if versus:
        found |= {"versus": round(versus, 4), "ratio": round(value / versus, 3)}
    return found
