"""Watching a node makes it send every second, for a limited time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import NamedTuple, cast

import msgspec
import pytest

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.agents.latest import LISTED_S, WRITTEN_S
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import TIME_EVERY_S, AgentSession
from groundcontrol.agents.validation import KnownSchema, validate_schema
from groundcontrol.agents.watch_leases import FIRST_LOOK_S, MAX_CONCURRENT, WatchLeases
from groundcontrol.core.bus import Interest, NodeLive, NodesUpdated, Topic
from groundcontrol.core.ids import HubId, NodeId
from groundcontrol.nodes.summary import Shown, SummaryFragment
from groundcontrol.samples.model import SeriesSchema
from spider.wire.codec import NODE_CODEC
from spider.wire.metrics import INTERVAL_S
from spider.wire.sample_messages import Row, Watch
from spider.wire.session import SecureChannel
from tests.support.agent import layout_of
from tests.support.agent_sessions import KEY, NODE, a_node, a_session
from tests.support.background import cancelled
from tests.support.clock import ManualClock, settle


class Wire:
    """The node's end: the messages that it received."""

    def __init__(self) -> None:
        self._link = SecureChannel(NODE_CODEC, KEY, KEY, expect_welcome=False)
        self.watches: list[Watch] = []
        self.hub_times_ms: list[int] = []
        self.backlog = 0

    async def receive(self) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def send(self, data: bytes) -> None:
        self.write(data)

    def write(self, data: bytes) -> None:
        message = self._link.receive(data, 0.0)
        if message is None:
            self.hub_times_ms.append(self._link.peer_time_ms)
            return
        assert isinstance(message, Watch)
        self.watches.append(message)

    async def probe(self, timeout_s: float) -> bool:
        return True

    async def close(self, code: int, reason: str, *, linger: bool = True) -> None:
        pass

    def told(self) -> list[Watch]:
        """What came since this was last asked."""
        told, self.watches = self.watches, []
        return told


class Place(NamedTuple):
    clock: ManualClock
    bus: LocalBus
    registry: Registry
    watching: WatchLeases
    agent: AgentSession
    wire: Wire

    async def look(self, *nodes: str, ttl_s: float = 30.0) -> None:
        """A page says what it looks at."""
        self.bus.publish(Interest(tuple(map(NodeId, nodes)), ttl_s))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    clock, bus, wire = ManualClock(), LocalBus(), Wire()
    registry = Registry(cast("Store", None), bus, clock, HubId("hub"))
    agent = a_session(clock, socket=wire, bus=bus, update_latest=registry.update_latest, end=registry.end)
    registry.add(agent)
    watching = WatchLeases(registry, bus, clock)
    following = asyncio.create_task(watching.run(), name="watching")
    await asyncio.sleep(0)
    yield Place(clock, bus, registry, watching, agent, wire)
    await cancelled(following)


async def test_a_watch_requests_every_family_each_second(place: Place) -> None:
    await place.look(NODE)

    [watch] = place.wire.told()
    assert watch == Watch(list(INTERVAL_S), 1, 30)
    assert place.watching.watched(NODE)


async def test_a_watch_is_renewed_at_the_node_only_when_its_lease_ends(place: Place) -> None:
    await place.look(NODE)
    place.wire.told()
    frames = 0
    for _ in range(20):  # a page says so every five seconds
        await place.passes(5)
        await place.look(NODE)
        assert place.agent.watched_until > place.clock.monotonic()
        frames += len(place.wire.told())

    assert frames == 4


async def test_sending_watches_to_many_nodes_yields_to_other_tasks(place: Place) -> None:
    turns, told = 0, list[tuple[str, int]]()

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    class Asked(Wire):
        def __init__(self, node: str) -> None:
            super().__init__()
            self.node = node

        def write(self, data: bytes) -> None:
            super().write(data)
            assert self.watches[-1].families == list(INTERVAL_S)
            told.append((self.node, turns))

    nodes = [f"n{number}" for number in range(100)]
    for node in nodes:
        place.registry.add(a_session(place.clock, a_node(NodeId(node)), socket=Asked(node)))
    other = asyncio.create_task(others(), name="others")
    place.bus.publish(Interest(tuple(map(NodeId, nodes)), 30.0))
    async with asyncio.timeout(60):
        while len(told) < len(nodes):  # noqa: ASYNC110 - it is turns that are counted
            await asyncio.sleep(0)
    other.cancel()
    assert [node for node, _ in told] == nodes
    turn = [at for _, at in told]
    assert max(turn.count(at) for at in turn) == MAX_CONCURRENT


