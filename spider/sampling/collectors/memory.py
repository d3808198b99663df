"""Memory and swap."""

from typing import Dict, List, NamedTuple, Optional, Tuple

from spider.files import listed, read_text
from spider.sampling.collectors.base import LARGEST, Collector, KernelFile, MaybeFile, Previous, counters, level, numbers, per_second

PAGE_BYTES = 4096
"""Page size of most machines. `linux.py`, which lists the collectors, passes the actual one."""


STEP = 64 * 1024
"""Resolution in bytes of values that are measured every second. Changes of a few pages would be a tenth of all data sent."""


class Memory(NamedTuple):
    """All in bytes."""

    total: int
    used: int
    """total - available. Caches that the kernel can drop count as available."""
    available: int
    cached: int
    """Page cache (shared memory and tmpfs included, as in the kernel's own `Cached`) and reclaimable slabs."""
    buffers: int
    swap_total: int
    swap_used: int


def field_of(data: bytes, name: bytes) -> Optional[int]:
    """One value of /proc/meminfo.

    Returns: bytes, or a plain number for lines without a unit (HugePages_Total …); None: no such line, or no number in it.
    Source:  proc_meminfo(5). One `kB` is 1024 bytes. The file has fifty lines and few are needed, so it is searched and not split.
    """
    at = 0 if data.startswith(name + b":") else data.find(b"\n" + name + b":") + 1
    if not at and not data.startswith(name + b":"):
        return None
    start = at + len(name) + 1
    end = data.find(b"\n", start)
    fields = data[start : end if end >= 0 else len(data)].split()
    if not fields or len(fields[0]) > 16 or not fields[0].isdigit() or fields[1:] not in ([], [b"kB"]):
        return None
    return int(fields[0]) * (1024 if len(fields) == 2 else 1)


def parse_meminfo(data: bytes, spare: int = 0) -> Memory:
    """Parse /proc/meminfo.

    Args:   spare: bytes by which a cache can shrink that the kernel does not count as available.
    Raises: ValueError: a needed line is missing, or is not a number of kB.
    Source: proc_meminfo(5). Kernels before 3.14 have no MemAvailable. It is then estimated as in free(1) of that time: free memory, buffers,
    cache and reclaimable slabs, without shared memory, which cannot be dropped.
    """
    needed = [_needed(data, name) for name in (b"MemTotal", b"MemFree", b"Buffers", b"Cached", b"SwapTotal", b"SwapFree")]
    total, free, buffers, cached, swap_total, swap_free = needed
    cached += field_of(data, b"SReclaimable") or 0
    reported = field_of(data, b"MemAvailable")
    available = reported if reported is not None else max(0, free + buffers + cached - (field_of(data, b"Shmem") or 0))
    # In some containers the total is the container's limit, and `available` is the machine's.
    available = min(free, total) if available > total else min(available + spare, total)
    memory = Memory(total, total - available, available, cached, buffers, swap_total, max(0, swap_total - swap_free))
    if max(memory) > LARGEST:
        raise ValueError("/proc/meminfo has a size out of range")
    return memory


def _needed(data: bytes, name: bytes) -> int:
    value = field_of(data, name)
    if value is None:
        raise ValueError(f"/proc/meminfo lacks {name.decode()}")
    return value


def parse_arcstats(data: bytes) -> Tuple[int, int]:
    """Parse /proc/spl/kstat/zfs/arcstats.

    Returns: bytes in the ZFS cache, and the size to which it shrinks under memory pressure.
    Raises:  ValueError: one of the two is missing.
    Source:  OpenZFS: a line of numbers, a line of titles, then `name type value`; `size` and `c_min` in bytes.
    """
    found: Dict[bytes, int] = {}
    for line in data.split(b"\n"):
        fields = line.split()
        if len(fields) == 3 and fields[0] in (b"size", b"c_min"):
            found[fields[0]] = numbers(fields[2:])[0]
    if len(found) < 2:
        raise ValueError("arcstats lacks size or c_min")
    return found[b"size"], found[b"c_min"]


