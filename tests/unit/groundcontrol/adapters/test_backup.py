"""Backup files: any damage is reported in one line, even for large databases."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.adapters.sqlite.admin import backup
from groundcontrol.adapters.sqlite.admin.atomic_replace import replace_databases
from groundcontrol.adapters.sqlite.admin.backup import COPIES, MANIFEST, samples_beside
from groundcontrol.adapters.sqlite.admin.migrate import CHECK_LIMIT_BYTES, CONTROL, damage_error
from groundcontrol.adapters.sqlite.engine.data_files import sync as durable
from groundcontrol.core.errors import ConfigError
from spider.clock import SystemClock
from tests.support.store_files import edit, open_new

FLIPS = 150


def quietly(_text: str) -> None:
    """The progress is of no interest here."""


async def made_in(folder: Path) -> Path:
    database = await open_new(folder / "data", clock=SystemClock())
    backup.make(folder / "data" / "stardust.db", folder / "good", "1.0", quietly)
    await database.close()
    return folder / "good"


def unpacked(file: Path, folder: Path) -> dict[str, bytes]:
    """What a backup holds.

    Raises: ConfigError.
    """
    folder.mkdir()
    backup.unpack(file, folder, quietly)
    return {name: (folder / name).read_bytes() for name, _ in COPIES}


async def test_a_changed_byte_of_a_backup_is_refused_or_harmless(tmp_path: Path) -> None:
    good = await made_in(tmp_path)
    whole, data = unpacked(good, tmp_path / "whole"), good.read_bytes()
    altered = tmp_path / "altered"
    refused = 0
    for number, at in enumerate(random.Random(5).sample(range(len(data)), FLIPS)):
        altered.write_bytes(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])
        try:
            assert unpacked(altered, tmp_path / str(number)) == whole, f"another byte at {at}"
        except ConfigError:
            refused += 1
    assert refused > FLIPS / 2


async def test_a_damaged_database_in_a_backup_is_detected_at_any_size(tmp_path: Path) -> None:
    good = await made_in(tmp_path)
    unpacked(good, tmp_path / "whole")
    with zipfile.ZipFile(good) as source:
        held = {name: bytearray(source.read(name)) for name in source.namelist()}
    with closing(sqlite3.connect(tmp_path / "whole" / "control.db")) as db:
        [root] = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'node'").fetchone()
    held["control.db"][(root - 1) * 4096 : root * 4096] = b"\x5a" * 4096
    manifest = json.loads(bytes(held[MANIFEST]))
    manifest["files"]["control.db"]["sha256"] = hashlib.sha256(held["control.db"]).hexdigest()
    held[MANIFEST] = bytearray(json.dumps(manifest).encode())
    with zipfile.ZipFile(tmp_path / "damaged", "w") as target:
        for name, content in held.items():
            target.writestr(name, bytes(content))
    with pytest.raises(ConfigError, match="damaged"):
        unpacked(tmp_path / "damaged", tmp_path / "broken")
    copy = tmp_path / "broken" / "control.db"
    os.truncate(copy, CHECK_LIMIT_BYTES + 4096)  # a hole, behind the pages that the database has
    with pytest.raises(ConfigError, match="damaged"):
        backup._check_copy(copy, CONTROL, backup.BackupContent(**manifest["files"]["control.db"]))


async def test_a_full_backup_target_is_not_reported_as_a_full_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
        raise error

    folder = tmp_path / "target"
    folder.mkdir()
    await made_in(tmp_path)
    monkeypatch.setattr(backup, "write_copy", full)
    with pytest.raises(ConfigError, match=f"^no backup was made: {folder}: no space is left$"):
        backup.make(tmp_path / "data" / "stardust.db", folder / "one", "1.0", quietly)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["stardust.db", "stardust-samples.db"])
async def test_a_database_of_a_newer_version_is_refused_before_the_copy(tmp_path: Path, name: str) -> None:
    await made_in(tmp_path)
    with closing(sqlite3.connect(tmp_path / "data" / name)) as db, db:
        db.execute("PRAGMA user_version = 99")
    said: list[str] = []
    with pytest.raises(ConfigError, match=rf"the database \S+/data/{name} was made by a newer Stardust \(schema 99; this program knows"):
        backup.make(tmp_path / "data" / "stardust.db", tmp_path / "another", "1.0", said.append)
    assert said == []


ODD: dict[str, Callable[[dict[str, Any]], None]] = {
    "no date": lambda manifest: manifest.update(made_at=1e300),
    "a date before all": lambda manifest: manifest.update(made_at=-1.0),
    "more rows than there can be": lambda manifest: manifest.update(audit_heads=[["a", 1 << 63, "b"]]),
}


@pytest.mark.parametrize("odd", ODD)
async def test_odd_numbers_in_the_manifest_of_a_backup_are_refused(tmp_path: Path, odd: str) -> None:
    good = await made_in(tmp_path)
    with zipfile.ZipFile(good) as source:
        held = {name: source.read(name) for name in source.namelist()}
    manifest = json.loads(held[MANIFEST])
    ODD[odd](manifest)
    held[MANIFEST] = json.dumps(manifest).encode()
    with zipfile.ZipFile(tmp_path / "odd", "w") as target:
        for name, content in held.items():
            target.writestr(name, content)
    with pytest.raises(ConfigError, match="is not a backup of Stardust"):
        unpacked(tmp_path / "odd", tmp_path / "out")


async def test_members_with_another_compression_are_refused(tmp_path: Path) -> None:
    good = await made_in(tmp_path)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(tmp_path / "other", "w", zipfile.ZIP_LZMA) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    data = good.read_bytes()
    at = data.index(b"PK\x01\x02") + 8  # the flags of the first member in the table of contents
    (tmp_path / "locked").write_bytes(data[:at] + bytes([data[at] | 1]) + data[at + 1 :])
    for name in ("other", "locked"):
        with pytest.raises(ConfigError, match="is packed in another way"):
            unpacked(tmp_path / name, tmp_path / f"from-{name}")


async def test_an_impossible_file_name_fails_the_backup(tmp_path: Path) -> None:
    await made_in(tmp_path)
    with pytest.raises(ConfigError, match=r"^no backup was made: .*File name too long$"):
        backup.make(tmp_path / "data" / "stardust.db", tmp_path / ("x" * 300), "1.0", quietly)


async def test_a_backup_works_without_hard_links_and_overwrites_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    assert set(unpacked(await made_in(tmp_path), tmp_path / "read")) == {name for name, _ in COPIES}

    def meanwhile(packed: Path, target: Path) -> None:
        target.write_text("somebody else's")
        named(packed, target)

    named = backup._name
    monkeypatch.setattr(backup, "_name", meanwhile)
    with pytest.raises(ConfigError, match="no backup was made"):
        backup.make(tmp_path / "data" / "stardust.db", tmp_path / "taken", "1.0", quietly)
    assert (tmp_path / "taken").read_text() == "somebody else's"


async def test_a_backup_whose_name_is_not_durable_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await made_in(tmp_path)
    target = tmp_path / "target" / "one"
    target.parent.mkdir()

    def sync(path: Path) -> None:
        if path == target:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        durable(path)

    monkeypatch.setattr(backup, "sync", sync)
    with pytest.raises(ConfigError, match=r"^no backup was made: .*Input/output error$"):
        backup.make(tmp_path / "data" / "stardust.db", target, "1.0", quietly)
    assert list(target.parent.iterdir()) == []


async def test_the_damaged_database_is_the_one_that_is_named(tmp_path: Path) -> None:
    await made_in(tmp_path)
    samples = tmp_path / "data" / "stardust-samples.db"
    with closing(sqlite3.connect(samples)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = db.execute("PRAGMA page_size").fetchone()[0]
    held = bytearray(samples.read_bytes())
    held[size:] = random.Random(7).randbytes(len(held) - size)
    samples.write_bytes(held)
    with pytest.raises(ConfigError, match=r"^no backup was made: the database stardust-samples\.db is damaged"):
        backup.make(tmp_path / "data" / "stardust.db", tmp_path / "one", "1.0", quietly)


def test_a_restore_replaces_a_database_whose_name_is_a_pattern(tmp_path: Path) -> None:
    old, new = tmp_path / "hub[1].db", tmp_path / "new.db"
    for control, content in ((old, "old"), (new, "new")):
        for path in (control, samples_beside(control)):
            edit(path, f"CREATE TABLE content AS SELECT '{content}' AS word")
    kept = replace_databases(new, old)
    assert [path.name.partition(".before-restore-")[0] for path in kept] == ["hub[1]-samples.db", "hub[1].db"]
    for path, content in [*((path, "old") for path in kept), (old, "new"), (samples_beside(old), "new")]:
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT word FROM content").fetchone() == (content,)


async def test_a_disk_that_fills_while_unpacking_is_not_reported_as_an_unreadable_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = await made_in(tmp_path)

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(backup, "_copy_some", full)
    with pytest.raises(ConfigError, match=f"^no space is left to unpack {good}$"):
        unpacked(good, tmp_path / "whole")


@pytest.mark.parametrize("manifest", [b'{"version": "\xff"}', b'{"x": ' + b"[" * 100_000], ids=["not UTF-8", "nested too deep"])
def test_an_unreadable_manifest_is_refused_in_one_line(tmp_path: Path, manifest: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "odd", "w") as archive:
        for name, content in ((MANIFEST, manifest), *((name, b"") for name, _ in COPIES)):
            archive.writestr(name, content)
    with pytest.raises(ConfigError, match="its list of contents cannot be read"):
        unpacked(tmp_path / "odd", tmp_path / "out")


def test_damage_that_shows_in_the_copy_only_is_told_of_the_database(tmp_path: Path) -> None:
    """A temporary copy that is gone by then would help nobody."""
    with (
        pytest.raises(ConfigError, match=r"^no backup was made: the database \S+/stardust\.db is damaged"),
        backup._named(tmp_path / "stardust.db"),
    ):
        raise damage_error(tmp_path / ".backup-x" / "control.db")
