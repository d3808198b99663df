"""A network that drops all packets, and half-open connections."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from spider.wire.frames import SILENCE_LIMIT_S
from tests.support.eventually import eventually
from tests.support.faults import WorkingNode, begin_job, check_all, end_job, open_files, working
from tests.support.flaky_network import FlakyNetwork
from tests.support.hub import HubProcess

OFFLINE_LIMIT_S = 45.0
BACK_LIMIT_S = 60.0


@contextlib.asynccontextmanager
async def behind(line: FlakyNetwork, folder: Path) -> AsyncIterator[HubProcess]:
    """A hub that its nodes reach through the simulated network."""
    hub = HubProcess(folder / "hub", args=("--server-url", f"ws://127.0.0.1:{line.port}/ws"))
    with hub:
        line.target = hub.port
        yield hub


def state(hub: HubProcess, node: str) -> str:
    return str(hub.node(node)["state"])


def is_new(node: WorkingNode, before: object) -> bool:
    return node.link._session not in (None, before)


@pytest.mark.holds("SAFETY-81", "F-06")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("silent_s", [40.0, pytest.param(600.0, marks=pytest.mark.slow)])
async def test_a_network_that_drops_everything_loses_no_sample_or_output(tmp_path: Path, silent_s: float) -> None:
    async with (
        FlakyNetwork() as line,
        behind(line, tmp_path) as hub,
        working(hub, tmp_path, url=f"ws://127.0.0.1:{line.port}/ws") as [node],
    ):
        job = await begin_job(hub, node)
        files = open_files(hub.pid)
        line.swallow()
        began = time.monotonic()
        while time.monotonic() - began < silent_s:
            await node.seconds(1)
            await asyncio.sleep(1)
        await eventually(lambda: state(hub, node.config.node) == "offline", OFFLINE_LIMIT_S - silent_s if silent_s < OFFLINE_LIMIT_S else 1)
        assert (await asyncio.to_thread(hub.job, job))["state"] == "running", "who is away may still be at work"
        line.heal()
        await eventually(lambda: state(hub, node.config.node) == "online", BACK_LIMIT_S)
        await end_job(hub, node, job)
        await node.settle()
        await check_all(hub.folder, node, job)
        await eventually(lambda: open_files(hub.pid) <= files, 30, "descriptors of dead connections stay")


@pytest.mark.holds("SAFETY-80", "SAFETY-81", "F-07", "F-25")
async def test_a_new_connection_replaces_a_half_open_one(tmp_path: Path) -> None:
    async with (
        FlakyNetwork() as line,
        behind(line, tmp_path) as hub,
        working(hub, tmp_path, url=f"ws://127.0.0.1:{line.port}/ws") as [node],
    ):
        job = await begin_job(hub, node)
        files = open_files(hub.pid)
        for _ in range(3):
            before = node.link._session
            line.forget()
            await node.seconds(20)
            node.clock.shift += SILENCE_LIMIT_S  # the node has heard nothing for so long
            await eventually(partial(is_new, node, before), 30, "the node does not come back")
            await eventually(lambda: state(hub, node.config.node) == "online")
        await end_job(hub, node, job)
        await node.settle()
        await check_all(hub.folder, node, job)
        await eventually(lambda: open_files(hub.pid) <= files, 30, "descriptors of dead connections stay")