class MemoryAndSwap(Collector):
    """memory.total, used, available, cached, buffers; swap.total, swap.used (0 without swap); memory.zfs_arc, where ZFS is loaded: bytes.

    The kernel counts the ZFS cache as used, although it can shrink to its minimum. So its size above the minimum is counted as available
    here. The ZFS cache is not part of memory.cached.
    """

    family = "pulse"

    def __init__(self, proc: str = "/proc") -> None:
        super().__init__()
        self._file = self._keep_open(KernelFile(proc + "/meminfo"))
        self._arc = self._keep_open(MaybeFile(proc + "/spl/kstat/zfs/arcstats"))
        self._with_arc = False

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        reported = self._arc.read_if_present()
        size, least = parse_arcstats(reported) if reported is not None else (0, 0)
        memory = parse_meminfo(self._file.read(), max(0, size - least))
        with_arc = reported is not None
        if not self._series or with_arc != self._with_arc:
            self._with_arc = with_arc
            self._series = ["memory." + part for part in ("total", "used", "available", "cached", "buffers")]
            self._series += ["swap.total", "swap.used"] + ["memory.zfs_arc"] * with_arc
        available = memory.available // STEP * STEP
        values: List[Optional[int]] = [memory.total, memory.total - available, available]
        values += [memory.cached // STEP * STEP, memory.buffers // STEP * STEP, memory.swap_total, memory.swap_used]
        return [*values, size // STEP * STEP] if with_arc else values


_DETAILS: Tuple[Tuple[str, bytes], ...] = (
    ("free", b"MemFree"),
    ("anonymous", b"AnonPages"),
    ("shared", b"Shmem"),
    ("dirty", b"Dirty"),
    ("writeback", b"Writeback"),
    ("slab", b"Slab"),
    ("slab_unreclaimable", b"SUnreclaim"),
    ("page_tables", b"PageTables"),
    ("committed", b"Committed_AS"),
)


def parse_details(data: bytes) -> Dict[str, int]:
    """Further values of /proc/meminfo in bytes, by metric. Lines that this kernel does not have are left out.

    Raises: ValueError: a size out of range.
    Source: proc_meminfo(5), hugetlbpage.rst: a reserved page is free but promised to a program, so it counts as used.
    """
    details: Dict[str, int] = {}
    for name, title in _DETAILS:
        value = field_of(data, title)
        if value is not None:
            details["memory." + name] = value
    size, total, free = (field_of(data, title) for title in (b"Hugepagesize", b"HugePages_Total", b"HugePages_Free"))
    if size and total is not None and free is not None:
        details["memory.hugepages_total"] = total * size
        details["memory.hugepages_used"] = max(0, total - free + (field_of(data, b"HugePages_Rsvd") or 0)) * size
    if details and max(details.values()) > LARGEST:
        raise ValueError("/proc/meminfo has a size out of range")
    return details


def read_huge_pages(sys: str = "/sys") -> Dict[str, int]:
    """Huge pages of all sizes in bytes, by metric (/proc/meminfo has only the default size). Empty: /sys has no such files.

    Source: Documentation/admin-guide/mm/hugetlbpage.rst.
    """
    base = sys + "/kernel/mm/hugepages"
    total = used = 0
    found = False
    for name in listed(base):
        size = name[len("hugepages-") : -len("kB")]
        pages = [read_text(f"{base}/{name}/{what}_hugepages", 32) for what in ("nr", "free", "resv")]
        if all(text.isdecimal() and len(text) < 12 for text in (size, *pages)):
            every, free, promised = (int(text) for text in pages)
            total += every * int(size) * 1024
            used += max(0, every - free + promised) * int(size) * 1024
            found = True
    return {"memory.hugepages_total": total, "memory.hugepages_used": used} if found else {}


class MemoryDetails(Collector):
    """memory.free, anonymous, shared, dirty, writeback, slab…, page_tables, committed, hugepages_…: bytes; major_faults: events/s; oom_kills since boot."""

    family = "breathe"
    counts = True

    def __init__(self, proc: str = "/proc", sys: str = "/sys") -> None:
        super().__init__()
        self._file = self._keep_open(KernelFile(proc + "/meminfo"))
        self._vmstat = self._keep_open(MaybeFile(proc + "/vmstat"))
        self._sys = sys
        self._faults: Previous[Optional[int]] = Previous(None)

    def read(self, now: float) -> List[Optional[int]]:
        found: Dict[str, Optional[int]] = {**parse_details(self._file.read()), **read_huge_pages(self._sys)}
        reported = self._vmstat.read_if_present()
        counts = parse_vmstat(reported) if reported is not None else {}
        if b"pgmajfault" in counts:
            before, elapsed_s = self._faults.swap(counts[b"pgmajfault"], now)
            if before is not None:
                found["memory.major_faults"] = per_second(counts[b"pgmajfault"], before, elapsed_s)
        if b"oom_kill" in counts:
            found["memory.oom_kills"] = level(counts[b"oom_kill"])
        return self._report(found.items())


_PAGING = (b"pswpin", b"pswpout")


def parse_vmstat(data: bytes) -> Dict[bytes, int]:
    """Parse these lines of /proc/vmstat, if present: pswpin, pswpout (pages), pgmajfault, oom_kill (since 4.13).

    Raises:  ValueError: one of these values is not a number.
    Source:  proc_vmstat(5). The file has some 200 lines, so it is searched and not split.
    """
    found: Dict[bytes, int] = {}
    for name in (*_PAGING, b"pgmajfault", b"oom_kill"):
        at = data.find(b"\n" + name + b" ")
        if at >= 0:
            start = at + len(name) + 2
            end = data.find(b"\n", start)
            found[name] = counters([data[start : end if end >= 0 else len(data)]])[0]
    return found


class Paging(Collector):
    """swap.in, swap.out: bytes/s."""

    family = "pulse"
    counts = True

    def __init__(self, proc: str = "/proc", page_bytes: int = PAGE_BYTES) -> None:
        super().__init__()
        self._file = self._keep_open(MaybeFile(proc + "/vmstat"))
        self._page_bytes = page_bytes
        self._names = {b"pswpin": "swap.in", b"pswpout": "swap.out"}
        self._previous: Previous[Dict[bytes, int]] = Previous({})

    def read(self, now: float) -> List[Optional[int]]:
        reported = self._file.read_if_present()
        found = parse_vmstat(reported) if reported is not None else {}
        before, elapsed_s = self._previous.swap(found, now)
        there = [name for name in _PAGING if name in found]
        if len(there) != len(self._series):
            self._series = [self._names[name] for name in there]
        values: List[Optional[int]] = []
        for name in there:
            pages = (found[name] * self._page_bytes, before[name] * self._page_bytes) if name in before else None
            values.append(per_second(*pages, elapsed_s) if pages else None)
        return values
