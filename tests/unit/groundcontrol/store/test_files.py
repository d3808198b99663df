"""The data folder: private, of one hub, whole, and of a known schema."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.cli import checkup
from groundcontrol.cli.folder import lock_holder
from groundcontrol.domain.ids import NodeId
from groundcontrol.domain.nodes import Session
from groundcontrol.errors import ConfigError, StoreDown
from groundcontrol.store.sqlite import migrate, open_database
from groundcontrol.store.sqlite.inspection import Inspection
from groundcontrol.store.sqlite.secrets import Keyring
from groundcontrol.vault import LEAST_ROUNDS, open_vault
from spider.clock import SystemClock
from spider.wire.ids import new_time_id
from tests.contract.making import SCOPE, connect, new_node
from tests.support.clock import ManualClock
from tests.support.hub import ROOT

CLOCK = SystemClock()
_OPEN = """
import asyncio, sys
from pathlib import Path
from groundcontrol.store.sqlite import migrate, open_database
from spider.clock import SystemClock
from spider.wire.ids import new_time_id
asyncio.run(open_database(Path(sys.argv[1]), clock=SystemClock()))
"""


async def open_and_close(folder: Path, control: Path | None = None) -> None:
    await (await open_database(folder, clock=CLOCK, control=control)).close()


def _tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]


def edit(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(sql)


async def test_folder_and_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "data"
    database = await open_database(folder, clock=CLOCK)
    try:
        assert folder.stat().st_mode & 0o777 == 0o700
        modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
        assert set(modes) >= {"stardust.db", "stardust.db-wal", "stardust-samples.db", "stardust-samples.db-shm", "hub.lock"}
        assert set(modes.values()) == {0o600}
    finally:
        await database.close()


async def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    await open_and_close(folder)
    folder.chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        await open_database(folder, clock=CLOCK)
    folder.chmod(0o700)
    (folder / "stardust.db").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        await open_database(folder, clock=CLOCK)


async def test_an_empty_folder_is_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    await open_and_close(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(ConfigError, match="not a folder"):
        await open_database(tmp_path / "data", clock=CLOCK)


async def test_a_second_hub_on_the_folder_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "data", clock=CLOCK)
    try:
        other = await asyncio.create_subprocess_exec(*(sys.executable, "-c", _OPEN, str(tmp_path / "data")), stderr=asyncio.subprocess.PIPE)
        async with asyncio.timeout(60.0):
            _, said = await other.communicate()
        assert b"ConfigError: another hub is running" in said
        with pytest.raises(ConfigError, match="another hub"):
            await open_database(tmp_path / "other", clock=CLOCK, control=tmp_path / "data" / "mine.db")
    finally:
        await database.close()
    await open_and_close(tmp_path / "data")


async def test_a_lock_file_that_somebody_removed_lets_no_second_hub_in(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "data", clock=CLOCK)
    try:
        (tmp_path / "data" / "hub.lock").unlink()
        with pytest.raises(ConfigError, match="another hub"):
            await open_database(tmp_path / "data", clock=CLOCK)
        assert lock_holder(tmp_path / "data") == os.getpid()
    finally:
        await database.close()
    await open_and_close(tmp_path / "data")


@pytest.mark.parametrize("name", ["stardust.db", "stardust-samples.db"])
async def test_a_database_with_another_name_is_refused_by_both(tmp_path: Path, name: str) -> None:
    """A log of each name's own would be written into the one file."""
    await open_and_close(tmp_path / "data")
    (tmp_path / "copied").mkdir(mode=0o700)
    other = tmp_path / "copied" / name
    os.link(tmp_path / "data" / name, other)
    for folder in (tmp_path / "data", tmp_path / "copied"):
        with pytest.raises(ConfigError, match=rf"^{folder / name} is one file with 2 names .* for file in {folder / name}; do cp -p"):
            await open_database(folder, clock=CLOCK)
    assert os.listdir(tmp_path / "copied") == [name]
    shutil.copy(other, other.with_suffix(".copy"))
    other.with_suffix(".copy").replace(other)
    await open_and_close(tmp_path / "data")


