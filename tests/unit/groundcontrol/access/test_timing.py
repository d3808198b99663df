"""The time that a refusal takes does not reveal which users exist."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.access.passwords import Passwords
from groundcontrol.access.service import AuthService
from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.core.errors import BadCredentials
from groundcontrol.events.refusals import Refusals
from tests.support.clock import RunningClock
from tests.support.vault import a_vault

SAMPLES = 24
WAIT_S = 90_000.0
"""After which no limit remembers the attempt before."""


@pytest.fixture
async def timed(tmp_path: Path) -> AsyncIterator[tuple[AuthService, RunningClock]]:
    clock = RunningClock()
    database = await open_database(tmp_path / "data", clock=clock)
    store = await database.store(audit_key=b"a" * 32, chain="hub")
    service = AuthService(
        store=store, refusals=Refusals(store.log, clock), sealer=a_vault(), bus=LocalBus(), clock=clock, jwt_key=b"j" * 32, pepper=b"p" * 32,
        passwords=Passwords(b"p" * 32),
        issuer="hub",
    )  # fmt: skip
    await service.first_log_in.create_admin("admin", "three green sparrows")
    yield service, clock
    service.close()
    await database.close()


@pytest.mark.holds("S-04")
async def test_an_unknown_user_is_refused_as_slowly_as_a_known_one(timed: tuple[AuthService, RunningClock]) -> None:
    service, clock = timed

    async def seconds(username: str) -> float:
        clock.shift += WAIT_S
        began = time.process_time()  # other programs on the machine do not count
        with pytest.raises(BadCredentials):
            await service.login(username, "a wrong password", setup_code=None, address="127.0.0.1", user_agent="test")
        return time.process_time() - began

    await seconds("nobody")  # the very first one makes the dummy hash
    pairs = [(await seconds("admin"), await seconds(f"user-{number}")) for number in range(SAMPLES)]
    known, unknown = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"known {known * 1e3:.2f} ms, unknown {unknown * 1e3:.2f} ms")
    assert abs(known - unknown) < 0.2 * max(known, unknown)
