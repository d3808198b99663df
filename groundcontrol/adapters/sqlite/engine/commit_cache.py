"""What each request asks, held as long as it is what the database says."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Value
from groundcontrol.adapters.sqlite.engine.writer import Writer
from spider.clock import Clock

V = TypeVar("V")

MOST: Final = 1024
LONGEST_S: Final = 1.0
"""For what changes the file from outside of the hub, which is nobody's right: it counts a second later."""


class CommitCache(Generic[V]):
    """The answers of one statement, each by its one value.

    An answer counts only while nothing has been committed since it was asked for: whoever was told that something is done, a session ended or
    a role taken away, finds it so in the next request. Nothing says which commit matters, so that none can be forgotten.
    """

    def __init__(self, writer: Writer, reader: Reader, clock: Clock, most: int = MOST) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._most = most
        self._known: dict[Value, V] = {}
        self._edition = -1
        self._since = 0.0

    async def get(self, sql: str, value: Value, read: Callable[[sqlite3.Row], V | None]) -> V | None:
        """The first row, as `read` makes it; None: there is none, or `read` says so.

        Raises: as `Reader.one`, and what `read` raises.
        """
        edition, now = self._writer.edition, self._clock.monotonic()
        if edition != self._edition or now - self._since >= LONGEST_S:
            self._known, self._edition, self._since = {}, edition, now
        known = self._known  # an answer that comes after the next commit goes into what nobody looks at any more
        found = known.get(value)
        if found is None:
            row = await self._reader.one(sql, value)
            found = None if row is None else read(row)
            if found is not None and len(known) < self._most:
                known[value] = found
        return found
