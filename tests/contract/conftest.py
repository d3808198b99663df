"""The implementations that the suites run against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from groundcontrol.bus.local import LocalBus
from groundcontrol.store.base import Store
from groundcontrol.store.sqlite import Database, open_database
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.lossy_bus import LossyBus

AUDIT_KEY = bytes(range(32))


class Backend:
    """A store that can be closed and opened again, as a restarted hub does."""

    def __init__(self, open_it: Callable[[], Awaitable[Database]], clock: ManualClock) -> None:
        self._open = open_it
        self.clock = clock
        self.database: Database
        self.store: Store

    async def open(self) -> Store:
        self.database = await self._open()
        self.store = await self.database.store(audit_key=AUDIT_KEY, chain=new_time_id(self.clock.now()))
        return self.store

    async def reopen(self) -> Store:
        await self.database.close()
        return await self.open()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Backend]:
    made = Backend(lambda: open_database(tmp_path / "data", clock=clock), clock)
    await made.open()
    yield made
    await made.database.close()


@pytest.fixture
def store(backend: Backend) -> Store:
    return backend.store


@pytest.fixture(params=["local", "shaky"])
def any_bus(request: pytest.FixtureRequest) -> LocalBus:
    """Buses of every kind, good and bad: what holds for all of them is all that a user of the interface may count on."""
    return LocalBus() if request.param == "local" else LossyBus(seed=7)


@pytest.fixture
def bus() -> LocalBus:
    return LocalBus()
