"""How full the file systems are."""

import os
import threading
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

from spider.collectors.base import LARGEST, MAX_FILE_BYTES, label
from spider.wire.metrics import series_name

MAX_MOUNTS = 128
LIMIT_S = 1.0
"""How long one file system may take to answer."""
MOST_STUCK = 8
"""How many may hang at once before no more are asked."""

_IMAGES = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs", "romfs"})
"""Read-only images (snaps, CDs): always full."""
_POOLED = frozenset({"zfs", "bcachefs"})
"""On disks, though the kernel does not say so."""


class Mount(NamedTuple):
    """One line of mountinfo."""

    device: str
    """major:minor of the file system: the same for all its binds and subvolumes."""
    root: str
    """What of the file system is mounted."""
    point: str
    kind: str


class Usage(NamedTuple):
    """What statvfs says."""

    size: int
    used: int
    """size without all that is free, also what is free for root only: as df has it."""
    inodes_used: Optional[int]
    """Hundredths of a percent; None = this file system has no fixed number of them."""


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    head, *rest = text.split("\\")
    parts = [head]
    for part in rest:
        digits = part[:3]
        if len(digits) == 3 and all(digit in "01234567" for digit in digits) and int(digits, 8) < 128:
            parts.append(chr(int(digits, 8)) + part[3:])
        else:
            parts.append("\\" + part)
    return "".join(parts)


def parse_mountinfo(data: bytes) -> List[Mount]:
    """Read /proc/PID/mountinfo.

    Returns: its mounts, in the order in which they were made; paths are as `os` wants them (surrogate escapes).
    Raises:  ValueError: a line is too short or has no separator.
    Source:  proc_pid_mountinfo(5); space, tab, newline and backslash stand as octal escapes.
    """
    mounts: List[Mount] = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if not line:
            continue
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 6:
            raise ValueError("a line of mountinfo is too short")
        mounts.append(Mount(fields[2], _unescape(fields[3]), _unescape(fields[4]), after.split(" ", 1)[0]))
    return mounts


def parse_filesystems(data: bytes) -> Set[str]:
    """Read /proc/filesystems.

    Returns: the kinds that stand on a block device.
    Source:  proc_filesystems(5): the others are marked `nodev`.
    """
    return {line.strip() for line in data.decode("utf-8", "replace").split("\n") if line[:1] == "\t" and line.strip()}


def choose(mounts: List[Mount], on_disks: Set[str]) -> List[Mount]:
    """The file systems to report: each once, by the place where the whole of it is mounted, the shortest of several.

    Those on disks, and whatever is at `/`. Memory (tmpfs) is counted as memory; a network file system belongs to the host that
    serves it, and asking about it hangs when that host is gone; images are always full. A mount that another one hides is left
    out, as is one below /dev, /proc, /run (but /run/media) and /sys.
    """
    visible = {mount.point: mount for mount in mounts}
    best: Dict[str, Mount] = {}
    for mount in visible.values():
        point = mount.point
        if point != "/":
            if mount.kind in _IMAGES or (mount.kind not in on_disks and mount.kind not in _POOLED):
                continue
            if (point + "/").startswith(("/dev/", "/proc/", "/run/", "/sys/")) and not point.startswith("/run/media/"):
                continue
        known = best.get(mount.device)
        if known is None or _rank(mount) < _rank(known):
            best[mount.device] = mount
    return sorted(best.values(), key=lambda mount: mount.point)


def _rank(mount: Mount) -> Tuple[bool, bool, int, str]:
    return mount.point != "/", mount.root != "/", len(mount.point), mount.point


def reachable(mount: Mount, own: List[Mount]) -> Optional[str]:
    """Where this process sees that file system: its sandbox may show another one at the same place. None: nowhere."""
    visible = {found.point: found.device for found in own}
    if visible.get(mount.point) == mount.device:
        return mount.point
    places = [point for point, device in visible.items() if device == mount.device]
    return min(places, key=lambda point: (len(point), point)) if places else None


def measure(path: str) -> Usage:
    """Ask a file system.

    Raises: OSError: it does not answer, or what is mounted is a single file.
    Source: statvfs(3).
    """
    if not os.path.isdir(path):
        raise NotADirectoryError(f"{path} is not a directory")
    stat = os.statvfs(path)
    size = stat.f_blocks * stat.f_frsize
    used = max(0, stat.f_blocks - stat.f_bfree) * stat.f_frsize
    if size > LARGEST:
        raise OSError(f"{path} says that it is larger than any disk")
    inodes = round(10000 * max(0, stat.f_files - stat.f_ffree) / stat.f_files) if stat.f_files else None
    return Usage(size, used, inodes)


class _Question(threading.Thread):
    """Asks one file system; a daemon, since a dead disk may keep it for ever."""

    def __init__(self, path: str) -> None:
        super().__init__(name="statvfs", daemon=True)
        self.path = path
        self.usage: Optional[Usage] = None
        self.error: Optional[OSError] = None

    def run(self) -> None:
        try:
            self.usage = measure(self.path)
        except OSError as error:
            self.error = error


class Filesystems:
    """filesystem.size, used: bytes; filesystem.inodes_used: percent, where there is such a number.

    Which mounts there are is read from the mount namespace of process 1 where that may be read: Spider's own shows the
    sandbox of its unit. A file system that does not answer in time gives null and is not asked again until it did.
    """

    family = "breathe"
    counts = False
    blocking = True

    def __init__(self, proc: str = "/proc", limit_s: float = LIMIT_S) -> None:
        self._proc = proc
        self._limit_s = limit_s
        self._stuck: Dict[str, _Question] = {}
        self._with_inodes: Dict[str, bool] = {}
        self._series: List[str] = []

    def series(self) -> List[str]:
        return self._series

    def read(self, now: float) -> List[Optional[int]]:  # noqa: ARG002 - a level needs no clock
        names: List[str] = []
        values: List[Optional[int]] = []
        for mount, path in self._mounts():
            usage: Optional[Usage] = None
            try:
                usage = self._ask(path) if path is not None else None
            except NotADirectoryError:
                continue
            except OSError:  # it answered with an error: null, as for one that does not answer
                usage = None
            if usage is not None:
                self._with_inodes[mount.point] = usage.inodes_used is not None
            names += [series_name(f"filesystem.{part}", "mount", label(mount.point)) for part in ("size", "used")]
            values += [usage.size, usage.used] if usage else [None, None]
            if self._with_inodes.get(mount.point):
                names.append(series_name("filesystem.inodes_used", "mount", label(mount.point)))
                values.append(usage.inodes_used if usage else None)
        self._series = names
        return values

    def _mounts(self) -> List[Tuple[Mount, Optional[str]]]:
        on_disks = parse_filesystems(_read(self._proc + "/filesystems"))
        own = parse_mountinfo(_read(self._proc + "/self/mountinfo"))
        try:
            every = parse_mountinfo(_read(self._proc + "/1/mountinfo"))
        except OSError:  # hidepid
            every = own
        return [(mount, reachable(mount, own)) for mount in choose(every, on_disks)[:MAX_MOUNTS]]

    def _ask(self, path: str) -> Optional[Usage]:
        self._stuck = {stuck: asked for stuck, asked in self._stuck.items() if asked.is_alive()}
        if path in self._stuck or len(self._stuck) >= MOST_STUCK:
            return None
        question = _Question(path)
        question.start()
        question.join(self._limit_s)
        if question.is_alive():
            self._stuck[path] = question
            return None
        if question.error is not None:
            raise question.error
        return question.usage

    def close(self) -> None:
        """Nothing is kept open."""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_FILE_BYTES)
