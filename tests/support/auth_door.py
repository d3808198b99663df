"""The log-in service on a real store."""

from __future__ import annotations

from groundcontrol.access.passwords import Passwords
from groundcontrol.access.service import AuthService
from groundcontrol.access.sessions import Caller, Issued
from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.events.refusals import Refusals
from tests.support.clock import RunningClock
from tests.support.quick_hasher import QUICK_HASHER
from tests.support.vault import a_vault

PASSWORD = "three green sparrows"


NEW = "four yellow herons"


LOCAL = "127.0.0.1"


PUBLIC = "203.0.113.9"


class Door:
    """A service, and what it stands on."""

    def __init__(self, store: Store, clock: RunningClock) -> None:
        self.store, self.clock, self.bus = store, clock, LocalBus()
        self.service = AuthService(
            store=store,
            refusals=Refusals(store.log, clock),
            sealer=a_vault(),
            bus=self.bus,
            clock=clock,
            jwt_key=b"j" * 32,
            pepper=b"p" * 32,
            passwords=Passwords(b"p" * 32, QUICK_HASHER),
            issuer="hub",
            words=("orion",),
        )

    async def login(
        self, password: str = PASSWORD, username: str = "admin", address: str = LOCAL, code: str | None = None, device: str = ""
    ) -> Issued:
        return await self.service.login(username, password, setup_code=code, address=address, user_agent="test", device=device)

    async def caller(self, issued: Issued) -> Caller:
        return await self.service.authenticate(issued.token, LOCAL)
