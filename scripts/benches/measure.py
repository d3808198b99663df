"""Small things that the benchmarks of processes share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SLICES = 6
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def fields_of(pid: int) -> list[str]:
    """/proc/PID/stat from its third field on (proc_pid_stat(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                parents.setdefault(int(fields_of(int(name))[1]), []).append(int(name))
    found, at = [pid], 0
    while at < len(found):
        found += parents.get(found[at], [])
        at += 1
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its ended threads included, to the nanosecond (clock_getcpuclockid(3)); and of children that it waited for."""
    waited = sum(int(field) for field in fields_of(pid)[13:15])
    return time.clock_gettime((~pid << 3) | 2) + waited / TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """VmRSS of proc_pid_status(5)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no memory")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def started(argv: list[str], log: Path, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with the block."""
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
    """CPU of a process and all below it; what ended meanwhile is found at the parent that waited for it."""
    total = 0.0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            total += cpu_seconds(each)
    return total


async def shares(pids: list[int], seconds: float) -> list[float]:
    """Percent of one core that each process took with all below it: the median of equal slices of one window."""
    slices: list[list[float]] = [[] for _ in pids]
    for _ in range(SLICES):
        before, began = [_spent(pid) for pid in pids], time.monotonic()
        await asyncio.sleep(seconds / SLICES)
        elapsed = time.monotonic() - began
        for mine, pid, start in zip(slices, pids, before, strict=True):
            mine.append(100 * (_spent(pid) - start) / elapsed)
    return [statistics.median(mine) for mine in slices]


def line(name: str, value: float, unit: str, versus: float | None = None) -> dict[str, Any]:
    """One result."""
    found: dict[str, Any] = {"name": name, "value": round(value, 4), "unit": unit}
    if versus:
        found |= {"versus": round(versus, 4), "ratio": round(value / versus, 3)}
    return found
