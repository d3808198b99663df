"""The `processes` table: scans /proc/*/stat, and reads details of the processes with the highest use."""

import os
import time
from heapq import heappush, heapreplace
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from spider.files import read_text
from spider.sampling.collectors.base import LARGEST, per_second
from spider.sampling.collectors.cmdline import command_line
from spider.sampling.collectors.logins import UserNames
from spider.sampling.collectors.table_reader import Reading
from spider.wire.report_messages import Cell
from spider.wire.text import plain

TOP = 30
"""The table has this many processes with the most CPU time, and as many with the most memory."""
MARK_S = 0.5
"""The first reading has no previous reading to compare with. So the first reading scans twice, this many seconds apart."""
RESCAN_S = 60.0
"""How long the stored user and command line of a process are used before they are read again."""

_STAT_BYTES = 1024
"""Read size: more than the fields up to the 24th, with the longest name (63 bytes of a kernel thread)."""
_TICK_BITS = 44
_TICKS = (1 << _TICK_BITS) - 1
SAME_BOOT_S = 5.0
"""A smaller change of the computed boot time is an adjustment of the clock. It is ignored, so start times stay the same in all readings."""

STATES: Dict[bytes, str] = {
    b"R": "running",
    b"S": "sleeping",
    b"D": "waiting",
    b"T": "stopped",
    b"t": "traced",
    b"Z": "zombie",
    b"X": "dead",
    b"x": "dead",
    b"I": "idle",
    b"P": "idle",  # parked
    b"K": "sleeping",  # wakekill
    b"W": "sleeping",  # waking, paging: kernels before 3.14
}


class Stat(NamedTuple):
    """The used fields of /proc/PID/stat."""

    name: bytes
    state: bytes
    threads: int
    ticks: int
    """CPU time since the process started, in USER_HZ."""
    started: int
    """Start time after boot, in USER_HZ."""
    pages: int
    """Resident memory in pages."""


def parse_stat(data: bytes) -> Stat:
    """Parse /proc/PID/stat.

    Raises: ValueError: not such a line.
    Source: proc_pid_stat(5), fields 2, 3, 14, 15, 20, 22, 24; the name is in parentheses and may hold any byte, parentheses too.
    """
    start, end = data.find(b"("), data.rfind(b")")
    fields = data[end + 2 : end + 400].split(b" ", 22)
    if not 0 < start < end or len(fields) < 22:
        raise ValueError("not a process's stat")
    return Stat(
        data[start + 1 : end], fields[0], int(fields[17]), int(fields[11]) + int(fields[12]), int(fields[19]), max(0, int(fields[21]))
    )


class _Known(NamedTuple):
    """Stored details of a process in the table."""

    name: bytes
    shown: str
    user: str
    command: Optional[str]
    looked_at: float


class _Moved(NamedTuple):
    """Bytes that a process had read from and written to disks when they were last read, and when that was (monotonic seconds)."""

    read: int
    written: int
    at: float


Key = Tuple[int, int]
"""Process id and start time, because a process id may be reused."""


