"""An implementation of the stores, as the suites in tests/contract use it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy

from groundcontrol.adapters.sqlite.database import Database
from groundcontrol.adapters.sqlite.stores import Store
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock

AUDIT_KEY = bytes(range(32))


def replaced(store: Store, **parts: object) -> Store:
    """A copy of the stores with other parts."""
    made = copy(store)
    vars(made).update(parts)
    return made


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
