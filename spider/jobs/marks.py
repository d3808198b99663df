"""Marks: when each piece of a job's output was printed. The runner writes them beside the log, so that they hold over any outage.

One mark is a line `MS OFFSET`: Unix milliseconds by this node's clock, and the offset in the log of the first byte that was printed then.
"""

import os
import time
from typing import List, Tuple

MERGE_MS = 50
"""Output that follows a mark within this time has no mark of its own."""
MAX_MARKS_BYTES = 1024 * 1024
CUT_MS = 250
"""Pieces that are sent in one message are at most so far apart."""

Mark = Tuple[int, int]
"""(offset, milliseconds)."""


class MarkWriter:
    """Writes the marks of one log."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        self._last_ms = -MERGE_MS
        self._bytes = 0

    def mark(self, offset: int) -> None:
        """Output begins at `offset` now. Without space the mark is left out: only the time of this output is lost."""
        now_ms = int(time.time() * 1000)
        if 0 <= now_ms - self._last_ms < MERGE_MS or self._bytes >= MAX_MARKS_BYTES:
            return
        line = b"%d %d\n" % (now_ms, offset)
        self._last_ms = now_ms
        try:
            self._bytes += os.write(self._fd, line)
        except OSError:
            self._bytes = MAX_MARKS_BYTES

    def close(self) -> None:
        os.close(self._fd)


class MarkReader:
    """Reads the marks of one log as they are written, for output that is sent in order. Blocks."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._read_to = 0
        self._marks: List[Mark] = []

    def cuts(self, start: int, end: int) -> List[Mark]:
        """Where the output [start, end) begins anew, and when that was printed: the first is at `start`. Empty: the time of `start` is not known."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._read_to)
                *lines, _ = file.read(MAX_MARKS_BYTES).split(b"\n")
        except FileNotFoundError:  # an older runner writes none
            return []
        for line in lines:
            self._read_to += len(line) + 1
            words = line.split(b" ")
            if len(words) == 2 and all(word.isdigit() for word in words):
                self._marks.append((int(words[1]), int(words[0])))
        while len(self._marks) > 1 and self._marks[1][0] <= start:
            del self._marks[0]
        if not self._marks or self._marks[0][0] > start:
            return []
        found = [(start, self._marks[0][1])]
        for offset, at_ms in self._marks[1:]:
            if offset >= end:
                break
            if abs(at_ms - found[-1][1]) >= CUT_MS:
                found.append((offset, at_ms))
        return found
