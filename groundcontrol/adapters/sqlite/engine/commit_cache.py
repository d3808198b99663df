"""A cache of the queries of each request. A commit of the hub invalidates it."""

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
"""Changes to the file from outside the hub, which nobody should make, count a second later."""


class CommitCache(Generic[V]):
    """The cached answers of one statement with one parameter.

    An answer counts only until the next commit. So a request sees every change that was acknowledged before it, such as a revoked
    session or role. Any commit invalidates all answers, so none can be forgotten.
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
        """The first row, as `read` makes it; None: there is none, or `read` returned None.

        Raises: as `Reader.one`, and what `read` raises.
        """
        edition, now = self._writer.edition, self._clock.monotonic()
        if edition != self._edition or now - self._since >= LONGEST_S:
            self._known, self._edition, self._since = {}, edition, now
        known = self._known  # an answer that arrives after the next commit goes into a discarded dictionary
        found = known.get(value)
        if found is None:
            row = await self._reader.one(sql, value)
            found = None if row is None else read(row)
            if found is not None and len(known) < self._most:
                known[value] = found
        return found
