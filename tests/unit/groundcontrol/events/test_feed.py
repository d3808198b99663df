"""`/api/v1/live`: the topic of events."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.events.model import Event
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.inprocess_hub import ADMIN, Client, LiveSocket, TestHub


async def happened(hub: TestHub, message: str, at: float = 1_790_000_000.0, node: NodeId | None = None) -> None:
    """Something happens, and the hub tells of it."""
    fresh = Event(EventId(new_time_id(at)), 1, "node_online", "info", "hub", at, node, message, {})
    await hub.store.log.add_event(fresh)


async def shown_first(live: LiveSocket) -> list[str]:
    await live.subscribe("events")
    return [one["message"] for one in (await live.expect("snapshot"))["data"]["events"]]


async def told_next(live: LiveSocket) -> str:
    kind, body = await live.next()
    assert kind == "change", (kind, body)
    message: str = body["data"]["message"]
    return message


async def told_nothing(live: LiveSocket) -> None:
    await live.send("ping", {})
    assert await live.next() == ("pong", {})


async def limited_to(hub: TestHub, tag: str) -> Client:
    viewer = await hub.logged_in("viewer")
    await hub.sql(
        "UPDATE membership SET grants = ? WHERE account = (SELECT no FROM account WHERE id = ?)",
        f'{{"nodes": [], "tags": ["{tag}"]}}',
        viewer.user.id,
    )
    return viewer


async def test_each_event_is_shown_once(hub: TestHub) -> None:
    def event(message: str) -> Event:
        return Event(EventId(new_time_id()), 1, "node_online", "info", "hub", 1.0, None, message, {})

    await hub.store.log.add_event(event("old"))
    async with (await hub.logged_in("viewer")).live() as live:
        assert [one["message"] for one in (await live.follow("events"))["data"]["events"]] == ["old"]
        for message in ("first", "second"):
            fresh = event(message)
            await hub.store.log.add_event(fresh)
            assert (await live.expect("change"))["data"]["message"] == message
        await live.answers()


async def test_a_later_subscriber_takes_no_event_from_an_earlier_one(hub: TestHub) -> None:
    fresh = Event(EventId(new_time_id()), 1, "node_online", "info", "hub", 1.0, None, "fresh", {})
    async with (await hub.logged_in("viewer")).live() as first, (await hub.logged_in("viewer")).live() as later:
        await first.follow("events")
        await hub.store.log.add_event(fresh)
        assert [one["message"] for one in (await later.follow("events"))["data"]["events"]] == ["fresh"]
        assert (await first.expect("change"))["data"]["message"] == "fresh"


async def test_too_many_events_at_once_are_reported_as_a_gap(hub: TestHub) -> None:
    def event(at: int) -> Event:
        return Event(EventId(new_time_id(1_790_000_000.0 + at)), 1, "node_offline", "info", "hub", 1.0, None, f"{at}", {})

    await hub.store.log.add_event(event(0))
    async with (await hub.logged_in("viewer")).live() as live:
        await live.follow("events")
        events = [event(at) for at in range(1, 121)]
        await asyncio.gather(*(hub.store.log.add_event(one) for one in events))
        assert await live.next() == ("gap", {"topic": "events"})
        kind, body = await live.next()
        assert (kind, [one["message"] for one in body["data"]["events"]]) == ("snapshot", [f"{at}" for at in range(120, 70, -1)])
        last = event(200)
        await hub.store.log.add_event(last)
        kind, body = await live.next()
        assert (kind, body["data"]["message"]) == ("change", "200")


@pytest.mark.parametrize("ahead_s", [3600.0, 3650 * 86_400.0])
async def test_events_after_a_wrong_clock_are_reported(hub: TestHub, ahead_s: float) -> None:
    clock = ManualClock()
    clock.jump(ahead_s)
    for at in range(60):
        clock.advance(1.0)
        await happened(hub, f"wrong {at}", clock.now())
    clock.jump(-ahead_s)
    viewer = await hub.logged_in("viewer")
    async with viewer.live() as live:
        assert (await shown_first(live))[0] == "wrong 59"
        for at in range(3):
            clock.advance(1.0)
            await happened(hub, f"right {at}", clock.now())
            assert await told_next(live) == f"right {at}"
    listed = (await viewer.get("events?limit=4")).json["events"]
    assert [one["message"] for one in listed] == ["right 2", "right 1", "right 0", "wrong 59"]


async def test_older_events_are_not_sent_as_new_when_shown_ones_are_hidden(hub: TestHub) -> None:
    nodes = [await hub.node(f"n{at}") for at in range(12)]
    for node in nodes:
        await hub.store.nodes.edit_node(ADMIN, node.id, name=None, tags=("mine",))
    for at in range(60):
        await happened(hub, f"old {at}", node=nodes[0].id)
    for node in nodes[1:11]:
        await happened(hub, f"of {node.name}", node=node.id)
    async with (await limited_to(hub, "mine")).live() as live:
        assert len(await shown_first(live)) == 50
        for node in nodes[1:11]:
            await hub.store.nodes.edit_node(ADMIN, node.id, name=None, tags=())
        await happened(hub, "not his", node=nodes[1].id)
        await happened(hub, "new", node=nodes[11].id)
        assert await told_next(live) == "new"
        await happened(hub, "newer", node=nodes[11].id)
        assert await told_next(live) == "newer"
        await told_nothing(live)


@pytest.mark.parametrize("shown", [0, 1])
async def test_after_all_shown_events_are_hidden_only_new_ones_are_sent(hub: TestHub, shown: int) -> None:
    """The nodes of a user are others than a moment before, and what happened to these is few enough for a page."""
    before, after = await hub.node("before"), await hub.node("after")
    await hub.store.nodes.edit_node(ADMIN, before.id, name=None, tags=("mine",))
    for at in range(20):
        await happened(hub, f"old {at}", node=after.id)
    for _ in range(shown):
        await happened(hub, "shown", node=before.id)
    async with (await limited_to(hub, "mine")).live() as live:
        assert await shown_first(live) == ["shown"] * shown
        await hub.store.nodes.edit_node(ADMIN, before.id, name=None, tags=())
        await hub.store.nodes.edit_node(ADMIN, after.id, name=None, tags=("mine",))
        await happened(hub, "not his", node=before.id)
        for message in ("first", "second"):
            await happened(hub, message, node=after.id)
        assert await told_next(live) == "first"
        assert await told_next(live) == "second"
        await told_nothing(live)
