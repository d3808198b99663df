"""A restarted hub reports no node offline before it had time to reconnect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.agents.registry import RECONNECT_S, Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.core.errors import StoreBusy
from groundcontrol.core.ids import HubId, NodeId
from groundcontrol.events.model import Event
from groundcontrol.nodes.model import Node
from tests.support.agent_sessions import a_session
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, connect, new_node
from tests.support.store_files import open_new

NEXT = HubId("next")


class Ground:
    def __init__(self, store: Store, clock: ManualClock, nodes: dict[str, NodeId]) -> None:
        self.store, self.clock, self.nodes = store, clock, nodes
        self.registry = Registry(store, LocalBus(), clock, NEXT)

    async def node(self, name: str) -> Node:
        return await self.store.nodes.node(SCOPE, self.nodes[name])

    def reconnecting(self) -> list[str]:
        return [name for name, node in self.nodes.items() if self.registry.reconnecting(node)]

    async def events(self) -> list[tuple[str, str, object]]:
        found: list[Event] = (await self.store.log.events(SCOPE, 100)).items
        names = {node: name for name, node in self.nodes.items()}
        return [
            (one.type, names[cast("NodeId", one.node_id)], one.details.get("how"))
            for one in reversed(found)
            if one.type != "node_registered"
        ]

    async def comes(self, name: str) -> AgentSession:
        agent = a_session(self.clock, await self.node(name), 2)
        self.registry.add(agent)
        await self.registry.arrived(agent)
        return agent

    async def tick(self) -> None:
        """A second, and time for what the store is asked in it."""
        await self.clock.elapse(1)
        await self.store.nodes.find_node(self.nodes["back"])
        await asyncio.sleep(0.005)


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    """Yesterday a hub ended; its node `gone` had left a moment before, and `never` has never come."""
    clock = ManualClock()
    database = await open_new(tmp_path / "data", clock=clock)
    store = await database.store(audit_key=b"a" * 32, chain="hub")
    nodes = {name: (await store.nodes.create_node(SCOPE, new_node(name))).id for name in ("back", "late", "gone", "never")}
    sessions = {name: await connect(store, nodes[name]) for name in ("back", "late", "gone")}
    await store.sessions.release(sessions["gone"])
    await store.nodes.save_seen({nodes[name]: clock.now() for name in sessions})
    await database.close()
    clock.advance(86_400.0)
    database = await open_new(tmp_path / "data", clock=clock)
    store = await database.store(audit_key=b"a" * 32, chain="next")
    made = Ground(store, clock, nodes)
    await made.registry.start()
    yield made
    await database.close()


async def test_online_nodes_are_reconnecting_after_a_restart_for_two_minutes(ground: Ground) -> None:
    assert ground.reconnecting() == ["back", "late"]
    agent = await ground.comes("back")
    assert ground.reconnecting() == ["late"]
    ground.registry.leave(agent)
    assert ground.reconnecting() == ["late"], "one that was here and left is offline"
    running = asyncio.create_task(ground.registry._write(), name="registry")
    await ground.clock.elapse(RECONNECT_S - 2)
    assert ground.reconnecting() == ["late"]
    for _ in range(400):
        await ground.tick()
        if not ground.reconnecting():
            break
    assert ground.reconnecting() == []
    running.cancel()


async def test_after_a_restart_only_nodes_that_stay_away_are_reported(ground: Ground) -> None:
    registry = ground.registry
    running = asyncio.create_task(registry._write(), name="registry")
    await ground.clock.elapse(60)
    await ground.comes("back")
    await ground.clock.elapse(RECONNECT_S - 62)
    await ground.tick()
    assert await ground.events() == [], "it was the hub that was away"
    for _ in range(400):
        await ground.tick()
        if await ground.events():
            break
    assert await ground.events() == [("node_offline", "late", "restarted")]
    await ground.comes("late")
    assert (await ground.events())[1:] == [("node_online", "late", None)]
    running.cancel()


async def test_the_end_of_reconnecting_is_repeated_after_an_error_of_the_store(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(_hub: HubId) -> None:
        raise StoreBusy("a backup runs")

    with monkeypatch.context() as patched:
        patched.setattr(ground.store.sessions, "release_dead", busy)
        with pytest.raises(StoreBusy):
            await ground.registry._stop_awaiting()
    assert ground.reconnecting() == ["back", "late"], "the next tick tries again"

    await ground.registry._stop_awaiting()
    assert ground.reconnecting() == []
    assert await ground.store.sessions.left_online(HubId("third")) == set()


async def test_reconnecting_nodes_are_left_to_the_next_hub(ground: Ground) -> None:
    await connect(ground.store, ground.nodes["back"])  # by another hub, which has ended as well
    assert await ground.store.sessions.left_online(HubId("third")) == {ground.nodes["back"], ground.nodes["late"]}
    await ground.store.sessions.release_dead(NEXT)
    assert await ground.store.sessions.left_online(HubId("third")) == set()
