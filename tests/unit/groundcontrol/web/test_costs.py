"""The cost of calls, and that one user's expensive calls do not delay others."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from groundcontrol.adapters.sqlite.engine.organisation import acting_for
from groundcontrol.adapters.sqlite.engine.reader import POOL_SIZE
from groundcontrol.core.errors import TooManyRequests, Unavailable
from groundcontrol.core.ids import UserId
from groundcontrol.jobs.feed import JobsFeed
from groundcontrol.nodes.feed import FleetFeed
from groundcontrol.slices import ROUTES
from groundcontrol.web.costs import LIMITS, Cost, Costs
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.routes import LIMIT
from tests.support.clock import ManualClock
from tests.support.eventually import eventually
from tests.support.inprocess_hub import Client, TestHub

ANNA, BEN = UserId("anna"), UserId("ben")


def test_every_list_declares_its_cost() -> None:
    """Paginated responses grow with the stored rows."""
    assert [route.path for route in ROUTES if LIMIT in route.query and route.cost == "small" and route.path != "/metrics"] == []


def test_every_bulk_request_declares_its_cost() -> None:
    """Requests that name nodes or servers in a list, or in a text, grow with them."""
    for_many = [route for route in ROUTES if route.body and {"nodes", "servers", "host_keys", "text"} & {*route.body.__struct_fields__}]
    assert len(for_many) >= 6
    assert [route.path for route in for_many if route.cost != "many"] == []


def test_costly_requests_leave_a_reading_connection_to_others() -> None:
    assert max(LIMITS["fleet"].at_once, LIMITS["many"].at_once) < POOL_SIZE


async def test_a_users_budget_refills() -> None:
    clock = ManualClock()
    costs = Costs(clock)
    limit = LIMITS["fleet"]

    async def call(who: UserId | None) -> None:
        async with costs.take("fleet", who):
            pass

    for _ in range(limit.burst):
        await call(ANNA)
    with pytest.raises(TooManyRequests) as refused:
        await call(ANNA)
    assert refused.value.detail["retry_after_s"] == 1
    await call(BEN)
    for _ in range(limit.burst + 1):
        await call(None)
    clock.advance(1.0)
    await call(ANNA)
    await call(ANNA)
    with pytest.raises(TooManyRequests):
        await call(ANNA)
    clock.advance(limit.burst / limit.a_second)
    for _ in range(limit.burst):
        await call(ANNA)


async def test_small_requests_are_not_limited() -> None:
    costs = Costs(ManualClock())
    async with asyncio.TaskGroup() as group:
        for _ in range(1000):
            group.create_task(costs.take("small", ANNA).__aenter__())


class Slow:
    """A store in which one query takes until it is let go."""

    def __init__(self, part: Any, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at_work = self.most = 0
        self.go = asyncio.Event()
        real = getattr(part, query)

        async def slowly(*args: Any, **more: Any) -> Any:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
            try:
                await self.go.wait()
                return await real(*args, **more)
            finally:
                self.at_work -= 1

        monkeypatch.setattr(part, query, slowly)


@pytest.mark.holds("S-27")
@pytest.mark.parametrize(
    ("path", "part", "query", "cost"),
    [("updates", "tables", "updates", "fleet"), ("nodes?limit=500&metrics=load.1", "nodes", "nodes", "fleet"),
     ("batches", "batches", "batches", "page")],
)  # fmt: skip
async def test_concurrent_costly_requests_of_one_user_are_limited_and_block_no_other_user(
    hub: TestHub, monkeypatch: pytest.MonkeyPatch, path: str, part: str, query: str, cost: Cost
) -> None:
    anna, ben = await hub.logged_in("viewer"), await hub.logged_in("viewer")
    slow, limit = Slow(getattr(hub.store, part), query, monkeypatch), LIMITS[cost]

    async def ask(client: Client) -> tuple[int, str]:
        answer = await client.get(path)
        return answer.status, answer.headers.get("Retry-After", "")

    asked = [asyncio.create_task(ask(anna)) for _ in range(33)]
    refused = 33 - limit.at_once_of_a_user - limit.waiting_of_a_user
    await eventually(lambda: sum(task.done() for task in asked) >= refused and slow.at_work > 0, 60, "the first calls are not at work")
    other = asyncio.create_task(ask(ben))
    await eventually(lambda: slow.at_work == limit.at_once_of_a_user + 1, 60, "another user waits for the first one")
    assert (await anna.get("jobs")).status == 200
    slow.go.set()
    told = await asyncio.gather(*asked)
    assert sorted(told) == [(200, "")] * (33 - refused) + [(503, "10")] * refused
    assert await other == (200, "")
    assert slow.most == limit.at_once_of_a_user + 1


@pytest.mark.holds("S-27")
@pytest.mark.parametrize(("kind", "topic"), [(FleetFeed, "fleet"), (JobsFeed, "jobs")])
async def test_first_messages_of_live_topics_have_the_limits_of_calls(
    hub: TestHub, monkeypatch: pytest.MonkeyPatch, kind: type[Feed], topic: str
) -> None:
    """One user asks for the whole fleet, or for all jobs under way, on eight sockets."""
    at_work = most = 0
    real = kind.snapshot

    async def snapshot(feed: Feed) -> Any:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        try:
            await asyncio.sleep(0.02)
            return await real(feed)
        finally:
            at_work -= 1

    monkeypatch.setattr(kind, "snapshot", snapshot)
    anna = await hub.logged_in("viewer")
    async with contextlib.AsyncExitStack() as sockets:
        pages = [await sockets.enter_async_context(anna.live()) for _ in range(8)]
        for page in pages:
            await page.subscribe(topic)
        for page in pages:
            await page.expect("snapshot")
        assert most == LIMITS["fleet"].at_once_of_a_user
        tries = LIMITS["fleet"].burst * 3 // 2  # more than the burst and what comes back to it meanwhile
        for _ in range(tries):
            await pages[0].subscribe(topic)
        told = [await pages[0].next() for _ in range(tries)]
        refused = [body["code"] for kind, body in told if kind == "error"]
        assert set(refused) == {"request.too_many"}
        await pages[0].subscribe("events")
        await pages[0].expect("snapshot")


@pytest.mark.holds("S-27")
async def test_urgent_reads_have_their_own_connection(hub: TestHub) -> None:
    """While every other connection of the database is busy."""
    admin, node = await hub.logged_in(), await hub.node()
    free, reader = threading.Event(), hub.database._control.reader
    busy = [asyncio.create_task(reader.run(lambda _rows: free.wait(60)))]
    with acting_for(1):
        busy += [asyncio.create_task(reader.run(lambda _rows: free.wait(60)))]
    assert len(reader._threads) == len(busy)
    try:
        async with asyncio.timeout(30):  # the others are busy for a minute
            assert (await admin.get("auth/me")).status == 200
            assert (await hub.anonymous().post("auth/login", {"username": "nobody", "password": "wrong"})).status == 401
            assert (await hub.store.users.set_up()).at is None
            assert await hub.store.nodes.find_node(node.id) is not None
            assert await hub.store.jobs.unfinished([], node.id) == {}
    finally:
        free.set()
        await asyncio.gather(*busy)


async def test_waiting_for_a_costly_request_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = Costs(ManualClock(), patience_s=0.05)
    async with costs.take("fleet", ANNA):
        with pytest.raises(Unavailable):
            await costs.take("fleet", ANNA).__aenter__()


async def test_a_call_that_waits_for_its_turn_is_refused_if_its_session_ends_meanwhile(
    hub: TestHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, slow = await hub.logged_in("operator"), Slow(hub.store.alerts, "alerts", monkeypatch)
    window = {"select": {"all": True}, "until_at": hub.clock.now() + 3600}
    asked = [asyncio.create_task(anna.get("alerts"))]
    await eventually(lambda: slow.at_work == 1)
    asked += [asyncio.create_task(one) for one in (anna.get("alerts"), anna.post("maintenance", window))]
    waiting = hub.services.costs._limiters["scan"]._waiting
    await eventually(lambda: sum(map(len, list(waiting.values()))) == 2)
    assert (await anna.post("auth/logout")).status == 204
    slow.go.set()
    assert [answer.status for answer in await asyncio.gather(*asked)] == [200, 401, 401]