async def test_what_is_told_of_other_names_makes_a_killed_hub_s_files_its_own(tmp_path: Path) -> None:
    """`cp -al` links the logs too: who looks at the copy folds the log that they share into the copy, and writes over it."""
    folder, snapshot = tmp_path / "it's data", tmp_path / "snapshot"
    database = await open_database(tmp_path / "data", clock=CLOCK)
    try:
        store = await database.store(audit_key=bytes(32), chain="c")
        nodes = [await store.nodes.create_node(SCOPE, new_node(f"n{at}")) for at in range(5)]
        shutil.copytree(tmp_path / "data", folder)
    finally:
        await database.close()
    names = {file.name for file in folder.glob("stardust*")}
    assert len(names) == 6
    shutil.copytree(folder, snapshot, copy_function=os.link)
    with pytest.raises(ConfigError, match=r"stardust.db is one file with 2 names .* of its own: ") as refused:
        await open_database(folder, clock=CLOCK)
    shell = await asyncio.create_subprocess_exec("sh", "-c", str(refused.value).rpartition(" of its own: ")[2])
    assert await shell.wait() == 0
    assert {file.name for file in folder.glob("stardust*")} == {name for name in names if not name.endswith("-shm")}

    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with closing(sqlite3.connect(snapshot / "stardust.db", isolation_level=None)) as looking:
        looking.execute("DELETE FROM node")
        looking.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    database = await open_database(folder, clock=CLOCK)
    try:
        [found] = await database._control.reader.run(lambda rows: rows.all("SELECT count(*) AS n FROM node"))
        assert found["n"] == len(nodes)
    finally:
        await database.close()


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
async def test_a_log_with_another_name_is_refused_too(tmp_path: Path, ending: str) -> None:
    await open_and_close(tmp_path / "data")
    log = tmp_path / "data" / f"stardust-samples.db{ending}"
    log.touch(mode=0o600)
    os.link(log, tmp_path / "snapshot")
    with pytest.raises(ConfigError, match=rf"^{log} is one file with 2 names .* of its own: (for file in|rm -f) {log}"):
        await open_database(tmp_path / "data", clock=CLOCK)


@pytest.mark.parametrize("name", ["stardust.db", "stardust-samples.db", "stardust.db-wal"])
async def test_a_folder_in_the_place_of_a_database_is_told_as_one(tmp_path: Path, name: str) -> None:
    place = tmp_path / "data" / name
    place.mkdir(parents=True)
    (tmp_path / "data").chmod(0o700)
    with pytest.raises(ConfigError, match=rf"^{place} is a folder and not a file: move it away"):
        await open_database(tmp_path / "data", clock=CLOCK)


async def test_a_name_that_a_restore_has_given_is_none_of_another_hub(tmp_path: Path) -> None:
    await open_and_close(tmp_path / "data")
    os.link(tmp_path / "data" / "stardust.db", tmp_path / "data" / "stardust.db.before-restore-20261120-105800")
    await open_and_close(tmp_path / "data")


@pytest.mark.parametrize("lost", ["empty", "gone"])
async def test_no_first_start_is_made_beside_the_samples_of_a_hub(tmp_path: Path, lost: str) -> None:
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
async def test_a_hub_that_lost_its_log_is_none_that_starts_for_the_first_time(tmp_path: Path, logs: str) -> None:
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", _KEYS_THEN_KILLED, str(tmp_path / "data"))
    assert await killed.wait() == -9
    shutil.copytree(tmp_path / "data", tmp_path / "whole")
    await open_and_close(tmp_path / "whole")
    remove_logs(tmp_path / "data", logs)
    control = (tmp_path / "data" / "stardust.db").read_bytes()
    told = r"stardust.db has lost what a hub wrote .* restore a backup; for a new hub, move .*stardust.db and .*stardust-samples.db away"
    with pytest.raises(ConfigError, match=told):
        await open_database(tmp_path / "data", clock=CLOCK)
    assert (tmp_path / "data" / "stardust.db").read_bytes() == control
    async with await Inspection.open(tmp_path / "data" / "stardust.db") as inspection:
        with pytest.raises(ConfigError, match=told):
            await checkup.start_findings(inspection)
    async with await Inspection.open(tmp_path / "whole" / "stardust.db") as inspection:
        assert await checkup.start_findings(inspection) == []


async def test_a_hub_that_was_killed_at_its_first_start_makes_it_good_at_the_next(tmp_path: Path) -> None:
    """With its keys and an unmarked file of samples: nobody could have told it anything yet."""
    await open_and_close(tmp_path / "data")
    edit(tmp_path / "data" / "stardust.db", "DELETE FROM fact")
    edit(tmp_path / "data" / "stardust-samples.db", "DELETE FROM fence")
    await open_and_close(tmp_path / "data")
    edit(tmp_path / "data" / "stardust.db", "DELETE FROM fact")
    with pytest.raises(ConfigError, match="has lost what a hub wrote"):
        await open_database(tmp_path / "data", clock=CLOCK)
    edit(tmp_path / "data" / "stardust.db", "INSERT INTO fact VALUES ('initialised_at', 1.0)")  # as an earlier program left it
    await open_and_close(tmp_path / "data")


