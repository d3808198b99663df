"""One SQLite connection on its own thread, and the meaning of its errors."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import aiosqlite

from groundcontrol.adapters.sqlite.engine.organisation import Acting, guard_writes, restrict_reads
from groundcontrol.adapters.sqlite.engine.readonly import uri_of
from groundcontrol.core.errors import StoreBusy, StoreDown, StoreError, StoreFull, StoreReadOnly
from groundcontrol.core.text import fold

T = TypeVar("T")

FOLD: Final = "fold"
"""The name of `core.text.fold` in SQL, for reading connections. SQLite's own `lower` changes only ASCII letters."""

BUSY_TIMEOUT_S: Final = 1.5
"""How long a statement waits for a lock of another program, such as a shell or a copy tool."""

LOG_BYTES: Final = 4 << 20
"""Size of the write-ahead log at which SQLite checkpoints it into the file."""

WRITER_CACHE_BYTES: Final = 2 << 20
"""Page cache of a writing connection. SQLite fills it and frees nothing by itself. The system's page cache has the other pages, at some
microseconds each. A cache of sixteen times this size saves no measurable time."""
READER_CACHE_BYTES: Final = 1 << 20
"""Page cache of a reading connection. It helps only within one query, since each commit of the writer invalidates it."""

_MEANINGS: Final[dict[int, tuple[type[StoreError], str]]] = {
    sqlite3.SQLITE_FULL: (StoreFull, "no space is left for the database {name}"),
    sqlite3.SQLITE_IOERR_SHMSIZE: (StoreFull, "no space is left for the database {name}"),  # for the index of the write-ahead log
    sqlite3.SQLITE_BUSY: (StoreBusy, "the database {name} is locked by another program"),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "the database {name} is locked by another program"),
    sqlite3.SQLITE_INTERRUPT: (StoreBusy, "the database {name} is being closed"),
    sqlite3.SQLITE_READONLY: (StoreReadOnly, "the database {name} cannot be written"),
    sqlite3.SQLITE_PERM: (StoreReadOnly, "the database {name} cannot be written"),
    sqlite3.SQLITE_IOERR: (StoreDown, "reading or writing the database {name} failed"),
    sqlite3.SQLITE_CORRUPT: (StoreDown, "the database {name} is damaged"),
    sqlite3.SQLITE_NOTADB: (StoreDown, "the database {name} is damaged"),
    sqlite3.SQLITE_CANTOPEN: (StoreDown, "the database {name} cannot be opened"),
}


class Thread(aiosqlite.Connection):
    """An aiosqlite connection that also runs whole functions on its thread, so that a transaction needs one thread switch."""

    acting: Acting
    """The organisation for which the connection acts; set while one is opened."""

    async def restrict_reads(self) -> None:
        """Let this connection read for one organisation at a time (`acting`)."""
        await self.run(lambda db: restrict_reads(db, self.acting))

    async def guard_writes(self) -> None:
        """Let this connection write for one organisation at a time (`acting`). The schema must be up to date."""
        await self.run(lambda db: guard_writes(db, self.acting))

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call `work` with the connection, on its thread."""
        result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]  # aiosqlite leaves it bare
        return result

    def start(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """As `run`, but without a task: for a small query a task takes half of the loop's time. Returns the future of the result."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, partial(work, self._conn)))
        return future

    def may_be_left(self) -> None:
        """Let the process end even while this thread works. Must be called before the thread starts."""
        self._thread.daemon = True

    def break_off(self) -> None:
        """Interrupt the running statement, if any (sqlite3_interrupt). May be called from any thread."""
        if self._connection is not None:
            self._connection.interrupt()

    async def shrink(self) -> None:
        """Free the memory of the page cache."""
        await self.run(lambda db: db.execute("PRAGMA shrink_memory").fetchall())


async def open_thread(
    path: Path, *, page_size: int | None, wipe: bool = True, beside: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> Thread:
    """Connect to the database file. The caller begins and ends transactions explicitly.

    Args:   page_size: that of a new file, in bytes; None: open read-only.
            wipe: overwrite deleted content.
            beside: for commands, which run beside a hub: open also a file on a read-only file system (`uri_of`).
            busy_timeout_s: how long a statement waits for a lock.
    Raises: StoreError: the file cannot be opened (`translate`).
    """
    thread = Thread(partial(_connect, path, "ro" if page_size is None else "rw", beside, busy_timeout_s), 64)
    thread.acting = Acting()
    if page_size is None:
        thread.may_be_left()
    try:
        await thread
        await thread.run(_set_up_reader if page_size is None else partial(_set_up_writer, page_size, wipe))
    except BaseException as exc:  # also a cancellation: the process would not end while the thread of a writer waits
        await thread.close()
        if isinstance(exc, sqlite3.Error):
            raise translate(exc, path.name) from exc
        raise
    return thread


def _connect(path: Path, mode: str, beside: bool, busy_timeout_s: float) -> sqlite3.Connection:
    uri = uri_of(path) if beside else f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=busy_timeout_s, isolation_level=None)


def _set_up_writer(page_size: int, wipe: bool, db: sqlite3.Connection) -> None:
    db.row_factory = sqlite3.Row
    db.execute(f"PRAGMA page_size = {page_size}")
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute(f"PRAGMA secure_delete = {'ON' if wipe else 'OFF'}").fetchall()
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // page_size}").fetchall()
    db.execute(f"PRAGMA journal_size_limit = {2 * LOG_BYTES}").fetchall()
    db.execute(f"PRAGMA cache_size = {-WRITER_CACHE_BYTES // 1024}")


def _fold(value: object) -> str:
    return fold(value) if isinstance(value, str) else ""  # a damaged list may hold other values


def _set_up_reader(db: sqlite3.Connection) -> None:
    db.row_factory = sqlite3.Row
    db.create_function(FOLD, 1, _fold, deterministic=True)
    db.execute("PRAGMA query_only = ON")
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute(f"PRAGMA cache_size = {-READER_CACHE_BYTES // 1024}")


def translate(exc: sqlite3.Error, name: str) -> StoreError:
    """Translate an error of SQLite into an error of the store."""
    code = getattr(exc, "sqlite_errorcode", None)
    meaning = _MEANINGS.get(code, _MEANINGS.get(code & 0xFF)) if isinstance(code, int) else None
    if meaning is not None:
        kind, text = meaning
        return kind(text.format(name=name), sqlite=getattr(exc, "sqlite_errorname", ""))
    return StoreError(f"the database {name} refused a statement", sqlite=getattr(exc, "sqlite_errorname", type(exc).__name__))


def is_damage(error: StoreError) -> bool:
    """Whether the error says that a page of the file is invalid."""
    return str(error.detail.get("sqlite", "")).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
