"""A hub killed while a node joins: the invite, the node and its keys are stored together or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from groundcontrol.deployments.joining import LOST_S
from spider.wire.errors import NotProven
from spider.wire.joining import masked
from tests.support.agent import agents
from tests.support.eventually import eventually
from tests.support.hub import Enrolled, HubProcess
from tests.support.join_client import Visitor, made, start_join


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
        yield session


def nodes(hub: HubProcess) -> list[Any]:
    found: list[Any] = hub.local("GET", "/api/v1/nodes").json["nodes"]
    return found


def killed(hub: HubProcess) -> None:
    hub.slay()
    hub.launch()


async def installed(hub: HubProcess, visitor: Visitor) -> Enrolled:
    """The state of a server that has its files, before it has reported them in place."""
    accepted, files = await visitor.accepted()
    session = masked(accepted.session_mask, visitor.joined.session_mask)
    launch = masked(accepted.launch_mask, visitor.joined.launch_mask)
    fleet = next(line for line in files["spider.conf"].decode().splitlines() if line.startswith("fleet = ")).partition("= ")[2]
    return Enrolled(accepted.node, "web-9", 1, fleet, session, launch)


async def test_a_hub_killed_during_a_join_keeps_all_of_it_or_nothing(hub: HubProcess, client: aiohttp.ClientSession) -> None:
    shown = made(hub, name="web-9")
    await start_join(client, hub, shown["invite"])  # proven, and nothing more
    await asyncio.to_thread(killed, hub)
    assert nodes(hub) == []
    node = await installed(hub, await start_join(client, hub, shown["invite"]))  # so the invite is still good
    await asyncio.to_thread(killed, hub)
    assert [(one["id"], one["state"]) for one in nodes(hub)] == [(node.node_id, "pending")]
    with pytest.raises(NotProven):
        await start_join(client, hub, shown["invite"])
    async with agents(hub, node) as [agent]:  # it was installed meanwhile, and no reporter is left
        await agent.join()
        await eventually(lambda: hub.node(node.node_id)["state"] == "online", 30, "it does not come back")
    await asyncio.to_thread(killed, hub)
    assert [one["id"] for one in nodes(hub)] == [node.node_id]  # it has come back once: it stays


@pytest.mark.slow
@pytest.mark.timeout(LOST_S + 120)
async def test_a_node_that_does_not_come_back_after_the_kill_is_forgotten(hub: HubProcess, client: aiohttp.ClientSession) -> None:
    """Its quick sibling is above."""
    node = await installed(hub, await start_join(client, hub, made(hub, name="web-9")["invite"]))
    await asyncio.to_thread(killed, hub)
    assert len(nodes(hub)) == 1
    await eventually(lambda: nodes(hub) == [], LOST_S + 60, "it is not forgotten")
    async with agents(hub, node) as [agent]:
        with pytest.raises(NotProven):
            await agent.join()
