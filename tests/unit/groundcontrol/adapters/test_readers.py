"""Reading connections beside the writing one: snapshots, reuse, cancellation and interruption."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from functools import partial
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.database import URGENT_CONNECTIONS, Database, open_database
from groundcontrol.adapters.sqlite.engine.reader import POOL_SIZE, Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import StoreBusy, StoreDown, StoreError, StoreReadOnly
from spider.clock import SystemClock
from tests.support.eventually import eventually
from tests.support.some_database import put


@pytest.mark.holds("SAFETY-74")
async def test_readers_see_each_commit_and_cannot_write(writer: Writer, path: Path) -> None:
    reader = await Reader.open(path, 2)
    try:
        for at in range(5):
            await writer.run(put(f"{at}"))
            assert await reader.run(lambda rows: rows.fetch_all("SELECT count(*) AS n FROM item")[0]["n"]) == at + 1
        with pytest.raises(StoreReadOnly):
            await reader.run(lambda rows: rows.fetch_all("DELETE FROM item"))
        with pytest.raises(StoreError):
            await reader.run(lambda rows: rows.fetch_all("SELECT nothing FROM nowhere"))
        assert len(await asyncio.gather(*(reader.run(_slow_count) for _ in range(20)))) == 20
    finally:
        await reader.close()


def _slow_count(rows: Rows) -> int:
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT sum(i) AS s FROM n"
    return int(rows.fetch_all(sql)[0]["s"])


async def test_consecutive_queries_use_one_connection(writer: Writer, path: Path) -> None:
    await writer.run(put("something"))
    reader = await Reader.open(path, 3)
    try:
        assert len({await reader.run(lambda _rows: threading.get_ident()) for _ in range(6)}) == 1
    finally:
        await reader.close()


async def test_a_reader_whose_caller_was_cancelled_serves_the_next_one(path: Path, writer: Writer) -> None:
    reader = await Reader.open(path, 1)
    try:
        task = asyncio.create_task(reader.run(_slow_count))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await reader.run(_slow_count) == 2001000
    finally:
        await reader.close()


def _fail(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_IOERR"
    return error


@pytest.mark.holds("F-13")
async def test_a_failed_disk_is_noted_though_sqlite_rolled_back_and_the_caller_is_gone(writer: Writer, path: Path) -> None:
    def rolled_back(rows: Rows) -> None:
        rows._db.execute("ROLLBACK")  # as SQLite does after an error of input or output
        raise _fail(sqlite3.SQLITE_IOERR)

    for cancelled in (False, True):
        reader = await Reader.open(path, 1)
        try:
            asking = asyncio.create_task(reader.run(rolled_back))
            await asyncio.sleep(0)
            if cancelled:
                asking.cancel()
            with pytest.raises(asyncio.CancelledError if cancelled else StoreDown):
                await asking
            await eventually(partial(getattr, reader, "broken"))
            assert not reader.damaged
        finally:
            await reader.close()


def _without_end(rows: Rows) -> int:
    return len(rows.fetch_all("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"))


@pytest.mark.holds("F-32")
async def test_an_endless_query_is_interrupted_when_its_reader_closes(writer: Writer, path: Path) -> None:
    """The caller is gone, and the hub has ten seconds."""
    reader = await Reader.open(path, 3)
    asking = [asyncio.create_task(reader.run(_without_end)) for _ in range(3)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(reader.close(), 30)
    assert [type(told) for told in await asyncio.gather(*asking, return_exceptions=True)] == [StoreBusy] * 3
    with pytest.raises(StoreBusy):
        await reader.run(_without_end)
    await writer.run(put("it is closed, and the writer goes on"))


@pytest.mark.holds("F-32")
async def test_a_query_that_cannot_be_interrupted_is_abandoned(tmp_path: Path) -> None:
    """What it holds in the log is folded in by the next start, and nothing is lost."""
    database = await open_database(tmp_path / "data", clock=SystemClock())
    begun, go_on = threading.Event(), threading.Event()

    def deaf(rows: Rows) -> int:
        rows.fetch_one("SELECT 1 FROM fence")
        begun.set()
        return int(go_on.wait(60))

    asking = asyncio.create_task(database._samples.reader.run(deaf))
    await asyncio.to_thread(begun.wait)
    stuck = [thread._thread for thread in database._samples.reader._threads]
    await asyncio.wait_for(database.close(), 30)
    assert all(thread.daemon for thread in stuck), "the process may end without it"
    await eventually(lambda: [thread.is_alive() for thread in stuck].count(True) == 1, 30, "the others do not end")
    go_on.set()
    assert await asking == 1
    for thread in stuck:
        await asyncio.to_thread(thread.join)
    database = await open_database(tmp_path / "data", clock=SystemClock())
    await database.close()


@pytest.mark.holds("SAFETY-74", "F-34")
async def test_each_file_has_one_writing_connection_and_the_rest_cannot_write(tmp_path: Path) -> None:
    database = await open_database(tmp_path / "data", clock=SystemClock())
    try:
        for name, readers in (("stardust.db", 2 * (POOL_SIZE + URGENT_CONNECTIONS)), ("stardust-samples.db", POOL_SIZE)):
            flags = [_flags(fd) for fd in os.listdir("/proc/self/fd") if _target(fd) == str(tmp_path / "data" / name)]
            assert sorted(flag & os.O_ACCMODE for flag in flags) == [os.O_RDONLY] * readers + [os.O_RDWR]
        await _refuses_to_write(database)
    finally:
        await database.close()


async def _refuses_to_write(database: Database) -> None:
    for thread in database._control.reader._threads:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await thread.run(lambda db: db.execute("CREATE TABLE mine (a)"))


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""


def _flags(fd: str) -> int:
    text = Path(f"/proc/self/fdinfo/{fd}").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("flags:")).split()[1], 8)
