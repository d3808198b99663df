"""Memory that the process returns: after password hashing, and from SQLite."""

from __future__ import annotations

import platform
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.some import some

MANY_HASHES = """
import asyncio, os
from pathlib import Path
from groundcontrol.access.passwords import Passwords
from groundcontrol.lifecycle import tune_malloc

def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

async def main() -> None:
    passwords = Passwords(bytes(32))
    before = resident()
    for _ in range(3):
        await asyncio.gather(*(passwords.hash("lift off to the far stars") for _ in range(2)))
    passwords.close()
    print(resident() - before)

tune_malloc()
asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps it")
def test_memory_of_password_hashing_is_released() -> None:
    ran = subprocess.run([sys.executable, "-c", MANY_HASHES], capture_output=True, text=True, check=True, timeout=60)
    assert int(ran.stdout) < 10 << 20  # one hash takes 19 MiB, and each of two threads would keep as much


HELD_PAGES = """
import asyncio, ctypes, sqlite3, sys
from pathlib import Path
from groundcontrol.adapters.sqlite import open_database
from groundcontrol.adapters.sqlite.engine.connection import READER_CACHE_BYTES, WRITER_CACHE_BYTES
from spider.clock import SystemClock

native = ctypes.CDLL(sys.argv[2])
native.sqlite3_memory_used.restype = ctypes.c_longlong

async def main() -> None:
    database = await open_database(Path(sys.argv[1]), clock=SystemClock())
    before = native.sqlite3_memory_used()
    file = database._samples
    def fill(tx) -> None:
        tx.execute_many("INSERT INTO chunk_1s VALUES (?, 3600, ?)", ((at, bytes(40_000)) for at in range(200)))
    await file.writer.run(fill)
    for _ in range(6):
        await file.reader.run(lambda rows: len(rows.fetch_all("SELECT * FROM chunk_1s")))
    held = native.sqlite3_memory_used()
    await database.shrink()
    left = native.sqlite3_memory_used()
    assert len(await file.reader.run(lambda rows: rows.fetch_all("SELECT rowid FROM chunk_1s"))) == 200  # and all is as it was
    await database.close()
    print(held - before, left - before)

asyncio.run(main())
"""


def _sqlite_library() -> str | None:
    """The library that Python's sqlite3 uses, where it is one of its own."""
    sqlite3.connect(":memory:").close()
    loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libsqlite3" in line}
    return min(loaded, default=None)


@pytest.mark.skipif(_sqlite_library() is None, reason="SQLite is built into this Python: it cannot be asked what it holds")
def test_unused_sqlite_pages_are_released(tmp_path: Path) -> None:
    library = some(_sqlite_library())
    words = [sys.executable, "-c", HELD_PAGES, str(tmp_path / "data"), library]
    ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    held, left = map(int, ran.stdout.split())
    assert held > 2 << 20  # the shares of the writer and of the reader that was asked were full
    assert left < held / 4
