"""Events of nodes wait while the store fails, and are written once, in order and with their own times."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from groundcontrol.agents import node_events
from groundcontrol.agents.node_events import CorruptionReporter
from groundcontrol.core.errors import Conflict, StoreFull
from groundcontrol.samples.model import Damage
from tests.support.agent_sessions import NODE, Sessions, a_node, loses

ONE = a_node()


def told(hub: Sessions) -> list[tuple[str, float]]:
    return [(one.type, one.at) for one in hub.told]


async def test_events_refused_by_the_store_are_written_later() -> None:
    hub = Sessions()
    at = hub.clock.now()
    hub.fails = StoreFull("no space")
    await hub.registry.events.offline(ONE, "cut")
    hub.clock.advance(5)
    await hub.registry.events.write_waiting()
    assert told(hub) == []
    hub.fails = None
    await hub.registry.events.online(ONE, "127.0.0.1", "0.1.0")  # is reported behind the waiting ones
    await hub.registry.events.write_waiting()
    await hub.registry.events.write_waiting()
    assert told(hub) == [("node_offline", at), ("node_online", at + 5)]


async def test_unreadable_samples_are_reported_once_during_a_full_disk() -> None:
    hub = Sessions()
    damages, damage = CorruptionReporter(hub.registry.events), Damage("1s", 0.0, 60.0)
    hub.fails = StoreFull("no space")
    await damages.report(ONE, [damage])
    await damages.report(ONE, [damage])
    hub.fails = None
    await hub.registry.events.write_waiting()
    assert [kind for kind, _ in told(hub)] == ["history_damaged"]


async def test_a_permanently_refused_event_does_not_block_others() -> None:
    hub = Sessions()
    hub.fails = Conflict("never")
    await hub.registry.events.offline(ONE, "cut")
    hub.fails = None
    await hub.registry.events.online(ONE, "127.0.0.1", "0.1.0")
    assert [kind for kind, _ in told(hub)] == ["node_online"]


async def test_waiting_events_are_bounded_to_the_newest() -> None:
    hub = Sessions()
    hub.fails = StoreFull("no space")
    for _ in range(node_events.MOST_WAITING + 2):
        hub.clock.advance(1)
        await hub.registry.events.cloned(ONE, "127.0.0.1")
    hub.fails = None
    await hub.registry.events.close(30)
    assert [at - hub.clock.now() for _, at in told(hub)] == list(range(1 - node_events.MOST_WAITING, 1))


async def test_waiting_events_are_written_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    hub = Sessions()
    hub.fails = StoreFull("no space")
    for _ in range(node_events.MAX_WRITES + 1):
        await hub.registry.events.cloned(ONE, "127.0.0.1")
    hub.fails = None
    await hub.registry.events.close(5)
    assert (len(told(hub)), hub.registry.events.waiting) == (node_events.MAX_WRITES + 1, 0)
    assert "event_lost" not in caplog.messages


async def test_events_lost_at_the_end_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    hub = Sessions()
    hub.fails = StoreFull("no space")
    await hub.registry.events.offline(ONE, "cut")
    assert hub.registry.events.waiting == 1
    await hub.registry.events.close(5)
    [line] = [record for record in caplog.records if record.message == "event_lost"]
    assert {"type": "node_offline", "at": hub.clock.now(), "text": "web-1 is offline"}.items() <= line.facts.items()  # type: ignore[attr-defined]


async def test_a_hanging_database_delays_the_end_only_briefly(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Sessions()
    hub.fails = StoreFull("no space")
    await hub.registry.events.offline(ONE, "cut")
    monkeypatch.setattr(hub, "add_event", lambda _: asyncio.Event().wait())
    await hub.registry.events.close(0.05)
    assert "event_lost" in caplog.messages


async def test_a_loss_reported_during_a_full_disk_ends_no_session() -> None:
    hub = Sessions()
    agent = hub.comes()
    loses(agent, 1, 5)
    hub.fails = StoreFull("no space")
    await hub.ticks(agent)
    assert not agent.over
    hub.fails = None
    await hub.registry.events.write_waiting()
    assert hub.losses() == [{"pulse": 5}]


@pytest.mark.holds("S-48")
async def test_losses_and_clock_changes_of_a_node_are_one_event_a_minute() -> None:
    hub = Sessions()
    agent = hub.comes()
    for second in range(180):
        loses(agent, second // 2, 7)
        hub.registry.values.skews._changes[NODE] = (100.0, second % 2 == 0)
        await hub.ticks(agent)
        hub.clock.advance(1)
    assert sum(cast("dict[str, int]", rows)["pulse"] for rows in hub.losses()) >= 7 * 60
    assert len(hub.losses()) == 3
    assert len([one for one in hub.told if one.type.startswith("clock_")]) == 3
