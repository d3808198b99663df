"""A session of a node that has had more stored than its share: what it says waits, and what nobody waits for any more is not done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Final, cast

import pytest

from groundcontrol.bus.local import LocalBus
from groundcontrol.domain.history import LayoutRow
from groundcontrol.domain.ids import BootId, HubId, NodeId
from groundcontrol.domain.nodes import Node, Session
from groundcontrol.fleet.codec import CODEC
from groundcontrol.fleet.onward import Onward
from groundcontrol.fleet.quota import COSTLY, FRAMES_PER_S, HOUR_BYTES, STORED_BYTES, STORED_BYTES_PER_S, Quotas
from groundcontrol.fleet.session import MAX_JOURNALS, AgentSession, AgentSocket, Collaborators
from groundcontrol.store.base import Marks
from spider.wire.codec import NODE_CODEC, pack_rows
from spider.wire.errors import ProtocolError
from spider.wire.frames import STREAM_BACKFILL, STREAM_LIVE, Gap, Late, Layout, Pack, Row
from spider.wire.session import Hello, Link
from tests.support.agent import layout_of
from tests.support.clock import ManualClock

NODE: Final = NodeId("node")
KEY: Final = bytes(32)


class Metrics:
    """Holds layouts."""

    def __init__(self) -> None:
        self.saved: list[LayoutRow] = []

    async def save_layout(self, _session: Session, layout: LayoutRow) -> None:
        self.saved.append(layout)


class Hub:
    """As much of one as a session needs that says layouts."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.quotas = Quotas()
        self.metrics = Metrics()
        self._epoch = 0

    @property
    def stored(self) -> list[LayoutRow]:
        return self.metrics.saved

    def meet(self) -> Meeting:
        """The node comes, or comes back."""
        self._epoch += 1
        with_ = SimpleNamespace(
            clock=self.clock,
            bus=LocalBus(),
            onward=Onward(self.clock),
            quotas=self.quotas,
            store=SimpleNamespace(metrics=self.metrics),
            readings=SimpleNamespace(offer=lambda _agent, _pack: None),
            show=lambda _agent, _layout, _rows: None,
        )
        node = Node._make([NODE, 1, 1, "n", "", (), 1, False, *[None] * (len(Node._fields) - 8)])
        session = Session(NODE, 1, self._epoch, HubId("hub"), BootId("0f" * 16))
        hello = Hello(NODE, 1, b"", "0f" * 16, "h", "1", [], [])
        link = Link(CODEC, KEY, KEY, expect_welcome=False)
        agent = AgentSession(
            node, session, link, cast("AgentSocket", None), hello, "192.0.2.1", Marks(-1, -1), cast("Collaborators", with_)
        )
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
        self._link = Link(NODE_CODEC, KEY, KEY, expect_welcome=False)

    def says(self, message: Layout | Pack | Late | Gap) -> asyncio.Task[None]:
        """What the hub does about it."""
        work = self.agent._hear(self._link.send(message))

        async def done(work: Awaitable[None] | None) -> None:
            if work is not None:
                await work

        return asyncio.create_task(done(work), name="hearing")


def layout(number: int) -> Layout:
    """One of twenty kilobytes."""
    return layout_of(series=[f"cpu.core{{core={core}}}" for core in range(number, number + 1500)])


def lost_in(hub: Hub, journal: int, seq: int) -> Gap:
    """A second that an earlier start of Spider has lost."""
    at_ms = int(hub.clock.now() * 1000)
    return Gap(seq, journal.to_bytes(16), 0, 0, 0, 0, "pulse", at_ms, at_ms, 1)


@pytest.fixture
def hub() -> Hub:
    return Hub()


async def test_layouts_are_stored_and_count_as_that(hub: Hub) -> None:
    """Each stays until nothing can use it: packs are not the only way to fill a disk."""
    hub.quotas.of(NODE, hub.clock.monotonic()).store(int(STORED_BYTES))
    meeting, began = hub.meet(), hub.clock.monotonic()
    for number in range(5):
        hearing = meeting.says(layout(number))
        while not hearing.done():
            await hub.passes(0.1)
    assert len(hub.stored) == 5
    assert hub.clock.monotonic() - began >= 4 * sum(map(len, layout(0).series)) / STORED_BYTES_PER_S, "each waits for the one before"


async def test_who_owes_and_comes_back_again_and_again_gets_nothing_stored(hub: Hub) -> None:
    hub.quotas.of(NODE, hub.clock.monotonic()).store(int(2 * STORED_BYTES))
    for number in range(50):
        meeting = hub.meet()
        hearing = meeting.says(layout(number))
        await hub.passes(1)
        meeting.agent.over = True  # the next one has taken over
        await hub.passes(2)
        assert hearing.done(), "a session that is over is not slept through"
    assert hub.stored == []


async def test_what_waited_is_heard_when_its_time_has_come(hub: Hub) -> None:
    hub.quotas.of(NODE, hub.clock.monotonic()).store(int(STORED_BYTES + 10 * STORED_BYTES_PER_S))
    meeting = hub.meet()
    hearing = meeting.says(layout(0))
    await hub.passes(9)
    assert hub.stored == []
    assert meeting.agent.silent_s == 0.0, "who is not read is not silent"
    await hub.passes(2)
    assert hearing.done()
    assert len(hub.stored) == 1


@pytest.mark.parametrize("kind", ["live", "backfill", "late"])
@pytest.mark.parametrize(("apart_s", "waits"), [(1, False), (3600, True)])
async def test_a_pack_counts_for_each_hour_that_it_reaches_over(hub: Hub, kind: str, apart_s: int, waits: bool) -> None:
    """Each lies for itself: four kilobytes would become a megabyte."""
    meeting, said = hub.meet(), layout_of(series=["load.1"])
    await meeting.says(said)
    start_ms = int(hub.clock.now() * 1000) - 3_600_000 * 200
    coding, body = pack_rows([Row(start_ms + 1000 * apart_s * at, [0]) for at in range(100)])
    hub.quotas.of(NODE, hub.clock.monotonic()).store(int(STORED_BYTES - 50 * HOUR_BYTES))
    if kind == "late":
        await meeting.says(Late(0, bytes(16), 0, 0, 0, 0, said.layout, coding, body))
    else:
        await meeting.says(Pack(STREAM_LIVE if kind == "live" else STREAM_BACKFILL, 0, said.layout, coding, body))
    hearing = meeting.says(said)
    await hub.passes(0.1)
    assert hearing.done() is not waits
    hearing.cancel()


async def test_of_more_starts_than_can_be_no_session_tells(hub: Hub) -> None:
    meeting = hub.meet()
    for seq in range(MAX_JOURNALS):
        hub.clock.advance(COSTLY / FRAMES_PER_S)
        await meeting.says(lost_in(hub, seq, seq))
    await meeting.says(lost_in(hub, 0, MAX_JOURNALS))
    with pytest.raises(ProtocolError, match="too many journals"):
        await meeting.says(lost_in(hub, MAX_JOURNALS, MAX_JOURNALS + 1))
