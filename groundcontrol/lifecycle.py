"""The process of the hub: signals, systemd, memory limits, and the event loop's lag."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from spider.logs import event

log = logging.getLogger(__name__)

LAG_EVERY_S: Final = 0.25
LAG_WINDOW: Final = 240
"""Number of measurements that `LoopLag.worst_s` covers: a minute."""
MAX_OPEN_FILES: Final = 65_536
_PR_SET_DUMPABLE: Final = 4
SWITCH_S: Final = 0.0005
"""How long a thread may hold the interpreter while another thread waits. Python's default of 5 ms gives no better throughput
(`scripts/bench hub.beside_a_thread`)."""
COLLECT_AFTER: Final = (20_000, 20, 10)
"""Thresholds of the garbage collector for its three generations (`gc.set_threshold`)."""
LARGE_BYTES: Final = 1 << 20
"""An allocation of at least this size goes back to the system when it is freed."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
ARENAS: Final = 2
"""Heaps of the C library: one for the loop, one for the database threads. By default each thread has a heap that never shrinks."""
_ENV_START, _ENV_END = 50 - 3, 51 - 3
"""Indexes of env_start and env_end of proc_pid_stat(5), counted after the program's name."""


class StopSignals:
    """The first SIGTERM or SIGINT requests an orderly stop; the second ends the process immediately.

    An immediate end is safe at any moment: all acknowledged data has been committed.
    """

    def __init__(self, before_exit: Callable[[], None]) -> None:
        """`before_exit` runs before an immediate end; it must neither wait nor fail."""
        self.requested = asyncio.Event()
        self._requested_at: float | None = None
        self._before_exit = before_exit
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received, number)

    def _received(self, number: signal.Signals) -> None:
        if self.requested.is_set():
            event(log, "hub_stopped_at_once", logging.WARNING, signal=number.name)
            self._before_exit()
            os._exit(128 + number)
        event(log, "hub_stopping", signal=number.name)
        self._requested_at = asyncio.get_running_loop().time()
        self.requested.set()

    def left_s(self, limit_s: float) -> float:
        """The rest of a time limit that began with the signal; without a signal the whole limit."""
        return limit_s if self._requested_at is None else max(0.0, limit_s - (asyncio.get_running_loop().time() - self._requested_at))


class SystemdNotifier:
    """Sends messages to systemd if it started this process (`sd_notify(3)`); otherwise does nothing."""

    def __init__(self, address: str | None, watchdog_usec: str | None) -> None:
        self._address = address
        self.watchdog_s = int(watchdog_usec) / 2_000_000 if watchdog_usec and watchdog_usec.isdecimal() and address else None
        """Interval of messages to systemd's watchdog: half of its time limit. None: it is off."""

    def notify(self, state: str) -> None:
        """Send one message; a missing systemd is no error."""
        if self._address:
            name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
                connection.setblocking(False)
                connection.sendto(state.encode(), name)


class LoopLag:
    """The lag of the event loop: how late it runs while one task blocks it."""

    def __init__(self, notifier: SystemdNotifier) -> None:
        self._notifier = notifier
        self._seen: deque[float] = deque(maxlen=LAG_WINDOW)

    @property
    def worst_s(self) -> float:
        """The longest lag of the last minute."""
        return max(self._seen, default=0.0)

    async def run(self) -> None:
        """Until cancelled, measure the lag and report to systemd that the loop runs."""
        loop = asyncio.get_running_loop()
        notified_at = loop.time()
        while True:
            wanted = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._seen.append(max(0.0, loop.time() - wanted))
            if self._notifier.watchdog_s is not None and loop.time() - notified_at >= self._notifier.watchdog_s:
                notified_at = loop.time()
                self._notifier.notify("WATCHDOG=1")


def apply_process_limits() -> None:
    """Make new files private, forbid core dumps (they would contain keys), and allow many open sockets."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tune_malloc() -> None:
    """Fix the sizes from which glibc returns memory to the system (mallopt(3)). Other C libraries do not need it.

    By default the sizes grow to the largest freed allocation: 19 MiB after the first password hash. From then on no thread returns
    smaller allocations.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for threshold in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            libc.mallopt(threshold, LARGE_BYTES)
        libc.mallopt(_M_ARENA_MAX, ARENAS)


def malloc_trim() -> None:
    """Return free memory in the C library's heaps to the system (malloc_trim(3)). This takes milliseconds, so never run it on the
    loop."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def set_switch_interval() -> None:
    """Let the loop take the interpreter soon while another thread computes.

    uvloop takes the interpreter's lock for each callback. With Python's default, each frame of a node waited 5 ms during a compaction.
    """
    sys.setswitchinterval(SWITCH_S)


def tune_gc() -> None:
    """Search for reference cycles rarely, and never among the objects that exist now.

    The objects of a frame are freed with their last reference. With the default threshold of 700 objects, a hub of some hundred nodes
    searched its sessions several times a second. That took an eighth of the loop's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def scrub_environment(names: Iterable[str]) -> None:
    """Overwrite the values of these variables in /proc/PID/environ, and let only root inspect this process from now on.

    Removing a variable from `os.environ` leaves it in /proc/PID/environ, which every program of the same user can read.
    """
    hidden = frozenset(names)
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as facts:
            words = facts.read().rpartition(")")[2].split()
        start, end = int(words[_ENV_START]), int(words[_ENV_END])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            at = start
            for entry in (memory.read(end - start) or b"").split(b"\0"):
                name, equals, value = entry.partition(b"=")
                if equals and name.decode(errors="replace") in hidden:
                    memory.seek(at + len(name) + 1)
                    memory.write(bytes(len(value)))
                at += len(entry) + 1
    except (OSError, ValueError, IndexError) as exc:
        event(log, "environment_not_blanked", logging.WARNING, error=str(exc))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