async def test_a_node_gets_no_number_that_the_samples_have(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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
    with pytest.raises(ConfigError, match=r"stardust-samples.db is empty, though a hub has run on it: restore a backup; to begin with no"):
        await open_database(tmp_path / "data", clock=CLOCK)
    edit(control, "DELETE FROM fact WHERE name = 'latest_at'")  # as of an earlier program that was killed at its first start
    await open_and_close(tmp_path / "data")
    assert "samples_begun_anew" not in caplog.text


async def test_the_keyring_of_a_new_hub_is_in_the_file_itself_before_anything_is_sealed_with_it(tmp_path: Path) -> None:
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
import asyncio, os, signal, sys
from pathlib import Path
from groundcontrol.store.sqlite import open_database
from groundcontrol.vault import LEAST_ROUNDS, open_vault
from spider.clock import SystemClock
async def main():
    async def unlock(store):
        await open_vault("Zq7hV2-mB9tKx4-Lw8pRf", store, LEAST_ROUNDS)
    await open_database(Path(sys.argv[1]), clock=SystemClock(), meanwhile=unlock)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from groundcontrol.store.sqlite import open_database
from spider.clock import SystemClock

async def start(folder):
    await open_database(folder, clock=SystemClock())

for at in range(1, 1000):
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


async def test_a_first_start_that_is_killed_anywhere_is_made_again(tmp_path: Path) -> None:
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", _KILLED, tmp_path, cwd=ROOT)
    assert await done.wait() == 0
    folders = [path for path in tmp_path.iterdir() if path.name.isdigit()]  # noqa: ASYNC240  a test may wait
    assert len(folders) > 20
    for folder in folders:
        await open_and_close(folder)
        assert {path.name for path in folder.iterdir()} == {"hub.lock", "stardust.db", "stardust-samples.db"}


async def test_samples_that_were_moved_away_are_begun_anew_and_that_is_said_and_an_empty_file_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await open_and_close(tmp_path / "data")
    assert "samples_begun_anew" not in caplog.text
    samples = tmp_path / "data" / "stardust-samples.db"
    samples.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"stardust-samples.db is empty, though a hub has run on it: restore a backup; to begin with no"):
        await open_database(tmp_path / "data", clock=CLOCK)
    samples.unlink()
    await open_and_close(tmp_path / "data")
    assert "samples_begun_anew" in caplog.text


