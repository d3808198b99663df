"""Locks on ranges of a node's time: the rows of a range are either read piece by piece or moved, never both at the same time.

If an export were one transaction, it would last as long as its client reads, and block the checkpoint of the write-ahead log. If it were
several short transactions without locks, it would see moved rows twice or not at all. So no row of a range moves while the range is read. A reader
waits for a move in progress; a mover tries again later. Rows that arrive meanwhile are read once or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final, NamedTuple

from groundcontrol.core.errors import StoreBusy

MOVE_LIMIT_S: Final = 60.0
"""How long a reader waits for a move. A move covers one hour of one node, or one span, and takes seconds."""


class _Range(NamedTuple):
    no: int
    first: int
    last: int

    def meets(self, other: _Range) -> bool:
        return self.no == other.no and self.first <= other.last and other.first <= self.last


class RangeLocks:
    """The locks of one store, which is the only program that moves rows in its files."""

    def __init__(self, move_limit_s: float = MOVE_LIMIT_S) -> None:
        self._move_limit_s = move_limit_s
        self._read: list[_Range] = []
        self._moved: dict[asyncio.Event, _Range] = {}

    @contextlib.asynccontextmanager
    async def reading(self, no: int, first: int, last: int) -> AsyncIterator[None]:
        """Lock a node's hours from `first` to `last`, both included, against moves. `no`: the number of the node.

        Raises: StoreBusy: a move of this range did not end in time.
        """
        wanted = _Range(no, first, last)
        self._read.append(wanted)  # before any wait: a later move must not begin
        try:
            try:
                async with asyncio.timeout(self._move_limit_s):
                    for over, moved in list(self._moved.items()):
                        if moved.meets(wanted):
                            await over.wait()
            except TimeoutError as exc:
                raise StoreBusy("this part of the history is being moved; try again later") from exc
            yield
        finally:
            self._read.remove(wanted)

    @contextlib.contextmanager
    def moving(self, no: int, first: int, last: int) -> Iterator[bool]:
        """Lock these hours against readers. Yields whether rows may move now; False: a reader has locked some of them."""
        wanted = _Range(no, first, last)
        if any(read.meets(wanted) for read in self._read):
            yield False
            return
        over = asyncio.Event()
        self._moved[over] = wanted
        try:
            yield True
        finally:
            del self._moved[over]
            over.set()
