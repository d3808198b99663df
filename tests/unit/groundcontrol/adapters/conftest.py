"""A separate database for each test, and the store on it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.database import Database
from groundcontrol.adapters.sqlite.engine.connection import open_thread
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.stores import Store
from spider.clock import SystemClock
from tests.support.store_files import open_new
from tests.support.writer_program import AUDIT_KEY


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_new(tmp_path, clock=SystemClock())
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def store(database: Database) -> Store:
    return await database.store(audit_key=AUDIT_KEY, chain="0" * 26)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    file = tmp_path / "some.db"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE item (no INTEGER PRIMARY KEY, body TEXT UNIQUE)")
    db.close()
    return file


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[Writer]:
    made = Writer(await open_thread(path, page_size=4096, busy_timeout_s=0.05), path.name, SystemClock(), queue_limit=50)
    yield made
    await made.close()
