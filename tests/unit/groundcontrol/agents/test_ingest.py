"""Packs of many agents in one transaction, and their acknowledgements: none waits for the whole fleet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from groundcontrol.agents.ingest import GIVE_UP_S, MAX_CONCURRENT, RETRY_S, Ingest
from groundcontrol.agents.session import AgentSession
from groundcontrol.core.errors import StoreDown, StoreError, StoreFull
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import StoredPack
from groundcontrol.samples.store import Marks, MetricStore
from spider.wire.sample_messages import CODING_PLAIN, STREAM_BACKFILL, STREAM_LIVE
from tests.support.background import cancelled
from tests.support.clock import ManualClock
from tests.support.eventually import eventually


class Agent:
    """As much of a session as its packs need; it notes in which turn of the loop it was answered."""

    def __init__(self, name: str, turn: list[int]) -> None:
        self.node = SimpleNamespace(id=NodeId(name))
        self.over = False
        self.inflight_packs = self.inflight_bytes = 0
        self.acknowledged: dict[int, int] = {}
        self.answered_in: list[int] = []
        self.ended: list[int] = []
        self.owes_answer = True
        self._turn = turn

    def acknowledge(self, stream: int, seq: int) -> None:
        self.acknowledged[stream] = seq

    def pack_taken(self, size_bytes: int) -> None:
        self.inflight_packs += 1
        self.inflight_bytes += size_bytes

    def pack_settled(self, size_bytes: int) -> None:
        self.inflight_packs -= 1
        self.inflight_bytes -= size_bytes

    def end(self, code: int, _reason: str) -> None:
        self.over = True
        self.ended.append(code)

    async def flush(self) -> None:
        self.answered_in.append(self._turn[0])

    def pack(self, seq: int, stream: int = STREAM_LIVE) -> StoredPack:
        return StoredPack(SimpleNamespace(node=self.node.id), stream, seq, b"", 0, 0, CODING_PLAIN, b"")  # type: ignore[arg-type]


class Metrics:
    """Stores everything immediately."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.fails: StoreError | None = None

    async def append(self, packs: Sequence[StoredPack]) -> Mapping[NodeId, Marks | None]:
        if self.fails is not None:
            raise self.fails
        self.batches.append(len(packs))
        return {pack.session.node: Marks(pack.seq, -1) for pack in packs}


async def test_acknowledging_a_fleet_yields_to_other_tasks() -> None:
    turn, metrics = [0], Metrics()

    async def others() -> None:
        while True:
            await asyncio.sleep(0)
            turn[0] += 1

    ingest = Ingest(cast("MetricStore", metrics), ManualClock())
    agents = [Agent(f"n{number}", turn) for number in range(100)]
    tasks = [asyncio.create_task(ingest.run(), name="ingest"), asyncio.create_task(others(), name="others")]
    for agent in agents:
        await ingest.submit(cast("AgentSession", agent), agent.pack(7))
    agents[3].over = True  # it leaves before its pack is held
    assert await ingest.flush(30)
    await cancelled(*tasks)

    assert metrics.batches == [99], "one transaction"
    answered = [agent for agent in agents if agent.answered_in]
    assert [agent for agent in agents if agent not in answered] == [agents[3]]
    assert all(agent.acknowledged[STREAM_LIVE] == 7 and len(agent.answered_in) == 1 for agent in answered)
    turns = [agent.answered_in[0] for agent in answered]
    assert max(turns.count(at) for at in turns) == MAX_CONCURRENT


@pytest.mark.parametrize("where", ["its pack", "its acknowledgement"])
async def test_an_unexpected_error_of_one_agent_ends_its_session_alone(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    ingest = Ingest(cast("MetricStore", metrics), ManualClock())
    faulty, other = Agent("faulty", [0]), Agent("other", [0])
    store = metrics.append

    async def append(packs: Sequence[StoredPack]) -> Mapping[NodeId, Marks | None]:
        if any(pack.session.node == faulty.node.id for pack in packs):
            raise RuntimeError("a bug")
        return await store(packs)

    async def flush() -> None:
        raise RuntimeError("a bug")

    if where == "its pack":
        monkeypatch.setattr(metrics, "append", append)
    else:
        monkeypatch.setattr(faulty, "flush", flush)
    running = asyncio.create_task(ingest.run(), name="ingest")
    for agent in (faulty, other):
        await ingest.submit(cast("AgentSession", agent), agent.pack(7, STREAM_BACKFILL))
    assert await ingest.flush(30)
    assert not running.done()
    assert (faulty.ended, other.ended) == ([1011], [])
    assert other.answered_in
    await cancelled(running)


async def test_packs_that_arrive_during_a_flush_end_no_session() -> None:
    metrics = Metrics()
    ingest = Ingest(cast("MetricStore", metrics), ManualClock())
    running = asyncio.create_task(ingest.run(), name="ingest")
    first, second = Agent("first", [0]), Agent("second", [0])
    await ingest.submit(cast("AgentSession", first), first.pack(7))
    while ingest._gathering is None or not ingest._gathering.expired():  # noqa: ASYNC110  # over, and `run` has not had its turn yet
        await asyncio.sleep(0)

    await ingest.submit(cast("AgentSession", second), second.pack(7, STREAM_BACKFILL))

    assert await ingest.flush(30)
    await cancelled(running)
    assert sum(metrics.batches) == 2


async def test_a_full_disk_is_reported_until_a_write_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    metrics, clock = Metrics(), ManualClock()
    ingest = Ingest(cast("MetricStore", metrics), clock)
    running = asyncio.create_task(ingest.run(), name="ingest")

    def told() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.getMessage().startswith("ingest")]

    metrics.fails = StoreFull("no room")
    gone, stays = Agent("gone", [0]), Agent("stays", [0])
    for agent, resumed in ((gone, False), (stays, True)):
        await ingest.submit(cast("AgentSession", agent), agent.pack(7))
        await eventually(lambda: ingest.health == "full" and clock._sleepers)  # it was refused, and waits
        if resumed:
            metrics.fails = None
        else:
            agent.over = True
        clock.advance(RETRY_S[0])
        assert await ingest.flush(30)
        assert told() == ["ingest_stopped", "ingest_resumed"][: 1 + resumed]
    assert ingest.health == "ok"
    await cancelled(running)


async def test_a_long_time_with_a_full_disk_does_not_count_as_a_database_without_an_answer() -> None:
    metrics, clock = Metrics(), ManualClock()
    ingest = Ingest(cast("MetricStore", metrics), clock)
    running = asyncio.create_task(ingest.run(), name="ingest")
    agent = Agent("web-1", [0])
    metrics.fails = StoreFull("no room")
    await ingest.submit(cast("AgentSession", agent), agent.pack(7))
    for error in (StoreFull("no room"), StoreDown("no answer"), None):
        await eventually(lambda: clock._sleepers or running.done())
        assert not running.done()
        metrics.fails = error
        clock.advance(GIVE_UP_S - 1)
    assert await ingest.flush(30)
    await cancelled(running)
