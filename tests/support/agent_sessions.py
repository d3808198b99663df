"""The hub's registry and sessions of nodes, without sockets, and on a store that holds in memory what they write."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final, cast

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.agents.codec import CODEC
from groundcontrol.agents.interfaces import AgentSocket
from groundcontrol.agents.quota import Quotas
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession, SessionDeps
from groundcontrol.core.errors import HubError
from groundcontrol.core.forward_clock import ForwardClock
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.core.stores import Stores
from groundcontrol.events.model import Event
from groundcontrol.events.store import LogStore
from groundcontrol.nodes.model import Node, Session
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.backfill import LostRows
from groundcontrol.samples.model import SeriesSchema
from groundcontrol.samples.store import Marks, MetricStore
from spider.clock import Clock
from spider.wire.codec import NODE_CODEC
from spider.wire.frames import Message
from spider.wire.session import Hello, SecureChannel
from tests.support.clock import ManualClock

NODE: Final = NodeId("node")
KEY: Final = bytes(32)


class _Socket:
    async def close(self, _code: int, _reason: str) -> None:
        """Nobody is at the other end."""


def a_node(node: NodeId = NODE) -> Node:
    return Node._make([node, 1, 1, "web-1", "", (), 1, False, *[None] * (len(Node._fields) - 8)])


def a_session(clock: Clock, node: Node | None = None, epoch: int = 1, socket: object = None, **deps: Any) -> AgentSession:
    """A session of the hub. `deps`: what it needs of `SessionDeps` beside clocks and quotas."""
    node = node or a_node()
    given = {"clock": clock, "forward_clock": ForwardClock(clock), "quotas": Quotas(), "row_sink": lambda _org: None, **deps}
    session = Session(node.id, 1, epoch, HubId("hub"), BootId("0f" * 16), 1)
    hello = Hello(node.id, 1, b"", session.boot, "h", "1", [], [])
    link = SecureChannel(CODEC, KEY, KEY, expect_welcome=False)
    wire = cast("AgentSocket", socket or _Socket())
    return AgentSession(node, session, link, wire, hello, "192.0.2.1", Marks(-1, -1), cast("SessionDeps", SimpleNamespace(**given)))


async def _take(_agent: AgentSession, _pack: object) -> None:
    """Takes every pack."""


def loses(agent: AgentSession, number: int, rows: int) -> None:
    """The node reports that it lost rows."""
    lost = LostRows(agent.session, 0, b"j" * 16, number, None, "pulse", 1_790_000_000_000, 1_790_000_001_000, rows)
    agent.note_lost([lost])


class Sessions:
    """The registry and the sessions, and the store: what it holds, and how it fails."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.quotas = Quotas()
        self.told: list[Event] = []
        self.seen: dict[NodeId, float] = {}
        self.stored: list[SeriesSchema] = []
        self.late: list[tuple[NodeId, int, int]] = []
        """Late samples that the alerts were notified of."""
        self.known = True
        self.fails: HubError | None = None
        self._epoch = 0
        self._bus = LocalBus()
        self._stores = {NodeStore: self, LogStore: self, MetricStore: self}
        self.registry = Registry(cast("Stores", self._stores), self._bus, self.clock, HubId("hub"))

    async def add_event(self, told: Event) -> None:
        if self.fails is not None:
            raise self.fails
        self.told.append(told)

    async def find_node(self, node: NodeId) -> Node | None:
        return a_node(node) if self.known else None

    async def save_seen(self, seen: Mapping[NodeId, float]) -> None:
        if self.fails is not None:
            raise self.fails
        self.seen.update(seen)

    async def save_schema(self, _session: Session, schema: SeriesSchema) -> None:
        if self.fails is not None:
            raise self.fails
        self.stored.append(schema)

    def note_late(self, node: NodeId, first_ms: int, last_ms: int) -> None:
        self.late.append((node, first_ms, last_ms))

    def comes(self, node: NodeId = NODE) -> AgentSession:
        """The node comes, or comes back."""
        self._epoch += 1
        sink = SimpleNamespace(add_rows=lambda _node, _layout, _rows: None, note_late=self.note_late)
        agent = a_session(
            self.clock, a_node(node), self._epoch, quotas=self.quotas, store=self._stores, bus=self._bus,
            submit=_take, row_sink=lambda _org: sink,
            update_latest=self.registry.update_latest, skew=self.registry.skew, end=self.registry.end,
        )  # fmt: skip
        assert self.registry.add(agent)
        return agent

    def meet(self) -> Meeting:
        return Meeting(self.comes())

    def goes(self, agent: AgentSession) -> None:
        self.registry.leave(agent, 1006)

    async def ticks(self, agent: AgentSession, times: int = 3) -> None:
        for _ in range(times):
            await self.registry._emit_pending(agent)

    def losses(self) -> list[object]:
        return [told.details["rows"] for told in self.told if told.type == "data_gap"]

    async def passes(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.clock.advance(0.1)
            for _ in range(3):
                await asyncio.sleep(0)


class Meeting:
    """A session, and the node at its other end."""

    def __init__(self, agent: AgentSession) -> None:
        self.agent = agent
        self._link = SecureChannel(NODE_CODEC, KEY, KEY, expect_welcome=False)

    def says(self, message: Message) -> asyncio.Task[None]:
        """What the hub does about it."""
        return asyncio.create_task(self.agent._receive(self._link.send(message)), name="hearing")
