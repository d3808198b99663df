"""Jobs whose time is up, on the real store with a clock of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.bus.local import LocalBus
from groundcontrol.domain.ids import BootId, HubId, NodeId
from groundcontrol.domain.jobs import Job
from groundcontrol.domain.nodes import NewNode, NodeIdentity, NodePolicy, Session
from groundcontrol.domain.scope import SYSTEM, Actor, Scope
from groundcontrol.errors import Forbidden, JobNotCancellable, NotFound, PolicyRefuses
from groundcontrol.fleet.registry import Registry
from groundcontrol.jobs.dispatch import UNANSWERED_S
from groundcontrol.jobs.runner import JobRunner
from groundcontrol.jobs.service import START_LIMIT_S, JobService
from groundcontrol.store.base import Store
from groundcontrol.store.sqlite import open_database
from spider.wire.ids import new_random_id
from tests.support.clock import ManualClock

HUB = HubId("h" * 26)
BOOT = BootId("a" * 32)
FLEET_KEY = bytes(32)
VIEWER = Scope(Actor("user", "v", "viewer", "viewer"), 1)
STRANGER = Scope(Actor("user", "s", "stranger", "admin"), 2)


class Bench:
    """A hub's jobs without its sockets."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.bus = LocalBus()
        self.service = JobService(store, self.bus, clock)
        self.runner = JobRunner(store, self.bus, clock, Registry(store, self.bus, clock, HUB), FLEET_KEY)
        self.node = NodeId(new_random_id())

    async def session(self) -> Session:
        session = await self.store.sessions.claim(self.node, BOOT, HUB)
        await self.store.metrics.marks(session)
        return session

    async def order(self) -> Job:
        return await self.service.submit(SYSTEM, self.node, "upgrade", (), False, None)

    async def dispatched(self) -> tuple[Job, Session]:
        job, session = await self.order(), await self.session()
        [dispatch] = await self.store.jobs.take(None, [session], self.clock.now())
        assert dispatch.job.id == job.id
        return dispatch.job, session

    async def state(self, job: Job) -> tuple[str, str]:
        found = await self.store.jobs.job(SYSTEM, job.id)
        return found.state, found.error.code if found.error else ""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """An empty store with one node."""
    clock = ManualClock()
    database = await open_database(tmp_path / "data", clock=clock)
    try:
        made = Bench(await database.store(audit_key=bytes(32), chain=HUB), clock)
        await made.store.nodes.create_node(SYSTEM, NewNode(made.node, "web-1", "192.0.2.1"))
        yield made
    finally:
        await database.close()


async def test_a_job_whose_node_stays_away_expires(bench: Bench) -> None:
    job = await bench.order()
    bench.clock.advance(START_LIMIT_S - 1)
    await bench.runner._dispatch._expire()
    assert await bench.state(job) == ("queued", "")
    bench.clock.advance(2)
    await bench.runner._dispatch._expire()
    assert await bench.state(job) == ("expired", "job.expired")
    events = (await bench.store.log.events(SYSTEM, 10)).items
    assert [(event.type, event.severity) for event in events] == [("job.expired", "warning")]


async def test_a_job_that_was_handed_over_and_never_answered_is_unknown(bench: Bench) -> None:
    job, _ = await bench.dispatched()
    bench.clock.advance(START_LIMIT_S + 1)
    await bench.runner._dispatch._expire()
    assert await bench.state(job) == ("dispatched", "")
    bench.clock.advance(UNANSWERED_S)
    await bench.runner._dispatch._expire()
    assert await bench.state(job) == ("unknown", "job.no_answer")


async def test_what_a_node_is_told_of_its_jobs_in_the_welcome(bench: Bench) -> None:
    job, session = await bench.dispatched()
    await bench.store.jobs.append_output(job.id, 0, b"12345", session)
    stranger = new_random_id()
    wanted = await bench.runner.wanted(session, [job.id, stranger])
    assert (list(wanted.ids), list(wanted.offsets), list(wanted.forget)) == ([job.id], [5], [stranger])
    assert await bench.runner.wanted(session, []) == ((), (), ())


async def test_who_may_order_and_take_back(bench: Bench) -> None:
    with pytest.raises(Forbidden):
        await bench.service.submit(VIEWER, bench.node, "check", (), False, None)
    with pytest.raises(NotFound):
        await bench.service.submit(STRANGER, bench.node, "check", (), False, None)
    job = await bench.order()
    with pytest.raises(Forbidden):
        await bench.service.cancel(VIEWER, job.id)
    with pytest.raises(NotFound):
        await bench.service.cancel(STRANGER, job.id)
    assert (await bench.service.cancel(SYSTEM, job.id)).state == "cancelled"
    assert (await bench.service.cancel(SYSTEM, job.id)).state == "cancelled"
    other, _ = await bench.dispatched()
    with pytest.raises(JobNotCancellable):
        await bench.service.cancel(SYSTEM, other.id)


async def test_the_same_key_gives_the_same_job(bench: Bench) -> None:
    first = await bench.service.submit(SYSTEM, bench.node, "check", (), False, "key")
    again = await bench.service.submit(SYSTEM, bench.node, "check", (), False, "key")
    assert first.id == again.id


async def test_a_policy_that_is_not_known_yet_is_left_to_the_node(bench: Bench) -> None:
    await bench.order()
    session = await bench.session()
    await bench.store.nodes.save_identity(session, NodeIdentity(), "0.1.0", NodePolicy("monitor"), "no", bench.clock.now())
    with pytest.raises(PolicyRefuses, match="monitor"):
        await bench.order()