async def test_a_busy_session_also_sends_the_hubs_time_now_and_then(place: Place) -> None:
    began = place.clock.monotonic()
    while place.clock.monotonic() - began <= TIME_EVERY_S:
        place.clock.advance(10)
        place.agent._received_at = place.clock.monotonic()
        place.agent.post(Watch([], 1, 30))
        await place.agent.flush()
        await place.agent.tick()
    [at_ms] = place.wire.hub_times_ms
    assert abs(at_ms / 1000 - place.clock.now()) <= 10


async def test_a_watch_ends_after_a_grace_time(place: Place) -> None:
    await place.look(NODE)
    await place.passes(29)
    assert place.watching.watched(NODE)
    await place.passes(2)

    assert not place.watching.watched(NODE)
    assert place.agent.watched_until < place.clock.monotonic()
    place.wire.told()
    await place.passes(60)
    assert place.wire.told() == []  # the node's lease ends by itself


async def test_a_watch_of_another_node_sends_nothing(place: Place) -> None:
    await place.look("another")

    assert place.wire.told() == []
    assert not place.watching.watched(NODE)


async def test_a_joining_node_is_watched_for_its_first_seconds_and_by_present_viewers(place: Place) -> None:
    await place.watching.joined(place.agent)
    assert {watch.lease_s for watch in place.wire.told()} == {FIRST_LOOK_S}

    await place.look(NODE)
    place.wire.told()
    await place.watching.joined(place.agent)  # it reconnected
    assert {watch.lease_s for watch in place.wire.told()} == {30}


async def test_a_watch_lease_lasts_a_minute_at_most(place: Place) -> None:
    await place.look(NODE, ttl_s=1e9)

    assert {watch.lease_s for watch in place.wire.told()} == {60}


async def test_a_viewer_of_a_node_gets_its_values_and_a_list_gets_a_notice(place: Place) -> None:
    known = validate_schema(layout_of())
    rows = [Row(at * 1000, [at] * len(known.scales)) for at in (1, 2, 3)]
    async with place.bus.subscribe(Topic("nodes_fresh"), limit=10, policy="ordered") as lists:
        place.registry.update_latest(place.agent, known, rows)
        assert await anext(lists) == NodesUpdated((NODE,), 1)
        async with place.bus.subscribe(Topic("node_live", NODE), limit=10, policy="ordered") as page:
            place.registry.update_latest(place.agent, known, rows)
            told = await anext(page)
            assert isinstance(told, NodeLive)
            assert told.taken_at == 3.0  # each second was not requested: the newest
            await place.look(NODE)
            place.registry.update_latest(place.agent, known, rows)
            assert [cast("NodeLive", await anext(page)).taken_at for _ in rows] == [1.0, 2.0, 3.0]


async def test_the_first_new_value_is_announced_immediately_and_later_ones_together(place: Place) -> None:
    known = validate_schema(layout_of())
    others = [a_session(place.clock, a_node(NodeId(f"n{number}"))) for number in range(3)]
    for other in others:
        place.registry.add(other)
    async with place.bus.subscribe(Topic("nodes_fresh"), limit=10, policy="ordered") as lists:
        place.registry.update_latest(place.agent, known, [Row(1000, [0] * len(known.scales))])
        assert await anext(lists) == NodesUpdated((NODE,), 1)
        for second in (2, 3):
            for other in others:
                place.registry.update_latest(other, known, [Row(second * 1000, [0] * len(known.scales))])
        assert await anext(lists) == NodesUpdated(tuple(other.node.id for other in others), 1)
        assert {name: at for name, (_, at) in place.registry.values.latest(NodeId("n0")).items()}["cpu.total"] == 3.0


