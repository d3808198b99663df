"""Losses of nodes are reported once, whenever their sessions end."""

from __future__ import annotations

from typing import cast

import pytest

from groundcontrol.agents.node_events import EVERY_S
from groundcontrol.agents.registry import MOST_UNREPORTED, OFFLINE_GRACE_S
from groundcontrol.core.bus import BusEvent, SessionChanged
from tests.support.agent_sessions import Sessions, loses


@pytest.fixture
def hub() -> Sessions:
    return Sessions()


async def test_a_stopping_hub_reports_no_node_as_offline(hub: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[BusEvent] = []
    monkeypatch.setattr(hub.registry._bus, "publish", told.append)
    hub.goes(hub.comes())
    assert [(one.online, one.epoch) for one in told if isinstance(one, SessionChanged)] == [(True, 1), (False, 1)]
    told.clear()
    agent = hub.comes()
    await hub.registry.drain()
    assert agent.over
    assert [(one.online, one.epoch) for one in told if isinstance(one, SessionChanged)] == [(True, 2)]


async def test_a_loss_is_reported_once_when_nothing_is_added_to_it(hub: Sessions) -> None:
    agent = hub.comes()
    loses(agent, 1, 5)
    await hub.ticks(agent, 1)
    loses(agent, 2, 7)
    await hub.ticks(agent, 1)
    assert hub.losses() == []
    await hub.ticks(agent)
    assert hub.losses() == [{"pulse": 12}]
    loses(agent, 3, 1)
    await hub.ticks(agent)
    assert hub.losses() == [{"pulse": 12}]
    hub.clock.advance(EVERY_S)
    await hub.ticks(agent)
    assert hub.losses() == [{"pulse": 12}, {"pulse": 1}]


async def test_continuous_losses_of_a_node_are_reported_in_bounded_parts(hub: Sessions) -> None:
    agent, number = hub.comes(), 0
    for _ in range(10):
        for _ in range(MOST_UNREPORTED // 2):
            number += 1
            loses(agent, number, 1)
        await hub.ticks(agent, 1)
        assert len(agent.lost) <= MOST_UNREPORTED
    hub.clock.advance(EVERY_S)
    await hub.ticks(agent)
    assert sum(cast("dict[str, int]", rows)["pulse"] for rows in hub.losses()) == number


@pytest.mark.parametrize("taken_over", [False, True])
@pytest.mark.parametrize("answered", [False, True])
async def test_a_loss_is_reported_although_its_session_ends(hub: Sessions, answered: bool, taken_over: bool) -> None:
    first = hub.comes()
    loses(first, 1, 5)
    await hub.ticks(first, 1)
    if not taken_over:
        hub.goes(first)
    second = hub.comes()
    if not answered:
        loses(second, 1, 5)  # so it says that again
    loses(second, 2, 7)
    await hub.ticks(second)
    assert hub.losses() == [{"pulse": 12}]


@pytest.mark.parametrize("known", [True, False])
async def test_a_loss_of_an_offline_node_is_reported_with_its_disconnect(hub: Sessions, known: bool) -> None:
    agent = hub.comes()
    loses(agent, 1, 5)
    hub.goes(agent)
    hub.known = known
    hub.clock.advance(OFFLINE_GRACE_S)
    await hub.registry._emit_disconnected()
    assert hub.losses() == ([{"pulse": 5}] if known else [])
    again = hub.comes()
    await hub.ticks(again)
    assert len(hub.losses()) == known
