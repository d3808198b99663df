"""The bus: guarantees of every implementation, and those of the in-process one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.core.bus import (
    BusEvent,
    BusGap,
    Changed,
    Interest,
    JobOutputArrived,
    JobPoke,
    NodeLive,
    NodesUpdated,
    QueuePolicy,
    Revoked,
    SessionChanged,
    Topic,
    topics_of,
)
from groundcontrol.core.ids import HubId, JobId, NodeId
from tests.support.lossy_bus import LossyBus

JOB = JobId("job")
NODE = NodeId("node")
EVERYTHING: list[BusEvent] = [
    SessionChanged(NODE, 1, HubId("hub"), online=True, org=1),
    JobPoke((JOB,)),
    JobOutputArrived(JOB, 0, b"x"),
    NodeLive(NODE, "pulse", 1.0, {"cpu.total": 1.0}),
    NodesUpdated((NODE,), 1),
    Changed("node", NODE, 1, 1),
    Interest((NODE,), 15.0),
    Revoked("session", "user"),
]


def output(at: int) -> JobOutputArrived:
    return JobOutputArrived(JOB, at, b"x")


async def drain(
    bus: LocalBus, publish: list[BusEvent], *topics: Topic, limit: int = 1000, policy: QueuePolicy = "ordered"
) -> list[BusEvent | BusGap]:
    """What a reader gets that is slower than everything that is published."""
    got: list[BusEvent | BusGap] = []
    async with bus.subscribe(*topics, limit=limit, policy=policy) as events:
        for told in publish:
            bus.publish(told)
        if isinstance(bus, LossyBus):
            bus.settle()
        end = Revoked("end", "")
        bus.readers_of(publish[0])[0].offer(end)  # behind everything, past what a shaky bus might do to it
        async for event in events:
            if event == end:
                return got
            got.append(event)
    raise AssertionError("a subscription does not end by itself")


@pytest.mark.parametrize("event", EVERYTHING, ids=lambda event: type(event).__name__)
async def test_an_event_reaches_its_own_topic_and_the_one_of_its_kind_once(bus: LocalBus, event: BusEvent) -> None:
    assert await drain(bus, [event], *topics_of(event)) == [event]
    assert await drain(bus, [event], topics_of(event)[-1]) == [event]


async def test_other_topics_get_no_event(bus: LocalBus) -> None:
    mine, other = NodeLive(NODE, "pulse", 1.0, {}), NodeLive(NodeId("other"), "pulse", 1.0, {})
    assert await drain(bus, [mine, other, output(1)], Topic("node_live", NODE)) == [mine]


async def test_order_is_preserved_over_loss_and_duplication(any_bus: LocalBus) -> None:
    got = await drain(any_bus, [output(at) for at in range(500)], Topic("job_output", JOB))
    offsets = [event.offset for event in got if isinstance(event, JobOutputArrived)]
    assert offsets == sorted(offsets)


async def test_missing_events_are_counted_exactly(any_bus: LocalBus) -> None:
    got = await drain(any_bus, [output(at) for at in range(500)], Topic("job_output", JOB), limit=5000)
    arrived = {event.offset for event in got if isinstance(event, JobOutputArrived)}
    assert len(arrived) + sum(event.dropped for event in got if isinstance(event, BusGap)) == 500


async def test_a_reader_that_reads_the_store_at_each_gap_misses_nothing(any_bus: LocalBus) -> None:
    store: list[int] = []
    seen: set[int] = set()
    async with any_bus.subscribe(Topic("job_output"), limit=10, policy="ordered") as events:
        for at in range(300):
            store.append(at)  # committed first, published afterwards
            any_bus.publish(output(at))
        if isinstance(any_bus, LossyBus):
            any_bus.settle()
        while len(seen) < len(store):
            async with asyncio.timeout(60):
                event = await anext(events)
            if isinstance(event, BusGap):
                seen |= set(store)
            elif isinstance(event, JobOutputArrived):
                seen.add(event.offset)


async def test_above_the_limit_the_oldest_events_are_dropped_and_a_gap_comes_first(bus: LocalBus) -> None:
    got = await drain(bus, [output(at) for at in range(10)], Topic("job_output", JOB), limit=4)
    assert got == [BusGap(7), output(7), output(8), output(9)]  # the fourth place went to the event that ends the test
    assert bus.dropped == 6


async def test_the_latest_policy_keeps_the_newest_per_key_without_a_gap(bus: LocalBus) -> None:
    events: list[BusEvent] = [NodeLive(NodeId(node), "pulse", float(at), {}) for at in range(50) for node in ("a", "b")]
    got = await drain(bus, events, Topic("node_live"), limit=10, policy="latest")
    assert got == [NodeLive(NodeId(node), "pulse", 49.0, {}) for node in ("a", "b")]
    assert bus.dropped == 0


async def test_the_latest_policy_reports_a_gap_above_its_key_limit(bus: LocalBus) -> None:
    events: list[BusEvent] = [NodeLive(NodeId(f"{at}"), "pulse", 1.0, {}) for at in range(10)]
    got = await drain(bus, events, Topic("node_live"), limit=4, policy="latest")
    assert got[0] == BusGap(7)
    assert len(got) == 4


@pytest.mark.holds("SAFETY-93", "F-33")
async def test_memory_is_bounded_by_the_limit(any_bus: LocalBus) -> None:
    async with any_bus.subscribe(Topic("job_output"), limit=8, policy="ordered"):
        for at in range(10_000):
            any_bus.publish(output(at))
        assert all(len(reader._waiting) <= 8 for reader in any_bus.readers_of(output(0)))


async def test_publishing_without_subscribers_does_nothing(any_bus: LocalBus) -> None:
    for event in EVERYTHING * 10:
        any_bus.publish(event)


async def test_a_waiting_reader_is_woken(bus: LocalBus) -> None:
    async with bus.subscribe(Topic("interest"), limit=1, policy="latest") as events, asyncio.TaskGroup() as group:
        waiting = group.create_task(next_of(events), name="reader")
        await asyncio.sleep(0)
        bus.publish(Interest((NODE,), 15.0))
        async with asyncio.timeout(60):
            assert await waiting == Interest((NODE,), 15.0)


async def next_of(events: AsyncIterator[BusEvent | BusGap]) -> BusEvent | BusGap:
    return await anext(events)


async def test_an_ended_subscription_leaves_nothing(bus: LocalBus) -> None:
    for _ in range(3):
        async with bus.subscribe(Topic("interest"), Topic("node_live", NODE), limit=1, policy="latest"):
            assert len(bus._readers) == 2
    assert bus._readers == {}


async def test_two_subscribers_do_not_affect_each_other(bus: LocalBus) -> None:
    async with (
        bus.subscribe(Topic("job_output"), limit=1, policy="ordered") as slow,
        bus.subscribe(Topic("job_output"), limit=100, policy="ordered") as fast,
    ):
        for at in range(20):
            bus.publish(output(at))
        assert [await anext(fast) for _ in range(20)] == [output(at) for at in range(20)]
        assert [await anext(slow), await anext(slow)] == [BusGap(19), output(19)]


def test_a_subscription_with_limit_zero_is_refused(bus: LocalBus) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        bus.subscribe(Topic("interest"), limit=0, policy="latest")


async def test_a_publisher_can_ask_whether_a_topic_has_subscribers(any_bus: LocalBus) -> None:
    one, other, every = Topic("node_live", "a"), Topic("node_live", "b"), Topic("node_live")
    assert not any_bus.has_subscribers(one)
    async with any_bus.subscribe(one, limit=4, policy="latest"):
        assert (any_bus.has_subscribers(one), any_bus.has_subscribers(other)) == (True, False)
        async with any_bus.subscribe(every, limit=4, policy="latest"):
            assert (any_bus.has_subscribers(one), any_bus.has_subscribers(other)) == (True, True)
    assert not any_bus.has_subscribers(one)
