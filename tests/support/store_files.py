"""Opens a hub's files as its start does, and changes them without its knowledge."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from groundcontrol.adapters.sqlite.database import CONTROL_NAME, Database, open_database
from spider.clock import Clock, SystemClock
from tests.support import kept_stores

CLOCK = SystemClock()


async def open_new(folder: Path, *, clock: Clock, readers: int = 1) -> Database:
    """Open a data folder, after putting new databases into it if it has none.

    The migrations run once in a test process, and new files are opened once for one test after the other (`kept_stores`).
    Few tests read at the same time, and each connection that is not opened saves 4 ms.
    """
    if (folder / CONTROL_NAME).exists():
        return await open_database(folder, clock=clock, readers=readers)
    return await kept_stores.open_new(folder, clock, readers)


async def open_and_close(folder: Path, control: Path | None = None) -> None:
    await (await open_database(folder, clock=CLOCK, control=control, readers=1)).close()


def edit(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(sql)


def tables_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