@pytest.mark.parametrize("name", ["stardust.db", "stardust-samples.db"])
async def test_a_file_that_was_cut_off_or_written_over_is_damaged_and_the_newest_copy_is_named(tmp_path: Path, name: str) -> None:
    await open_and_close(tmp_path / "data")
    path = tmp_path / "data" / name
    whole = path.read_bytes()
    (tmp_path / "data" / f"{name}.before-0003").symlink_to("/nowhere")
    (tmp_path / "data" / f"{name}.before-0007").write_bytes(whole)
    for content in (whole[: len(whole) // 2], b"\x5a" * 100 + whole[100:]):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=rf"{name} is damaged: restore a backup; the newest copy is .*before-0007"):
            await open_database(tmp_path / "data", clock=CLOCK)


async def test_the_control_database_may_stand_elsewhere_and_the_samples_go_with_it(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    await open_and_close(tmp_path / "data", tmp_path / "big" / "hub.sqlite")
    assert {file.name for file in (tmp_path / "big").iterdir()} == {"hub.sqlite", "hub-samples.sqlite", "hub.lock"}
    with pytest.raises(ConfigError, match="no folder"):
        await open_database(tmp_path / "data", clock=CLOCK, control=tmp_path / "nowhere" / "hub.db")


async def test_a_folder_that_is_named_in_two_ways_is_no_second_hub(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    await open_and_close(tmp_path / "link", tmp_path / "data" / "hub.db")
    await open_and_close(tmp_path / "data", tmp_path / "link" / ".." / "data" / "hub.db")


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    await open_and_close(tmp_path / "data")
    edit(tmp_path / "data" / "stardust.db", "PRAGMA user_version = 99")
    before = (tmp_path / "data" / "stardust.db").read_bytes()
    with pytest.raises(ConfigError, match="newer Stardust"):
        await open_database(tmp_path / "data", clock=CLOCK)
    assert (tmp_path / "data" / "stardust.db").read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all" * 500, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "stardust.db").write_bytes(content)
    (tmp_path / "data" / "stardust.db").chmod(0o600)
    with pytest.raises(ConfigError):
        await open_database(tmp_path / "data", clock=CLOCK)


async def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    edit(tmp_path / "data" / "stardust.db", "CREATE TABLE theirs (a)")
    (tmp_path / "data" / "stardust.db").chmod(0o600)
    with pytest.raises(ConfigError, match="not a database of this kind"):
        await open_database(tmp_path / "data", clock=CLOCK)
    await open_and_close(tmp_path / "mine")
    (tmp_path / "mine" / "stardust-samples.db").replace(tmp_path / "mine" / "stardust.db")
    with pytest.raises(ConfigError, match="not a database of this kind"):
        await open_database(tmp_path / "mine", clock=CLOCK)


async def test_a_damaged_page_is_found_at_the_start(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "data", clock=CLOCK)
    store = await database.store(audit_key=bytes(32), chain="c")
    for at in range(50):
        await store.nodes.create_node(SCOPE, new_node(f"n{at}"))
    await database.close()
    path = tmp_path / "data" / "stardust.db"
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'node'").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\x5a" * 4096
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="damaged"):
        await open_database(tmp_path / "data", clock=CLOCK)


async def test_a_large_file_in_which_a_hub_came_upon_damage_is_read_through_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_and_close(tmp_path / "data")
    path = tmp_path / "data" / "stardust-samples.db"
    whole = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        [page] = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'chunk_1m'").fetchone()
    path.write_bytes(whole[: (page - 1) * 16384] + b"\x5a" * 16384 + whole[page * 16384 :])
    monkeypatch.setattr(migrate, "CHECK_LIMIT_BYTES", 0)
    await open_and_close(tmp_path / "data")  # too large to be read through at each start

    database = await open_database(tmp_path / "data", clock=CLOCK)
    with pytest.raises(StoreDown, match="damaged"):
        await database._samples.reader.run(lambda rows: rows.all("SELECT * FROM chunk_1m"))
    await database.close()

    with pytest.raises(ConfigError, match="damaged: restore a backup"):
        await open_database(tmp_path / "data", clock=CLOCK)
    with pytest.raises(ConfigError, match="damaged: restore a backup"):
        await open_database(tmp_path / "data", clock=CLOCK)
    path.write_bytes(whole)
    await open_and_close(tmp_path / "data")
    assert not list((tmp_path / "data").glob("*.suspect")), "once it is whole nobody suspects it"


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


async def test_no_session_after_a_restore_has_the_number_of_one_that_the_backup_knows_nothing_of(tmp_path: Path) -> None:
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
        store = await database.store(audit_key=bytes(32), chain=new_time_id())
        await database.settle_restored(store, audit_key=bytes(32), chain=new_time_id(), scope=SCOPE, made_at=1.0)
        await database.close()
        after = await sessions(3, before[0].node)
        assert {session.epoch for session in after}.isdisjoint(session.epoch for session in used)
        used += after


async def test_a_full_disk_is_seen_by_the_probe_and_seen_to_be_over(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "data", clock=CLOCK)
    try:
        assert await database.probe() is None
        thread = database._control.writer._thread
        await thread.run(lambda db: db.execute("PRAGMA query_only = ON"))
        found = [await database.probe(), database.trouble]
        assert [trouble and trouble.code for trouble in found] == ["store.read_only"] * 2
        await thread.run(lambda db: db.execute("PRAGMA query_only = OFF"))
        assert [await database.probe(), database.trouble] == [None, None]
        assert not database.broken
    finally:
        await database.close()


async def test_the_keys_are_opened_while_the_samples_still_are(tmp_path: Path) -> None:
    seen: list[bytes | None] = []
    samples = tmp_path / "data" / "stardust-samples.db"

    async def look(keys: Keyring) -> None:
        assert not samples.exists() or not _tables(samples)  # before anything is waited for: the tables come at the end of the opening
        seen.append(await keys.keyring())

    await (await open_database(tmp_path / "data", clock=CLOCK, meanwhile=look)).close()
    assert seen == [None]
    assert _tables(samples)


async def test_a_folder_whose_keys_do_not_open_is_let_go(tmp_path: Path) -> None:
    async def refuse(_keys: Keyring) -> None:
        raise ConfigError("the vault does not open")

    with pytest.raises(ConfigError, match="vault"):
        await open_database(tmp_path / "data", clock=CLOCK, meanwhile=refuse)
    await open_and_close(tmp_path / "data")
