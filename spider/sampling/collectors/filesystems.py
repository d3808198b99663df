"""Space and inode use of the file systems."""

import os
import stat
import threading
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from spider.files import MAX_FILE_BYTES
from spider.mountinfo import Mount
from spider.sampling.collectors.base import LARGEST, Collector, label
from spider.sampling.collectors.mounts import (
    choose,
    is_remote,
    most_important,
    on_demand,
    parse_filesystems,
    parse_mountinfo,
    points_of,
    reachable,
)
from spider.threads import ThreadUnavailable
from spider.wire.metrics import series_name

MAX_MOUNTS = 128
"""Most file systems that are reported."""
LIMIT_S = 1.0
"""How long to wait for the answers, after all local file systems were queried."""
LOCAL_WAIT_SHARE = 0.05
"""The share of `LIMIT_S` for which to wait for one local file system before the next one is queried."""
MAX_UNANSWERED = 32
"""Most unanswered queries of remote file systems. Each occupies a thread, and Spider's unit may have 64 tasks."""

NOT_THERE = (NotADirectoryError, FileNotFoundError, PermissionError)
"""Errors of mounts that are left out: the mount is a single file, was unmounted meanwhile, or only its owner may access it."""


class SpaceUsage(NamedTuple):
    """The result of statvfs. Sizes are in bytes."""

    size: int
    used: int
    """size minus all free space, including the space reserved for root; as in df."""
    inodes_used: Optional[int]
    """Used share of the inodes in hundredths of a percent; None = this file system has no fixed number of inodes."""
    free: int = 0
    """Free space for users, without the space reserved for root; as in df."""
    inodes_free: int = 0
    """Number of free inodes."""
    readonly: bool = False
    """Whether the queried mount is read-only. Spider's sandbox may have made this mount."""


def measure(path: str) -> SpaceUsage:
    """Query a file system. Blocks as long as it does not answer.

    Args:   path: a folder in it.
    Raises: OSError: it answers with an error or an impossible size. NotADirectoryError: `path` is no folder.
    Source: statvfs(3).
    """
    if not stat.S_ISDIR(os.stat(path).st_mode):
        raise NotADirectoryError(f"{path} is not a directory")
    space = os.statvfs(path)
    size = space.f_blocks * space.f_frsize
    used = max(0, space.f_blocks - space.f_bfree) * space.f_frsize
    if size > LARGEST:
        raise OSError(f"{path} says that it is larger than any disk")
    inodes = round(10000 * max(0, space.f_files - space.f_ffree) / space.f_files) if space.f_files else None
    free = min(size, space.f_bavail * space.f_frsize)
    return SpaceUsage(size, used, inodes, free, min(LARGEST, space.f_ffree), bool(space.f_flag & os.ST_RDONLY))


VisibleMount = Tuple[Mount, List[str]]
"""A mount, and the paths at which this process sees its file system."""


def measure_first(candidates: List[VisibleMount]) -> Tuple[Mount, Optional[SpaceUsage]]:
    """Query a file system at the first of its mount points that is a folder.

    A container has bind mounts of single files (/etc/hosts) from the disk that also holds its volumes, often at shorter paths.

    Returns: that mount and its usage. Usage None: this process cannot see the file system at the mount that is returned.
    Raises:  OSError: the file system answers with an error. NotADirectoryError, FileNotFoundError, PermissionError: none of its mount points
    is a folder that this process may access.
    """
    last_error: OSError = NotADirectoryError("nothing of it is mounted")
    started: Set[str] = set()
    for mount, paths in candidates:
        if not paths:
            return mount, None
        for path in paths:
            if path in started:
                continue
            started.add(path)
            try:
                return mount, measure(path)
            except NOT_THERE as error:
                last_error = error
    raise last_error


class _Question(threading.Thread):
    """The thread that queries one file system. A daemon, since a dead file system may block it for ever."""

    def __init__(self, candidates: List[VisibleMount], ended: Callable[[], None]) -> None:
        super().__init__(name="statvfs", daemon=True)
        self._mounts = candidates
        self._ended = ended
        self.answer: Optional[Tuple[Mount, Optional[SpaceUsage]]] = None
        self.error: Optional[OSError] = None

    def run(self) -> None:
        try:
            self.answer = measure_first(self._mounts)
        except OSError as error:
            self.error = error
        finally:
            self._ended()


