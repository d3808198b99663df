"""Reading connections. They are opened read-only, so they can neither write nor checkpoint."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar

from groundcontrol.adapters.sqlite.engine.connection import Thread, is_damage, open_thread, translate
from groundcontrol.adapters.sqlite.engine.organisation import ACTING_ORG
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Value
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import StoreBusy, StoreDown
from spider.clock import Clock

T = TypeVar("T")

POOL_SIZE: Final = 3
WAIT_LIMIT_S: Final = 10.0
"""How long a query waits for a free connection."""
CLOSE_LIMIT_S: Final = 1.0
"""How long a query without a caller may delay the end of the hub."""
BREAK_OFF_EVERY_S: Final = 0.02
"""Interval in which `close` interrupts queries. A query has several statements, and an interrupt ends only the running statement."""


class Reader:
    """A pool of connections, one for each running query. A query sees one consistent state, with every commit from before it began.

    A query for an organisation runs on a connection of its own kind, which sees nothing of the others (`engine/organisation.py`).
    """

    def __init__(self, threads: list[Thread], name: str, wait_limit_s: float = WAIT_LIMIT_S, restricted: Sequence[Thread] = ()) -> None:
        """Args: restricted: connections for queries of organisations; none: this file has no rows of organisations."""
        self._threads = [*threads, *restricted]
        self._name = name
        self._wait_limit_s = wait_limit_s
        self._unrestricted = _pool(threads)
        self._restricted = _pool(restricted) if restricted else None
        self.broken = False
        """Whether reading the file failed, or a page was invalid, so that the process should end and start again."""
        self.damaged = False
        """Whether a page of the file was invalid."""
        self._closing = False

    @classmethod
    async def open(cls, path: Path, size: int = POOL_SIZE, *, owned: bool = False) -> Reader:
        """Args: owned: the file has rows of organisations."""
        threads: list[Thread] = []
        try:
            for number in range(size * (2 if owned else 1)):
                threads.append(await open_thread(path, page_size=None))  # on an error the opened ones are closed below
                if number >= size:
                    await threads[-1].restrict_reads()
        except BaseException:
            for thread in threads:
                await thread.close()
            raise
        return cls(threads[:size], path.name, restricted=threads[size:])

    async def run(self, query: Callable[[Rows], T]) -> T:
        """Run a query in a read transaction on a free connection.

        Raises: StoreBusy: no connection became free in time, or the reader is being closed. StoreDown: the database failed. Also any error of
            the query.
        """
        return await self._run(lambda db: _query(db, query))

    async def fetch_one(self, sql: str, *values: Value) -> Row | None:
        """The first row of one statement; a single statement needs no transaction. None: there is no row.

        Raises: as `run`.
        """
        return await self._run(lambda db: Rows(db).fetch_one(sql, *values))

    async def fetch_all(self, sql: str, *values: Value) -> list[Row]:
        """All rows of one statement, as `fetch_one`."""
        return await self._run(lambda db: Rows(db).fetch_all(sql, *values))

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self.broken:
            raise StoreDown(f"the database {self._name} failed; the hub must start again")
        if self._closing:
            raise StoreBusy(f"the database {self._name} is being closed")
        org = ACTING_ORG.get()
        free = self._unrestricted if org is None or self._restricted is None else self._restricted
        thread = await self._thread(free)
        thread.acting.org = org
        running = thread.start(work)
        running.add_done_callback(partial(self._end, free, thread))  # a query ends although its caller was cancelled
        try:
            return await asyncio.shield(running)
        except sqlite3.Error as exc:
            raise translate(exc, self._name) from exc

    def _end(self, free: asyncio.Queue[Thread], thread: Thread, ended: asyncio.Future[T]) -> None:
        """Free the connection of a query that has ended, and remember a failed disk or file."""
        free.put_nowait(thread)
        exc = None if ended.cancelled() else ended.exception()
        error = translate(exc, self._name) if isinstance(exc, sqlite3.Error) else None
        if isinstance(error, StoreDown):
            self.broken = True
            self.damaged = self.damaged or is_damage(error)

    async def _thread(self, free: asyncio.Queue[Thread]) -> Thread:
        with contextlib.suppress(asyncio.QueueEmpty):
            return free.get_nowait()  # needs no timer: most requests find a free connection
        try:
            async with asyncio.timeout(self._wait_limit_s):
                return await free.get()
        except TimeoutError:
            raise StoreBusy(f"the database {self._name} has too many reads") from None

    async def shrink(self) -> None:
        """Free the memory of the page caches, each after the query that uses it."""
        if not self.broken:
            for thread in self._threads:
                await thread.shrink()

    async def close(self) -> bool:
        """Disconnect. Queries that still run have no caller. They are interrupted, and left to themselves after `CLOSE_LIMIT_S`.

        Returns: whether every query has ended.
        """
        self._closing = True
        busy = set(self._threads)
        until = asyncio.get_running_loop().time() + CLOSE_LIMIT_S
        while busy and asyncio.get_running_loop().time() < until:
            for free in (self._unrestricted, self._restricted):
                while free is not None and not free.empty():
                    busy.remove(free.get_nowait())
            if busy:
                await asyncio.sleep(BREAK_OFF_EVERY_S)
            for thread in busy:
                thread.break_off()
        for thread in self._threads:
            if thread in busy:
                thread.stop()
            else:
                await thread.close()
        return not busy


def _pool(threads: Sequence[Thread]) -> asyncio.Queue[Thread]:
    """The free ones of these connections. Last in, first out: the next query gets the connection of the last one, whose page cache is filled."""
    free: asyncio.Queue[Thread] = asyncio.LifoQueue(len(threads))
    for thread in threads:
        free.put_nowait(thread)
    return free


def _query(db: sqlite3.Connection, query: Callable[[Rows], T]) -> T:
    db.execute("BEGIN")
    try:
        return query(Rows(db))
    finally:
        if db.in_transaction:  # after some errors, such as those of input and output, SQLite has rolled back already
            db.execute("ROLLBACK")


V = TypeVar("V")

MOST: Final = 1024
"""The most answers in a cache."""
LONGEST_S: Final = 1.0
"""How long an answer is used at most. The hub's own commits end it earlier. Another program may change the file, although it must not."""


class CommitCache(Generic[V]):
    """The cached answers of one statement with one parameter, by the parameter.

    An answer is valid only until the next commit, whatever that changes. So a request sees every change that was acknowledged before it,
    such as a revoked session or role.
    """

    def __init__(
        self, writer: Writer, reader: Reader, clock: Clock, sql: str, read: Callable[[list[Row]], V | None], most: int = MOST
    ) -> None:
        """Args: read: makes the answer from the rows, at least one; it may return None, which is not cached."""
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._sql = sql
        self._read = read
        self._most = most
        self._known: dict[Value, V] = {}
        self._edition = -1
        self._since = 0.0

    async def get(self, value: Value) -> V | None:
        """The answer; None: there is no row, or `read` returned None.

        Raises: as `Reader.fetch_one`, and any error of `read`.
        """
        edition, now = self._writer.edition, self._clock.monotonic()
        if edition != self._edition or now - self._since >= LONGEST_S:
            self._known, self._edition, self._since = {}, edition, now
        known = self._known  # an answer that arrives after the next commit goes into a discarded dictionary
        found = known.get(value)
        if found is None:
            rows = await self._reader.fetch_all(self._sql, value)
            found = self._read(rows) if rows else None
            if found is not None and len(known) < self._most:
                known[value] = found
        return found
