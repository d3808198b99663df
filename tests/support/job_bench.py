"""The jobs of a hub without its sockets: its store, its tracker, and sessions of nodes."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.events.refusals import Refusals
from groundcontrol.jobs.inbox import Inbox
from groundcontrol.jobs.model import Job, JobRequest
from groundcontrol.jobs.orders import OrderSender
from groundcontrol.jobs.service import JobService
from groundcontrol.jobs.tracker import JobTracker
from groundcontrol.nodes.model import NewNode, Node, Session
from spider.wire.ids import new_random_id
from spider.wire.job_messages import JobAnswer, JobEnded, JobStart
from tests.support.clock import ManualClock
from tests.support.store_files import open_new

HUB = HubId("h" * 26)
BOOT = BootId("a" * 32)
FLEET_KEY = bytes(32)


class Hello(NamedTuple):
    known_jobs: Sequence[str]
    generation: int
    features: Sequence[str] = ()


class Listener(NamedTuple):
    """A node's session, as far as the sending of orders asks for it."""

    node: Node
    session: Session
    hello: Hello
    sent: list[object]

    async def send(self, frame: object) -> None:
        self.sent.append(frame)


class Bench:
    """A hub's jobs without its sockets."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.bus = LocalBus()
        self.service = JobService(store, self.bus, clock, 2)
        self.registry = Registry(store, self.bus, clock, HUB)
        self.orders = OrderSender(clock, self.registry, FLEET_KEY, b"no bundle")
        self.tracker = JobTracker(store, self.bus, clock, self.registry, Refusals(store.log, clock), self.orders, 2)
        self.node = NodeId(new_random_id())

    async def session(self) -> Session:
        session = await self.store.sessions.claim(self.node, BOOT, HUB)
        await self.store.metrics.begin_session(session)
        return session

    async def order(self) -> Job:
        return await self.service.submit(SYSTEM, self.node, JobRequest("upgrade"), None)

    async def dispatched(self) -> tuple[Job, Session]:
        job, session = await self.order(), await self.session()
        [dispatch] = await self.store.jobs.take(None, [session], self.clock.now())
        assert dispatch.job.id == job.id
        return dispatch.job, session

    async def state(self, job: Job) -> tuple[str, str]:
        found = await self.store.jobs.job(SYSTEM, job.id)
        return found.state, found.error.code if found.error else ""


class Talker:
    """A node's session that answers as the test wants."""

    def __init__(self, node: Node, session: Session) -> None:
        self.node, self.session, self.hello, self.address, self.over = node, session, Hello((), 1), "", False
        self.sent: list[object] = []

    def post(self, frame: object) -> None:
        self.sent.append(frame)

    async def send(self, frame: object) -> None:
        self.sent.append(frame)

    async def flush(self) -> None:
        """Every frame is sent already."""

    @property
    def started(self) -> list[str]:
        return [frame.job for frame in self.sent if isinstance(frame, JobStart)]


def over(job: str) -> JobEnded:
    return JobEnded(job, "succeeded", 0, 0, 0, hashlib.sha256().hexdigest(), 0, 0, 0, [], [], [], "", "")


async def process(bench: Bench, agent: Talker, *words: JobAnswer | JobEnded) -> None:
    inbox = Inbox()
    for answer in words:
        await inbox.put(answer)
    inbox.close()
    await bench.tracker.process(cast("AgentSession", agent), inbox)


async def renewing(bench: Bench) -> tuple[Job, Talker]:
    """A node that was handed an order for new keys."""
    rekey, session = await bench.service.submit_selfcare(SYSTEM, bench.node, JobRequest("rekey")), await bench.session()
    agent = Talker(await bench.store.nodes.node(SYSTEM, bench.node), session)
    bench.registry._agents[bench.node] = cast("AgentSession", agent)
    await bench.tracker._take(None, [session])
    assert agent.started == [rekey.id]
    return rekey, agent


@contextlib.asynccontextmanager
async def open_bench(folder: Path) -> AsyncIterator[Bench]:
    """An empty store with one node."""
    clock = ManualClock()
    database = await open_new(folder, clock=clock)
    try:
        made = Bench(await database.store(audit_key=bytes(32), chain=HUB), clock)
        await made.store.nodes.create_node(SYSTEM, NewNode(made.node, "web-1", "192.0.2.1"))
        yield made
    finally:
        await database.close()
