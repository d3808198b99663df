"""The implementations under test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.stores import Store
from tests.support.clock import ManualClock
from tests.support.lossy_bus import LossyBus
from tests.support.store_backend import Backend
from tests.support.store_files import open_new


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Backend]:
    made = Backend(lambda: open_new(tmp_path / "data", clock=clock), clock)
    await made.open()
    yield made
    await made.database.close()


@pytest.fixture
def store(backend: Backend) -> Store:
    return backend.store


@pytest.fixture(params=["local", "lossy"])
def any_bus(request: pytest.FixtureRequest) -> LocalBus:
    """Buses of every kind, good and bad: what holds for all of them is all that a user of the interface may count on."""
    return LocalBus() if request.param == "local" else LossyBus(seed=7)


@pytest.fixture
def bus() -> LocalBus:
    return LocalBus()
