"""Opening a hub's files as its start does, and changing them behind its back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from groundcontrol.store.sqlite import open_database
from spider.clock import SystemClock

CLOCK = SystemClock()


async def open_and_close(folder: Path, control: Path | None = None) -> None:
    await (await open_database(folder, clock=CLOCK, control=control)).close()


def edit(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(sql)


def tables_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
