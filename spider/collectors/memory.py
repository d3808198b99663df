"""Memory and swap."""

import re
from typing import List, NamedTuple, Optional

from spider.collectors.base import LARGEST, KernelFile

_WANTED = re.compile(
    rb"^(MemTotal|MemFree|MemAvailable|Buffers|Cached|SReclaimable|Shmem|SwapTotal|SwapFree):[ \t]+(\d{1,16}) kB$", re.MULTILINE
)


class Memory(NamedTuple):
    """All in bytes."""

    total: int
    used: int
    """total - available: what could not be had without swapping. Caches that can be dropped are not in it."""
    available: int
    cached: int
    """Page cache (shared memory and tmpfs included, as in the kernel's own `Cached`) and reclaimable slabs."""
    buffers: int
    swap_total: int
    swap_used: int


def parse_meminfo(data: bytes) -> Memory:
    """Read /proc/meminfo.

    Raises: ValueError: a needed line is not there, or not a number of kB.
    Source: proc_meminfo(5). Where MemAvailable is missing (kernels before 3.14) it is estimated as free(1) of that
            time did: free, buffers, cache and reclaimable slabs, without shared memory, which cannot be dropped.
    """
    found = {name: int(kib) * 1024 for name, kib in _WANTED.findall(data)}
    try:
        total, free, buffers = found[b"MemTotal"], found[b"MemFree"], found[b"Buffers"]
        cached = found[b"Cached"] + found.get(b"SReclaimable", 0)
        swap_total, swap_free = found[b"SwapTotal"], found[b"SwapFree"]
    except KeyError as error:
        raise ValueError(f"/proc/meminfo lacks {error.args[0].decode()}") from None
    available = found.get(b"MemAvailable", max(0, free + buffers + cached - found.get(b"Shmem", 0)))
    if available > total:  # seen in containers whose total is a limit while available is the machine's
        available = min(free, total)
    memory = Memory(total, total - available, available, cached, buffers, swap_total, max(0, swap_total - swap_free))
    if max(memory) > LARGEST:
        raise ValueError("/proc/meminfo has a size out of range")
    return memory


class MemoryAndSwap:
    """memory.total, used, available, cached, buffers; swap.total, used. A host without swap has 0 of it."""

    family = "pulse"
    counts = False
    blocking = False

    def __init__(self, proc: str = "/proc") -> None:
        self._file = KernelFile(proc + "/meminfo")
        self._series: List[str] = []

    def series(self) -> List[str]:
        return self._series

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - a level needs no clock
        memory = parse_meminfo(self._file.read())
        if not self._series:
            self._series = ["memory." + part for part in ("total", "used", "available", "cached", "buffers")]
            self._series += ["swap.total", "swap.used"]
        return list(memory)

    def close(self) -> None:
        self._file.close()
