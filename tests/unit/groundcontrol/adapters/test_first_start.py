"""The first start: restarted where it was killed, and never assumed in a folder that a hub has used."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.admin.offline_reader import Inspection
from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.cli import doctor_checks
from groundcontrol.core.errors import ConfigError
from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.model import Session
from groundcontrol.vault import LEAST_ROUNDS, open_vault
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, connect, new_node
from tests.support.hub import ROOT
from tests.support.store_files import CLOCK, edit, open_and_close


@pytest.mark.parametrize("lost", ["empty", "missing"])
async def test_existing_samples_prevent_a_first_start(tmp_path: Path, lost: str) -> None:
    await open_and_close(tmp_path / "data")
    control, samples = tmp_path / "data" / "stardust.db", tmp_path / "data" / "stardust-samples.db"
    whole, kept = control.read_bytes(), samples.read_bytes()
    (tmp_path / "data" / "stardust.db.before-0007").write_bytes(whole)
    if lost == "empty":
        control.write_bytes(b"")
    else:
        control.unlink()
    with pytest.raises(
        ConfigError, match=rf"is {lost}, but there are samples .* restore a backup; the newest copy is .*before-0007; for a new"
    ):
        await open_database(tmp_path / "data", clock=CLOCK)
    assert samples.read_bytes() == kept
    assert not control.exists() or control.stat().st_size == 0
    control.write_bytes(whole)
    control.chmod(0o600)
    await open_and_close(tmp_path / "data")


def without_its_log(path: Path, page_size: int) -> None:
    """As it is when its write-ahead log is gone before anything of it was folded in: one page that says nothing."""
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA page_size = {page_size}")
        db.execute("PRAGMA journal_mode = WAL")
    path.chmod(0o600)
    assert path.stat().st_size == page_size


async def test_a_control_database_of_one_empty_page_beside_samples_is_lost_and_alone_is_a_new_one(tmp_path: Path) -> None:
    await open_and_close(tmp_path / "data")
    control, samples = tmp_path / "data" / "stardust.db", tmp_path / "data" / "stardust-samples.db"
    without_its_log(control, 4096)
    before = control.read_bytes()
    with pytest.raises(ConfigError, match=r"stardust.db is empty, but there are samples .* restore a backup; for a new hub, move"):
        await open_database(tmp_path / "data", clock=CLOCK)
    assert control.read_bytes() == before
    samples.unlink()
    await open_and_close(tmp_path / "data")


def remove_logs(folder: Path, names: str) -> None:
    for name in names.split():
        (folder / f"{name}-wal").unlink(missing_ok=True)
        (folder / f"{name}-shm").unlink(missing_ok=True)


@pytest.mark.parametrize("logs", ["stardust.db", "stardust.db stardust-samples.db"])
async def test_a_lost_write_ahead_log_is_not_a_first_start(tmp_path: Path, logs: str) -> None:
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", _KEYS_THEN_KILLED, str(tmp_path / "data"))
    assert await killed.wait() == -9
    shutil.copytree(tmp_path / "data", tmp_path / "whole")
    await open_and_close(tmp_path / "whole")
    remove_logs(tmp_path / "data", logs)
    control = (tmp_path / "data" / "stardust.db").read_bytes()
    told = r"stardust.db has lost everything since .* restore a backup; for a new hub, move .*stardust.db and .*stardust-samples.db away"
    with pytest.raises(ConfigError, match=told):
        await open_database(tmp_path / "data", clock=CLOCK)
    assert (tmp_path / "data" / "stardust.db").read_bytes() == control
    async with await Inspection.open(tmp_path / "data" / "stardust.db") as inspection:
        (finding,) = await doctor_checks.lost_rows_findings(inspection, 0.0)
        assert finding.state == "problem"
        assert re.search(told, finding.text)
    async with await Inspection.open(tmp_path / "whole" / "stardust.db") as inspection:
        assert await doctor_checks.lost_rows_findings(inspection, 0.0) == []


async def test_a_killed_first_start_is_completed_by_the_next(tmp_path: Path) -> None:
    """With its keys and an unmarked file of samples: it cannot have received anything yet."""
    await open_and_close(tmp_path / "data")
    edit(tmp_path / "data" / "stardust.db", "DELETE FROM fact")
    edit(tmp_path / "data" / "stardust-samples.db", "DELETE FROM fence")
    await open_and_close(tmp_path / "data")
    edit(tmp_path / "data" / "stardust.db", "DELETE FROM fact")
    with pytest.raises(ConfigError, match="has lost everything since"):
        await open_database(tmp_path / "data", clock=CLOCK)
    edit(tmp_path / "data" / "stardust.db", "INSERT INTO fact VALUES ('initialised_at', 1.0)")  # as an earlier program left it
    await open_and_close(tmp_path / "data")


async def test_a_new_node_gets_a_number_unused_in_the_samples(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = await open_database(tmp_path / "data", clock=CLOCK)
    store = await database.store(audit_key=bytes(32), chain=new_time_id(CLOCK.now()))
    first, lost = [await store.nodes.create_node(SCOPE, new_node(name)) for name in ("web-1", "web-2")]
    for node in (first, lost):
        await connect(store, node.id)
    await database.close()
    back = f"DELETE FROM node_session WHERE node = {lost.no}; DELETE FROM node WHERE no = {lost.no}"
    edit(tmp_path / "data" / "stardust.db", f"{back}; UPDATE sqlite_sequence SET seq = {first.no} WHERE name = 'node'")
    for count in ([1], []):
        caplog.clear()
        database = await open_database(tmp_path / "data", clock=CLOCK)
        told = [vars(record)["facts"]["count"] for record in caplog.records if record.message == "nodes_unknown"]
        assert told == count, "once"
        await database.close()
    database = await open_database(tmp_path / "data", clock=CLOCK)
    store = await database.store(audit_key=bytes(32), chain=new_time_id(CLOCK.now()))
    made = await store.nodes.create_node(SCOPE, new_node("web-3"))
    assert made.no > lost.no, "what the lost one sent would be its past"
    await database.close()


async def test_samples_of_one_empty_page_beside_a_hub_that_has_run_are_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await open_and_close(tmp_path / "data")
    control, samples = tmp_path / "data" / "stardust.db", tmp_path / "data" / "stardust-samples.db"
    without_its_log(samples, 16384)
    with pytest.raises(
        ConfigError, match=r"stardust-samples.db is empty, although a hub has run on it: restore a backup; to start without"
    ):
        await open_database(tmp_path / "data", clock=CLOCK)
    edit(control, "DELETE FROM fact WHERE name = 'latest_at'")  # as of an earlier program that was killed at its first start
    await open_and_close(tmp_path / "data")
    assert "samples_begun_anew" not in caplog.text


async def test_a_new_hubs_keyring_is_in_the_database_file_before_anything_is_sealed(tmp_path: Path, quick_kdf: None) -> None:
    database = await open_database(tmp_path / "data", clock=CLOCK)
    try:
        await open_vault("Zq7hV2-mB9tKx4-Lw8pRf", database.secrets, LEAST_ROUNDS)
        (tmp_path / "alone.db").write_bytes((tmp_path / "data" / "stardust.db").read_bytes())
        edit(tmp_path / "alone.db", "PRAGMA journal_mode = DELETE")
        with closing(sqlite3.connect(tmp_path / "alone.db")) as db:
            assert db.execute("SELECT count(*) FROM keyring").fetchone() == (1,)
    finally:
        await database.close()


_KEYS_THEN_KILLED = """
import asyncio, bcrypt, os, signal, sys
from hashlib import pbkdf2_hmac
from pathlib import Path
from groundcontrol.adapters.sqlite import open_database
from groundcontrol.vault import LEAST_ROUNDS, open_vault
from spider.clock import SystemClock
async def main():
    async def unlock(store):
        bcrypt.kdf = lambda secret, salt, size, rounds: pbkdf2_hmac("sha512", secret, salt, rounds, size)
        await open_vault("Zq7hV2-mB9tKx4-Lw8pRf", store, LEAST_ROUNDS)
    await open_database(Path(sys.argv[1]), clock=SystemClock(), meanwhile=unlock)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from groundcontrol.adapters.sqlite import open_database