async def test_lists_are_notified_in_the_round_in_which_values_arrive(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    known, loop = validate_schema(layout_of()), asyncio.get_running_loop()
    now_s = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now_s)
    async with place.bus.subscribe(Topic("nodes_fresh"), limit=10, policy="ordered") as lists:
        for took_s in (0.01, 0.004, 0.001):
            place.registry.update_latest(place.agent, known, [Row(int(now_s * 1000), [0] * len(known.scales))])
            now_s += took_s
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not place.registry.values._fresh, took_s
            assert await anext(lists) == NodesUpdated((NODE,), 1)
            now_s += LISTED_S - took_s


async def test_the_summary_of_a_node_is_computed_once_per_row(place: Place) -> None:
    known = validate_schema(layout_of())
    at = known.row.series.index("cpu.total")

    def show(second: int, value: int) -> None:
        place.registry.update_latest(place.agent, known, [Row(second * 1000, [value if n == at else 0 for n in range(len(known.scales))])])

    show(5, 1234)
    [first], [again] = place.registry.values.summary(NODE), place.registry.values.summary(NODE)
    assert first.shown["cpu.total"] == Shown(12.34, 5.0)
    assert first is again
    show(6, 100)
    [later] = place.registry.values.summary(NODE)
    assert later.shown["cpu.total"] == Shown(1.0, 6.0)
    assert place.registry.values.latest(NODE)["cpu.total"] == (1.0, 6.0)
    assert not place.registry.values.summary(NodeId("another"))


async def test_json_summaries_are_prepared_for_a_minute_after_a_request(place: Place) -> None:
    known = validate_schema(layout_of())

    def show(second: int) -> SummaryFragment:
        rows = [Row(second * 1000 + part, [0] * len(known.scales)) for part in range(2)]
        place.registry.update_latest(place.agent, known, rows)
        [fragment] = place.registry.values.summary(NODE)
        return fragment

    assert show(1).text == b"", "nobody has asked"
    place.registry.values.summary(NODE, as_json=True)
    await place.passes(WRITTEN_S - 1)
    fragment = show(2)
    assert msgspec.json.decode(b"{%b}" % fragment.text) == msgspec.to_builtins(fragment.shown)
    await place.passes(2)
    assert show(3).text == b"", "nobody asks any more"


def test_a_hub_clock_that_differs_from_most_nodes_is_detected() -> None:
    clock = ManualClock()
    registry = Registry(cast("Store", None), LocalBus(), clock, HubId("hub"))
    layout = KnownSchema.of(SeriesSchema(b"1" * 8, "pulse", 1, ("load.1",)), (100,))
    strangers = [a_session(clock, a_node(NodeId(f"n{at}"))) for at in range(4)]
    for agent in strangers:
        registry.add(agent)
    assert registry.clock_disagrees() is None, "nobody has measured anything"
    for agent in strangers[:3]:
        registry.update_latest(agent, layout, [Row(int(clock.now() * 1000), [1])])
    clock.advance(600)
    assert not registry.clock_disagrees()
    clock.jump(10 * 365 * 86_400)
    registry.update_latest(strangers[0], layout, [Row(int(clock.now() * 1000), [1])])  # the one on the hub's own machine
    assert registry.clock_disagrees()
    registry.update_latest(strangers[1], layout, [Row(int(clock.now() * 1000), [1])])
    assert not registry.clock_disagrees()


async def test_an_unexpected_error_about_one_node_ends_no_other_lease(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_node: NodeId) -> None:
        raise RuntimeError("a bug")

    bus = LocalBus()
    running = asyncio.create_task(WatchLeases(cast("Registry", SimpleNamespace(agent=fails)), bus, ManualClock()).run())
    await settle()
    for _ in range(2):
        bus.publish(Interest((NODE,), 5.0, ()))
    await settle()
    assert [record.getMessage() for record in caplog.records].count("watch_failed") == 2
    assert not running.done()
    await cancelled(running)
