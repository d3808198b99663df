"""Opens a hub's files as its start does, and changes them without its knowledge."""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.admin.migrate import CONTROL, SAMPLES, Kind, make_database
from groundcontrol.adapters.sqlite.database import CONTROL_NAME, Database, open_database
from groundcontrol.adapters.sqlite.engine.data_files import make_private_file, make_private_folder
from spider.clock import Clock, SystemClock

CLOCK = SystemClock()


@functools.cache
def new_file(kind: Kind) -> bytes:
    """A new database as a first start makes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        make_database(path, kind)
        return path.read_bytes()


async def open_new(folder: Path, *, clock: Clock, readers: int = 1) -> Database:
    """Open a data folder, after putting new databases into it if it has none.

    The migrations take 20 ms of processor time. They run once in a test process, and each further folder gets a copy of the files.
    Few tests read at the same time, and each connection that is not opened saves 4 ms.
    """
    control = folder / CONTROL_NAME
    if not control.exists():
        make_private_folder(folder)
        for path, kind in ((control, CONTROL), (samples_beside(control), SAMPLES)):
            make_private_file(path)
            path.write_bytes(new_file(kind))
    return await open_database(folder, clock=clock, readers=readers)


async def open_and_close(folder: Path, control: Path | None = None) -> None:
    await (await open_database(folder, clock=CLOCK, control=control, readers=1)).close()


def edit(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(sql)


def tables_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
