"""A separate database for each test, and the store on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.database import Database
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
