"""The replay buffer: the last changes of a topic as sent, so that a page that was away for a moment receives only these."""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from typing import Final

FIRST_BELOW: Final = 1 << 52
"""Upper bound of the first number. A page represents numbers exactly up to twice as much."""


class ReplayBuffer:
    """Numbers changes without a gap, and holds the last of them: the sent bytes, not copies.

    The first number is random, so the buffer contains no number of another feed. That feed may have ended, have other rights, or belong
    to another start of the hub.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self.seq = secrets.randbelow(FIRST_BELOW)
        """Number of the newest change."""
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._changes: deque[bytes] = deque()

    def add(self, change: bytes) -> None:
        """Add the change with the next number; over the limit the oldest ones are dropped."""
        self.seq += 1
        self._changes.append(change)
        self._bytes += len(change)
        while self._bytes > self._most_bytes or len(self._changes) > self._most:
            self._bytes -= len(self._changes.popleft())

    def lose(self) -> None:
        """Empty the buffer after an event that is in no change: no page continues from before it."""
        self.seq += 1
        self._changes.clear()
        self._bytes = 0

    def since(self, seq: int) -> list[bytes] | None:
        """The changes after the one with this number; None: the number is no longer, or never was, in the buffer."""
        missed = self.seq - seq
        if not 0 <= missed <= len(self._changes):
            return None
        return list(itertools.islice(self._changes, len(self._changes) - missed, None))
