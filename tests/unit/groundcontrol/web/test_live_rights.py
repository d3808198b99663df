"""Rights of an open page while the store fails: unchanged for one round; less than a second after a revocation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from groundcontrol.access.sessions import Caller
from groundcontrol.core.bus import Changed, NodeLive, NodesUpdated, Revoked
from groundcontrol.core.errors import HubError, StoreBusy, StoreDown
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.nodes.feed import FleetFeed
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.views import FleetData
from groundcontrol.slices import TOPICS
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.server import LIVE
from tests.support.eventually import eventually
from tests.support.inprocess_hub import ADMIN, Client, LiveSocket, TestHub

REASON = "the hub cannot look up now what this page may see: connect again"


class Standing:
    """Queries of the store, failing as long as a test wants."""

    def __init__(self, hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing: Callable[[], HubError | None] | None = None
        self.hangs = False
        self.asked = 0
        self._ask = hub.auth.reload_caller
        monkeypatch.setattr(hub.auth, "reload_caller", self.reload_caller)

    async def reload_caller(self, caller: Caller) -> Caller:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        error = None if self.failing is None else self.failing()
        if error is not None:
            raise error
        return await self._ask(caller)


@pytest.fixture
def standing(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> Standing:
    return Standing(hub, monkeypatch)


async def sent_away(live: LiveSocket) -> None:
    """It gets the hub's error, and may come again."""
    message = await live.socket.receive(timeout=60)
    assert (live.socket.close_code, message.extra) == (1013, REASON)


async def test_a_busy_store_during_a_rights_check_does_not_end_the_page(
    hub: TestHub, standing: Standing, caplog: pytest.LogCaptureFixture
) -> None:
    hub.app[LIVE].limits = LiveLimits(rights_reload_s=0.3)
    node = await hub.node()
    async with (await hub.logged_in()).live() as live:
        await live.follow(f"node:{node.id}")
        standing.failing = lambda: None if "live_rights_unknown" in caplog.text else StoreBusy("more to read than it can")
        await eventually(lambda: "live_rights_unknown" in caplog.text, 60, "a round has not failed")
        answered = standing.asked
        await eventually(lambda: standing.asked >= answered + 3, 60, "it was not asked again")
        hub.bus.publish(NodeLive(node.id, "pulse", 1.0, {"cpu.total": 1.0}))
        assert (await live.expect("change"))["data"]["latest"]["cpu.total"]["value"] == 1.0


@pytest.mark.parametrize("error", [StoreBusy, StoreDown])
async def test_a_user_whose_rights_are_unknown_for_two_rounds_is_disconnected(
    hub: TestHub, standing: Standing, caplog: pytest.LogCaptureFixture, error: type[HubError]
) -> None:
    hub.app[LIVE].limits = LiveLimits(rights_reload_s=0.4)
    async with (await hub.logged_in()).live() as live:
        standing.failing = lambda: error("no")
        await sent_away(live)
    assert caplog.text.count("live_rights_unknown") == 2


@pytest.mark.holds("SAFETY-19")
@pytest.mark.parametrize("hangs", [False, True])
async def test_a_revoked_user_whose_rights_cannot_be_read_is_disconnected_immediately(
    hub: TestHub, standing: Standing, hangs: bool
) -> None:
    hub.app[LIVE].limits = LiveLimits(rights_reload_s=600.0)  # the next round is not awaited here
    admin, other = await hub.logged_in(), await hub.logged_in()
    async with admin.live() as live, other.live() as stays:
        standing.failing, standing.hangs = (lambda: StoreBusy("no")), hangs
        hub.bus.publish(Revoked("", admin.user.id))
        await sent_away(live)
        standing.failing, standing.hangs = None, False
        await stays.answers()


async def test_a_store_that_answers_within_the_second_decides(hub: TestHub, standing: Standing) -> None:
    hub.app[LIVE].limits = LiveLimits(rights_s=20.0)
    admin = await hub.logged_in()
    async with admin.live() as live:
        standing.failing = lambda: StoreBusy("no")
        await hub.store.users.revoke_session(ADMIN, admin.login.id)
        hub.bus.publish(Revoked(admin.login.id, ""))
        await eventually(lambda: standing.asked >= 2, 60, "it was not asked again")
        standing.failing = None
        assert await live.closed() == 4401


