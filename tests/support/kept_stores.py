"""Opened databases that one test of this process leaves to the next.

To open both files of a hub takes most of the processor time of a test of the API: each connection reads the schema of a hundred tables, and
makes a view or three triggers for each. So a test that closes a database in good order leaves its connections to the next, which finds what
is in new files. The opened files have a folder of their own: while a test runs, its data folder has symbolic links to them, then copies.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.admin.migrate import CONTROL, SAMPLES, Kind, make_database
from groundcontrol.adapters.sqlite.database import CONTROL_NAME, Database, _File, _mark, _start, open_database
from groundcontrol.adapters.sqlite.engine.connection import Thread
from groundcontrol.adapters.sqlite.engine.data_files import FolderLock, lock_folders, make_private_file, make_private_folder
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.seen_times import SeenTimes, write_seen_times
from groundcontrol.adapters.sqlite.engine.writer import CLOSE_LIMIT_S, Writer, _checkpoint
from spider.clock import Clock, SystemClock

ENDINGS: Final = ("", "-wal", "-shm")
SETTINGS: Final = ("schema_version", "max_page_count", "busy_timeout", "query_only", "foreign_keys", "wal_autocheckpoint", "synchronous")
"""What a test may have changed of a connection, and the edition of the schema. Such files are not kept."""


@functools.cache
def new_file(kind: Kind) -> bytes:
    """A new database as a first start makes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        make_database(path, kind)
        return path.read_bytes()


