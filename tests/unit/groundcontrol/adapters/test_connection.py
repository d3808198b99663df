"""The settings of each database connection."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.adapters.sqlite.engine.connection import READER_CACHE_BYTES, WRITER_CACHE_BYTES
from spider.clock import SystemClock


async def test_the_page_caches_of_all_connections_are_bounded(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "data", clock=SystemClock())
    try:
        files = (database._control, database._samples)
        writers = [await file.writer._thread.run(_cache_bytes) for file in files]
        readers = [await thread.run(_cache_bytes) for file in files for thread in file.reader._threads]
    finally:
        await database.close()
    assert writers == [WRITER_CACHE_BYTES] * 2
    assert readers == [READER_CACHE_BYTES] * 9
    assert sum(writers + readers) <= 20 << 20


def _cache_bytes(db: sqlite3.Connection) -> int:
    db.set_authorizer(None)  # it refuses PRAGMA on connections for organisations
    found: int = db.execute("PRAGMA cache_size").fetchone()[0]
    return -found * 1024  # below zero it is KiB, else pages
