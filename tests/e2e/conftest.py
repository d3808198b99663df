"""A hub for each module, and agents for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import IDENTITY, TestAgent, agents, node_name
from tests.support.eventually import eventually
from tests.support.hub import HubProcess
from tests.support.hub_faults import set_fault
from tests.support.rights_fixture import PROXY, World, a_world


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A fresh hub of this test's own."""
    process = HubProcess(tmp_path / "hub")
    with process:
        yield process


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One hub for all tests of a module that leave it as they found it."""
    process = HubProcess(tmp_path_factory.mktemp("shared") / "hub")
    with process:
        yield process


@pytest.fixture
async def agent(shared_hub: HubProcess) -> AsyncIterator[TestAgent]:
    """A node that has joined and allows everything."""
    [node] = await asyncio.to_thread(shared_hub.enrol, node_name())
    async with agents(shared_hub, node) as [made]:
        await made.join()
        await made.say(IDENTITY)
        await eventually(lambda: shared_hub.node(node.node_id)["policy"])
        yield made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for a whole module, on a hub with an adjustable clock and a known proxy."""
    folder = tmp_path_factory.mktemp("rights") / "hub"
    with HubProcess(folder, faults=["clock"], env={"STARDUST_TRUSTED_PROXIES": PROXY}) as process:
        yield a_world(process)


@pytest.fixture
def shift_clock(world: World) -> Iterator[Any]:
    """Sets the hub's clock while it runs, and back afterwards."""

    def shift(seconds: float) -> None:
        set_fault(world.hub, "clock", str(seconds))

    yield shift
    shift(0)