@functools.cache
def new_rows(kind: Kind) -> dict[str, list[tuple[object, ...]]]:
    """Every table of a new database, with its rows."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript("PRAGMA trusted_schema = OFF")
        db.deserialize(new_file(kind))
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


def put_new_files(folder: Path) -> None:
    """Make a data folder with new databases."""
    make_private_folder(folder)
    control = folder / CONTROL_NAME
    for path, kind in ((control, CONTROL), (samples_beside(control), SAMPLES)):
        make_private_file(path)
        path.write_bytes(new_file(kind))


def _renew(kind: Kind, db: sqlite3.Connection) -> None:
    """Give an open database the rows of a new one."""
    rows = new_rows(kind)
    filled = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM main.{table})" for table in rows)
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("BEGIN IMMEDIATE")
    for [table] in db.execute(filled).fetchall():
        db.execute(f"DELETE FROM main.{table}")
    for table, row in ((table, row) for table, found in rows.items() for row in found):
        db.execute(f"INSERT INTO main.{table} VALUES ({', '.join('?' * len(row))})", row)
    db.execute("COMMIT")
    db.execute("PRAGMA foreign_keys = ON")


def _settings(db: sqlite3.Connection) -> list[object]:
    return [db.in_transaction, *(db.execute(f"PRAGMA {name}").fetchone()[0] for name in SETTINGS)]


class _Kept(NamedTuple):
    """The connections to one file. A reading one refuses PRAGMAs if it acts for organisations."""

    path: Path
    kind: Kind
    writer: Thread
    reader: Sequence[Thread]
    urgent: Sequence[Thread]
    settings: Sequence[object]

    @classmethod
    async def of(cls, file: _File, kind: Kind) -> _Kept:
        """Take the connections of a file that has just been opened."""
        await _end(file.writer)
        urgent = () if file.urgent is file.reader else file.urgent._threads
        return cls(file.path, kind, file.writer._thread, file.reader._threads, urgent, await file.writer._thread.run(_settings))

    async def open(self, path: Path, clock: Clock) -> _File:
        """The file, as if it had just been opened by this name."""
        for ending in ENDINGS:
            path.with_name(path.name + ending).symlink_to(self.path.with_name(self.path.name + ending))
        for thread in (self.writer, *self.reader, *self.urgent):
            thread.acting.org = None
        await self.writer.run(functools.partial(_renew, self.kind))
        reader = _reader(self.reader, path.name)
        return _File(path, Writer(self.writer, path.name, clock), reader, _reader(self.urgent, path.name) if self.urgent else reader)

    def leave_copy(self, path: Path) -> None:
        """Replace the links by what a closed database leaves."""
        for ending in ENDINGS:
            path.with_name(path.name + ending).unlink()
        shutil.copy(self.path, path)


_Pair = tuple[_Kept, _Kept]
"""Of the control file and of the samples."""


def _reader(threads: Sequence[Thread], name: str) -> Reader:
    half = (len(threads) + 1) // 2
    return Reader([*threads[:half]], name, restricted=threads[half:])


async def _end(writer: Writer, limit_s: float = CLOSE_LIMIT_S) -> bool:
    """Finish the queue, and leave the connection open."""
    writer._closing = True
    writer._wake.set()
    await asyncio.wait([writer._task], timeout=limit_s)
    return writer._task.done()


class _KeptDatabase(Database):
    """A database whose connections are kept when it is closed."""

    def __init__(self, kept: _Pair, locks: list[FolderLock], control: _File, samples: _File, clock: Clock) -> None:
        super().__init__(locks, control, samples, clock)
        self._kept = kept

    async def close(self, limit_s: float = CLOSE_LIMIT_S) -> bool:
        if not self._locks:
            return True  # it is closed
        files = (self._control, self._samples)
        sound = self.trouble is None and all([await _is_idle(*one, limit_s) for one in zip(self._kept, files, strict=True)])
        if sound:
            for file in files:
                await file.writer._thread.run(_checkpoint)
                file.reader._closing = file.urgent._closing = True
            for lock in self._locks:
                lock.release()
        elif not await super().close(limit_s):
            return False
        self._locks.clear()
        for kept, file in zip(self._kept, files, strict=True):
            kept.leave_copy(file.path)
        if sound:
            _FREE.append(self._kept)
        return True


async def _is_idle(kept: _Kept, file: _File, limit_s: float) -> bool:
    """Whether all that was asked of a file is done, and only rows were changed. It takes no commands any more."""
    for reader in (file.reader, file.urgent):
        free = reader._unrestricted.qsize() + (reader._restricted.qsize() if reader._restricted else 0)
        if reader._closing or free < len(reader._threads):
            return False
    return not file.writer._closing and await _end(file.writer, limit_s) and await kept.writer.run(_settings) == kept.settings


_FREE: Final[list[_Pair]] = []
_FOLDERS: Final[list[Path]] = []


@contextlib.contextmanager
def keeping(folder: Path) -> Iterator[None]:
    """Keep opened databases in this folder until the end. Without this, each one is opened and closed."""
    _FOLDERS.append(folder)
    try:
        yield
    finally:
        _FOLDERS.pop()
        for kept in (one for pair in _FREE for one in pair):
            for thread in (kept.writer, *kept.reader, *kept.urgent):
                thread.stop()
        _FREE.clear()


async def open_new(folder: Path, clock: Clock, readers: int) -> Database:
    """Open new files in a data folder that has none, as the product does at a start after the first."""
    if not _FOLDERS or readers != 1:
        put_new_files(folder)
        return await open_database(folder, clock=clock, readers=readers)
    kept = _FREE.pop() if _FREE else await _opened(Path(tempfile.mkdtemp(dir=_FOLDERS[-1])))
    make_private_folder(folder)
    locks = lock_folders(folder)
    path = folder / CONTROL_NAME
    control, samples = [await one.open(path, clock) for one, path in zip(kept, (path, samples_beside(path)), strict=True)]
    write_seen_times(path, SeenTimes(await control.writer.run(_start([])), await samples.writer.run(_mark)))
    return _KeptDatabase(kept, locks, control, samples, clock)


async def _opened(folder: Path) -> _Pair:
    put_new_files(folder)
    made = await open_database(folder, clock=SystemClock(), readers=1)
    return await _Kept.of(made._control, CONTROL), await _Kept.of(made._samples, SAMPLES)
