"""A log-in service on a real store, for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.auth.service import AuthService
from groundcontrol.auth.sessions import Caller, Issued
from groundcontrol.bus.local import LocalBus
from groundcontrol.store.base import Store
from groundcontrol.store.sqlite import open_database
from tests.support.clock import ShiftedClock
from tests.support.vault import a_vault

PASSWORD = "three green sparrows"
NEW = "four yellow herons"
LOCAL = "127.0.0.1"
PUBLIC = "203.0.113.9"


class Door:
    """A service, and what it stands on."""

    def __init__(self, store: Store, clock: ShiftedClock) -> None:
        self.store, self.clock, self.bus = store, clock, LocalBus()
        self.service = AuthService(
            store=store,
            sealer=a_vault(),
            bus=self.bus,
            clock=clock,
            jwt_key=b"j" * 32,
            pepper=b"p" * 32,
            issuer="hub",
            words=("orion",),
        )

    async def login(
        self, password: str = PASSWORD, username: str = "admin", address: str = LOCAL, code: str | None = None, device: str = ""
    ) -> Issued:
        return await self.service.login(username, password, setup_code=code, address=address, user_agent="test", device=device)

    async def caller(self, issued: Issued) -> Caller:
        return await self.service.authenticate(issued.token, LOCAL)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """No user yet."""
    clock = ShiftedClock()
    database = await open_database(tmp_path / "data", clock=clock)
    made = Door(await database.store(audit_key=b"a" * 32, chain="hub"), clock)
    yield made
    made.service.close()
    await database.close()


@pytest.fixture
async def ready(door: Door) -> Door:
    """With an admin who has a good password."""
    assert await door.service.first_start("admin", PASSWORD) is None
    return door
