"""The live socket of one organisation says nothing of another: no frame, and no change of a number, whatever the other does."""

from __future__ import annotations

import random
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite import stores
from groundcontrol.adapters.sqlite.jobs import SqliteJobs
from groundcontrol.alerts.feed import AlertsFeed
from groundcontrol.alerts.model import AlertId
from groundcontrol.alerts.store import AlertStore
from groundcontrol.core.bus import Changed, EventStored, JobOutputArrived, NodeLive, NodesUpdated, SessionChanged
from groundcontrol.core.errors import NotFound
from groundcontrol.core.ids import HubId, NodeId
from groundcontrol.core.scope import DEFAULT_ORG
from groundcontrol.events.feed import EventsFeed
from groundcontrol.jobs.feed import JobsFeed
from groundcontrol.nodes.feed import FleetFeed
from groundcontrol.slices import ROUTES, TOPICS
from groundcontrol.web.limits import LiveLimits, WebLimits
from groundcontrol.web.live import connection
from groundcontrol.web.live import hub as live_hub
from spider.wire.ids import new_random_id
from tests.support.inprocess_hub import LiveSocket, TestHub
from tests.support.tenants import CANARY, World, act, calls_of, pair, world

FIRST_SEED, SEEDS, SLOW_SEEDS = 4711, 2, 40
CALLS = 40
MANY: Final = tuple(kind for kind, topic in TOPICS.items() if topic.find is None)
UNCHANGED: Final = ("jobs", "windows")
"""Topics that send nothing where nothing differs from what they sent last."""
ONE: Final = tuple(kind for kind, topic in TOPICS.items() if topic.find is not None)
CHANGES: Final = {topic.changes for topic in TOPICS.values()} - {"", "node"}
"""What is announced as changed; a node has messages of its own."""


def touch(hub: TestHub, of: World) -> None:
    """Announce a change of each object of an organisation once."""
    node, event = NodeId(of.tenant.node), of.event
    hub.bus.publish(NodeLive(node, "cpu", hub.clock.now(), {"cpu.total": 1.0}))
    hub.bus.publish(NodesUpdated((node,), of.org))
    hub.bus.publish(SessionChanged(node, 1, HubId(hub.services.hub_id), online=True, org=of.org))
    for kind in CHANGES:
        hub.bus.publish(Changed(kind, of.ids.get(kind, new_random_id()), 1, of.org))
    hub.bus.publish(EventStored(event.id, of.org, event.type, node, event.object, event.at, 2, "info"))


async def print_output(hub: TestHub, of: World, printed: int, data: bytes) -> None:
    await hub.store.jobs.append_output(of.job, printed, data, of.session)
    hub.bus.publish(JobOutputArrived(of.job, printed, data))


def burst(hub: TestHub, of: World) -> None:
    """More events of an organisation than the queue of any feed holds."""
    for number in range(JobsFeed.limit + 1):
        hub.bus.publish(Changed(("node", "job", "alert")[number % 3], str(number), 1, of.org))
    for _ in range(EventsFeed.limit + 1):
        hub.bus.publish(EventStored(of.event.id, of.org, of.event.type, None, of.event.object, of.event.at, 2, "info"))


def topics_of(of: World) -> list[str]:
    return [*MANY, *(f"{kind}:{of.ids[kind]}" for kind in ONE)]


async def followed(live: LiveSocket, topics: list[str]) -> dict[str, int]:
    """Subscribe to all. Returns: topic -> the number of its snapshot."""
    numbers = {}
    for topic in topics:
        await live.subscribe(topic)
        while topic not in numbers:
            kind, body = await live.next(60)
            assert kind in ("snapshot", "change"), (kind, body)
            if kind == "snapshot" or body["topic"] in numbers:
                numbers[body["topic"]] = body["seq"]
    return numbers


async def answered(live: LiveSocket) -> list[tuple[str, Any]]:
    """The frames until the answer to a `ping`."""
    await live.send("ping", {})
    frames = [await live.next(60)]
    while frames[-1][0] != "pong":
        frames.append(await live.next(60))
    return frames[:-1]


async def refused(live: LiveSocket, topic: str) -> Any:
    await live.subscribe(topic)
    kind, body = await live.next(60)
    return kind, {name: str(value).replace(topic.partition(":")[2], "<asked>") for name, value in body.items()}


@asynccontextmanager
async def worlds(folder: Path) -> AsyncIterator[tuple[TestHub, World, World]]:
    limits = WebLimits(live=LiveLimits(changes_every_s=0.01, rights_s=30.0))
    async with pair(folder, limits) as both:
        yield both.hub, await world(both.hub, both.mine, DEFAULT_ORG), await world(both.hub, both.other, 2)


def crossing(mine: World, other: World, frame: Any) -> bool:
    """Whether a frame names something of the other organisation."""
    text = repr(frame)
    return any(word in text for word in (CANARY, *other.ids.values()))


