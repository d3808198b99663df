"""A hub whose disk is full, failing or read-only: no acknowledged data is lost, and the hub recovers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from groundcontrol.agents.session import LOG_REPEAT_S
from spider.reports.package_sync import digest_of, messages
from spider.wire.report_messages import InstalledPackages, LogAck, LogLines, PackagesHeld, Table, Updates
from tests.support.agent import IDENTITY, TestAgent, agents, layout_of, pack_of
from tests.support.command import said_by, serve
from tests.support.eventually import eventually
from tests.support.faults import (
    SETTLE_LIMIT_S,
    begin_job,
    breakable_disk,
    check_all,
    end_job,
    small_disk,
    working,
)
from tests.support.hub import HubProcess
from tests.support.hub_faults import fault_file

EXIT_RETRY, EXIT_CONFIG = 75, 78


def health(hub: HubProcess) -> int:
    return hub.request("GET", "/healthz").status


async def fill_and_clear(folder: Path, rounds: int, kills: bool) -> None:
    """A job and samples go on while the disk is full; when there is room again everything is there once."""
    dice = random.Random(rounds)
    with small_disk(folder / "hub", "12m") as disk:
        hub = HubProcess(folder / "hub", mounts_of=disk.pid)
        hub.view = disk.view
        with hub:
            async with working(hub, folder) as [node]:
                job = await begin_job(hub, node)
                for _ in range(rounds):
                    await node.seconds(30)
                    filler = await asyncio.to_thread(disk.fill)
                    await node.seconds(dice.randrange(100, 200))
                    await eventually(lambda: health(hub) == 503)
                    assert hub.running
                    assert (await asyncio.to_thread(hub.request, "GET", "/")).status == 200, "it is to be read all the time"
                    if kills:
                        await hub.kill()
                    filler.unlink()
                    if kills:
                        await hub.start()
                    await eventually(lambda: health(hub) == 200)
                    await node.settle()
                done = await end_job(hub, node, job)
                assert done["state"] == "succeeded"
                await node.settle()
                await hub.stop()
                await check_all(disk.copied(folder / "copy"), node, job)


@pytest.mark.holds("SAFETY-82", "F-11")
async def test_a_disk_that_fills_during_a_job_loses_neither_output_nor_samples(tmp_path: Path) -> None:
    await fill_and_clear(tmp_path, 1, kills=False)


async def tell_everything(hub: HubProcess, agent: TestAgent, number: int) -> None:
    """The messages of a real node beside its samples, which it need not send twice."""
    packages = {"bash": f"1.{number}"}
    await agent.say(
        IDENTITY._replace(hostname=f"host-{number}"),
        Updates(number, 0, 1_790_000_000_000),
        Table("users", 1_790_000_000_000 + number, 1, ["user", "terminal", "since"], ["root", f"tty{number}", 0]),
        LogLines("", f"cursor-{number}", 0, [1_790_000_000_000], [3], ["cron"], [f"line {number}"]),
        *messages("", digest_of(packages), sorted(packages.items())),
    )


async def stays_through(hub: HubProcess, agent: TestAgent, trouble: Callable[[], object], over: Callable[[], object]) -> None:
    """A node that has tables, facts and lines of its log to tell is kept through a trouble of the disk, and then all of it is."""
    await agent.join()
    await agent.say(layout_of(), pack_of(0))
    await agent.wait_acked(0)
    await asyncio.to_thread(trouble)
    for seq in range(1, 40):
        await agent.say(pack_of(seq, rows=100))
    await eventually(lambda: health(hub) == 503, 40)
    for number in (1, 2):
        await tell_everything(hub, agent, number)
    await agent.say(pack_of(40))
    path = f"/api/v1/nodes/{agent.node.node_id}"
    await eventually(lambda: hub.local("GET", path).json["latest"]["load.1"]["value"] == 40, what="its values stand still")
    await asyncio.sleep(LOG_REPEAT_S)  # pending work is dropped, or arrives again
    assert await agent.expect(LogAck) == LogAck(""), "nothing is held, and the node shall say it again"
    assert agent.acked[0] < 40
    await asyncio.to_thread(over)
    await agent.say(LogLines("", "cursor-3", 0, [1_790_000_000_000], [3], ["cron"], ["line 3"]))
    assert await agent.expect(LogAck) == LogAck("cursor-3")
    await agent.say(LogLines("", "", 0, [], [], [], []))
    await agent.wait_acked(40)
    await eventually(lambda: health(hub) == 200)
    node = await asyncio.to_thread(hub.local, "GET", path)
    assert (node.json["identity"]["hostname"], node.json["updates"]["total"]) == ("host-2", 2)
    await agent.say(InstalledPackages(digest_of({"bash": "1.2"}), "f" * 32, 0, 1, [], []))
    assert await agent.expect(PackagesHeld) == PackagesHeld("")
    await agent.close()
    await eventually(lambda: hub.node(agent.node.node_id)["state"] == "offline")
    left = (await asyncio.to_thread(hub.local, "GET", f"{path}/tables")).json["tables"]
    assert [table["rows"] for table in left if table["subject"] == "users"] == [[["root", "tty2", 0.0]]]
    await hub.event("agent_gone")
    assert [line["code"] for line in hub.events if line["event"] == "agent_gone"] == [1000]


async def test_a_full_disk_disconnects_no_node(tmp_path: Path) -> None:
    with small_disk(tmp_path / "hub", "12m") as disk:
        hub = HubProcess(tmp_path / "hub", mounts_of=disk.pid)
        hub.view = disk.view
        with hub:
            [node] = await asyncio.to_thread(hub.enrol, "web-1")
            async with agents(hub, node) as [agent]:
                await stays_through(hub, agent, disk.fill, (disk.view / "filler").unlink)


@pytest.mark.slow
async def test_a_hanging_disk_disconnects_no_node(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub", faults=["stalled-disk"])
    hang = fault_file(tmp_path / "hub", "stalled-disk")
    with hub:
        [node] = await asyncio.to_thread(hub.enrol, "web-1")
        async with agents(hub, node) as [agent]:
            await stays_through(hub, agent, hang.touch, hang.unlink)


@pytest.mark.holds("F-11")
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_repeatedly_filling_the_disk_of_a_killed_hub_loses_nothing(tmp_path: Path) -> None:
    await fill_and_clear(tmp_path, 8, kills=True)


@pytest.mark.holds("F-11")
def test_a_start_without_disk_space_exits_for_a_retry(tmp_path: Path) -> None:
    """systemd does not start again what ended with 78."""
    with small_disk(tmp_path / "hub", "6m") as disk:
        hub = HubProcess(tmp_path / "hub", mounts_of=disk.pid)
        hub.view = disk.view
        with hub:
            assert hub.end() == 0  # a killed hub's log is checkpointed, which frees space
            filler = disk.fill()
            done = serve(tmp_path / "hub", mounts_of=disk.pid)
            assert done.returncode == EXIT_RETRY, done.stderr
            assert "space" in done.stderr
            assert "Traceback" not in done.stderr
            filler.unlink()
            hub.launch()


@pytest.mark.holds("SAFETY-83", "F-13")
async def test_a_failing_disk_ends_the_hub_without_losing_acknowledged_data(tmp_path: Path) -> None:
    """On a real block device whose writes fail with input/output errors."""
    with breakable_disk(tmp_path / "hub") as disk:
        hub = HubProcess(tmp_path / "hub", mounts_of=disk.pid)
        hub.view = disk.view
        with hub:
            async with working(hub, tmp_path) as [node]:
                job = await begin_job(hub, node)
                await node.seconds(60)
                disk.break_down()
                await node.seconds(60)
                assert await asyncio.to_thread(hub.outlive, 40) == EXIT_RETRY
                held = node.side(job).acked
                with breakable_disk(tmp_path / "hub", disk.image) as good:
                    hub.mounts_of = good.pid
                    hub.view = good.view
                    await hub.start()
                    assert len(await asyncio.to_thread(hub.job_output, job)) >= held
                    await end_job(hub, node, job)
                    await node.settle()
                    await hub.stop()
                    await check_all(good.copied(tmp_path / "copy"), node, job)


@pytest.mark.holds("F-13")
async def test_a_hanging_disk_is_reported_blocks_no_reader_and_recovers(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub", faults=["stalled-disk"])
    hang = fault_file(tmp_path / "hub", "stalled-disk")
    with hub:
        admin = (await asyncio.to_thread(hub.login)).token
        made = await hub.call("POST", "/api/v1/tokens", {"name": "reader", "role": "viewer"}, token=admin)
        reader = made.json["token"]
        async with working(hub, tmp_path) as [node]:
            job = await begin_job(hub, node)
            await node.seconds(30)
            await node.settle()
            hang.touch()
            await node.seconds(60)
            noticed = asyncio.create_task(eventually(lambda: health(hub) == 503, 40))  # the hub waits ten seconds before it says so
            assert (await hub.call("GET", "/api/v1/nodes", token=reader)).status == 200
            assert not noticed.done(), "who only reads waits for no disk"
            await noticed
            refused = await hub.call("PATCH", f"/api/v1/nodes/{node.config.node}", {"name": "other"}, token=admin)
            assert (refused.status, refused.json["code"]) == (503, "store.busy")
            assert "hangs" in refused.json["detail"]
            assert (await hub.call("GET", "/api/v1/nodes", token=reader)).status == 200
            hang.unlink()
            await eventually(lambda: health(hub) == 200)
            await node.settle()

            hang.touch()
            await node.seconds(30)
            assert await hub.stop(15) == 0
            hang.unlink()
            await hub.start()
            await end_job(hub, node, job)
            await node.settle()
            await hub.stop()
            await check_all(tmp_path / "hub", node, job)


@pytest.mark.holds("F-13")
@pytest.mark.slow
async def test_a_read_only_file_system_stops_acknowledgements_until_repaired(tmp_path: Path) -> None:
    with breakable_disk(tmp_path / "hub") as disk:
        hub = HubProcess(tmp_path / "hub", mounts_of=disk.pid)
        hub.view = disk.view
        with hub:
            async with working(hub, tmp_path) as [node]:
                await node.seconds(30)
                await node.settle()
                hub.slay()
                disk.remount("ro")
                done = await asyncio.to_thread(serve, tmp_path / "hub", mounts_of=disk.pid)
                assert done.returncode in (EXIT_RETRY, EXIT_CONFIG)
                assert len(done.stderr.splitlines()) == 1
                assert "ead-only" in done.stderr
                await node.seconds(60)
                disk.remount("rw")
                await hub.start()
                await eventually(lambda: node.online, SETTLE_LIMIT_S)
                await node.settle()
                await hub.stop()
                await check_all(disk.copied(tmp_path / "copy"), node)


@pytest.mark.holds("F-34")
@pytest.mark.parametrize("name", ["stardust.db", pytest.param("stardust-samples.db", marks=pytest.mark.slow)])
def test_a_damaged_page_keeps_the_hub_from_starting_and_nothing_is_removed(tmp_path: Path, name: str) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        hub.enrol("kept")
        backup = tmp_path / "good.stardust-backup"
        said_by(hub, "backup", str(backup))
        hub.end()
    path = tmp_path / "hub" / name
    whole = path.read_bytes()
    page_bytes = int.from_bytes(whole[16:18], "big")
    with contextlib.closing(sqlite3.connect(path)) as database:
        [root] = database.execute("SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND rootpage > 1 ORDER BY rootpage").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * page_bytes)
        file.write(b"\xff" * 512)
    before = {file.name for file in (tmp_path / "hub").iterdir()}
    done = serve(tmp_path / "hub")
    assert done.returncode == EXIT_CONFIG, done.stderr
    assert "damaged" in done.stderr
    assert "restore a backup" in done.stderr
    assert "Traceback" not in done.stderr
    assert before <= {file.name for file in (tmp_path / "hub").iterdir()} | {"hub.pid", f"{name}-wal", f"{name}-shm"}
    path.write_bytes(whole)
    for left in (f"{name}-wal", f"{name}-shm"):
        (tmp_path / "hub" / left).unlink(missing_ok=True)
    with HubProcess(tmp_path / "hub") as hub:
        assert [node["name"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]] == ["kept"]


@pytest.mark.slow
async def test_a_removed_write_ahead_log_costs_only_its_content(tmp_path: Path) -> None:
    """Checkpointed data stays, the file is intact, and the node resends what it still has."""
    hub = HubProcess(tmp_path / "hub")
    with hub:
        async with working(hub, tmp_path) as [node]:
            await node.seconds(40)
            await node.settle()
            assert await hub.stop() == 0  # folds the log in
            await node.seconds(40)
            await hub.start()
            await eventually(lambda: node.online, SETTLE_LIMIT_S)
            await node.settle()
            first = node.made
            assert await hub.stop() == 0
            await hub.start()
            await hub.kill()
            for log in (tmp_path / "hub").glob("*.db-wal"):
                log.unlink()
            for index in (tmp_path / "hub").glob("*.db-shm"):
                index.unlink()
            await node.seconds(40)
            await hub.start()
            await eventually(lambda: node.online, SETTLE_LIMIT_S)
            await node.settle()
            assert node.made > first
            await check_all(tmp_path / "hub", node)


@pytest.mark.holds("F-35")
async def test_a_database_of_a_newer_program_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    """Once the program is the right one again, the node goes on where it was."""
    hub = HubProcess(tmp_path / "hub")
    with hub:
        async with working(hub, tmp_path) as [node]:
            job = await begin_job(hub, node)
            await node.seconds(20)
            assert await hub.stop() == 0
            for name in ("stardust.db", "stardust-samples.db"):
                await asyncio.to_thread(refused_when_newer, hub.folder, name)
            await node.seconds(20)
            await hub.start()
            await end_job(hub, node, job)
            await node.settle()
            await check_all(hub.folder, node, job)


def refused_when_newer(folder: Path, name: str) -> None:
    path = folder / name
    kept = path.read_bytes()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 900")
    done = serve(folder)
    assert done.returncode == EXIT_CONFIG
    assert "newer Stardust" in done.stderr
    for left in (f"{name}-wal", f"{name}-shm"):
        (folder / left).unlink(missing_ok=True)
    path.write_bytes(kept)


@pytest.mark.slow
def test_the_folder_of_the_data_can_be_copied_once_the_hub_has_ended(tmp_path: Path) -> None:
    """Nothing is left in a log after a stop: what stands in the two files is all."""
    with HubProcess(tmp_path / "hub") as hub:
        hub.enrol("moved")
        hub.end()
    assert [file.name for file in (tmp_path / "hub").glob("*-wal") if file.stat().st_size] == []
    (tmp_path / "copy").mkdir(mode=0o700)
    for name in ("stardust.db", "stardust-samples.db"):
        shutil.copy2(tmp_path / "hub" / name, tmp_path / "copy" / name)
    with HubProcess(tmp_path / "copy") as hub:
        assert [node["name"] for node in hub.local("GET", "/api/v1/nodes").json["nodes"]] == ["moved"]


async def test_a_damaged_record_of_one_node_affects_no_other(tmp_path: Path) -> None:
    """One letter of what a node said of itself, and one of a layout of its samples: the hub starts and serves, and the doctor names both."""
    with HubProcess(tmp_path / "hub") as hub:
        async with working(hub, tmp_path) as [node]:
            await node.seconds(30)
            await node.settle()
        (other,) = await asyncio.to_thread(hub.enrol, "web-2")
        assert await hub.stop() == 0
        for name, sql in (
            ("stardust.db", "UPDATE node SET identity = 'z' || substr(identity, 2) WHERE name <> 'web-2'"),
            ("stardust-samples.db", "UPDATE layout SET series = 'Z' || substr(series, 2)"),
        ):
            with contextlib.closing(sqlite3.connect(hub.folder / name)) as db, db:
                assert db.execute(sql).rowcount > 0
        await hub.start()
        told = [await hub.event(name) for name in ("node_damaged", "layouts_damaged")]
        assert {line["node"] for line in told} == {node.config.node}
        assert health(hub) == 200
        assert (await asyncio.to_thread(hub.node, other.node_id))["name"] == "web-2"
        said = await asyncio.to_thread(said_by, hub, "doctor", status=1)
        assert "identity of node" in said
        assert "series of layout" in said
        assert await hub.stop() == 0
