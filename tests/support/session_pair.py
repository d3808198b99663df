"""A session of the hub and its node, without a socket between them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Final, cast

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.agents.codec import CODEC
from groundcontrol.agents.interfaces import AgentSocket, SessionDeps
from groundcontrol.agents.quota import Quotas
from groundcontrol.agents.session import AgentSession
from groundcontrol.core.errors import StoreError
from groundcontrol.core.forward_clock import ForwardClock
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.nodes.model import Node, Session
from groundcontrol.samples.model import SeriesSchema
from groundcontrol.samples.store import Marks, MetricStore
from spider.wire.codec import NODE_CODEC
from spider.wire.frames import Message
from spider.wire.session import Hello, SecureChannel
from tests.support.clock import ManualClock

NODE: Final = NodeId("node")
KEY: Final = bytes(32)


class Metrics:
    """Holds layouts."""

    def __init__(self) -> None:
        self.saved: list[SeriesSchema] = []
        self.fails: StoreError | None = None

    async def save_schema(self, _session: Session, schema: SeriesSchema) -> None:
        if self.fails is not None:
            raise self.fails
        self.saved.append(schema)


async def _take(_agent: AgentSession, _pack: object) -> None:
    """Takes every pack."""


class Hub:
    """As much of one as a session needs that says layouts."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.quotas = Quotas()
        self.metrics = Metrics()
        self.late: list[tuple[NodeId, int, int]] = []
        """Late samples that the alerts were notified of."""
        self._epoch = 0

    def note_late(self, node: NodeId, first_ms: int, last_ms: int) -> None:
        self.late.append((node, first_ms, last_ms))

    @property
    def stored(self) -> list[SeriesSchema]:
        return self.metrics.saved

    def meet(self) -> Meeting:
        """The node comes, or comes back."""
        self._epoch += 1
        with_ = SimpleNamespace(
            clock=self.clock,
            bus=LocalBus(),
            forward_clock=ForwardClock(self.clock),
            quotas=self.quotas,
            store={MetricStore: self.metrics},
            ingest=SimpleNamespace(submit=_take),
            skew=lambda _: None,
            update_latest=lambda _agent, _layout, _rows: None,
            row_sink=lambda _org: SimpleNamespace(add_rows=lambda _node, _layout, _rows: None, note_late=self.note_late),
        )
        node = Node._make([NODE, 1, 1, "n", "", (), 1, False, *[None] * (len(Node._fields) - 8)])
        session = Session(NODE, 1, self._epoch, HubId("hub"), BootId("0f" * 16), 1)
        hello = Hello(NODE, 1, b"", "0f" * 16, "h", "1", [], [])
        link = SecureChannel(CODEC, KEY, KEY, expect_welcome=False)
        agent = AgentSession(node, session, link, cast("AgentSocket", None), hello, "192.0.2.1", Marks(-1, -1), cast("SessionDeps", with_))
        return Meeting(agent)

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
