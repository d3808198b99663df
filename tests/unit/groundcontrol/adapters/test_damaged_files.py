"""Files that are damaged, foreign or of a newer version: refused with the right error, and left unchanged."""

from __future__ import annotations

import builtins
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.admin.migrate import CHECK_LIMIT_BYTES, read_failure
from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.core.errors import ConfigError, StoreDown
from tests.support.factories import SCOPE, new_node
from tests.support.store_files import CLOCK, edit, open_and_close


@pytest.mark.parametrize("name", ["stardust.db", "stardust-samples.db"])
async def test_a_truncated_or_overwritten_file_is_damaged_and_the_newest_backup_is_named(tmp_path: Path, name: str) -> None:
    await open_and_close(tmp_path / "data")
    path = tmp_path / "data" / name
    whole = path.read_bytes()
    (tmp_path / "data" / f"{name}.before-0003").symlink_to("/nowhere")
    (tmp_path / "data" / f"{name}.before-0007").write_bytes(whole)
    for content in (whole[: len(whole) // 2], b"\x5a" * 100 + whole[100:]):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=rf"{name} is damaged: restore a backup; the newest copy is .*before-0007"):
            await open_database(tmp_path / "data", clock=CLOCK)


@pytest.mark.holds("SAFETY-9", "F-35")
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


async def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
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


@pytest.mark.holds("F-13")
async def test_a_file_whose_read_fails_is_no_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite calls both an invalid page. The memory of a process has no first page: a read of it fails as a read of a bad disk does."""
    await open_and_close(tmp_path / "data")
    path = tmp_path / "data" / "stardust.db"
    assert read_failure(path) is None
    path.write_bytes(b"\x5a" * 4096)
    real = builtins.open
    monkeypatch.setattr(builtins, "open", lambda name, *rest, **more: real("/proc/self/mem" if name == path else name, *rest, **more))
    with pytest.raises(StoreDown, match=r"reading the database stardust\.db failed: Input/output error"):
        await open_database(tmp_path / "data", clock=CLOCK)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="damaged"):
        await open_database(tmp_path / "data", clock=CLOCK)


async def test_the_damaged_one_of_both_files_is_named(tmp_path: Path) -> None:
    """A large file is not read through at the start: its damage shows when the page is read."""
    await open_and_close(tmp_path / "data")
    path = tmp_path / "data" / "stardust-samples.db"
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'fence'").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 16384 : page * 16384] = b"\x5a" * 16384
    path.write_bytes(content)
    os.truncate(path, CHECK_LIMIT_BYTES + 16384)  # a hole, behind the pages that the database has
    with pytest.raises(ConfigError, match=r"stardust-samples\.db is damaged"):
        await open_database(tmp_path / "data", clock=CLOCK)


async def test_a_large_file_marked_as_damaged_is_checked_at_the_next_start(tmp_path: Path) -> None:
    await open_and_close(tmp_path / "data")
    path = tmp_path / "data" / "stardust-samples.db"
    whole = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        [page] = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'chunk_1m'").fetchone()
    path.write_bytes(whole[: (page - 1) * 16384] + b"\x5a" * 16384 + whole[page * 16384 :])
    os.truncate(path, CHECK_LIMIT_BYTES + 16384)  # a hole, behind the pages that the database has
    await open_and_close(tmp_path / "data")  # too large to be read through at each start

    os.truncate(path, CHECK_LIMIT_BYTES + 16384)  # a hub that ends takes the hole away
    database = await open_database(tmp_path / "data", clock=CLOCK)
    with pytest.raises(StoreDown, match="damaged"):
        await database._samples.reader.run(lambda rows: rows.fetch_all("SELECT * FROM chunk_1m"))
    await database.close()
    assert list((tmp_path / "data").glob("*.suspect")), "the next start checks the whole file"

    with pytest.raises(ConfigError, match="damaged: restore a backup"):
        await open_database(tmp_path / "data", clock=CLOCK)
    with pytest.raises(ConfigError, match="damaged: restore a backup"):
        await open_database(tmp_path / "data", clock=CLOCK)
    path.write_bytes(whole)
    await open_and_close(tmp_path / "data")
    assert not list((tmp_path / "data").glob("*.suspect")), "a whole file is not checked again"
