"""A hub for each module, and agents for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.ordering import SPELL
from tests.support.agent import IDENTITY, TestAgent, agents, until
from tests.support.hub import HubProcess


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
    [node] = await asyncio.to_thread(shared_hub.enrol, f"node-{next(SPELL)}")
    async with agents(shared_hub, node) as [made]:
        await made.join()
        await made.say(IDENTITY)
        await until(lambda: shared_hub.node(node.node_id)["policy"])
        yield made
