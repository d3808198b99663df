"""What lies in memory because those who have asked for it do not take it: over all connections it has an end."""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

MAX_UNREAD_BYTES: Final = 32 << 20
"""Some of the longest answers, which have 7 MB. Each byte may be held twice: as it was made, and in one piece with the head of its answer."""


class BufferedConnection(Protocol):
    """A connection whose client takes less than it is sent."""

    @property
    def whose(self) -> str:
        """Whom it counts for: a user, or who asks without being one."""
        ...

    @property
    def unread_bytes(self) -> int: ...
    def drop_unread(self) -> None: ...


class SendBudget:
    """Everybody for whom something waits, whoever has for the longest first."""

    def __init__(self, most_bytes: int = MAX_UNREAD_BYTES) -> None:
        self.most_bytes = most_bytes
        self._holders: dict[BufferedConnection, None] = {}

    def add(self, one: BufferedConnection) -> None:
        """Count one in. With too much in all, whoever has most of it loses what has waited for the longest."""
        self._holders[one] = None
        sizes = {holder: holder.unread_bytes for holder in self._holders}
        while len(sizes) > 1 and sum(sizes.values()) > self.most_bytes:
            of: Counter[str] = Counter()
            for holder, size in sizes.items():
                of[holder.whose] += size
            [(most, _)] = of.most_common(1)
            dropped = next(holder for holder in sizes if holder.whose == most)
            del sizes[dropped], self._holders[dropped]
            dropped.drop_unread()

    def remove(self, one: BufferedConnection) -> None:
        """It has taken what there was, or has gone."""
        self._holders.pop(one, None)
