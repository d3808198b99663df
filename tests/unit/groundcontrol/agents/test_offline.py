"""Nodes that disconnect are reported offline after a delay, regardless of other nodes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import cast

import pytest

from groundcontrol.agents.registry import OFFLINE_GRACE_S, SEEN_EVERY_S
from groundcontrol.core.errors import StoreFull
from groundcontrol.core.ids import NodeId
from tests.support.agent_sessions import Sessions, loses

FIRST, SECOND, THIRD = (NodeId(name) for name in ("first", "second", "third"))


class SlowStore(Sessions):
    """A store that does something else in the middle of each write."""

    meanwhile: Callable[[], None] | None = None

    async def save_seen(self, seen: Mapping[NodeId, float]) -> None:
        await asyncio.sleep(0)
        await super().save_seen(seen)
        if self.meanwhile is not None:
            self.meanwhile()

    def offline(self) -> list[str | None]:
        return [told.node_id for told in self.told if told.type == "node_offline"]


@pytest.fixture
def hub() -> SlowStore:
    hub = SlowStore()
    agents = [hub.comes(node) for node in (FIRST, SECOND, THIRD)]
    for agent in agents:
        hub.goes(agent)
    hub.clock.advance(OFFLINE_GRACE_S)
    return hub


async def test_a_node_that_returns_before_its_turn_is_not_reported_offline(hub: SlowStore) -> None:
    def back() -> None:
        hub.meanwhile = None
        hub.comes(SECOND)
        del hub.registry._disconnected[SECOND]  # as `arrived` does

    hub.meanwhile = back
    await hub.registry._emit_disconnected()
    assert hub.offline() == [FIRST, THIRD]


async def test_a_node_removed_before_its_turn_is_not_reported_offline(hub: SlowStore) -> None:
    hub.meanwhile = lambda: cast("None", hub.registry.close(SECOND))
    await hub.registry._emit_disconnected()
    assert hub.offline() == [FIRST, THIRD]


@pytest.mark.parametrize("connected", [True, False])
async def test_nothing_is_held_of_a_removed_node(hub: SlowStore, *, connected: bool) -> None:
    hub.fails = StoreFull("no space")
    await hub.registry._emit_disconnected()
    last = hub.comes(FIRST)
    hub.registry.mark_clone(FIRST)
    last.ahead_rows = 1
    loses(last, 1, 10)
    await hub.registry._emit_pending(last)
    if not connected:
        hub.goes(last)
    await hub.registry.close(FIRST)
    held = {name: of for name, of in vars(hub.registry).items() if isinstance(of, dict | set)}
    assert [name for name, of in held.items() if FIRST in of] == []
    assert [name for name, of in held.items() if SECOND in of] == ["_emitted_offline", "_unsaved"]


async def test_a_node_that_left_again_gets_its_own_grace_time(hub: SlowStore) -> None:
    def comes_and_goes() -> None:
        hub.meanwhile = None
        hub.goes(hub.comes(SECOND))

    hub.meanwhile = comes_and_goes
    await hub.registry._emit_disconnected()
    assert hub.offline() == [FIRST, THIRD]
    hub.clock.advance(OFFLINE_GRACE_S)
    await hub.registry._emit_disconnected()
    assert hub.offline() == [FIRST, THIRD, SECOND]


async def test_a_node_that_leaves_during_a_full_disk_keeps_its_own_time(hub: SlowStore) -> None:
    left_at = hub.clock.now()
    hub.fails = StoreFull("no space")
    await hub.registry._emit_disconnected()
    hub.clock.advance(3600)
    hub.comes(FIRST)
    with pytest.raises(StoreFull):
        await hub.registry._save_seen(hub.registry.agents())
    hub.fails = None
    await hub.registry.events.write_waiting()
    assert [(told.node_id, told.at) for told in hub.told] == [(node, left_at) for node in (FIRST, SECOND, THIRD)]
    await hub.registry._save_seen(hub.registry.agents())
    assert hub.seen == {FIRST: hub.clock.now(), **dict.fromkeys((SECOND, THIRD), left_at - OFFLINE_GRACE_S)}
    hub.seen.clear()
    await hub.registry._save_seen(())
    assert hub.seen == {}, "what was saved once is not saved again"


async def test_a_full_disk_is_logged_seldom(hub: SlowStore, caplog: pytest.LogCaptureFixture) -> None:
    hub.fails = StoreFull("no space")
    running = asyncio.create_task(hub.registry.run(), name="registry")
    with caplog.at_level(logging.WARNING):
        for _ in range(120):
            hub.clock.advance(1)
            for _ in range(5):
                await asyncio.sleep(0)
    running.cancel()
    said = [record.getMessage() for record in caplog.records]
    assert said.count("events_wait") == 1
    assert len(said) <= 1 + 120 / SEEN_EVERY_S


async def test_an_unexpected_error_about_one_node_does_not_affect_the_others(hub: SlowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    find = hub.find_node

    async def fails(node: NodeId) -> object:
        if node == FIRST:
            raise RuntimeError("a bug")
        return await find(node)

    monkeypatch.setattr(hub, "find_node", fails)
    running = asyncio.create_task(hub.registry.run(), name="registry")
    await hub.clock.elapse(3 * OFFLINE_GRACE_S)
    assert not running.done()
    assert hub.offline() == [SECOND, THIRD]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_hanging_disk_does_not_delay_heartbeats(hub: SlowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes go after half a minute of silence, and could not come back before the disk does."""
    beats, never = 0, asyncio.Event()
    agent = hub.comes(FIRST)

    async def beat() -> None:
        nonlocal beats
        beats += 1

    async def hang(_seen: Mapping[NodeId, float]) -> None:
        await never.wait()

    monkeypatch.setattr(agent, "tick", beat)
    monkeypatch.setattr(agent, "is_idle", lambda _now: False)
    monkeypatch.setattr(hub, "save_seen", hang)
    running = asyncio.create_task(hub.registry.run(), name="registry")
    for _ in range(100):
        await asyncio.sleep(0)
        hub.clock.advance(1)
    assert beats > 90
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_joining_node_is_accepted_during_a_full_disk(hub: SlowStore) -> None:
    agent = hub.comes(FIRST)
    agent.node = agent.node._replace(last_seen_at=hub.clock.now())
    hub.fails = StoreFull("no space")
    await hub.registry.arrived(agent)
    hub.fails = None
    await hub.registry._save_seen(())
    assert hub.seen == {FIRST: hub.clock.now()}
