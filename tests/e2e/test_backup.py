"""Backups of a running hub and their restoration, also when either is killed halfway (S-37, F-28, F-34)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.core import failpoints
from groundcontrol.core.last_backup import last_backup_at
from spider.clock import SystemClock
from spider.wire.sample_messages import STREAM_BACKFILL
from tests.support.agent import AgentClosed, agents, layout_of, pack_of
from tests.support.command import command, piped, stardust
from tests.support.eventually import eventually, wait_until
from tests.support.faults import working
from tests.support.fork_server import ForkedProcess
from tests.support.hub import PASSWORD, SECRET, HubProcess
from tests.support.invariants import check_databases, held_samples

WITH_SECRET = {"STARDUST_SECRET": SECRET}


def back_up(hub: HubProcess, target: Path) -> Path:
    before = time.time()
    stardust(hub.folder, "backup", str(target))
    made_at = last_backup_at(hub.folder)
    assert made_at is not None
    assert before - 1 <= made_at <= time.time()
    return target


def open_job(hub: HubProcess, node: str) -> str:
    reply = hub.request("POST", f"/api/v1/nodes/{node}/jobs", {"action": "check"}, token=hub.login().token)
    assert reply.status == 202, reply.body
    job: str = reply.json["id"]
    return job


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A backup of a hub with a node, samples and a job that waits; and what was in it."""
    folder = tmp_path_factory.mktemp("kept")
    with HubProcess(folder / "hub") as hub:
        [node, later] = hub.enrol("web-1", "web-2")
        asyncio.run(fill(hub, node))
        facts = {"node": node.node_id, "job": open_job(hub, later.node_id), "token": hub.login().token}
        yield back_up(hub, folder / "kept.stardust-backup"), facts


async def fill(hub: HubProcess, node: object) -> None:
    async with agents(hub, node) as [agent]:  # type: ignore[arg-type]
        await agent.join()
        await agent.say(layout_of(), *(pack_of(seq) for seq in range(20)))
        await agent.wait_acked(19)


