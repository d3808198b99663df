"""Consecutive faults for any length of time, and a hub with little memory: nothing may grow, nothing may be lost."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import time
from pathlib import Path

import pytest

from groundcontrol.app import EXIT_RETRY, EXIT_SOFTWARE
from tests.support.eventually import eventually
from tests.support.faults import SETTLE_LIMIT_S, WorkingNode, begin_job, check_fleet, end_job, frozen, open_files, working
from tests.support.hub import HubProcess
from tests.support.invariants import check_databases

MINUTES = float(os.environ.get("STARDUST_SOAK_MINUTES", "10"))
NODES = int(os.environ.get("STARDUST_SOAK_NODES", "50"))
CROWD = 200
SHORT_BYTES = 48 << 20


def figure(hub: HubProcess, name: str) -> float:
    for line in hub.local("GET", "/metrics").body.decode().splitlines():
        if line.startswith(f"stardust_{name} "):
            return float(line.split()[1])
    raise KeyError(name)


def address_space(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


def cut(node: WorkingNode) -> None:
    """Drop the connection without a close frame."""
    if node.link._session is not None:
        node.link._session.socket._writer.transport.abort()


async def measure(nodes: list[WorkingNode], count: int) -> None:
    """All of them measure so many seconds."""
    await asyncio.gather(*(node.seconds(count) for node in nodes))


FAULTS = ("kill", "stop", "cut", "cut often", "freeze", "read")


async def one_fault(what: str, dice: random.Random, hub: HubProcess, nodes: list[WorkingNode]) -> None:
    """Something bad."""
    if what == "kill":
        await hub.kill()
        await measure(nodes, dice.randrange(0, 100))
        await hub.start()
    elif what == "stop":
        assert await hub.stop() == 0
        await hub.start()
    elif what.startswith("cut"):
        for _ in range(10 if what == "cut often" else 1):
            for node in nodes if dice.random() < 0.2 else dice.sample(nodes, 1 + len(nodes) // 5):
                cut(node)
            await measure(nodes, dice.randrange(1, 20))
    elif what == "freeze":
        with frozen(hub.pid):
            await measure(nodes, dice.randrange(50, 300))
    else:
        for _ in range(20):
            await hub.call("GET", f"/api/v1/nodes/{dice.choice(nodes).config.node}/history?metric=load.1")


@pytest.mark.slow  # test_faults_process, test_faults_network and test_samples_survive have each of the three
@pytest.mark.holds("F-38")
async def test_a_kill_a_cut_and_a_freeze_in_a_row_lose_nothing(tmp_path: Path) -> None:
    """Briefly: one job and the samples of three nodes outlive all of it."""
    dice = random.Random(38)
    hub = HubProcess(tmp_path / "hub")
    with hub:
        async with working(hub, tmp_path, 3) as nodes:
            job = await begin_job(hub, nodes[0])
            for what in ("kill", "cut often", "freeze"):
                await measure(nodes, 20)
                await one_fault(what, dice, hub, nodes)
                await eventually(lambda: all(node.online for node in nodes), SETTLE_LIMIT_S, "not all nodes come back")
            await end_job(hub, nodes[0], job)
            for node in nodes:
                await node.settle()
            await check_fleet(hub.folder, nodes, {job: nodes[0]})


@pytest.mark.holds("SAFETY-93", "F-38")
@pytest.mark.slow
@pytest.mark.timeout(int(MINUTES * 60) + 600)
async def test_one_fault_after_the_other_loses_nothing_and_nothing_grows(tmp_path: Path) -> None:
    """STARDUST_SOAK_MINUTES says how long, STARDUST_SOAK_NODES with how many."""
    dice = random.Random(38)
    done: list[str] = []
    hub = HubProcess(tmp_path / "hub")
    with hub:
        async with working(hub, tmp_path, NODES) as nodes:
            node = nodes[0]
            ends_at = time.monotonic() + MINUTES * 60
            baseline: tuple[int, float] | None = None
            while time.monotonic() < ends_at:
                node.finish.clear()
                job = await begin_job(hub, node)
                for _ in range(3):
                    await measure(nodes, dice.randrange(10, 60))
                    done.append(dice.choice(FAULTS))
                    await one_fault(done[-1], dice, hub, nodes)
                    await eventually(
                        lambda: all(node.online for node in nodes), SETTLE_LIMIT_S, f"not all nodes come back after {done[-1]}"
                    )
                assert (await end_job(hub, node, job))["state"] == "succeeded", done
                for each in nodes:
                    await each.settle()
                await check_fleet(hub.folder, nodes, {job: node})
                now = (open_files(hub.pid), await asyncio.to_thread(figure, hub, "loop_tasks"))
                baseline = baseline or now
                assert now[0] <= baseline[0] + 10, ("descriptors", baseline, now, done)
                assert now[1] <= baseline[1] + 10, ("tasks", baseline, now, done)
                assert sum(log.stat().st_size for log in hub.folder.glob("*.db-wal")) < 64 << 20
                assert [event for event in hub.events if event["level"] == "critical"] == []
    print(f"{len(done)} faults, {sum(node.made for node in nodes)} seconds of {len(nodes)} nodes")
    assert done


async def run_short(folder: Path, crowd: int, short_bytes: int, rounds: int) -> None:
    """Give the hub no more memory under the work of so many nodes and many long answers, then as much as it likes."""
    hub = HubProcess(folder / "hub")
    with hub:
        async with working(hub, folder, crowd, limit_s=2 * SETTLE_LIMIT_S) as nodes:
            node = nodes[0]
            job = await begin_job(hub, node)
            size = address_space(hub.pid)
            resource.prlimit(hub.pid, resource.RLIMIT_AS, (size, size + short_bytes))
            for _ in range(rounds):
                if not hub.running:
                    break
                await measure(nodes, 100)
                await asyncio.gather(
                    *(hub.call("GET", f"/api/v1/nodes/{node.config.node}/history?metric=load.1&points=4000") for _ in range(8)),
                    return_exceptions=True,
                )
            if hub.running:
                resource.prlimit(hub.pid, resource.RLIMIT_AS, (size + short_bytes, size + short_bytes))
                await hub.kill()
            else:
                assert await asyncio.to_thread(hub.outlive) in (EXIT_RETRY, EXIT_SOFTWARE, -6, -9, -11)
            await asyncio.to_thread(check_databases, hub.folder)
            await hub.start()
            await eventually(lambda: all(node.online for node in nodes), 2 * SETTLE_LIMIT_S)
            await end_job(hub, node, job)
            for each in nodes:
                await each.settle()
            await check_fleet(hub.folder, nodes, {job: node})


@pytest.mark.holds("F-33")
async def test_a_hub_out_of_memory_ends_or_continues_without_losses(tmp_path: Path) -> None:
    await run_short(tmp_path, 5, SHORT_BYTES // 6, 3)


@pytest.mark.holds("SAFETY-97", "F-33")
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_hub_that_gets_no_more_memory_ends_or_goes_on_and_nothing_is_lost(tmp_path: Path) -> None:
    """Whichever it is, its databases are whole and everything acknowledged is there."""
    await run_short(tmp_path, CROWD, SHORT_BYTES, 20)
