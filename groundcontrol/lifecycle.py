"""What the process and its keeper have to do with each other: signals, systemd, the loop's own pulse."""

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
"""Measurements that `LoopLag.worst_s` looks back on: a minute."""
WANTED_FILES: Final = 65_536
_PR_SET_DUMPABLE: Final = 4
SWITCH_S: Final = 0.0005
"""How long a thread may keep the interpreter while another waits for it. What threads get done is the same (`scripts/bench hub.beside_a_thread`)."""
COLLECT_AFTER: Final = (20_000, 20, 10)
"""New objects until the youngest generation is searched, and how often that is until the next older one is (`gc.set_threshold`)."""
LARGE_BYTES: Final = 1 << 20
"""What is asked for in one piece of at least this size goes back to the system when it is free."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
ARENAS: Final = 2
"""Heaps of the C library: the loop's, and one for the threads of the databases. Left alone each thread has its own, and keeps what it once held."""
_ENV_START, _ENV_END = 50 - 3, 51 - 3
"""Where proc_pid_stat(5) has the bounds of the environment, counted behind the program's name."""


class StopSignals:
    """The first SIGTERM or SIGINT asks for an orderly stop, the second ends the process on the spot.

    That is safe at any moment: what was acknowledged has been committed.
    """

    def __init__(self, last_words: Callable[[], None]) -> None:
        """`last_words` runs before the process ends on the spot; it must neither wait nor fail."""
        self.asked = asyncio.Event()
        self._asked_at: float | None = None
        self._last_words = last_words
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received, number)

    def _received(self, number: signal.Signals) -> None:
        if self.asked.is_set():
            event(log, "hub_stopped_at_once", logging.WARNING, signal=number.name)
            self._last_words()
            os._exit(128 + number)
        event(log, "hub_stopping", signal=number.name)
        self._asked_at = asyncio.get_running_loop().time()
        self.asked.set()

    def left_s(self, limit_s: float) -> float:
        """What is left of a limit that began with the signal; all of it where there was none."""
        return limit_s if self._asked_at is None else max(0.0, limit_s - (asyncio.get_running_loop().time() - self._asked_at))


class SystemdNotifier:
    """systemd, when it started this process (`sd_notify(3)`); else nothing."""

    def __init__(self, address: str | None, watchdog_usec: str | None) -> None:
        self._address = address
        self.watchdog_s = int(watchdog_usec) / 2_000_000 if watchdog_usec and watchdog_usec.isdigit() and address else None

    def tell(self, state: str) -> None:
        """Send one message; a keeper that is not there is no trouble."""
        if self._address:
            name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
                told.setblocking(False)
                told.sendto(state.encode(), name)


class LoopLag:
    """How late the event loop is: the time that everybody waits for whatever hogs it."""

    def __init__(self, keeper: SystemdNotifier) -> None:
        self._keeper = keeper
        self._seen: deque[float] = deque(maxlen=LAG_WINDOW)
        self.total_s = 0.0

    @property
    def worst_s(self) -> float:
        """The worst of the last minute."""
        return max(self._seen, default=0.0)

    async def run(self) -> None:
        """Measure, and tell the keeper that the loop turns; until cancelled."""
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        while True:
            wanted = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            late = max(0.0, loop.time() - wanted)
            self._seen.append(late)
            self.total_s += late
            if self._keeper.watchdog_s is not None and loop.time() - told_at >= self._keeper.watchdog_s:
                told_at = loop.time()
                self._keeper.tell("WATCHDOG=1")


def apply_process_limits() -> None:
    """Private files, no core dumps (they would hold keys), room for many sockets."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tune_malloc() -> None:
    """Fix the sizes from which on glibc gives memory back (mallopt(3)); other C libraries have no such call, and no need of it.

    Left alone they grow to the largest piece that was ever freed: the 19 MiB of the first password that is hashed. From then on each
    thread that hashes keeps as much for ever, and all threads keep what they once needed below that.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for threshold in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            libc.mallopt(threshold, LARGE_BYTES)
        libc.mallopt(_M_ARENA_MAX, ARENAS)


def malloc_trim() -> None:
    """Give what is free inside of the C library's heaps back to the system (malloc_trim(3)). Takes some milliseconds: not on the loop."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def set_switch_interval() -> None:
    """Let the loop have the interpreter soon when another thread is in the middle of something.

    uvloop takes the lock for each callback anew. Beside a thread that compacts, at Python's own 5 ms, each frame of each node waited for that long.
    """
    sys.setswitchinterval(SWITCH_S)


def tune_gc() -> None:
    """Search for reference cycles when many more objects exist than before, and never among those that live as long as the process.

    What a frame is made of is freed with its last reference. At the interpreter's own 700 objects, a hub of some hundred nodes searched its
    sessions several times a second, an eighth of the work of its loop.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def scrub_environment(names: Iterable[str]) -> None:
    """Blank variables where the kernel shows them, and let nobody but root look into this process from now on.

    Taking a variable out of `os.environ` leaves it in /proc/PID/environ, which every program of the same user can read.
    Without /proc this does nothing: there is nothing to read either.
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