@pytest.mark.holds("SAFETY-77", "SAFETY-91", "S-37", "F-28")
def test_a_restored_hub_has_its_old_data_and_repeats_no_job(kept: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    file, facts = kept
    folder = tmp_path / "data"
    told = json.loads(stardust(folder, "restore", str(file), "--json", env=WITH_SECRET).stdout)
    assert (told["nodes"], told["jobs"], told["aside"]) == (2, 1, [])
    assert told["sessions"] >= 1
    with HubProcess(folder) as hub:
        assert hub.request("GET", "/api/v1/auth/me", token=facts["token"]).status == 401
        hub.login(password=PASSWORD)
        assert hub.node(facts["node"])["name"] == "web-1"
        job = hub.job(facts["job"])
        assert (job["state"], job["error"]["code"]) == ("expired", "job.restored")
        values = hub.local("GET", f"/api/v1/nodes/{facts['node']}/history?metric=load.1").json["series"]["load.1"]["max"]
        assert max(value for value in values if value is not None) == 19
        actions = [row["action"] for row in hub.local("GET", "/api/v1/audit").json["audit"]]
        assert "hub.restore" in actions
    stardust(folder, "audit", "verify", env=WITH_SECRET)


@pytest.mark.holds("SAFETY-91")
async def test_after_a_restore_a_node_resends_only_unacknowledged_samples(tmp_path: Path) -> None:
    """A node forgets what was acknowledged. What it had not handed over comes, and nothing twice or in the place of another."""
    async with contextlib.AsyncExitStack() as stack:
        hub = stack.enter_context(HubProcess(tmp_path / "hub"))
        [node] = await stack.enter_async_context(working(hub, tmp_path))
        await node.seconds(60)
        await node.settle()
        ends = [node.made - node.outbox.pending()[0]]
        file = await asyncio.to_thread(back_up, hub, tmp_path / "kept.stardust-backup")
        await node.seconds(60)
        await node.settle()
        ends.append(node.made - node.outbox.pending()[0])
        assert await hub.stop() == 0
        await node.seconds(60)
        told = await asyncio.to_thread(stardust, hub.folder, "restore", str(file), "--replace", env=WITH_SECRET)
        assert "those that nodes have not sent yet" in told.stdout
        await hub.start()
        await eventually(lambda: node.online, 60)
        await node.settle()
        ends.append(node.made - node.outbox.pending()[0])
        first = node.samples[0].taken_at_ms / 1000
        held = await held_samples(hub.folder, {"pulse": "load.1"}, first - 10, first + node.made + 10)
    assert Counter(sample.value for sample in held) == Counter([*range(ends[0]), *range(ends[1], ends[2])])


@pytest.mark.holds("S-37")
def test_the_wrong_secret_restores_nothing_and_touches_nothing(kept: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    file, _ = kept
    folder = tmp_path / "data"
    before = file.read_bytes()
    wrong = {"STARDUST_SECRET": "another-" + SECRET}
    refused = stardust(folder, "restore", str(file), env=wrong, status=1)
    assert "another secret" in refused.stderr
    told = stardust(folder, "restore", str(file), "--json", env=wrong, status=1).stderr
    assert "another secret" in json.loads(told)["error"]["message"], "for a program nothing stands before the error"
    assert list(folder.iterdir()) in ([], [folder / "hub.lock"])
    assert file.read_bytes() == before


def test_restore_replaces_a_database_only_with_replace_and_saves_the_old_one(kept: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    file, facts = kept
    with HubProcess(tmp_path / "hub") as hub:
        hub.enrol("another")
        running = stardust(hub.folder, "restore", str(file), "--replace", env=WITH_SECRET, status=1)
        assert f"(process {hub.pid})" in running.stderr
    refused = stardust(hub.folder, "restore", str(file), env=WITH_SECRET, status=1)
    assert "--replace" in refused.stderr
    told = json.loads(stardust(hub.folder, "restore", str(file), "--replace", "--json", env=WITH_SECRET).stdout)
    with HubProcess(hub.folder) as again:
        names = {node["name"] for node in again.local("GET", "/api/v1/nodes").json["nodes"]}
        assert names == {"web-1", "web-2"}
    [control] = [path for path in told["aside"] if "samples" not in path]
    with contextlib.closing(sqlite3.connect(control)) as db:
        assert db.execute("SELECT name FROM node").fetchall() == [("another",)]
    assert facts["node"]


def test_the_write_ahead_log_of_a_killed_hub_is_not_applied_to_a_restored_database(
    kept: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    """The databases were moved away, their write-ahead logs were not: SQLite would apply them to any file of that name."""
    file, _ = kept
    with HubProcess(tmp_path / "hub") as hub:
        [node] = hub.enrol("another")
        asyncio.run(fill(hub, node))
        hub.slay()
    for name in ("stardust.db", "stardust-samples.db"):
        assert (hub.folder / f"{name}-wal").stat().st_size > 0
        (hub.folder / name).unlink()
    stardust(hub.folder, "restore", str(file), env=WITH_SECRET)
    with HubProcess(hub.folder) as again:
        assert {node["name"] for node in again.local("GET", "/api/v1/nodes").json["nodes"]} == {"web-1", "web-2"}


def test_a_database_of_a_running_hub_is_not_replaced_by_way_of_another_folder(kept: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    file, _ = kept
    (tmp_path / "big").mkdir(mode=0o700)
    control = tmp_path / "big" / "hub.db"
    with HubProcess(tmp_path / "hub", args=["--db", str(control)]) as hub:
        before = control.stat().st_ino
        refused = stardust(tmp_path / "other", "restore", str(file), "--replace", "--db", str(control), env=WITH_SECRET, status=1)
        assert f"(process {hub.pid})" in refused.stderr
        assert control.stat().st_ino == before


def _reads_well(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError):
        return False


@pytest.mark.holds("SAFETY-92", "S-37", "F-34")
@pytest.mark.parametrize("where", [0.02, 0.5, 0.9])
def test_a_backup_with_a_changed_byte_is_refused(kept: tuple[Path, dict[str, str]], tmp_path: Path, where: float) -> None:
    data = kept[0].read_bytes()
    altered = tmp_path / "altered"
    for at in range(int(len(data) * where), len(data)):
        altered.write_bytes(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])
        if not _reads_well(altered):  # of a run of zeros, another bit may say the same
            break
    stardust(tmp_path / "data", "restore", str(altered), env=WITH_SECRET, status=1)
    assert not (tmp_path / "data" / "stardust.db").exists()


def test_a_newer_backup_and_a_foreign_file_are_reported_as_such(kept: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    with zipfile.ZipFile(kept[0]) as source, zipfile.ZipFile(newer, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "manifest.json":
                manifest = json.loads(data)
                manifest["files"]["control.db"]["schema"] = 999
                data = json.dumps(manifest).encode()
            target.writestr(name, data)
    assert "newer Stardust" in stardust(tmp_path / "data", "restore", str(newer), env=WITH_SECRET, status=1).stderr
    assert "not a backup" in stardust(tmp_path / "data", "restore", __file__, env=WITH_SECRET, status=1).stderr


@pytest.mark.holds("SAFETY-71", "S-37")
def test_a_truncated_audit_log_in_a_backup_is_detected(kept: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """A writer of the file can write its checksums too, but not what needs the secret."""
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(kept[0]) as source:
        source.extractall(unpacked)
    with contextlib.closing(sqlite3.connect(unpacked / "control.db")) as db:
        db.execute("DELETE FROM audit WHERE n = (SELECT max(n) FROM audit)")
        db.commit()
    manifest = json.loads((unpacked / "manifest.json").read_text())
    digest = stardust_sha256(unpacked / "control.db")
    manifest["files"]["control.db"] |= {"sha256": digest, "bytes": (unpacked / "control.db").stat().st_size}
    (unpacked / "manifest.json").write_text(json.dumps(manifest))
    with zipfile.ZipFile(tmp_path / "cut", "w") as target:
        for name in ("manifest.json", "control.db", "samples.db"):
            target.write(unpacked / name, name)
    refused = stardust(tmp_path / "data", "restore", str(tmp_path / "cut"), env=WITH_SECRET, status=1)
    assert "audit log in this backup does not hold" in refused.stderr


def stardust_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.holds("SAFETY-92", "F-34")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("backups", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_backups_under_load_are_complete_and_block_nothing(hub: HubProcess, tmp_path: Path, backups: int) -> None:
    [node] = hub.enrol("busy")
    stop = threading.Event()
    written: list[int] = []

    async def write() -> None:
        async with agents(hub, node) as [agent]:
            await agent.join()
            await agent.say(layout_of())
            while not stop.is_set():
                await agent.say(*(pack_of(seq, stream=STREAM_BACKFILL) for seq in range(len(written), len(written) + 20)))
                written.extend(range(20))
                with contextlib.suppress(AgentClosed):
                    await agent.wait_acked(len(written) - 1, STREAM_BACKFILL)

    def more_than(count: int) -> Callable[[], bool]:
        return lambda: len(written) > count

    writer = threading.Thread(target=lambda: asyncio.run(write()))
    writer.start()
    try:
        counts = []
        for number in range(backups):
            before = len(written)
            file = back_up(hub, tmp_path / f"{number}.stardust-backup")
            counts.append(len(written) - before)
            wait_until(more_than(before), what="packs are acknowledged")
            stardust(tmp_path / str(number), "restore", str(file), env=WITH_SECRET)
            check_databases(tmp_path / str(number))
            shutil.rmtree(tmp_path / str(number))
    finally:
        stop.set()
        writer.join(30)
    # A small backup may be done between two acknowledgements.
    assert max(counts) > 0, "no packs were acknowledged while a backup was made"


def test_a_backup_is_private_and_never_overwrites_a_file(hub: HubProcess, tmp_path: Path) -> None:
    answer = stardust(hub.folder, "backup", str(tmp_path), "--keep", "2", "--json")
    assert answer.stderr == ""
    told = json.loads(answer.stdout)
    made = Path(told["file"])
    assert made.stat().st_mode & 0o777 == 0o600
    assert "already exists" in stardust(hub.folder, "backup", str(made), status=1).stderr
    assert "no folder" in stardust(hub.folder, "backup", str(tmp_path / "none" / "x"), status=1).stderr
    assert made.stat().st_size == told["bytes"]


def as_of(source: Path, target: Path, **said: object) -> Path:
    """The same backup, which says something else of itself."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, json.dumps(json.loads(data) | said) if name == "manifest.json" else data)
    return target


def test_expired_backups_of_this_hub_are_removed_by_their_content_only(
    kept: tuple[Path, dict[str, str]], hub: HubProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    first = back_up(hub, tmp_path / "first")
    other = folder / "20200101-000000.stardust-backup"
    shutil.copy(kept[0], other)
    staying = {
        other,
        as_of(first, folder / "20200102-000000.stardust-backup", fleet=""),
        as_of(first, folder / "20200103-000000.stardust-backup", format=99),
        as_of(first, folder / "before-the-move.stardust-backup"),
        folder / "20990101-000000.stardust-backup",
        folder / "20200104-000000.stardust-backup",
    }
    (folder / "20990101-000000.stardust-backup").touch()
    (folder / "20200104-000000.stardust-backup").symlink_to(first)
    older = as_of(first, folder / "20980101-000000.stardust-backup", made_at=5.0)
    newer = as_of(first, folder / "20190101-000000.stardust-backup", made_at=6.0)

    told = json.loads(stardust(hub.folder, "backup", str(folder), "--keep", "2", "--json").stdout)
    assert told["removed"] == [str(older)]
    made = Path(told["file"])
    assert set(folder.iterdir()) == staying | {made, newer}

    ahead = as_of(first, folder / "20200105-000000.stardust-backup", made_at=4e9)
    while made.exists() and made.name == time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + ".stardust-backup":
        time.sleep(0.05)
    told = json.loads(stardust(hub.folder, "backup", str(folder), "--keep", "1", "--json").stdout)
    assert set(told["removed"]) == {str(made), str(newer)}, "the one just made stays, whatever another says of its time"
    assert told["dated_later"] == [str(ahead)], "a clock was wrong, and nobody knows which: it takes no place, and is not removed"
    assert set(folder.iterdir()) == staying | {ahead, Path(told["file"])}


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of which a backup takes seconds."""
    folder = tmp_path_factory.mktemp("heavy") / "data"

    async def fill_it() -> None:
        await (await open_database(folder, clock=SystemClock())).close()

    asyncio.run(fill_it())
    with contextlib.closing(sqlite3.connect(folder / "stardust-samples.db")) as db, db:
        db.execute("CREATE TABLE ballast (body BLOB)")
        db.executemany("INSERT INTO ballast VALUES (randomblob(?))", [(1 << 20,)] * 96)
    return folder


@contextlib.contextmanager
def backing_up(folder: Path, target: Path, said: bytes) -> Iterator[tuple[ForkedProcess, IO[bytes]]]:
    """A backup that has come to this, and what else it says."""
    running, output, told = piped(folder, "backup", str(target))
    with output, told:
        try:
            for line in told:
                if said in line:
                    break
            yield running, told
        finally:
            running.kill()
            running.wait()


@pytest.mark.parametrize(
    ("said", "number", "status"),
    [
        (b"copying stardust-samples", signal.SIGINT, 130),
        pytest.param(b"packing", signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(b"reading it back", signal.SIGTERM, 143, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_backup_leaves_nothing(heavy: Path, tmp_path: Path, said: bytes, number: signal.Signals, status: int) -> None:
    with backing_up(heavy, tmp_path, said) as (running, output):
        running.send_signal(number)
        told = output.read().decode()
        assert running.wait(60) == status, told
    assert told.splitlines()[-1] == "stardust: no backup was made: a signal ended it, and all its files are removed"
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_backup_are_removed_by_the_next_one(heavy: Path, hub: HubProcess, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    with backing_up(heavy, folder, b"packing"):
        pass  # the end of the block kills it
    [left] = folder.iterdir()
    assert (left / "control.db").exists()

    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "mine" / "control.db").touch()
    strange = [folder / f".stardust-backup-{name}" for name in ("linked__", "readable", "with_mine")]
    strange[0].symlink_to(tmp_path / "mine")
    for path in strange[1:]:
        path.mkdir(mode=0o700)
        (path / "control.db").touch()
    strange[1].chmod(0o755)
    (strange[2] / "notes").touch()
    with backing_up(heavy, folder, b"packing"):
        assert not left.exists(), "the next backup removes it as it begins"
        [held] = set(folder.iterdir()) - set(strange)
        back_up(hub, folder / "made")
        assert (held / "control.db").exists(), "somebody works in it"
    assert set(folder.iterdir()) == {*strange, folder / "made", held}
    assert all((path / "control.db").exists() for path in strange)


@pytest.mark.skipif(os.geteuid() != 0, reason="making a file system of its own size needs root")
def test_a_disk_that_is_too_small_leaves_nothing_behind(hub: HubProcess, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        assert "no backup was made" in stardust(hub.folder, "backup", str(small / "x"), status=1).stderr
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


RESTORE_PLACES = [
    pytest.param(
        name, marks=() if name in ("restore.samples.ready", "restore.control.ready", "restore.samples.placed") else pytest.mark.slow
    )
    for name in failpoints.NAMES
    if name.startswith("restore.")
]


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a hub with another node and its samples, which was killed."""
    with HubProcess(tmp_path_factory.mktemp("lived") / "hub") as hub:
        [node] = hub.enrol("another")
        asyncio.run(fill(hub, node))
        hub.slay()
    return hub.folder


@pytest.mark.holds("F-28")
@pytest.mark.parametrize("place", RESTORE_PLACES)
def test_a_killed_restore_is_completed_by_the_next_start_or_has_no_effect(
    kept: tuple[Path, dict[str, str]], lived_in: Path, tmp_path: Path, place: str
) -> None:
    file, _ = kept
    folder = tmp_path / "data"
    shutil.copytree(lived_in, folder, ignore=shutil.ignore_patterns("*.sock", "hub.pid"))
    killed = command(folder, "restore", str(file), "--replace", env=WITH_SECRET, faults=[f"killed-at={place}"])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    begun = place not in ("restore.samples.ready", "restore.control.placed")
    told = stardust(folder, "doctor", env=WITH_SECRET, status=1 if begun else 0).stdout
    assert ("was interrupted" in told) is begun
    if begun:
        assert "was interrupted" in stardust(folder, "backup", str(tmp_path / "mixed"), env=WITH_SECRET, status=1).stderr
    with HubProcess(folder) as hub:
        nodes = hub.local("GET", "/api/v1/nodes").json["nodes"]
        assert sorted(node["name"] for node in nodes) == (["another"] if place == "restore.samples.ready" else ["web-1", "web-2"])
        [node] = [node for node in nodes if node["name"] in ("another", "web-1")]
        values = hub.local("GET", f"/api/v1/nodes/{node['id']}/history?metric=load.1").json["series"]["load.1"]["max"]
        assert max(value for value in values if value is not None) == 19
    assert not [path for path in folder.iterdir() if ".restore-" in path.name[:9] or ".restored-" in path.name]
    if place != "restore.samples.ready":
        [control] = folder.glob("stardust.db.before-restore-????????-??????")
        with contextlib.closing(sqlite3.connect(control)) as db:
            assert db.execute("SELECT name FROM node").fetchall() == [("another",)]


def test_a_killed_restore_can_be_repeated(kept: tuple[Path, dict[str, str]], lived_in: Path, tmp_path: Path) -> None:
    file, _ = kept
    folder = tmp_path / "data"
    shutil.copytree(lived_in, folder, ignore=shutil.ignore_patterns("*.sock", "hub.pid"))
    killed = command(folder, "restore", str(file), "--replace", env=WITH_SECRET, faults=["killed-at=restore.samples.placed"])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = stardust(folder, "restore", str(file), "--replace", env=WITH_SECRET)
    assert "finishing an earlier, interrupted restore" in again.stderr
    stardust(folder, "audit", "verify", env=WITH_SECRET)