from spider.clock import SystemClock

async def start(folder):
    await open_database(folder, clock=SystemClock())

for at in range(1, 1000, int(sys.argv[2])):
    folder, left = Path(sys.argv[1]) / str(at), at
    def count(name, args):
        global left
        if name in ("open", "sqlite3.connect", "os.rename", "os.remove", "os.chmod", "os.mkdir") and str(folder) in str(args[0]):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
    child = os.fork()
    if not child:
        sys.addaudithook(count)
        asyncio.run(start(folder))
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
"""


@pytest.mark.parametrize("each", [10, pytest.param(1, marks=pytest.mark.slow)])
async def test_a_first_start_killed_at_any_point_is_repeated(tmp_path: Path, each: int) -> None:
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", _KILLED, tmp_path, str(each), cwd=ROOT)
    assert await done.wait() == 0
    folders = [path for path in tmp_path.iterdir() if path.name.isdigit()]  # noqa: ASYNC240  a test may wait
    assert len(folders) > 20 // each
    for folder in folders:
        await open_and_close(folder)
        assert {path.name for path in folder.iterdir()} == {"hub.lock", "stardust.db", "stardust-samples.db", "stardust.db.seen"}


async def test_a_missing_samples_file_is_recreated_with_a_log_line_and_an_empty_one_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await open_and_close(tmp_path / "data")
    assert "samples_begun_anew" not in caplog.text
    samples = tmp_path / "data" / "stardust-samples.db"
    samples.write_bytes(b"")
    with pytest.raises(
        ConfigError, match=r"stardust-samples.db is empty, although a hub has run on it: restore a backup; to start without"
    ):
        await open_database(tmp_path / "data", clock=CLOCK)
    samples.unlink()
    await open_and_close(tmp_path / "data")
    assert "samples_begun_anew" in caplog.text


async def test_a_hub_that_died_between_control_and_samples_finishes_at_its_next_start(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "data", clock=CLOCK)
    store = await database.store(audit_key=bytes(32), chain="c")
    node = await store.nodes.create_node(SCOPE, new_node())
    await store.nodes.delete_node(SCOPE, node.id)
    await database.close()
    edit(tmp_path / "data" / "stardust-samples.db", f"INSERT INTO hot VALUES (1, {node.no}, 1, 0, 0, x'00', 1, 1, 0, x'00')")
    database = await open_database(tmp_path / "data", clock=CLOCK)
    await database.store(audit_key=bytes(32), chain="d")
    await database.close()
    with closing(sqlite3.connect(tmp_path / "data" / "stardust-samples.db")) as db:
        assert db.execute("SELECT count(*) FROM hot").fetchone() == (0,)


@pytest.mark.holds("SAFETY-91")
async def test_a_session_after_a_restore_gets_an_unused_number(tmp_path: Path) -> None:
    """The control database is copied first: sessions that began while the samples were copied are known to these alone."""
    folder = tmp_path / "data"
    clock = ManualClock(1_790_000_000.0)

    async def sessions(count: int, node: NodeId | None = None) -> list[Session]:
        database = await open_database(folder, clock=clock)
        try:
            store = await database.store(audit_key=bytes(32), chain=new_time_id())
            node = node or (await store.nodes.create_node(SCOPE, new_node())).id
            return [await connect(store, node) for _ in range(count)]
        finally:
            await database.close()

    before = await sessions(2)
    control = (folder / "stardust.db").read_bytes()
    used = await sessions(5, before[0].node)
    for later_s in (60.0, -86_400.0):  # also by a clock that was set back
        (folder / "stardust.db").write_bytes(control)
        clock.jump(later_s)
        database = await open_database(folder, clock=clock)
        await database.settle_restored(audit_key=bytes(32), chain=new_time_id(), scope=SCOPE, made_at=1.0)
        await database.close()
        after = await sessions(3, before[0].node)
        assert {session.epoch for session in after}.isdisjoint(session.epoch for session in used)
        used += after
