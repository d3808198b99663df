"""Who reads a stretch of a node's time piece by piece, and who moves rows of it: never both at a time.

One transaction that stayed open for as long as somebody takes an export in would keep the write-ahead log from being folded, and many short
ones see a row twice, or not at all, that moves from the hot tables into a chunk, or from one part of a span into another, between two of
them. So nothing of a stretch is moved while it is read, and who wants to read waits for a move that has begun; who moves comes back later.
What arrives meanwhile lies at a place of its own, which is read or not, once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final, NamedTuple

from groundcontrol.core.errors import StoreBusy

MOVE_LIMIT_S: Final = 60.0
"""A move is one hour of one node, or one span: seconds."""


class _Stretch(NamedTuple):
    no: int
    first: int
    last: int

    def meets(self, other: _Stretch) -> bool:
        return self.no == other.no and self.first <= other.last and other.first <= self.last


class RangeLocks:
    """Of one store, which is the only one that moves anything in its files."""

    def __init__(self, move_limit_s: float = MOVE_LIMIT_S) -> None:
        self._move_limit_s = move_limit_s
        self._read: list[_Stretch] = []
        self._moved: dict[asyncio.Event, _Stretch] = {}

    @contextlib.asynccontextmanager
    async def reading(self, no: int, first: int, last: int) -> AsyncIterator[None]:
        """Hold what a node has in these hours, both included, where it is.

        Raises: StoreBusy: a move of it does not end.
        """
        wanted = _Stretch(no, first, last)
        self._read.append(wanted)  # at once: a move that comes after this one does not begin
        try:
            try:
                async with asyncio.timeout(self._move_limit_s):
                    for over, stretch in list(self._moved.items()):
                        if stretch.meets(wanted):
                            await over.wait()
            except TimeoutError as exc:
                raise StoreBusy("what is wanted of the history is being moved; try again later") from exc
            yield
        finally:
            self._read.remove(wanted)

    @contextlib.contextmanager
    def moving(self, no: int, first: int, last: int) -> Iterator[bool]:
        """Whether rows of these hours may be moved now."""
        wanted = _Stretch(no, first, last)
        if any(stretch.meets(wanted) for stretch in self._read):
            yield False
            return
        over = asyncio.Event()
        self._moved[over] = wanted
        try:
            yield True
        finally:
            del self._moved[over]
            over.set()
