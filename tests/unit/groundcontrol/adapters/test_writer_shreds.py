"""Shredding through the writing connection, and its checkpoint on full and failing disks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.engine.connection import open_thread
from groundcontrol.adapters.sqlite.engine.writer import Writer
from spider.clock import SystemClock
from tests.support.eventually import eventually
from tests.support.hub import ROOT
from tests.support.some_database import log_bytes, put, shred


async def test_a_long_reader_does_not_block_a_shred_which_is_checkpointed_after_it(path: Path) -> None:
    """As a backup does for as long as it copies."""
    writer = Writer(await open_thread(path, page_size=4096, busy_timeout_s=60.0), path.name, SystemClock())
    stranger = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    try:
        await writer.run(put("first"))
        stranger.execute("BEGIN")
        stranger.execute("SELECT * FROM item").fetchall()
        began = time.monotonic()
        await writer.run(shred)
        for at in range(5):
            await writer.run(put(f"{at}"))
        assert time.monotonic() - began < 60
        assert log_bytes(path)
        assert await writer._thread.run(lambda db: db.execute("PRAGMA busy_timeout").fetchone()[0]) == 60_000
        stranger.execute("ROLLBACK")
        await eventually(lambda: not log_bytes(path), 60)
        assert writer.trouble is None
    finally:
        stranger.close()
        await writer.close()


_FOLDING_ON_A_FULL_DISK = """
import asyncio, logging, os, sys
from pathlib import Path
from groundcontrol.core.errors import StoreFull
from groundcontrol.adapters.sqlite.engine.connection import open_thread
from groundcontrol.adapters.sqlite.engine.writer import Writer
from spider.clock import SystemClock
from tests.support.eventually import eventually
from tests.support.some_database import bodies, log_bytes, put, shred

async def main():
    path, filler = (Path(sys.argv[1]) / name for name in ("some.db", "filler"))
    path.touch()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    writer = Writer(await open_thread(path, page_size=4096), path.name, SystemClock())
    try:
        await use(writer, path, filler)
    finally:
        await writer.close()

async def use(writer, path, filler):
    await writer.run(lambda tx: tx.execute("CREATE TABLE item (no INTEGER PRIMARY KEY, body TEXT UNIQUE)"))
    for at in range(8):
        await writer.run(put(f"{at}" * 20_000))
    with filler.open("wb", 0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - 65536)  # enough for the log, and too little for the file to hold all that is in the log
    acknowledged = bodies(path) + [await writer.run(shred)]
    for at in range(3):
        assert writer.trouble.code == "store.full"
        assert not writer.broken
        os.truncate(filler, filler.stat().st_size - 16384)
        try:
            acknowledged.append(await writer.run(put(f"after it {at}")))
        except StoreFull:  # the file was quicker
            pass
    assert writer.trouble.code == "store.full"
    assert bodies(path) == acknowledged
    filler.unlink()
    await eventually(lambda: not log_bytes(path), 60)
    await writer.run(put("room again"))
    assert writer.trouble is None

asyncio.run(main())
"""


@pytest.mark.holds("F-11")
def test_a_shred_on_a_full_disk_succeeds_and_is_checkpointed_later(tmp_path: Path) -> None:
    """A stored commit was never refused, whatever happens to the log after it."""
    disk = 'mount -t tmpfs -o size=1m small "$1" || exit 77; exec "$0" -c "$2" "$1"'
    argv = ["unshare", "-r", "-m", "sh", "-c", disk, sys.executable, str(tmp_path), _FOLDING_ON_A_FULL_DISK]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip(f"mounts may not be made here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    assert done.stderr.split() == ["database_in_trouble", "database_recovered"]


_FOLDING_ON_A_FAILING_DISK = """
import asyncio, resource, sys
from pathlib import Path
from groundcontrol.core.errors import StoreDown
from groundcontrol.adapters.sqlite.engine.connection import open_thread
from groundcontrol.adapters.sqlite.engine.writer import Writer
from spider.clock import SystemClock
from tests.support.eventually import eventually
from tests.support.some_database import bodies, put, shred

async def main():
    path = Path(sys.argv[1])
    writer = Writer(await open_thread(path, page_size=4096), path.name, SystemClock())
    try:
        await use(writer)
    finally:
        await writer.close()
    print(*map(len, bodies(path)))

async def use(writer):
    await writer.run(lambda tx: (put("x" * 200_000)(tx), shred(tx)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))  # enough for the log, and too little for the file
    assert await writer.run(lambda tx: (put("y" * 20_000)(tx), setattr(tx, "shredding", True))) == ("y" * 20_000, None)
    assert writer.broken
    try:
        await writer.run(put("after it"))
    except StoreDown as error:
        print(error.message)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

asyncio.run(main())
"""


@pytest.mark.holds("F-13")
def test_an_io_error_after_a_commit_ends_the_hub_and_keeps_the_commit(path: Path) -> None:
    argv = [sys.executable, "-c", _FOLDING_ON_A_FAILING_DISK, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    refused, held = done.stdout.splitlines()
    assert refused.endswith("must start again")
    assert held == "200000 5 20000"
