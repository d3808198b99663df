"""The last changes of a topic as they were sent, so that who was away for a moment is sent what it missed and not all of it anew."""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from typing import Final

FIRST_BELOW: Final = 1 << 52
"""Numbers begin below this: a page's are exact up to twice as much."""


class ReplayBuffer:
    """Numbers changes without a hole, and holds the last of them: the bytes that were sent, not copies of them.

    The first number is drawn by lot: one of another feed (ended meanwhile, of other rights, of another start of the hub) is none of these.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self.seq = secrets.randbelow(FIRST_BELOW)
        """Of the newest change."""
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._changes: deque[bytes] = deque()

    def add(self, change: bytes) -> None:
        """Take the change with the next number; the oldest go where there are too many."""
        self.seq += 1
        self._changes.append(change)
        self._bytes += len(change)
        while self._bytes > self._most_bytes or len(self._changes) > self._most:
            self._bytes -= len(self._changes.popleft())

    def lose(self) -> None:
        """Something happened that is in no change: nobody goes on from before this."""
        self.seq += 1
        self._changes.clear()
        self._bytes = 0

    def since(self, seq: int) -> list[bytes] | None:
        """What came after the change of this number; None: that is not known any more, or was never one of these."""
        missed = self.seq - seq
        if not 0 <= missed <= len(self._changes):
            return None
        return list(itertools.islice(self._changes, len(self._changes) - missed, None))
