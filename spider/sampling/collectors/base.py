"""The interface of a collector, and helpers that all collectors share."""

import hashlib
import os
import re
from typing import Generic, Iterable, List, Optional, Sequence, Tuple, TypeVar

from spider.files import MAX_FILE_BYTES
from spider.wire.text import UNSEEN

LARGEST = 2**63 - 1
"""Largest counter of a kernel, and largest value on the wire."""
MAX_LABELLED = 256
"""Most devices, interfaces or sensors of one kind that are reported, because a layout has a limit."""

MAX_LABEL = 200

_CHUNK = 32 * 1024
_NOT_IN_LABELS = re.compile("[{}" + UNSEEN + "]")


class KernelFile:
    """A file of /proc or /sys that is kept open and read from its start each time. That costs half of opening it again."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1

    def read(self) -> bytes:
        """The whole present content.

        Raises: OSError: the file cannot be opened or read, or is larger than `MAX_FILE_BYTES`.
        """
        if self._fd >= 0:
            try:
                return self._read()
            except OSError:  # a descriptor becomes stale when its file was replaced (lxcfs, a removed device)
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
        while more:  # files with many records are returned one page at a time
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
    """A file that many hosts lack or protect from Spider. On these hosts the metrics from this file are left out."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._seen = False

    def read_if_present(self) -> Optional[bytes]:
        """The whole file; None: the file could never be read so far.

        Raises: OSError: the file could be read before, and now it cannot.
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

    A read that fails raises OSError or ValueError. The sampler then writes nulls, logs the error once, and continues.
    """

    family: str
    """The family in `metrics.py` to which the collector's series belong."""
    counts = False
    """Whether the collector reports differences. Then the sampler makes a first reading that only sets the baseline."""
    blocking = False
    """Whether a reading may take long or hang (disks, buses). Then the sampler runs it outside the event loop, one call at a time."""

    def __init__(self) -> None:
        self._series: List[str] = []
        self._open_files: List[KernelFile] = []

    def series(self) -> List[str]:
        """The names of the values of the last `read`, in the same order. They may change with each read.

        Series that this host cannot have are left out. The list is replaced, never modified.
        """
        return self._series

    def read(self, now: float) -> List[Optional[int]]:
        """Measure.

        Args:    now: monotonic seconds; differences are divided by the time between two readings.
        Returns: scaled integers (`metrics.py`); None: this value could not be measured this time.
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
        """Set the names of the series. Returns: their values."""
        pairs = list(measured)
        self._series = [name for name, _ in pairs]
        return [value for _, value in pairs]


class Previous(Generic[T]):
    """The previous reading of a value that is reported as a difference. The first `swap` returns the value that is passed here, as of time 0."""

    def __init__(self, value: T) -> None:
        self._value = value
        self._at = 0.0

    def swap(self, value: T, now: float) -> Tuple[T, float]:
        """Store the present reading. Returns: the previous reading, and the seconds between the two."""
        before = self._value, now - self._at
        self._value, self._at = value, now
        return before


def gained(later: int, earlier: int) -> Optional[int]:
    """The increase of a counter. None: it has no valid increase. The counter was reset, wrapped, or fell below zero (to near 2**64)."""
    return later - earlier if 0 <= later - earlier <= LARGEST else None


def per_second(later: int, earlier: int, elapsed_s: float) -> Optional[int]:
    """The rate of a counter. None: the counter decreased, or no time has passed."""
    return per_second_fine(later, earlier, elapsed_s, 1)


def per_second_fine(later: int, earlier: int, elapsed_s: float, scale: int) -> Optional[int]:
    """Like `per_second`, times `scale`, for events that are rarer than one a second."""
    rise = gained(later, earlier)
    if rise is None or elapsed_s <= 0:
        return None
    return level(round(rise * scale / elapsed_s))


def per_second_of_all(pairs: Iterable[Tuple[int, int]], elapsed_s: float, scale: int = 1) -> Optional[int]:
    """The rate of a sum of counters. None: one of the counters decreased, or no time has passed.

    Args: pairs: present and previous value of each counter.
    """
    total = 0
    for later, earlier in pairs:
        rise = gained(later, earlier)
        if rise is None:
            return None
        total += rise
    return per_second_fine(total, 0, elapsed_s, scale)


def level(value: int) -> Optional[int]:
    """The value of a gauge, unchanged. None: it is negative by an error of the kernel, or larger than any value on the wire."""
    return value if 0 <= value <= LARGEST else None


def counters(fields: Sequence[bytes]) -> List[int]:
    """Parse counters of which differences are taken (`gained`).

    The kernel may decrement a counter below zero. Such a counter stays negative, or near 2**64, until the next boot. It is accepted, because
    its differences and the other counters of the file are valid.

    Raises: ValueError: a field is not a number of 64 bits.
    """
    values = [int(field) for field in fields]
    if values and (min(values) < -LARGEST - 1 or max(values) > 2 * LARGEST + 1):
        raise ValueError("a counter is out of range")
    return values


def numbers(fields: Sequence[bytes]) -> List[int]:
    """Parse gauges.

    Raises: ValueError: a field is not a number from 0 to 2**63 - 1.
    """
    values = [int(field) for field in fields]
    if values and (min(values) < 0 or max(values) > LARGEST):
        raise ValueError("a number is out of range")
    return values


def label(raw: str) -> str:
    """Make a text of the host (a path, a name) valid in a series name: forbidden characters become `_`.

    A changed text gets a hash as suffix, so that no two texts share a label: the hub refuses a layout that contains a series twice.
    """
    clean = _NOT_IN_LABELS.sub("_", raw.encode("utf-8", "replace").decode("utf-8", "replace"))[:MAX_LABEL]
    if clean and clean == raw:
        return clean
    return f"{clean[: MAX_LABEL - 7]} {hashlib.sha256(raw.encode('utf-8', 'backslashreplace')).hexdigest()[:6]}"