async def live_interference(folder: Path, seeds: range) -> str:
    """What of the other organisation's acts the live socket shows; empty: nothing."""
    async with worlds(folder) as (hub, mine, other), AsyncExitStack() as stack:
        live = await stack.enter_async_context(mine.tenant.client.live(organisation="default"))
        numbers = await followed(live, topics_of(mine))
        beside = await stack.enter_async_context(other.tenant.client.live(organisation="second"))
        theirs = await followed(beside, topics_of(other))
        random_numbers = [{seq for topic, seq in of.items() if not topic.startswith("job:")} for of in (numbers, theirs)]
        if random_numbers[0] & random_numbers[1]:
            return "two organisations share a number"
        for kind in ONE:
            foreign, absent = [await refused(live, f"{kind}:{one}") for one in (other.ids[kind], new_random_id())]
            if foreign != absent:
                return f"{kind}: {foreign} is not {absent}"
        printed = 0
        for seed in seeds:
            dice = random.Random(seed)
            for number in range(CALLS):
                await act(other.tenant, mine.tenant, dice, ROUTES_OF_OTHERS, seed % 100 * CALLS + number)
                if number % 8 == 0:
                    touch(hub, other)
            await print_output(hub, other, printed, b"theirs")
            printed += len(b"theirs")
            burst(hub, other._replace(org=3))  # an organisation of which nobody reads: only its events are told
            frames = await answered(live)
            touch(hub, mine)  # each feed takes its events in order: what the others caused comes before this
            waited = {topic for topic in numbers if topic not in UNCHANGED}
            while waited:
                frames.append(await live.next(60))
                waited.discard(frames[-1][1].get("topic", ""))
            for frame in frames:
                if frame[0] != "change" or crossing(mine, other, frame):
                    return f"seed {seed}: {frame}"
            count = {topic: sum(kind != "pong" and body.get("topic") == topic for kind, body in frames) for topic in numbers}
            for topic in numbers.keys() - {f"node:{mine.tenant.node}", "fleet"}:  # there values and the row come one by one
                if count[topic] != (topic not in UNCHANGED):
                    return f"seed {seed}: {topic} has {count[topic]} frames"
            empty: dict[str, object] = {"nodes": [], "latest": {}, "removed": []}
            if any(body.get("data") == empty for kind, body in frames):
                return f"seed {seed}: a frame without content"
    return ""


ROUTES_OF_OTHERS: Final = calls_of(list(ROUTES))


@pytest.mark.holds("SAFETY-108")
@pytest.mark.timeout(600)
async def test_t1_live_topics_do_not_interfere(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    seeds = SLOW_SEEDS if request.config.getoption("--slow") else SEEDS
    found = await live_interference(tmp_path, range(FIRST_SEED, FIRST_SEED + seeds))
    assert found == "", found


def _one_feed_for_all(patch: pytest.MonkeyPatch) -> None:
    """A feed with its snapshot and history is kept without its organisation."""
    patch.setattr(live_hub, "_feed_key", lambda scope, topic: (0, () if ":" in topic else scope.grants, topic))


def _one_number_for_all(patch: pytest.MonkeyPatch) -> None:
    """A version that all organisations count together."""
    patch.setattr(secrets, "randbelow", lambda _below: 0)


def _events_of_all(patch: pytest.MonkeyPatch) -> None:
    """A feed gets the events of every organisation. A burst of one then fills the queue of another's feed, which sends a gap."""
    subscribe = LocalBus.subscribe
    patch.setattr(LocalBus, "subscribe", lambda self, *topics, **named: subscribe(self, *(one._replace(org=0) for one in topics), **named))


def _a_gap_for_each_change(patch: pytest.MonkeyPatch) -> None:
    """An alert of nobody here makes a frame all the same."""
    _events_of_all(patch)
    patch.setattr(sys.modules[__name__], "burst", lambda *_: None)  # so that the frame itself is found
    take = AlertsFeed.take

    async def taken(self: AlertsFeed, change: Any) -> None:
        if isinstance(change, Changed) and change.kind == "alert":
            try:
                await self.services[AlertStore].alert(self.scope, AlertId(change.id))
            except NotFound:
                self._lose()
        await take(self, change)

    patch.setattr(AlertsFeed, "take", taken)


def _empty_changes(patch: pytest.MonkeyPatch) -> None:
    _events_of_all(patch)
    patch.setattr(sys.modules[__name__], "burst", lambda *_: None)
    change = FleetFeed._change

    async def changed(self: FleetFeed, nodes: set[NodeId]) -> Any:
        found = await change(self, nodes)
        return found if found.nodes or found.removed else found.__class__(nodes=[], latest={}, removed=sorted(nodes))

    patch.setattr(FleetFeed, "_change", changed)


def _a_tail_of_the_hub(patch: pytest.MonkeyPatch) -> None:
    """The tail of a job reads for whichever organisation has it."""
    job = SqliteJobs.job

    async def found(self: SqliteJobs, scope: Any, wanted: Any) -> Any:
        for org in (scope.org, 1, 2):
            try:
                return await job(self, scope._replace(org=org), wanted)
            except NotFound:
                continue
        raise NotFound("there is no such job")

    patch.setattr(SqliteJobs, "job", found)
    patch.setattr(stores, "act_for_owners", lambda _store: None)
    patch.setattr(connection, "authorize", lambda *_: None)


FAULTS: Final[dict[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "a feed and its history that all organisations share": _one_feed_for_all,
    "a number that all topics share": _one_number_for_all,
    "a queue of events that all organisations share": _events_of_all,
    "a gap for each change of anybody": _a_gap_for_each_change,
    "ids of foreign nodes as removed": _empty_changes,
    "a tail and a subscription that cross": _a_tail_of_the_hub,
}


@pytest.mark.parametrize("seed_fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.timeout(300)
async def test_t2_each_seeded_fault_of_live_topics_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed_fault: Callable[[pytest.MonkeyPatch], None]
) -> None:
    seed_fault(monkeypatch)
    assert await live_interference(tmp_path, range(FIRST_SEED, FIRST_SEED + 1))
