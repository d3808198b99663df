"""Locks on ranges of a node's time: rows of a range are either read piece by piece or moved, never both.

An export in one transaction would stay open for as long as its reader takes, and block the checkpoint of the write-ahead log. Short
transactions would see some rows twice or not at all: rows that move between two of them, into a chunk or another part of a span. So no
row of a range moves while it is read. A reader waits for a move in progress; a mover tries again later. Rows that arrive meanwhile lie
elsewhere and are read once or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final, NamedTuple

from groundcontrol.core.errors import StoreBusy

MOVE_LIMIT_S: Final = 60.0
"""A move covers one hour of one node, or one span, and takes seconds."""


class _Stretch(NamedTuple):
    no: int
    first: int
    last: int

    def meets(self, other: _Stretch) -> bool:
        return self.no == other.no and self.first <= other.last and other.first <= self.last


class RangeLocks:
    """The locks of one store, which is the only program that moves rows in its files."""

    def __init__(self, move_limit_s: float = MOVE_LIMIT_S) -> None:
        self._move_limit_s = move_limit_s
        self._read: list[_Stretch] = []
        self._moved: dict[asyncio.Event, _Stretch] = {}

    @contextlib.asynccontextmanager
    async def reading(self, no: int, first: int, last: int) -> AsyncIterator[None]:
        """Keep the node's rows of these hours, both included, where they are.

        Raises: StoreBusy: a move of this range does not end.
        """
        wanted = _Stretch(no, first, last)
        self._read.append(wanted)  # before any wait: a later move must not begin
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
        """Whether rows of these hours may move now."""
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
