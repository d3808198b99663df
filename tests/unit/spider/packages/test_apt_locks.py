"""The holder of a lock is read from the kernel, since not every apt names it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spider.packages.backend import Lock
from spider.packages.locks import flock_holder, open_file_holder, record_lock_holder
from tests.support.some import some


@pytest.mark.parametrize(("how", "holder_of"), [("lockf", record_lock_holder), ("flock", flock_holder)])
def test_the_holder_of_a_lock_is_named(tmp_path: Path, how: str, holder_of: Callable[[str], Lock | None]) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    assert holder_of(str(lock)) is None
    hold = f"import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.{how}(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert some(other.stdout).readline() == b"held\n"
        holder = some(holder_of(str(lock)))
        assert (holder.pid, holder.file) == (str(other.pid), str(lock))
        assert holder.name == Path(f"/proc/{other.pid}/comm").read_text().strip()
        other.communicate()
    assert holder_of(str(lock)) is None


def test_the_process_that_has_a_file_open_is_named(tmp_path: Path) -> None:
    lock, link = tmp_path / "db.lck", tmp_path / "link.lck"
    lock.touch()
    link.symlink_to(lock)
    assert open_file_holder(str(lock)) is None
    with lock.open():
        found = [open_file_holder(str(path)) for path in (lock, link)]
    assert [(holder.file, holder.pid) for holder in found if holder] == [(str(lock), str(os.getpid())), (str(link), str(os.getpid()))]


def test_no_lock_file_is_no_holder(tmp_path: Path) -> None:
    assert record_lock_holder(os.fspath(tmp_path / "none")) is None
    assert flock_holder(os.fspath(tmp_path / "none")) is None
    assert open_file_holder(os.fspath(tmp_path / "none")) is None