class StatQueries:
    """Queries many file systems, each in a thread of its own, and waits for all of them together.

    A file system that does not answer in time is not queried again until it has answered. Local file systems are queried first. The number of
    unanswered queries of remote ones is limited, so those that answered the last time are queried before the others.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._unanswered: Dict[str, _Question] = {}
        self._answered: Set[str] = set()
        self._room = threading.BoundedSemaphore(MAX_UNANSWERED)

    def ask(self, wanted: Dict[str, List[VisibleMount]]) -> Dict[str, _Question]:
        """Query file systems at the same time, and wait for them together.

        Args:    wanted: mounts of each file system, by a stable name of the file system.
        Returns: the queries that were answered or failed, by the same name.
        Raises:  ThreadUnavailable: no thread can be started for one of them.
        """
        self._unanswered = {name: question for name, question in self._unanswered.items() if question.is_alive()}
        started: Dict[str, _Question] = {}
        remote: List[str] = []
        for name, candidates in wanted.items():
            if name in self._unanswered:
                continue
            if is_remote(candidates[0][0].kind):
                remote.append(name)
            else:
                self._unanswered[name] = started[name] = _begin(candidates, lambda: None)
                started[name].join(self._limit_s * LOCAL_WAIT_SHARE)
        ends_at = time.monotonic() + self._limit_s
        for name in sorted(remote, key=lambda name: name not in self._answered):
            if not self._room.acquire(timeout=max(0.0, ends_at - time.monotonic())):
                break
            self._unanswered[name] = started[name] = _begin(wanted[name], self._room.release)
        for name, question in started.items():
            question.join(max(0.0, ends_at - time.monotonic()))
            if not question.is_alive():
                del self._unanswered[name]
        answered = {name: question for name, question in started.items() if name not in self._unanswered}
        self._answered = set(answered)
        return answered


def _begin(candidates: List[VisibleMount], ended: Callable[[], None]) -> _Question:
    question = _Question(candidates, ended)
    try:
        question.start()
    except RuntimeError as error:
        ended()
        raise ThreadUnavailable from error
    return question


class Filesystems(Collector):
    """filesystem.size, used, free: bytes; readonly: 0 or 1. Where the number of inodes is fixed: inodes_used: percent, and inodes_free.
    filesystem.left_out: number of file systems that are not reported, if there are too many.

    The list of mounts and their read-only state come from the mount namespace of process 1 where that is readable. Spider's own namespace
    shows the sandbox of its unit, in which nearly all is read-only. The sizes of a file system that does not answer in time are null; the
    read-only state of its mount is still reported.
    """

    family = "breathe"
    blocking = True

    def __init__(self, proc: str = "/proc", limit_s: float = LIMIT_S) -> None:
        super().__init__()
        self._proc = proc
        self._questions = StatQueries(limit_s)
        self._known: Dict[str, Tuple[str, bool]] = {}
        """The last reported mount point of each device, and whether it has a fixed number of inodes."""
        self.on_demand: Set[str] = set()
        """Labels of mount points that come and go with their use, as of the last reading."""

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - only rates need the time
        found: Dict[str, Optional[int]] = {}
        before, self._known = self._known, {}
        wanted, left_out = self._wanted()
        started = self._questions.ask(wanted)
        for device, candidates in wanted.items():
            question = started.get(device)
            if question is not None and isinstance(question.error, NOT_THERE):
                continue
            answer = question.answer if question is not None else None  # a failed query gives null, like an unanswered query
            point, with_inodes = before.get(device, (candidates[0][0].point, False))
            mount, usage = answer or (next((mount for mount, _ in candidates if mount.point == point), candidates[0][0]), None)
            if usage is not None:
                with_inodes = usage.inodes_used is not None
            self._known[device] = mount.point, with_inodes
            values: Dict[str, Optional[int]] = {"size": None, "used": None, "free": None, "readonly": int(mount.readonly)}
            if with_inodes:
                values.update(inodes_used=None, inodes_free=None)
            if usage is not None:
                values.update(size=usage.size, used=usage.used, free=usage.free)
                if usage.inodes_used is not None:
                    values.update(inodes_used=usage.inodes_used, inodes_free=usage.inodes_free)
            text = label(mount.point)
            found.update((series_name(f"filesystem.{part}", "mount", text), value) for part, value in values.items())
        if left_out:
            found["filesystem.left_out"] = left_out
        return self._report(found.items())

    def _wanted(self) -> Tuple[Dict[str, List[VisibleMount]], int]:
        """The mount points of each device to report, and how many devices are left out."""
        disk_kinds = parse_filesystems(_read(self._proc + "/filesystems"))
        own = parse_mountinfo(_read(self._proc + "/self/mountinfo"))
        try:
            every = parse_mountinfo(_read(self._proc + "/1/mountinfo"))
        except OSError:  # hidepid: Spider sees only the sandbox of its unit, in which nearly all mounts are read-only
            every = [mount._replace(readonly=mount.readonly_whole) for mount in own]
        self.on_demand = {label(point) for point in on_demand(every)}
        points = points_of(own)
        chosen = choose(every, disk_kinds)
        important = most_important(chosen, MAX_MOUNTS)
        wanted = {candidates[0].device: [(mount, reachable(mount, points)) for mount in candidates] for candidates in important}
        return wanted, len(chosen) - len(important)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_FILE_BYTES)
