"""The hub's heartbeat to a real receiver."""

from __future__ import annotations

import pytest
from aiohttp import test_utils, web

from groundcontrol.core.errors import StoreDown
from groundcontrol.notifications.egress import Egress
from groundcontrol.notifications.heartbeat import STUCK_S, Heartbeat
from tests.support.clock import ManualClock


class Receiver:
    def __init__(self) -> None:
        self.taken = 0
        self.status = 200

    async def take(self, _request: web.Request) -> web.Response:
        self.taken += 1
        return web.Response(status=self.status, headers={"Location": "http://127.0.0.1:1/"})


class Outbox:
    def __init__(self) -> None:
        self.due_at: float | None = None
        self.broken = False

    async def next_due(self) -> float | None:
        if self.broken:
            raise StoreDown("it does not answer")
        return self.due_at


async def test_a_hub_that_cannot_alert_sends_no_heartbeat(caplog: pytest.LogCaptureFixture) -> None:
    receiver, outbox, clock, evaluates = Receiver(), Outbox(), ManualClock(), [True]
    app = web.Application()
    app.router.add_get("/secret-path", receiver.take)
    async with test_utils.TestServer(app) as server:
        egress, strict = Egress(frozenset({("127.0.0.1", server.port or 0)})), Egress()
        url = f"http://127.0.0.1:{server.port}/secret-path"
        heartbeat = Heartbeat(clock, egress, url, outbox.next_due, lambda: evaluates[0])
        try:
            await heartbeat.beat(url)
            assert (receiver.taken, heartbeat.failing) == (1, "")
            outbox.due_at = clock.now() - STUCK_S - 1
            await heartbeat.beat(url)
            outbox.due_at, outbox.broken = clock.now(), True
            await heartbeat.beat(url)
            outbox.broken, evaluates[0] = False, False
            await heartbeat.beat(url)
            assert (receiver.taken, heartbeat.failing) == (1, "rules are not evaluated")

            evaluates[0] = True
            receiver.status = 302  # nothing follows it
            await heartbeat.beat(url)
            assert (receiver.taken, heartbeat.failing) == (2, "the receiver answered 302")
            denied = Heartbeat(clock, strict, url, outbox.next_due)
            await denied.beat(url)
            assert denied.failing
            assert receiver.taken == 2
        finally:
            await egress.close()
            await strict.close()
    assert "secret-path" not in caplog.text
