"""Nodes that left are told of after a while, whatever others do meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from groundcontrol.domain.ids import NodeId
from groundcontrol.errors import StoreFull
from groundcontrol.fleet.registry import OFFLINE_GRACE_S
from groundcontrol.fleet.session import AgentSession
from tests.unit.groundcontrol.fleet.test_lost import Agent, Hub

FIRST, SECOND, THIRD = (NodeId(name) for name in ("first", "second", "third"))


class SlowHub(Hub):
    """One whose store does something else in the midst of each writing."""

    meanwhile: Callable[[], None] | None = None

    async def save_seen(self, seen: object) -> None:
        await asyncio.sleep(0)
        await super().save_seen(seen)
        if self.meanwhile is not None:
            self.meanwhile()

    def offline(self) -> list[str | None]:
        return [told.node_id for told in self.told if told.type == "node.offline"]


@pytest.fixture
def hub() -> SlowHub:
    hub = SlowHub()
    agents = [Agent(1, node) for node in (FIRST, SECOND, THIRD)]
    for agent in agents:
        hub.registry.add(cast("AgentSession", agent))
    for agent in agents:
        hub.goes(agent)
    hub.clock.advance(OFFLINE_GRACE_S)
    return hub


async def test_who_comes_back_while_others_are_told_of_is_not_told_of(hub: SlowHub) -> None:
    def back() -> None:
        hub.meanwhile = None
        hub.registry.add(cast("AgentSession", Agent(2, SECOND)))
        del hub.registry._gone[SECOND]  # as `arrived` does

    hub.meanwhile = back
    await hub.registry._tell_gone()
    assert hub.offline() == [FIRST, THIRD]


async def test_who_is_removed_while_others_are_told_of_is_not_told_of(hub: SlowHub) -> None:
    hub.meanwhile = lambda: cast("None", hub.registry.close(SECOND))
    await hub.registry._tell_gone()
    assert hub.offline() == [FIRST, THIRD]


async def test_who_came_and_left_again_meanwhile_has_its_own_time(hub: SlowHub) -> None:
    def comes_and_goes() -> None:
        hub.meanwhile = None
        again = Agent(2, SECOND)
        hub.registry.add(cast("AgentSession", again))
        hub.goes(again)

    hub.meanwhile = comes_and_goes
    await hub.registry._tell_gone()
    assert hub.offline() == [FIRST, THIRD]
    hub.clock.advance(OFFLINE_GRACE_S)
    await hub.registry._tell_gone()
    assert hub.offline() == [FIRST, THIRD, SECOND]


async def test_while_the_disk_is_full_nobody_is_forgotten(hub: SlowHub) -> None:
    hub.fails = StoreFull("no space")
    for _ in range(2):
        with pytest.raises(StoreFull):
            await hub.registry._tell_gone()
    back = Agent(2, FIRST)  # which is then nobody who stays away
    hub.registry.add(cast("AgentSession", back))
    hub.fails = None
    await hub.registry._tell_gone()
    assert sorted(map(str, hub.offline())) == [SECOND, THIRD]
