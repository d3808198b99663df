"""Reconnecting to the live socket: exactly the missed messages, once and in order, or a complete snapshot."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from groundcontrol.core.bus import NodeLive, NodesUpdated, Revoked, Topic
from groundcontrol.core.errors import StoreBusy
from groundcontrol.core.scope import hub_scope
from groundcontrol.nodes.feed import FLEET_REPLAY_BYTES, NodeFeed
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.views import NodeChange, Sample
from groundcontrol.web.limits import LiveLimits, WebLimits
from groundcontrol.web.live import topics
from groundcontrol.web.live.connection import MAX_TOPICS
from groundcontrol.web.live.send_queue import MAX_QUEUED_BYTES
from groundcontrol.web.live.topics import ReplayBuffer
from groundcontrol.web.server import LIVE
from tests.support.eventually import eventually
from tests.support.inprocess_hub import Client, LiveSocket, TestHub, running


async def moved(hub: TestHub, live: LiveSocket, node: Node, at: float) -> int:
    """Publish a value; returns the number of the change."""
    hub.nodes.values[node.id] = {"cpu.total": (at, at)}
    hub.bus.publish(NodesUpdated((node.id,), 1))
    change = await live.expect("change")
    assert change["data"]["latest"][node.id]["cpu.total"]["value"] == at
    return int(change["seq"])


async def nothing_comes(live: LiveSocket) -> None:
    """What was asked for is answered by now."""
    await live.answers()


async def left(hub: TestHub, page: Client, topic: str) -> int:
    """A page was there and is gone; the number that it had come to."""
    async with page.live() as live:
        await live.subscribe(topic)
        seq = (await live.expect("snapshot"))["seq"]
    await eventually(lambda: hub.app[LIVE].connections == 0, 60, "the connection is still there")
    return int(seq)


async def test_a_returning_subscriber_gets_the_missed_changes(hub: TestHub) -> None:
    node = await hub.node()
    async with (await hub.logged_in()).live() as stays, (await hub.logged_in()).live() as back:
        await stays.subscribe("fleet")
        begun = (await stays.expect("snapshot"))["seq"]
        seqs = [await moved(hub, stays, node, float(at)) for at in range(5)]
        assert seqs == [begun + 1 + number for number in range(5)]
        await back.subscribe("fleet", seqs[1])
        for at in (2, 3, 4):
            change = await back.expect("change")
            assert (change["seq"], change["data"]["latest"][node.id]["cpu.total"]["value"]) == (seqs[at], at)
        await nothing_comes(back)
        assert await moved(hub, stays, node, 5.0) == seqs[-1] + 1
        assert (await back.expect("change"))["seq"] == seqs[-1] + 1


async def test_a_returning_subscriber_that_missed_nothing_gets_nothing(hub: TestHub) -> None:
    node = await hub.node()
    async with (await hub.logged_in()).live() as stays, (await hub.logged_in()).live() as back:
        await stays.follow("fleet")
        seq = await moved(hub, stays, node, 1.0)
        await back.subscribe("fleet", seq)
        await nothing_comes(back)
        await moved(hub, stays, node, 2.0)
        assert (await back.expect("change"))["seq"] == seq + 1


@pytest.mark.parametrize("off", [-1, 1, 2**52, 2**63])
async def test_an_unknown_sequence_number_gets_a_snapshot(hub: TestHub, off: int) -> None:
    node = await hub.node()
    async with (await hub.logged_in()).live() as stays, (await hub.logged_in()).live() as back:
        await stays.subscribe("fleet")
        begun = (await stays.expect("snapshot"))["seq"]
        seq = await moved(hub, stays, node, 1.0)
        assert (await back.follow("fleet", max(0, begun - 1) if off < 0 else min(seq + off, 2**63)))["seq"] == seq


@pytest.mark.parametrize("topic", ["fleet", "events", "jobs"])
async def test_a_single_page_finds_its_topic_after_reconnecting(hub: TestHub, topic: str) -> None:
    page = await hub.logged_in()
    seq = await left(hub, page, topic)
    async with page.live() as live:
        await live.subscribe(topic, seq)
        await nothing_comes(live)
        assert (await live.follow(topic))["seq"] == seq, "who does not say where it was is shown all of it"


async def test_changes_without_subscribers_are_sent_to_a_returning_one(hub: TestHub) -> None:
    node = await hub.node()
    page = await hub.logged_in()
    seq = await left(hub, page, f"node:{node.id}")
    for at in range(3):
        hub.bus.publish(NodeLive(node.id, "pulse", float(at), {"cpu.total": float(at)}))
    async with page.live() as live:
        await live.subscribe(f"node:{node.id}", seq)
        changes = [await live.expect("change") for _ in range(3)]
        assert [(change["seq"] - seq, change["data"]["latest"]["cpu.total"]["value"]) for change in changes] == [
            (1, 0.0),
            (2, 1.0),
            (3, 2.0),
        ]


async def test_a_topic_without_subscribers_ends_and_sends_no_watches_meanwhile(tmp_path: Path) -> None:
    async with running(tmp_path, limits=WebLimits(live=LiveLimits(interest_every_s=0.02))) as hub:
        await _nobody_comes_back(hub)


async def _nobody_comes_back(hub: TestHub) -> None:
    node = await hub.node()
    page = await hub.logged_in()
    seq = await left(hub, page, f"node:{node.id}")
    async with hub.bus.subscribe(Topic("interest"), limit=10, policy="ordered") as told:
        await asyncio.sleep(0.2)
        assert len(hub.app[LIVE]._feeds) == 1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(told)
    hub.app[LIVE].limits = LiveLimits(interest_every_s=0.02, linger_s=0.0)
    await eventually(lambda: not hub.app[LIVE]._feeds, 60, "the topic is still there")
    await eventually(lambda: not hub.bus.has_subscribers(Topic("node_live", node.id)), 60, "the bus is still listened to")
    async with page.live() as live:
        await live.subscribe(f"node:{node.id}", seq)
        begun = (await live.expect("snapshot"))["seq"]
        assert begun != seq, "numbers of a topic that has ended are none of those of the next"


async def test_topics_without_subscribers_are_bounded(hub: TestHub) -> None:
    hub.app[LIVE].limits = LiveLimits(linger_most=2)
    nodes = [await hub.node(f"n{number}") for number in range(4)]
    async with (await hub.logged_in()).live() as live:
        for node in nodes:
            await live.follow(f"node:{node.id}")
    await eventually(lambda: hub.app[LIVE].connections == 0, 60, "the connection is still there")
    assert len(hub.app[LIVE]._feeds) == 2


async def test_sequence_numbers_differ_by_rights(hub: TestHub) -> None:
    node = await hub.node()
    whole, part = await hub.logged_in(), await hub.logged_in("viewer")
    await hub.sql(
        "UPDATE membership SET grants = ? WHERE account = (SELECT no FROM account WHERE id = ?)",
        f'{{"nodes": ["{node.id}"], "tags": []}}',
        part.user.id,
    )
    async with whole.live() as all_of_it, part.live() as some:
        await all_of_it.follow("fleet")
        seq = await moved(hub, all_of_it, node, 1.0)
        await some.subscribe("fleet", seq)
        fewer = (await some.expect("snapshot"))["seq"]
        await hub.sql("UPDATE membership SET grants = NULL WHERE account = (SELECT no FROM account WHERE id = ?)", part.user.id)
        hub.bus.publish(Revoked("", part.user.id))
        await some.expect("rights")
        assert await some.expect("gap") == {"topic": "fleet"}
        assert (await some.expect("snapshot"))["seq"] == seq
        assert (await some.follow("fleet", fewer))["seq"] == seq


async def test_a_loss_on_the_bus_is_never_skipped_by_a_replay(hub: TestHub) -> None:
    node = await hub.node()
    topic = f"node:{node.id}"
    async with (await hub.logged_in()).live() as stays, (await hub.logged_in()).live() as back:
        await stays.subscribe(topic)
        seq = (await stays.expect("snapshot"))["seq"]
        for reader in hub.bus.readers_of(NodeLive(node.id, "pulse", 0.0, {})):
            reader.lose(3)
        await stays.expect("gap")
        anew = (await stays.expect("snapshot"))["seq"]
        assert (await back.follow(topic, seq))["seq"] == anew
        await back.subscribe(topic, anew)
        await nothing_comes(back)


async def test_a_failed_read_is_never_skipped_by_a_replay(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.app[LIVE].limits = LiveLimits(retry_s=0.0)
    node = await hub.node()
    topic = f"node:{node.id}"

    async def busy(_feed: NodeFeed, _told: object) -> None:
        raise StoreBusy("more to read than it can")

    async with (await hub.logged_in()).live() as stays, (await hub.logged_in()).live() as back:
        await stays.subscribe(topic)
        seq = (await stays.expect("snapshot"))["seq"]
        with monkeypatch.context() as patched:
            patched.setattr(NodeFeed, "take", busy)
            hub.bus.publish(NodeLive(node.id, "pulse", 1.0, {"cpu.total": 1.0}))
            await stays.expect("gap")
        await back.follow(topic, seq)


async def test_a_slow_page_that_reconnects_loses_nothing(hub: TestHub) -> None:
    node = await hub.node()
    topic = f"node:{node.id}"
    async with (await hub.logged_in()).live() as stays, (await hub.logged_in()).live() as back:
        await stays.subscribe(topic)
        seq = (await stays.expect("snapshot"))["seq"]

        async def one_more(at: int) -> None:
            hub.bus.publish(NodeLive(node.id, "pulse", float(at), {f"disk.read{{device=d{number}}}": 1.0 for number in range(20)}))
            await stays.expect("change")

        for at in range(8):
            await one_more(at)
        reading = back.socket._response.connection.transport  # type: ignore[union-attr]
        wire = reading.get_extra_info("socket")  # type: ignore[union-attr]
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await back.subscribe(topic, seq)
        first = await back.expect("change")  # only so much is kept for a page that has not reconnected
        reading.pause_reading()  # type: ignore[union-attr]
        for at in range(8, 400):
            await one_more(at)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        reading.resume_reading()  # type: ignore[union-attr]
        rest = [(await back.expect("change"))["seq"] - seq for _ in range(399)]
        assert [first["seq"] - seq, *rest] == list(range(1, 401))


class Follower:
    """A page that goes away and comes back, and applies what it is sent as the Capsule does."""

    def __init__(self) -> None:
        self.joining: asyncio.Task[None] | None = None
        self.seq: int | None = None
        self.values: list[int] = []
        self.snapshots = 0

    def take(self, message: bytes) -> None:
        kind, body = msgspec.msgpack.decode(message)
        if kind == "snapshot":
            self.snapshots += 1
            self.seq, self.values = body["seq"], list(body["data"]["values"])
            return
        assert (kind, body["seq"]) == ("change", (self.seq or 0) + 1), "each once, and in order"
        self.seq = body["seq"]
        self.values.append(int(body["data"]["latest"]["n"]["value"]))


@contextlib.asynccontextmanager
async def counting(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[NodeFeed, list[int]]]:
    """A feed whose snapshot is every published number."""
    told: list[int] = []
    feed = NodeFeed(hub.services, hub_scope(1), f"node:{(await hub.node()).id}", LiveLimits(replay_messages=4))

    async def snapshot() -> Any:
        found = {"values": list(told)}  # a read returns the state when the read begins
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
        return found

    monkeypatch.setattr(feed, "snapshot", snapshot)
    running = asyncio.create_task(feed.run(), name="feed")
    yield feed, told
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("seed", range(5))
async def test_subscribers_that_leave_and_return_get_each_change_once(hub: TestHub, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    random.seed(seed)
    joined = 0
    followers = [Follower() for _ in range(8)]
    async with counting(hub, monkeypatch) as (feed, told), asyncio.TaskGroup() as group:
        for _ in range(1500):
            one = random.choice(followers)
            if random.random() < 0.3:
                told.append(len(told))
                feed.emit(NodeChange(latest={"n": Sample(float(told[-1]), 0.0)}))
            elif one.joining is None:
                one.joining = group.create_task(feed.join(one, one.take, one.seq), name="join")
                joined += 1
            elif random.random() < 0.3:
                one.joining.cancel()
                feed.leave(one)
                one.joining = None
            await asyncio.sleep(0)
        for one in followers:
            await (one.joining or feed.join(one, one.take, one.seq))
    assert all(one.values == told for one in followers)
    assert len(followers) < sum(one.snapshots for one in followers) < joined / 2, "some were away for too long, and most were not"


def test_the_replay_buffer_is_bounded_by_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = ReplayBuffer(most=3, most_bytes=10)
    begun = ring.seq
    assert (ring.since(begun), ring.since(begun - 1), ring.since(begun + 1)) == ([], None, None)
    changes = [b"a", b"b", b"c", b"d"]
    for change in changes:
        ring.add(change)
    assert (ring.since(begun), ring.since(begun + 1), ring.since(begun + 4)) == (None, changes[1:], [])
    assert ring.since(begun + 3) == [changes[3]]
    assert ring.since(begun + 3)[0] is changes[3]  # type: ignore[index]  # not a copy
    ring.add(b"x" * 9)
    assert (ring.since(begun + 2), ring.since(begun + 3)) == (None, [b"d", b"x" * 9])
    ring.add(b"x" * 11)
    assert (ring.since(begun + 5), ring.since(begun + 6), ring._bytes) == (None, [], 0)
    ring.add(b"e")
    ring.lose()
    assert (ring.since(begun + 6), ring.since(begun + 7), ring.since(begun + 8)) == (None, None, [])


def test_replays_of_all_topics_of_a_page_fit_into_its_queue() -> None:
    assert FLEET_REPLAY_BYTES + (MAX_TOPICS - 1) * topics.REPLAY_BYTES < MAX_QUEUED_BYTES
