"""The data folder: private, locked by one hub, and released."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.adapters.sqlite.secrets import Keyring
from groundcontrol.cli.data_dir import lock_holder
from groundcontrol.core.errors import ConfigError
from tests.support.eventually import ask_until
from tests.support.factories import SCOPE, new_node
from tests.support.store_files import CLOCK, open_and_close, tables_in

_OPEN = """
import asyncio, sys
from pathlib import Path
from groundcontrol.adapters.sqlite.database import open_database
from spider.clock import SystemClock
from spider.wire.ids import new_time_id
asyncio.run(open_database(Path(sys.argv[1]), clock=SystemClock()))
"""


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


@pytest.mark.holds("S-35")
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


async def test_a_removed_lock_file_does_not_admit_a_second_hub(tmp_path: Path) -> None:
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


async def test_the_command_in_the_message_separates_linked_database_files(tmp_path: Path) -> None:
    """`cp -al` links the logs too: opening the copy checkpoints the shared log into the copy, and overwrites it."""
    folder, snapshot = tmp_path / "it's data", tmp_path / "snapshot"
    database = await open_database(tmp_path / "data", clock=CLOCK)
    try:
        store = await database.store(audit_key=bytes(32), chain="c")
        nodes = [await store.nodes.create_node(SCOPE, new_node(f"n{at}")) for at in range(5)]
        shutil.copytree(tmp_path / "data", folder)
    finally:
        await database.close()
    names = {file.name for file in folder.glob("stardust*")}
    assert len(names) == 7
    shutil.copytree(folder, snapshot, copy_function=os.link)
    with pytest.raises(ConfigError, match=r"stardust.db is one file with 2 names .* separate the names: ") as refused:
        await open_database(folder, clock=CLOCK)
    shell = await asyncio.create_subprocess_exec("sh", "-c", str(refused.value).rpartition(" separate the names: ")[2])
    assert await shell.wait() == 0
    assert {file.name for file in folder.glob("stardust*")} == {name for name in names if not name.endswith("-shm")}

    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with closing(sqlite3.connect(snapshot / "stardust.db", isolation_level=None)) as looking:
        looking.execute("DELETE FROM node")
        looking.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    database = await open_database(folder, clock=CLOCK)
    try:
        [found] = await database._control.reader.run(lambda rows: rows.fetch_all("SELECT count(*) AS n FROM node"))
        assert found["n"] == len(nodes)
    finally:
        await database.close()


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
async def test_a_log_with_another_name_is_refused_too(tmp_path: Path, ending: str) -> None:
    await open_and_close(tmp_path / "data")
    log = tmp_path / "data" / f"stardust-samples.db{ending}"
    log.touch(mode=0o600)
    os.link(log, tmp_path / "snapshot")
    with pytest.raises(ConfigError, match=rf"^{log} is one file with 2 names .* separate the names: (for file in|rm -f) {log}"):
        await open_database(tmp_path / "data", clock=CLOCK)


@pytest.mark.parametrize("name", ["stardust.db", "stardust-samples.db", "stardust.db-wal"])
async def test_a_folder_in_the_place_of_a_database_is_reported_as_one(tmp_path: Path, name: str) -> None:
    place = tmp_path / "data" / name
    place.mkdir(parents=True)
    (tmp_path / "data").chmod(0o700)
    with pytest.raises(ConfigError, match=rf"^{place} is a folder and not a file: move it away"):
        await open_database(tmp_path / "data", clock=CLOCK)


async def test_a_file_linked_by_a_restore_is_not_refused_as_shared(tmp_path: Path) -> None:
    await open_and_close(tmp_path / "data")
    os.link(tmp_path / "data" / "stardust.db", tmp_path / "data" / "stardust.db.before-restore-20261120-105800")
    await open_and_close(tmp_path / "data")


async def test_the_control_database_may_be_elsewhere_and_the_samples_follow_it(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    await open_and_close(tmp_path / "data", tmp_path / "big" / "hub.sqlite")
    assert {file.name for file in (tmp_path / "big").iterdir()} == {"hub.sqlite", "hub-samples.sqlite", "hub.sqlite.seen", "hub.lock"}
    with pytest.raises(ConfigError, match="no folder"):
        await open_database(tmp_path / "data", clock=CLOCK, control=tmp_path / "nowhere" / "hub.db")


async def test_two_paths_of_one_folder_are_one_hub(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    await open_and_close(tmp_path / "link", tmp_path / "data" / "hub.db")
    await open_and_close(tmp_path / "data", tmp_path / "link" / ".." / "data" / "hub.db")


async def test_the_probe_detects_a_read_only_database_and_its_end(tmp_path: Path) -> None:
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


async def test_keys_and_samples_are_opened_concurrently(tmp_path: Path) -> None:
    seen: list[bytes | None] = []
    samples = tmp_path / "data" / "stardust-samples.db"

    async def look(keys: Keyring) -> None:
        assert not samples.exists() or not tables_in(samples)  # before anything is waited for: the tables come at the end of the opening
        seen.append(await keys.keyring())

    await (await open_database(tmp_path / "data", clock=CLOCK, meanwhile=look)).close()
    assert seen == [None]
    assert tables_in(samples)


async def test_a_folder_whose_keys_do_not_open_is_released(tmp_path: Path) -> None:
    async def refuse(_keys: Keyring) -> None:
        raise ConfigError("the vault does not open")

    with pytest.raises(ConfigError, match="vault"):
        await open_database(tmp_path / "data", clock=CLOCK, meanwhile=refuse)
    await open_and_close(tmp_path / "data")


async def test_a_cancelled_start_leaves_no_open_database(tmp_path: Path) -> None:
    """A writer that stays would keep the process from ending."""

    def writers() -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("writer-")]

    async def both_open() -> bool:
        return len(writers()) == 2

    async def wait(_keys: Keyring) -> None:
        await asyncio.Event().wait()

    starting = asyncio.create_task(open_database(tmp_path / "data", clock=CLOCK, meanwhile=wait))
    await ask_until(both_open)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert starting.cancelled()
    assert writers() == []
    await open_and_close(tmp_path / "data")
