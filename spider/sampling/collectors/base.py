"""What a collector is, and the small things that all of them share."""

import os
import re
from typing import Generic, Iterable, List, Optional, Sequence, Tuple, TypeVar

from spider.files import MAX_FILE_BYTES
from spider.wire.text import UNSEEN

LARGEST = 2**63 - 1
"""No counter of a kernel is larger, nor any value on the wire."""
MAX_LABELLED = 256
"""The most devices, interfaces or sensors of one kind that are reported (the layout has an end)."""

_CHUNK = 32 * 1024
_NOT_IN_LABELS = re.compile("[{}" + UNSEEN + "]")


class KernelFile:
    """A file of /proc or /sys, kept open and read from its start each time (half the cost of opening it anew)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1

    def read(self) -> bytes:
        """The whole file as it is now.

        Raises: OSError: it cannot be opened or read, or has no end.
        """
        if self._fd >= 0:
            try:
                return self._read()
            except OSError:  # a descriptor goes stale when what it stood on was replaced (lxcfs, a removed device)
                self.close()
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return self._read()
        except OSError:
            self.close()
            raise

    def _read(self) -> bytes:
        data = os.pread(self._fd, _CHUNK, 0)
        more = data
        while more:  # files made of many records come a page at a time
            more = os.pread(self._fd, _CHUNK, len(data))
            data += more
            if len(data) > MAX_FILE_BYTES:
                raise OSError(f"{self.path} is larger than {MAX_FILE_BYTES} bytes")
        return data

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class MaybeFile(KernelFile):
    """A file that many hosts do not have, or do not let Spider read: there, what it would tell is not measured at all."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._seen = False

    def read_if_there(self) -> Optional[bytes]:
        """The whole file; None as long as it could never be read.

        Raises: OSError: it could be read before, and now it cannot.
        """
        try:
            data = self.read()
        except OSError:
            if self._seen:
                raise
            return None
        self._seen = True
        return data


F = TypeVar("F", bound=KernelFile)
T = TypeVar("T")


class Collector:
    """Measures one subject on this host.

    A read that fails raises OSError or ValueError; the sampler makes null values of it, logs it once, and goes on.
    """

    family: str
    """The family of `metrics.py` that its series belong to."""
    counts = False
    """It reports differences: the first reading only sets the mark they are taken from."""
    blocking = False
    """It reads what may hang (disks, buses), so that it must run beside the event loop. One call at a time."""

    def __init__(self) -> None:
        self._series: List[str] = []
        self._open_files: List[KernelFile] = []

    def series(self) -> List[str]:
        """The names of the values that the last `read` gave, in that order; they may change with each read.

        A series that this host cannot have is not named. The list is replaced, never altered.
        """
        return self._series

    def read(self, now: float) -> List[Optional[int]]:
        """Measure.

        Args:    now: monotonic seconds; differences are divided by the time between two of them.
        Returns: scaled integers (`metrics.py`); None: this one could not be measured this time.
        Raises:  OSError, ValueError: nothing could be measured.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the files that are kept open; a later read opens them again."""
        for file in self._open_files:
            file.close()

    def _keep_open(self, file: F) -> F:
        self._open_files.append(file)
        return file

    def _report(self, measured: Iterable[Tuple[str, Optional[int]]]) -> List[Optional[int]]:
        """Name the series anew. Returns: their values."""
        pairs = list(measured)
        self._series = [name for name, _ in pairs]
        return [value for _, value in pairs]


class Previous(Generic[T]):
    """The reading before the present one, for what is reported as a difference."""

    def __init__(self, value: T) -> None:
        self._value = value
        self._at = 0.0

    def swap(self, value: T, now: float) -> Tuple[T, float]:
        """Keep the present reading. Returns: the one before, and the seconds between the two."""
        before = self._value, now - self._at
        self._value, self._at = value, now
        return before


def gained(later: int, earlier: int) -> Optional[int]:
    """By how much a counter rose; None when it went back: it was reset, wrapped, or fell below zero (then it is near 2**64)."""
    return later - earlier if 0 <= later - earlier <= LARGEST else None


def per_second(later: int, earlier: int, elapsed_s: float) -> Optional[int]:
    """The rate of a counter; None when it went back, or no time has passed."""
    return per_second_fine(later, earlier, elapsed_s, 1)


def per_second_fine(later: int, earlier: int, elapsed_s: float, scale: int) -> Optional[int]:
    """As `per_second`, times `scale`, for what is counted more rarely than once a second."""
    rise = gained(later, earlier)
    if rise is None or elapsed_s <= 0:
        return None
    return level(round(rise * scale / elapsed_s))


def per_second_of_all(pairs: Iterable[Tuple[int, int]], elapsed_s: float, scale: int = 1) -> Optional[int]:
    """The rate of a sum; one counter that went back spoils it, so that there is none.

    Args: pairs: each counter later and earlier.
    """
    total = 0
    for later, earlier in pairs:
        rise = gained(later, earlier)
        if rise is None:
            return None
        total += rise
    return per_second_fine(total, 0, elapsed_s, scale)


def level(value: int) -> Optional[int]:
    """A number that is reported as it stands; None: the kernel took it below zero, or it is larger than any value on the wire."""
    return value if 0 <= value <= LARGEST else None


def counters(fields: Sequence[bytes]) -> List[int]:
    """Read fields of which differences are taken (`gained`).

    A counter from which the kernel took more than it had stays below zero, or near 2**64, until the host is booted anew; it counts on
    from there, and the others of the same file are right.

    Raises: ValueError: one of them is not a number of 64 bits.
    """
    values = [int(field) for field in fields]
    if values and (min(values) < -LARGEST - 1 or max(values) > 2 * LARGEST + 1):
        raise ValueError("a counter is out of range")
    return values


def numbers(fields: Sequence[bytes]) -> List[int]:
    """Read fields that are reported as they stand.

    Raises: ValueError: one of them is not a number from 0 to 2**63 - 1.
    """
    values = [int(field) for field in fields]
    if values and (min(values) < 0 or max(values) > LARGEST):
        raise ValueError("a number is out of range")
    return values


def label(raw: str) -> str:
    """Make text of the host (a path, a name) fit for a series name: what may not stand there becomes `_`."""
    clean = raw.encode("utf-8", "replace").decode("utf-8", "replace")
    return _NOT_IN_LABELS.sub("_", clean)[:200] or "_"
