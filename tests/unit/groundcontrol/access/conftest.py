"""A log-in service on a real store, for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.auth_door import PASSWORD, Door
from tests.support.clock import RunningClock
from tests.support.store_files import open_new


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """No user yet."""
    clock = RunningClock()
    database = await open_new(tmp_path / "data", clock=clock)
    made = Door(await database.store(audit_key=b"a" * 32, chain="hub"), clock)
    yield made
    made.service.close()
    await database.close()


@pytest.fixture
async def ready(door: Door) -> Door:
    """With an admin who has a good password."""
    assert await door.service.first_log_in.create_admin("admin", PASSWORD) is None
    return door
