"""The budget for unread answers: a limit over all connections for data in memory that clients do not read."""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

MAX_UNREAD_BYTES: Final = 32 << 20
"""Some of the longest answers, which have 7 MB. Each byte may be in memory twice: as it was made, and in one piece with the head of its
answer."""


class BufferedConnection(Protocol):
    """A connection with data that its client has not read yet."""

    @property
    def whose(self) -> str:
        """The key of the account: a user, or an address of an unknown client."""
        ...

    @property
    def unread_bytes(self) -> int: ...
    def drop_unread(self) -> None: ...


class SendBudget:
    """All connections with unread data, oldest first."""

    def __init__(self, most_bytes: int = MAX_UNREAD_BYTES) -> None:
        self.most_bytes = most_bytes
        self._holders: dict[BufferedConnection, None] = {}

    def add(self, one: BufferedConnection) -> None:
        """Add a connection. Over the limit, the client with the most unread data loses its oldest connection."""
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
        """Remove a connection whose data was read, or that ended."""
        self._holders.pop(one, None)