class Processes:
    """The `processes` table."""

    subject = "processes"

    def __init__(
        self,
        proc: str = "/proc",
        users: Optional[UserNames] = None,
        top: int = TOP,
        mark_s: float = MARK_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._proc = proc
        self._users = users or UserNames()
        self._top = top
        self._mark_s = mark_s
        self._hertz = os.sysconf("SC_CLK_TCK")
        self._cores = os.cpu_count() or 1
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._wall = wall
        self._booted_at = self._boot()
        self._marks: Dict[int, int] = {}
        """Start time and, in the lower bits, CPU time of each process, both in USER_HZ. The start time is needed because a pid may be
        reused."""
        self._scanned_at: Optional[float] = None
        self._known: Dict[Key, _Known] = {}
        self._moved: Dict[Key, _Moved] = {}

    def _boot(self) -> float:
        """Time of the boot, by the host's present clock. Not from /proc/uptime, because lxcfs emulates that file."""
        return round(self._wall() - time.clock_gettime(time.CLOCK_BOOTTIME), 2)

    def _scan(self, elapsed_s: float = 0.0) -> List[Tuple[int, int, Stat]]:
        """Read every process once; processes that end meanwhile are left out. Only one number of each process is stored (`_marks`).

        Args:    elapsed_s: seconds since the previous scan.
        Returns: the processes with the most CPU time and with the most memory, in the order of the table: CPU time since the previous scan (in
        USER_HZ), id and stat. A CPU time of -1: the process's counter decreased, or rose by more than possible.
        Raises:  OSError, ValueError: /proc is not usable, or hides the processes of other users (hidepid).
        """
        before, marks = self._marks, {}
        most = (2 * elapsed_s + 1) * self._hertz * self._cores
        by_cpu: List[Tuple[int, int, int, bytes]] = []
        by_memory: List[Tuple[int, int, int, bytes]] = []
        for entry in os.listdir(self._proc):
            if not entry.isdecimal():
                continue
            try:
                fd = os.open(f"{self._proc}/{entry}/stat", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                data = os.read(fd, _STAT_BYTES)
                fields = data[data.rindex(b")") + 2 :].split(b" ", 22)
                ticks, started, pages = (int(fields[11]) + int(fields[12])) & _TICKS, int(fields[19]), int(fields[21])
            except (OSError, ValueError, IndexError):  # it ended while it was read
                continue
            finally:
                os.close(fd)
            pid = int(entry)
            mark = before.get(pid, 0)
            used = ticks - (mark & _TICKS) if mark >> _TICK_BITS == started else ticks
            used = used if 0 <= used <= most else -1
            marks[pid] = started << _TICK_BITS | ticks
            self._keep_largest(by_cpu, (used, pages, -pid, data))
            self._keep_largest(by_memory, (pages, -pid, used, data))
        if not marks:
            raise ValueError("no process is to be seen")
        if 1 not in marks:
            raise PermissionError("processes of other users are hidden (hidepid)")
        self._marks = marks
        chosen = {*by_cpu, *((used, pages, pid, data) for pages, pid, used, data in by_memory)}
        return [(used, -pid, parse_stat(data)) for used, _, pid, data in sorted(chosen, reverse=True)]

    def _keep_largest(self, heap: List[Tuple[int, int, int, bytes]], one: Tuple[int, int, int, bytes]) -> None:
        """Add a process to the heap of the largest ones, if it is large enough."""
        if len(heap) < self._top:
            heappush(heap, one)
        elif one > heap[0]:
            heapreplace(heap, one)

    def read(self, now: float) -> Optional[Reading]:
        """Scan, then read details of the processes for the table. The first call also waits `mark_s` between two scans."""
        if self._scanned_at is None:
            self._scan()
            self._scanned_at = now
            time.sleep(self._mark_s)
            now += self._mark_s
        booted_at = self._boot()
        if abs(booted_at - self._booted_at) > SAME_BOOT_S:  # the clock was set, for example on boards without a battery-backed clock
            self._booted_at = booted_at
        elapsed_s = now - self._scanned_at
        top = self._scan(elapsed_s)
        self._scanned_at = now
        rows = [self._row(pid, stat, used, elapsed_s, now) for used, pid, stat in top]
        shown = {(pid, stat.started) for _, pid, stat in top}
        self._known = {key: known for key, known in self._known.items() if key in shown}
        self._moved = {key: moved for key, moved in self._moved.items() if key in shown}
        return Reading(rows, len(self._marks))

    def _row(self, pid: int, stat: Stat, used: int, elapsed_s: float, now: float) -> Tuple[Cell, ...]:
        key = (pid, stat.started)
        known = self._known.get(key)
        in_exec = known is not None and known.command == "" and stat.pages > 0  # kernel threads and zombies have no memory
        if known is None or in_exec or known.name != stat.name or now - known.looked_at >= RESCAN_S:
            command = command_line(f"{self._proc}/{pid}/cmdline")
            known = self._known[key] = _Known(stat.name, plain(stat.name, 64), self._user(pid), command, now)
        read, written = self._rates(key, now)
        return (
            pid,
            round((self._booted_at + stat.started / self._hertz) * 1000),
            known.shown,
            known.user or None,
            STATES.get(stat.state, "unknown"),
            stat.threads,
            min(LARGEST, round(used * 10000 / self._hertz / elapsed_s)) if used >= 0 and elapsed_s > 0 else None,
            stat.pages * self._page,
            read,
            written,
            known.command,
        )

    def _user(self, pid: int) -> str:
        """The user by /proc/PID/status; empty: unknown. The owner of /proc/PID is no substitute: it is root for protected processes."""
        for line in read_text(f"{self._proc}/{pid}/status").split("\n"):
            if line.startswith("Uid:"):
                fields = line.split()
                return self._users.name(int(fields[2])) if len(fields) > 2 and fields[2].isdecimal() else ""
        return ""

    def _rates(self, key: Key, now: float) -> Tuple[Optional[int], Optional[int]]:
        """Bytes per second read from and written to disks; None: the counters may not be read, or were not read before."""
        before = self._moved.get(key)
        found: Dict[str, int] = {}
        for line in read_text(f"{self._proc}/{key[0]}/io").split("\n"):
            name, _, value = line.partition(": ")
            if value.isdecimal():
                found[name] = int(value)
        if "read_bytes" not in found or "write_bytes" not in found:
            return None, None
        moved = self._moved[key] = _Moved(found["read_bytes"], found["write_bytes"], now)
        if before is None or now <= before.at:
            return None, None
        elapsed_s = now - before.at
        return per_second(moved.read, before.read, elapsed_s), per_second(moved.written, before.written, elapsed_s)
