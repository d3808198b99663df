"""`fleet` on the live socket: the snapshot, the changes, and the cost of many viewers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
import pytest

from groundcontrol.core.bus import Changed, Interest, NodeLive, NodesUpdated, SessionChanged, Topic
from groundcontrol.core.errors import StoreBusy
from groundcontrol.core.ids import NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.nodes.feed import FleetFeed, NodeFeed
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.views import FleetChange
from groundcontrol.web.answer import Answer
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.views import LiveHello
from groundcontrol.web.server import LIVE
from tests.support.background import cancelled
from tests.support.eventually import eventually
from tests.support.inprocess_hub import ADMIN, LiveSocket, TestHub


async def test_the_fleet_topic_sends_a_snapshot_and_then_changes(hub: TestHub) -> None:
    node = await hub.node()
    hub.nodes.values[node.id] = {"cpu.total": (1.0, 10.0), "cpu.user": (1.0, 10.0)}
    async with (await hub.logged_in("viewer")).live() as live:
        snapshot = await live.follow("fleet")
        assert [one["id"] for one in snapshot["data"]["nodes"]] == [node.id]
        assert set(snapshot["data"]["nodes"][0]["latest"]) == {"cpu.total"}

        hub.nodes.values[node.id] = {"cpu.total": (2.0, 11.0)}
        hub.bus.publish(NodesUpdated((node.id,), 1))
        change = await live.expect("change")
        assert change["seq"] == snapshot["seq"] + 1
        assert change["data"] == {"nodes": [], "latest": {node.id: {"cpu.total": {"value": 2.0, "at": 11.0}}}, "removed": []}

        hub.nodes.connected.add(node.id)
        hub.bus.publish(SessionChanged(node.id, 1, hub.services.hub_id, online=True, org=1))
        assert [one["state"] for one in (await live.expect("change"))["data"]["nodes"]] == ["online"]

        fresh = await hub.node("later")
        hub.bus.publish(Changed("node", fresh.id, 1, 1))
        assert [one["id"] for one in (await live.expect("change"))["data"]["nodes"]] == [fresh.id]

        await hub.store.nodes.delete_node(ADMIN, node.id)
        hub.bus.publish(Changed("node", node.id, 9, 1))
        assert (await live.expect("change"))["data"]["removed"] == [node.id]


async def test_unchanged_values_are_omitted_and_a_changed_mount_is_sent_whole(hub: TestHub) -> None:
    node = await hub.node()

    def of(mount: str, used: float) -> dict[str, tuple[float | None, float]]:
        return {f"filesystem.used{{mount={mount}}}": (used, 1.0), f"filesystem.size{{mount={mount}}}": (10.0, 1.0)}

    async def next_of(live: LiveSocket) -> set[str]:
        hub.bus.publish(NodesUpdated((node.id,), 1))
        return set((await live.expect("change"))["data"]["latest"][node.id])

    async with (await hub.logged_in()).live() as live, (await hub.logged_in("viewer")).live() as late:
        await live.follow("fleet")
        whole = {"cpu.total": (1.0, 11.0), "memory.used": (3.0, 11.0), **of("/", 5.0)}
        hub.nodes.values[node.id] = whole
        assert await next_of(live) == set(whole), "after a snapshot all of it is told"
        hub.nodes.values[node.id] = {**whole, "cpu.total": (1.0, 12.0), "memory.used": (3.0, 12.0)}
        assert await next_of(live) == {"cpu.total"}, "by its newest second a page knows that the node is there"
        hub.nodes.values[node.id] = {**whole, "cpu.total": (1.0, 13.0), "memory.used": (None, 13.0)}
        assert await next_of(live) == {"cpu.total", "memory.used"}
        elsewhere = {"cpu.total": (1.0, 14.0), **of("/var", 5.0)}
        hub.nodes.values[node.id] = elsewhere
        assert await next_of(live) == set(elsewhere)
        hub.nodes.values[node.id] = {"cpu.total": (1.0, 15.0), **of("/", 5.0)}
        assert await next_of(live) == {"cpu.total", *of("/", 5.0)}
        await late.follow("fleet")
        assert await next_of(live) == {"cpu.total", *of("/", 5.0)}, "who came later may have seen other values"
        hub.bus.publish(Changed("node", node.id, 2, 1))
        assert [one["id"] for one in (await live.expect("change"))["data"]["nodes"]] == [node.id]
        assert await next_of(live) == {"cpu.total", *of("/", 5.0)}, "and so may who was told the whole row"


async def test_values_that_arrive_together_are_sent_together(hub: TestHub) -> None:
    nodes = [await hub.node(f"n{number}") for number in range(5)]
    async with (await hub.logged_in()).live() as live:
        await live.follow("fleet")
        for value in (1.0, 2.0, 3.0):
            for node in nodes:
                hub.nodes.values[node.id] = {"cpu.total": (value, 1_790_000_000.0 + value)}
                hub.bus.publish(NodesUpdated((node.id,), 1))
            change = (await live.expect("change"))["data"]
            assert {node: latest["cpu.total"]["value"] for node, latest in change["latest"].items()} == {node.id: value for node in nodes}


async def test_changes_of_a_node_are_read_at_a_limited_rate(hub: TestHub) -> None:
    every_s = 0.2
    hub.app[LIVE].limits = LiveLimits(changes_every_s=every_s)
    node = await hub.node()
    async with (await hub.logged_in()).live() as live:
        await live.follow("fleet")
        loop = asyncio.get_running_loop()
        started, changes = loop.time(), 0
        while changes < 4:
            hub.bus.publish(Changed("node", node.id, 1, 1))
            with contextlib.suppress(TimeoutError):
                changes += (await live.next(0.02))[0] == "change"
        assert loop.time() - started >= (changes - 1) * every_s


async def test_a_removed_node_is_reported_although_another_could_not_be_read(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = sorted([(await hub.node("a")).id, (await hub.node("b")).id])
    look_up = hub.store.nodes.node
    busy = True

    async def sometimes(_: object, scope: Scope, node: NodeId) -> Node:
        nonlocal busy
        if node == second and busy:
            busy = False
            raise StoreBusy("more to read than it can")
        return await look_up(scope, node)

    async with (await hub.logged_in()).live() as live:
        await live.follow("fleet")
        monkeypatch.setattr(type(hub.store.nodes), "node", sometimes)
        await hub.store.nodes.delete_node(ADMIN, first)
        hub.bus.publish(Changed("node", first, 0, 1))
        hub.bus.publish(Changed("node", second, 2, 1))
        change = (await live.expect("change"))["data"]
        assert not busy
        assert (change["removed"], [one["id"] for one in change["nodes"]]) == ([first], [second])


async def test_values_sent_while_rows_are_read_are_sent_again_after_them(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = sorted([(await hub.node("a")).id, (await hub.node("b")).id])
    look_up = hub.store.nodes.node
    reading, go = asyncio.Event(), asyncio.Event()

    async def slow(_: object, scope: Scope, node: NodeId) -> Node:
        if node == second:
            reading.set()
            await go.wait()
        return await look_up(scope, node)

    async with (await hub.logged_in()).live() as live:
        await live.follow("fleet")
        monkeypatch.setattr(type(hub.store.nodes), "node", slow)
        hub.bus.publish(Changed("node", first, 2, 1))
        hub.bus.publish(Changed("node", second, 2, 1))
        await reading.wait()
        hub.nodes.values[first] = {"cpu.total": (1.0, 11.0), "memory.used": (3.0, 11.0)}
        hub.bus.publish(NodesUpdated((first,), 1))
        assert set((await live.expect("change"))["data"]["latest"][first]) == {"cpu.total", "memory.used"}
        go.set()
        rows = {one["id"]: one for one in (await live.expect("change"))["data"]["nodes"]}
        assert rows[first]["latest"] == {}, "the row was read before the values arrived"
        hub.bus.publish(NodesUpdated((first,), 1))
        assert set((await live.expect("change"))["data"]["latest"][first]) == {"cpu.total", "memory.used"}


@pytest.mark.parametrize("back", [False, True])
async def test_a_node_that_goes_while_a_snapshot_is_made_is_not_in_it(hub: TestHub, monkeypatch: pytest.MonkeyPatch, back: bool) -> None:
    """As between two pages of a large fleet. A node that becomes visible again before the end is shown."""
    hub.app[LIVE].limits = LiveLimits(changes_every_s=0.05)
    goes, stays = await hub.node("a"), await hub.node("b")
    viewer = await hub.logged_in("viewer")
    await hub.store.nodes.edit_node(ADMIN, goes.id, name=None, tags=("mine",))
    await hub.sql(
        "UPDATE membership SET grants = ? WHERE account = (SELECT no FROM account WHERE id = ?)",
        f'{{"nodes": ["{stays.id}"], "tags": ["mine"]}}',
        viewer.user.id,
    )
    list_nodes, change = hub.store.nodes.nodes, FleetFeed._change
    read, go = asyncio.Event(), asyncio.Event()
    rounds = 0

    async def slow(_: object, *asked: Any) -> Page[Node]:
        page = await list_nodes(*asked)
        read.set()
        await go.wait()
        return page

    async def counted(feed: FleetFeed, facts: set[NodeId]) -> FleetChange:
        nonlocal rounds
        found = await change(feed, facts)
        rounds += 1
        return found

    monkeypatch.setattr(type(hub.store.nodes), "nodes", slow)
    monkeypatch.setattr(FleetFeed, "_change", counted)
    async with viewer.live() as live:
        await live.subscribe("fleet")
        await read.wait()
        await hub.store.nodes.edit_node(ADMIN, goes.id, name=None, tags=())
        hub.bus.publish(Changed("node", goes.id, 3, 1))
        await eventually(lambda: rounds == 1, 60, "the change was not read")
        if back:
            await hub.store.nodes.edit_node(ADMIN, goes.id, name=None, tags=("mine",))
            hub.bus.publish(Changed("node", goes.id, 4, 1))
            await eventually(lambda: rounds == 2, 60, "the change was not read")
        go.set()
        snapshot = await live.expect("snapshot")
        there = {one["id"] for one in snapshot["data"]["nodes"]}
        hub.bus.publish(Changed("node", stays.id, 2, 1))
        while stays.id not in (told := {one["id"] for one in (await live.expect("change"))["data"]["nodes"]}):
            there |= told
        assert there == ({goes.id, stays.id} if back else {stays.id})
        [feed] = [feed for feed, _ in hub.app[LIVE]._feeds.values() if isinstance(feed, FleetFeed)]
        assert set(feed.watched()) == there


async def test_all_browsers_get_the_same_bytes(hub: TestHub) -> None:
    node = await hub.node()
    first, second = await hub.logged_in(), await hub.logged_in("viewer")
    async with first.live() as one, second.live() as two:
        for live in (one, two):
            await live.follow("fleet")
        hub.nodes.values[node.id] = {"cpu.total": (2.0, 11.0)}
        hub.bus.publish(NodesUpdated((node.id,), 1))
        assert await one.expect("change") == await two.expect("change")


async def test_a_change_and_a_new_snapshot_are_encoded_once_for_all_that_look(hub: TestHub) -> None:
    node = await hub.node()
    feed = NodeFeed(hub.services, hub_scope(1), f"node:{node.id}", LiveLimits())
    seats: list[asyncio.Queue[bytes]] = [asyncio.Queue(), asyncio.Queue(), asyncio.Queue()]
    running = asyncio.create_task(feed.run(), name="feed")
    for seat in seats:
        await feed.join(object(), seat.put_nowait)
        await seat.get()
    hub.bus.publish(NodeLive(node.id, "pulse", 11.0, {"cpu.total": 1.0}))
    async with asyncio.timeout(60):
        one, two, three = [await seat.get() for seat in seats]
    assert one is two is three  # not equal: the same bytes
    async with asyncio.timeout(60):
        await feed.renew()
        gaps, snapshots = zip(*[(await seat.get(), await seat.get()) for seat in seats], strict=True)
    assert msgspec.msgpack.decode(gaps[0])[0] == "gap"
    assert msgspec.msgpack.decode(snapshots[0])[0] == "snapshot"
    assert len(set(map(id, snapshots))) == 1
    await cancelled(running)


async def test_a_page_whose_snapshot_is_late_gets_a_gap(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    node = await hub.node()
    feed = NodeFeed(hub.services, hub_scope(1), f"node:{node.id}", LiveLimits(early_most=3))
    running = asyncio.create_task(feed.run(), name="feed")
    kinds: list[str] = []
    go_on = asyncio.Event()
    made = feed.snapshot

    async def slow() -> Answer:
        await go_on.wait()
        return await made()

    monkeypatch.setattr(feed, "snapshot", slow)
    for changes, wanted in ((3, ["snapshot", "change", "change", "change"]), (4, ["snapshot", "gap"])):
        kinds.clear()
        go_on.clear()
        key = object()
        joining = asyncio.create_task(feed.join(key, lambda message: kinds.append(msgspec.msgpack.decode(message)[0])), name="join")
        await asyncio.sleep(0.05)
        for at in range(changes):
            feed.emit(LiveHello(hub_id="", build="", now=at, started_at=0, session_expires_at=0))
        go_on.set()
        await joining
        assert kinds == wanted
        feed.leave(key)
    await cancelled(running)


async def test_a_page_that_unsubscribed_gets_no_work(hub: TestHub) -> None:
    """That is what a page does that is hidden: it unsubscribes, and asks for a new snapshot when it is seen again."""
    node = await hub.node()
    topics = (Topic("nodes_fresh", org=1), Topic("node_live", node.id), Topic("session", org=1), Topic("changed", f"node:{node.id}"))
    async with (await hub.logged_in()).live() as live:
        for topic in ("fleet", f"node:{node.id}"):
            await live.follow(topic)
        assert all(hub.bus.has_subscribers(topic) for topic in topics)
        for topic in ("fleet", f"node:{node.id}"):
            await live.send("unsubscribe", {"topic": topic})
        await live.answers()
        assert hub.app[LIVE]._feeds == {}  # nothing that the next beat could tell the nodes of
        await live.answers()
        assert not any(hub.bus.has_subscribers(topic) for topic in topics)
        assert (await live.follow("fleet"))["data"]["nodes"][0]["id"] == node.id


async def test_nodes_are_notified_of_viewers(hub: TestHub) -> None:
    node, other = await hub.node("a"), await hub.node("b")
    async with hub.bus.subscribe(Topic("interest"), limit=10, policy="ordered") as told, (await hub.logged_in()).live() as live:
        await live.follow(f"node:{node.id}")
        assert await anext(told) == Interest((node.id,), 30.0, closely=(node.id,))
        await live.follow("fleet")
        event = await anext(told)
        assert isinstance(event, Interest)
        assert set(event.nodes) == {node.id, other.id}
