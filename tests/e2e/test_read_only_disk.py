"""The hub's commands on a read-only disk: good data is read, and no message suggests an older copy (F-13)."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import WITH_SECRET, command
from tests.support.eventually import eventually
from tests.support.faults import Disk, breakable_disk, small_disk
from tests.support.hub import HubProcess

OLDER = "restore a backup"


def examined(disk: Disk, folder: Path) -> tuple[list[dict[str, str]], str]:
    """What the doctor finds that is a problem, and all that it says."""
    done = command(folder, "doctor", "--json", env=WITH_SECRET, mounts_of=disk.pid)
    assert done.returncode == 1, done.stdout + done.stderr
    return [found for found in json.loads(done.stdout)["checks"] if found["state"] == "problem"], done.stdout


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "hub", "1g") as disk:
        yield disk


def served(disk: Disk, folder: Path) -> HubProcess:
    hub = HubProcess(folder, mounts_of=disk.pid)
    hub.view = disk.view
    return hub


@pytest.mark.holds("F-13")
def test_databases_of_a_hub_that_had_ended_are_read_checked_and_copied(disk: Disk, tmp_path: Path) -> None:
    """Nothing is left of a log then, and SQLite opens none without making one."""
    with served(disk, tmp_path / "hub") as hub:
        hub.enrol("kept")
        assert hub.end() == 0
        assert list(disk.view.glob("*-wal")) == []
        disk.remount("ro")

        problems, said = examined(disk, tmp_path / "hub")
        assert [(found["check"], found["text"]) for found in problems] == [
            ("folder", f"the file system of {tmp_path / 'hub'} is read-only")
        ]
        assert OLDER not in said.replace("restore no backup", "")
        assert "stardust.db is sound" in said
        assert "stardust-samples.db is sound" in said
        assert "every chain of the audit log holds" in said
        verified = command(tmp_path / "hub", "audit", "verify", env=WITH_SECRET, mounts_of=disk.pid)
        assert verified.returncode == 0, verified.stderr
        file = tmp_path / "kept.stardust-backup"
        made = command(tmp_path / "hub", "backup", str(file), env=WITH_SECRET, mounts_of=disk.pid)
        assert made.returncode == 0, made.stderr
        restored = command(tmp_path / "again", "restore", str(file), env=WITH_SECRET, mounts_of=disk.pid)
        assert restored.returncode == 0, restored.stderr
    with HubProcess(tmp_path / "again") as again:
        assert [node["name"] for node in again.local("GET", "/api/v1/nodes").json["nodes"]] == ["kept"]


def test_a_read_only_disk_is_reported_with_or_without_a_readable_log(disk: Disk, tmp_path: Path) -> None:
    with served(disk, tmp_path / "hub") as hub:
        hub.enrol("kept")
        hub.slay()
        disk.remount("ro")
        problems, said = examined(disk, tmp_path / "hub")
        assert [found["text"] for found in problems] == [f"the file system of {tmp_path / 'hub'} is read-only"]
        assert "stardust.db is sound" in said

        disk.remount("rw")
        for index in disk.view.glob("*-shm"):
            index.unlink()
        disk.remount("ro")
        problems, said = examined(disk, tmp_path / "hub")
        assert {found["check"] for found in problems} == {"folder", "database"}
        assert all("read-only" in found["text"] and OLDER not in found["remedy"] for found in problems), problems
        file = tmp_path / "none.stardust-backup"
        for words in (("backup", str(file)), ("audit", "verify")):
            refused = command(tmp_path / "hub", *words, env=WITH_SECRET, mounts_of=disk.pid)
            assert refused.returncode == 1
            assert "read-only" in refused.stderr
            assert len(refused.stderr.splitlines()) <= 2, "one line, and one of what was begun"
        assert not file.exists()

        disk.remount("rw")
        assert command(tmp_path / "hub", "audit", "verify", env=WITH_SECRET, mounts_of=disk.pid).returncode == 0


@pytest.mark.holds("F-13")
@pytest.mark.slow
def test_a_failed_disk_is_reported_although_linux_calls_it_writable(tmp_path: Path) -> None:
    """ext4 stops writing after an error, and newer kernels only show it as an option (`emergency_ro`)."""
    with breakable_disk(tmp_path / "hub") as disk, served(disk, tmp_path / "hub") as hub:
        hub.enrol("kept")
        assert hub.end() == 0
        disk.remount("errors=remount-ro")
        disk.break_down()
        asyncio.run(eventually(lambda: refusal(disk.view / "any") == errno.EROFS, 60, "ext4 goes on writing"))
        problems, said = examined(disk, tmp_path / "hub")
        assert f"the file system of {tmp_path / 'hub'} is read-only" in {found["text"] for found in problems}
        assert "stardust-samples.db is sound" in said
        assert "every chain of the audit log holds" in said


def refusal(path: Path) -> int | None:
    """How a file that is to be on the disk is refused."""
    try:
        with path.open("wb") as file:
            file.write(bytes(100_000))
            os.fsync(file.fileno())
    except OSError as exc:
        return exc.errno
    return None


@pytest.mark.slow
def test_a_folder_that_is_read_only_here_and_not_elsewhere_is_read_with_its_log_alone(disk: Disk, tmp_path: Path) -> None:
    """As a container may have it: a hub may write there while this command reads, so nothing is taken for what never changes."""
    seen = tmp_path / "seen"
    seen.mkdir()
    for options in (("--bind", str(tmp_path / "hub")), ("-o", "remount,bind,ro")):
        subprocess.run([*disk.prefix, "mount", *options, str(seen)], check=True, timeout=30)
    with served(disk, tmp_path / "hub") as hub:
        hub.enrol("kept")
        problems, said = examined(disk, seen)
        assert f"the file system of {seen} is read-only" in {found["text"] for found in problems}
        assert "stardust.db is sound" in said
        assert hub.end() == 0
        problems, said = examined(disk, seen)
        assert "db is sound" not in said
        assert all("read-only" in found["text"] and OLDER not in found["remedy"] for found in problems), problems
