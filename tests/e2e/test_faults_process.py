"""A hub that is killed at any moment, stopped under load, suspended, started twice, or runs with a wrong clock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest

from groundcontrol.app import DRAIN_LIMIT_S
from tests.support.command import serve
from tests.support.eventually import eventually
from tests.support.faults import (
    SETTLE_LIMIT_S,
    WorkingNode,
    begin_job,
    check_all,
    end_job,
    frozen,
    open_files,
    working,
)
from tests.support.hub import HubProcess
from tests.support.hub_faults import fault_file, set_fault
from tests.support.invariants import check_databases
from tests.support.invariants_jobs import check_acknowledged

HOUR_S, DAY_S = 3600, 86_400
EXIT_CONFIG = 78
DRAIN_S = 10.0
START_S = 5.0
STUCK_S = 2.0


# -- killed ------------------------------------------------------------------------------------------------


async def kill_at_random(folder: Path, kills: int) -> None:
    dice = random.Random(kills)
    hub = HubProcess(folder / "hub")
    with hub:
        async with working(hub, folder) as [node]:
            job = await begin_job(hub, node)
            slowest_s = 0.0
            for _ in range(kills):
                await node.seconds(dice.randrange(5, 60))
                await asyncio.sleep(dice.uniform(0, 0.3))  # the moment is the point
                side = node.side(job)
                await hub.kill()
                await asyncio.to_thread(check_acknowledged, hub.folder, side)
                await node.seconds(10)
                began = time.monotonic()
                await hub.start()
                slowest_s = max(slowest_s, time.monotonic() - began)
                await asyncio.to_thread(check_databases, hub.folder)
                await eventually(lambda: node.online, SETTLE_LIMIT_S)
            await end_job(hub, node, job)
            await node.settle()
            await check_all(hub.folder, node, job)
            print(f"the slowest of {kills} starts took {slowest_s:.1f} s")


@pytest.mark.holds("SAFETY-76", "SAFETY-90", "F-01")
async def test_a_hub_that_is_killed_at_random_moments_loses_neither_output_nor_samples(tmp_path: Path) -> None:
    await kill_at_random(tmp_path, 3)


@pytest.mark.holds("F-01")
@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_hundred_kills_at_random_moments_lose_neither_output_nor_samples(tmp_path: Path) -> None:
    await kill_at_random(tmp_path, 100)


# -- stopped -----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def pages(hub: HubProcess, count: int) -> AsyncIterator[list[aiohttp.ClientWebSocketResponse]]:
    """Browsers that look at the fleet."""
    token = (await asyncio.to_thread(hub.login)).token
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
        opened = []
        for _ in range(count):
            page = await http.ws_connect(f"{hub.url}/api/v1/live")
            await page.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": "fleet"}]))
            opened.append(page)
        yield opened


async def listen(page: aiohttp.ClientWebSocketResponse) -> int | None:
    """Until it is closed; returns the code."""
    while (await page.receive()).type is aiohttp.WSMsgType.BINARY:
        pass
    return page.close_code


async def keep_measuring(node: WorkingNode) -> None:
    while True:
        await node.seconds(1)


async def drain_under_load(folder: Path, nodes_count: int, jobs_count: int, pages_count: int) -> None:
    hub = HubProcess(folder / "hub")
    with hub:
        async with working(hub, folder, nodes_count) as nodes, pages(hub, pages_count) as opened:
            jobs = [await begin_job(hub, node) for node in nodes[:jobs_count]]
            listening = [asyncio.create_task(listen(page)) for page in opened]
            measuring = [asyncio.create_task(keep_measuring(node)) for node in nodes]
            await eventually(lambda: all(node.made > 50 for node in nodes), 30)
            assert await hub.stop() == 0
            sides = [node.side(job) for node, job in zip(nodes, jobs, strict=False)]
            codes = await asyncio.wait_for(asyncio.gather(*listening), 30)
            for side in sides:
                await asyncio.to_thread(check_acknowledged, hub.folder, side)
            assert [log for log in hub.folder.glob("*.db-wal") if log.stat().st_size] == [], "the logs are folded in"
            assert set(codes) == {1001}
            assert DRAIN_LIMIT_S < DRAIN_S, "what is not done by then is cut short"
            await hub.start()
            await eventually(lambda: all(node.online for node in nodes), SETTLE_LIMIT_S)
            for task in measuring:
                task.cancel()
            await asyncio.gather(*measuring, return_exceptions=True)
            for node, job in zip(nodes, jobs, strict=False):
                assert (await end_job(hub, node, job))["state"] == "succeeded"
                await node.settle()
                await check_all_of(hub, nodes, node, job)


async def check_all_of(hub: HubProcess, nodes: list[WorkingNode], node: WorkingNode, job: str) -> None:
    """With one node everything; with several, jobs and databases, since nodes measure alike."""
    if len(nodes) == 1:
        await check_all(hub.folder, node, job)
        return
    row = await asyncio.to_thread(hub.job, job)
    assert await asyncio.to_thread(hub.job_output, job) == node.runners[job].printed
    assert row["state"] == "succeeded"
    await asyncio.to_thread(check_databases, hub.folder)


@pytest.mark.holds("SAFETY-89", "F-08", "F-32")
async def test_a_stop_under_load_takes_at_most_ten_seconds_and_loses_nothing(tmp_path: Path) -> None:
    await drain_under_load(tmp_path, 1, 1, 4)


@pytest.mark.holds("F-32")
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_stop_under_full_load_takes_at_most_ten_seconds(tmp_path: Path) -> None:
    await drain_under_load(tmp_path, 50, 5, 10)


@pytest.mark.holds("SAFETY-89", "F-32")
async def test_endless_readers_do_not_delay_a_stop(tmp_path: Path) -> None:
    """With ten seconds for each of six connections it would take a minute."""
    hub = HubProcess(tmp_path / "hub", faults=["busy-readers"])
    with hub:
        async with working(hub, tmp_path) as [node]:
            await node.seconds(60)
            await node.settle()
            os.kill(hub.pid, signal.SIGUSR1)
            await eventually(fault_file(hub.folder, "busy-readers").exists)
            await node.seconds(30)
            began = time.monotonic()
            assert await hub.stop() == 0
            print(f"the stop took {time.monotonic() - began:.1f} s")
            await hub.start()
            await eventually(lambda: node.online, SETTLE_LIMIT_S)
            await node.settle()
            await check_all(hub.folder, node)


# -- standing still ------------------------------------------------------------------------------------------


async def test_a_hanging_hub_stops_its_watchdog_messages_and_is_replaced(tmp_path: Path) -> None:
    """systemd ends a service that says nothing for WatchdogSec with SIGABRT, and starts it again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as keeper:
        keeper.bind(str(tmp_path / "notify"))
        keeper.settimeout(STUCK_S)
        hub = HubProcess(tmp_path / "hub", env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"})
        with hub:
            async with working(hub, tmp_path) as [node]:
                job = await begin_job(hub, node)
                while await asyncio.to_thread(keeper.recv, 100) != b"WATCHDOG=1":
                    pass
                with frozen(hub.pid):
                    with pytest.raises(TimeoutError):
                        await asyncio.to_thread(hear_nothing, keeper)
                    await node.seconds(30)
                    os.kill(hub.pid, signal.SIGABRT)
                assert await asyncio.to_thread(hub.outlive) == -signal.SIGABRT
                assert not any(name.startswith("core") for name in os.listdir(tmp_path)), "a memory image would hold keys"
                await hub.start()
                await eventually(lambda: node.online, SETTLE_LIMIT_S)
                await end_job(hub, node, job)
                await node.settle()
                await check_all(hub.folder, node, job)


def hear_nothing(keeper: socket.socket) -> None:
    """What was said before is read away; then silence.

    Raises: TimeoutError: it is silent.
    """
    for _ in range(50):
        keeper.recv(100)


# -- twice ---------------------------------------------------------------------------------------------------


@pytest.mark.slow  # test_hub starts a second hub on the folder, and on links to its files
@pytest.mark.holds("F-40")
async def test_a_second_hub_on_the_folder_is_refused_and_the_first_one_notices_nothing(tmp_path: Path) -> None:
    """The first is under load, and the lock of a killed one blocks nobody."""
    hub = HubProcess(tmp_path / "hub")
    with hub:
        async with working(hub, tmp_path) as [node]:
            job = await begin_job(hub, node)
            session = node.link._session
            for _ in range(2):
                await node.seconds(20)
                second = await asyncio.to_thread(serve, hub.folder)
                assert second.returncode == EXIT_CONFIG
                assert "another hub" in second.stderr
            assert node.link._session is session
            await hub.kill()
            await hub.start()
            await end_job(hub, node, job)
            await node.settle()
            await check_all(hub.folder, node, job)


# -- by a wrong clock ------------------------------------------------------------------------------------------


async def set_clock(hub: HubProcess, wrong_by_s: float) -> None:
    await asyncio.to_thread(set_fault, hub, "clock", str(wrong_by_s))


async def jump(folder: Path, jumps: list[float], restarts: bool, whose: tuple[str, ...] = ("hub",)) -> None:
    """A clock is set again and again: sessions go on, a new log-in works, and no sample is lost."""
    hub = HubProcess(folder / "hub", faults=["clock"])
    with hub:
        async with working(hub, folder) as [node]:
            job = await begin_job(hub, node)
            session = node.link._session
            files = open_files(hub.pid)
            for wrong_by_s in jumps:
                if "hub" in whose:
                    await set_clock(hub, wrong_by_s)
                if "node" in whose:
                    node.clock.wrong = wrong_by_s
                if restarts:
                    fault_file(hub.folder, "clock").write_text(str(wrong_by_s))
                    await hub.kill()
                    await hub.start()
                    await eventually(lambda: node.online, SETTLE_LIMIT_S)
                for _ in range(30):
                    node.second(wrong_by_s if "hub" in whose else 0.0)
                    await asyncio.sleep(0.01)
                await node.settle()
                assert (await asyncio.to_thread(hub.request, "GET", "/healthz")).status == 200
            if not restarts:
                assert node.link._session is session, "nothing that waits goes by the wall clock"
                assert open_files(hub.pid) < files + 20
            if "hub" in whose:
                await set_clock(hub, 0)
            node.clock.wrong = 0.0
            await hub.call("POST", "/api/v1/local/clock")
            await asyncio.to_thread(hub.login)
            await end_job(hub, node, job)
            await node.settle()
            await check_all(hub.folder, node, job)


@pytest.mark.holds("SAFETY-84", "F-14")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "whose", [("hub",), *(pytest.param(whose, marks=pytest.mark.slow) for whose in (("node",), ("hub", "node")))], ids="-and-".join
)
async def test_a_clock_that_jumps_breaks_no_session_and_loses_no_sample(tmp_path: Path, whose: tuple[str, ...]) -> None:
    """An hour, three days back, to 1970 and ten years on; what a node dates in 1970, or alone years ahead, is counted and not stored."""
    jumps = [HOUR_S, -3 * DAY_S, 4000 - time.time(), 10 * 365 * DAY_S]
    await jump(tmp_path, jumps, restarts=False, whose=whose)


@pytest.mark.holds("SAFETY-84", "F-14")
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_hub_started_with_a_wrong_clock_loses_no_sample(tmp_path: Path) -> None:
    await jump(tmp_path, [HOUR_S, -HOUR_S, DAY_S, -DAY_S, -3 * DAY_S, -time.time() + 1000, 10 * 365 * DAY_S, -40 * DAY_S], restarts=True)


@pytest.mark.holds("SAFETY-84", "F-14")
async def test_a_log_in_expires_by_the_clock_and_a_new_one_is_accepted(tmp_path: Path) -> None:
    """What expires goes by the hub's wall clock, and fails closed."""
    hub = HubProcess(tmp_path / "hub", faults=["clock"])
    with hub:
        token = (await asyncio.to_thread(hub.login)).token
        assert (await hub.call("GET", "/api/v1/nodes", token=token)).status == 200
        await set_clock(hub, DAY_S)
        assert (await hub.call("GET", "/api/v1/nodes", token=token)).status == 401
        fresh = (await asyncio.to_thread(hub.login)).token
        assert (await hub.call("GET", "/api/v1/nodes", token=fresh)).status == 200