async def test_an_expired_session_with_unreadable_rights_is_disconnected_immediately(hub: TestHub, standing: Standing) -> None:
    hub.app[LIVE].limits = LiveLimits(rights_reload_s=0.3)
    admin = await hub.logged_in()
    async with admin.live() as live:
        standing.failing = lambda: StoreDown("no")
        asked = standing.asked
        hub.clock.shift += admin.login.expires_at - hub.clock.now() + 1
        await sent_away(live)
        assert standing.asked == asked + 1


async def test_a_topic_whose_rights_cannot_be_read_stays_for_a_round(
    hub: TestHub, standing: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.app[LIVE].limits = LiveLimits(rights_reload_s=1.0)
    node = await hub.node()
    viewer = await hub.logged_in("viewer")
    await hub.sql(
        "UPDATE membership SET grants = ? WHERE account = (SELECT no FROM account WHERE id = ?)",
        f'{{"nodes": ["{node.id}"], "tags": []}}',
        viewer.user.id,
    )
    async with viewer.live() as live:
        await live.follow(f"node:{node.id}")
        look, asked, goes_on = type(hub.store.nodes).node, 0, True

        async def busy(part: Any, *given: Any) -> Node:
            nonlocal asked
            asked += 1
            if asked == 1 or not goes_on:
                raise StoreBusy("no")
            return await look(part, *given)

        monkeypatch.setattr(type(hub.store.nodes), "node", busy)
        await eventually(lambda: asked >= 2, 60, "it was not asked again")
        hub.bus.publish(NodeLive(node.id, "pulse", 1.0, {"cpu.total": 1.0}))
        await live.expect("change")
        goes_on = False
        await sent_away(live)


async def test_after_a_change_of_rights_all_lookups_share_one_time_limit(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the last of many topics continues with the old rights for many seconds."""
    hub.app[LIVE].limits = LiveLimits(rights_s=2.0)
    nodes = [await hub.node(name) for name in ("one", "two", "three")]
    viewer = await hub.logged_in("viewer")
    await limit(hub, viewer, *nodes)
    async with viewer.live() as live:
        for node in nodes:
            await live.follow(f"node:{node.id}")
        asked = 0

        async def hang(*_: Any) -> Node:
            nonlocal asked
            asked += 1
            return await asyncio.Future[Node]()

        monkeypatch.setattr(type(hub.store.nodes), "node", hang)
        await limit(hub, viewer, nodes[0])
        await live.expect("rights")
        assert {(await live.expect("error"))["code"] for _ in nodes} == {"store.busy"}
        assert asked == 1


async def test_changed_rights_stop_all_topics_before_new_snapshots(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with fewer rights sees less of everything, however long the first topic takes."""
    mine, other = await hub.node("mine"), await hub.node("other")
    viewer = await hub.logged_in("viewer")
    async with viewer.live() as live:
        for topic in ("fleet", "jobs", f"node:{other.id}"):
            await live.follow(topic)
        going = asyncio.Event()
        made = FleetFeed.snapshot

        async def slow(feed: FleetFeed) -> FleetData:
            await going.wait()
            return await made(feed)

        monkeypatch.setattr(FleetFeed, "snapshot", slow)
        await hub.sql(
            "UPDATE membership SET grants = ? WHERE account = (SELECT no FROM account WHERE id = ?)",
            f'{{"nodes": ["{mine.id}"], "tags": []}}',
            viewer.user.id,
        )
        hub.bus.publish(Revoked("", viewer.user.id))
        await live.expect("rights")
        error = await live.expect("error")
        assert (error["code"], error["topic"]) == ("not_found", f"node:{other.id}")
        assert await live.expect("gap") == {"topic": "fleet"}
        assert not [feed for (_, grants, topic), (feed, _) in hub.app[LIVE]._feeds.items() if topic == "jobs" and not grants]
        going.set()
        assert [node["id"] for node in (await live.expect("snapshot"))["data"]["nodes"]] == [mine.id]
        assert await live.expect("gap") == {"topic": "jobs"}
        await live.expect("snapshot")


async def test_a_page_without_topics_is_notified_of_a_changed_role(hub: TestHub) -> None:
    viewer = await hub.logged_in("viewer")
    async with viewer.live() as live:
        for role in ("operator", "viewer"):
            await hub.sql("UPDATE membership SET role = ? WHERE account = (SELECT no FROM account WHERE id = ?)", role, viewer.user.id)
            hub.bus.publish(Revoked("", viewer.user.id))
            assert await live.expect("rights") == {}


async def test_a_changed_role_does_not_affect_subscriptions(hub: TestHub) -> None:
    """A role by itself shows no more and no less of a topic."""
    viewer = await hub.logged_in("viewer")
    async with viewer.live() as live:
        await live.follow("fleet")
        await hub.sql("UPDATE membership SET role = 'operator' WHERE account = (SELECT no FROM account WHERE id = ?)", viewer.user.id)
        hub.bus.publish(Revoked("", viewer.user.id))
        await live.expect("rights")
        await live.answers()


async def test_a_change_without_a_message_is_detected_and_reported(hub: TestHub) -> None:
    """By the first subscription, when nothing is followed yet."""
    viewer = await hub.logged_in("viewer")
    async with viewer.live() as live:
        await hub.sql("UPDATE membership SET role = 'operator' WHERE account = (SELECT no FROM account WHERE id = ?)", viewer.user.id)
        await live.subscribe("fleet")
        await live.expect("rights")
        await live.expect("snapshot")


async def test_rights_changed_and_restored_are_notified_too(hub: TestHub) -> None:
    """The page may have asked in between: the socket does not know what it was answered."""
    viewer = await hub.logged_in("viewer")
    async with viewer.live() as live:
        hub.bus.publish(Revoked("", viewer.user.id))
        await live.expect("rights")


class Held:
    """Snapshots of the fleet that are made, and handed over only once each is let go: as of a store that is slow for a moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[asyncio.Event] = []
        self.fails: set[int] = set()
        """Which of them fail instead."""
        whole = FleetFeed.snapshot

        async def slow(feed: FleetFeed) -> FleetData:
            data, at, go = await whole(feed), len(self.made), asyncio.Event()
            self.made.append(go)
            await go.wait()
            if at in self.fails:
                raise StoreBusy("more to read than it can")
            return data

        monkeypatch.setattr(FleetFeed, "snapshot", slow)

    async def reach(self, count: int) -> None:
        await eventually(lambda: len(self.made) >= count, 60, "the snapshot was not made")


async def limit(hub: TestHub, viewer: Client, *nodes: Node) -> None:
    """Set which nodes the user may see from now on."""
    grants = json.dumps({"nodes": [node.id for node in nodes], "tags": []})
    await hub.sql("UPDATE membership SET grants = ? WHERE account = (SELECT no FROM account WHERE id = ?)", grants, viewer.user.id)
    hub.bus.publish(Revoked("", viewer.user.id))


async def shown(live: LiveSocket) -> list[str]:
    """Names of the next snapshot of the fleet."""
    return sorted(node["name"] for node in (await live.expect("snapshot"))["data"]["nodes"])


@pytest.mark.parametrize("fails", [False, True])
async def test_a_snapshot_begun_with_more_rights_is_dropped(hub: TestHub, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """Nor does it take the place of the one with less, whether it comes or fails."""
    mine, other = await hub.node("mine"), await hub.node("other")
    viewer = await hub.logged_in("viewer")
    await limit(hub, viewer, mine, other)
    held = Held(monkeypatch)
    async with viewer.live() as live:
        await live.subscribe("fleet")
        await held.reach(1)
        await limit(hub, viewer, mine)
        await live.expect("rights")
        assert await live.expect("gap") == {"topic": "fleet"}
        await held.reach(2)
        held.made[1].set()
        assert await shown(live) == ["mine"]
        held.fails = {0} if fails else set()
        held.made[0].set()
        await live.answers()
        hub.bus.publish(Changed("node", mine.id, 1, 1))
        assert [node["id"] for node in (await live.expect("change"))["data"]["nodes"]] == [mine.id]

        await limit(hub, viewer, other)
        await live.expect("rights")
        assert await live.expect("gap") == {"topic": "fleet"}, "it is known still what is followed"
        await held.reach(3)
        held.made[2].set()
        assert await shown(live) == ["other"]
    await eventually(lambda: all(feed.empty for feed, _ in hub.app[LIVE]._feeds.values()), 60, "somebody is still at a topic")


async def test_a_new_snapshot_is_not_sent_to_a_departed_subscriber(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = FleetFeed(hub.services, hub_scope(1), "fleet", LiveLimits())
    running = asyncio.create_task(feed.run(), name="feed")
    told: list[tuple[str, str]] = []

    async def join(name: str, key: str) -> None:
        await feed.join(key, lambda message: told.append((name, msgspec.msgpack.decode(message)[0])))

    for key in ("comes again", "leaves", "has left", "stays"):
        await join(key, key)
    told.clear()
    held = Held(monkeypatch)
    for reader in hub.bus.readers_of(NodesUpdated((), 1)):
        reader.lose(1)
    await held.reach(1)
    for key in ("comes again", "leaves", "has left"):
        feed.leave(key)
    joining = asyncio.create_task(join("is there again", "comes again"), name="join")
    await held.reach(2)
    held.made[0].set()
    held.made[1].set()
    await joining
    await eventually(lambda: ("stays", "snapshot") in told, 60, "it was not shown anew")
    gaps = [(key, "gap") for key in ("comes again", "leaves", "has left", "stays")]
    assert sorted(told) == sorted([*gaps, ("is there again", "snapshot"), ("stays", "snapshot")])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_subscriber_that_leaves_before_the_topic_begins_does_not_wait(hub: TestHub) -> None:
    """Its rights may be taken away in that very moment; what the page says next is heard all the same."""
    viewer = await hub.logged_in("viewer")
    async with viewer.live() as live:
        [page] = hub.app[LIVE]._connections
        joining = asyncio.create_task(hub.app[LIVE].join(page, "fleet", TOPICS["fleet"], None), name="join")
        await asyncio.sleep(0)
        assert hub.app[LIVE]._feeds, "it waits for the topic, which has not begun"
        hub.app[LIVE].leave(page, page.scope, "fleet", may_return=False)
        await asyncio.wait_for(joining, 60)
        await live.answers()


async def test_rights_lost_during_a_lookup_do_not_count(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = await hub.node("mine"), await hub.node("other")
    viewer = await hub.logged_in("viewer")
    await limit(hub, viewer, mine, other)
    found, go = asyncio.Event(), asyncio.Event()
    look_up = hub.store.nodes.node

    async def slow(_: object, scope: Scope, node: NodeId) -> Node:
        row = await look_up(scope, node)
        found.set()
        await go.wait()
        return row

    async with viewer.live() as live:
        await live.subscribe("fleet")
        assert await shown(live) == ["mine", "other"]
        monkeypatch.setattr(type(hub.store.nodes), "node", slow)
        await live.subscribe(f"node:{other.id}")
        await found.wait()
        await limit(hub, viewer, mine)
        await live.expect("rights")
        assert await live.expect("gap") == {"topic": "fleet"}
        assert await shown(live) == ["mine"]
        go.set()
        error = await live.expect("error")
        assert (error["code"], error["topic"]) == ("not_found", f"node:{other.id}")


async def test_an_older_rights_answer_does_not_override_a_newer_one(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscribing page reads its rights concurrently with a notification of their change, and may be answered last."""
    hub.app[LIVE].limits = LiveLimits(rights_s=20.0)
    mine, other = await hub.node("mine"), await hub.node("other")
    viewer = await hub.logged_in("viewer")
    await limit(hub, viewer, mine, other)
    ask = hub.auth.reload_caller
    asked, go = asyncio.Event(), asyncio.Event()

    async def first_is_last(caller: Caller) -> Caller:
        first = not asked.is_set()
        now = await ask(caller)
        asked.set()
        if first:
            await go.wait()
        return now

    async with viewer.live() as live:
        [page] = hub.app[LIVE]._connections
        monkeypatch.setattr(hub.auth, "reload_caller", first_is_last)
        await live.subscribe("fleet")
        await asked.wait()
        await limit(hub, viewer, mine)
        await eventually(lambda: page.scope.grants[0].nodes == (mine.id,), 60, "it was not asked again")
        go.set()
        await live.expect("rights")
        assert await shown(live) == ["mine"]
