"""The single writing connection: grouped commits, failures, and disk errors."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.engine.connection import open_thread
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import Conflict, StoreBusy, StoreDown, StoreError, StoreFull, StoreReadOnly
from spider.clock import SystemClock
from tests.support.some_database import bodies, put, trouble_of


async def test_commands_that_wait_together_commit_together(writer: Writer, path: Path) -> None:
    assert await asyncio.gather(*(writer.run(put(f"{at}")) for at in range(40))) == [f"{at}" for at in range(40)]
    assert writer.stats.commands == 40
    assert writer.stats.commits <= 2
    assert bodies(path) == [f"{at}" for at in range(40)]


async def test_a_command_that_fails_leaves_the_others_of_its_group_alone(writer: Writer, path: Path) -> None:
    def half_done(tx: Tx) -> None:
        tx.execute("INSERT INTO item (body) VALUES ('half')")
        raise Conflict("changed meanwhile")

    def wrong(tx: Tx) -> None:
        tx.execute("INSERT INTO item (body) VALUES ('a')")  # there already

    def mistaken(tx: Tx) -> None:
        tx.execute("INSERT INTO item (body) VALUES ('wrong')")
        raise KeyError("a mistake in the program")

    results = await asyncio.gather(*(writer.run(c) for c in (put("a"), half_done, wrong, mistaken, put("b"))), return_exceptions=True)
    assert [type(result) for result in results] == [str, Conflict, StoreError, KeyError, str]
    assert bodies(path) == ["a", "b"]
    assert writer.stats.commits == 1
    assert writer.trouble is None


@pytest.mark.holds("SAFETY-73")
async def test_a_command_returns_only_after_its_commit(writer: Writer, path: Path) -> None:
    await writer.run(put("seen"))
    assert bodies(path) == ["seen"]


@pytest.mark.holds("SAFETY-73")
async def test_the_database_uses_wal_and_full_synchronous(writer: Writer) -> None:
    found = await writer._thread.run(lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")])
    assert found == [2, "wal"]


@pytest.mark.holds("SAFETY-93")
async def test_the_write_queue_is_bounded(writer: Writer) -> None:
    results = await asyncio.gather(*(writer.run(put(f"{at}")) for at in range(60)), return_exceptions=True)
    assert sum(isinstance(result, StoreBusy) for result in results) == 10
    assert writer.stats.refused == 10


async def test_a_cancelled_caller_does_not_affect_others(writer: Writer, path: Path) -> None:
    tasks = [asyncio.create_task(writer.run(put(f"{at}"))) for at in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [str, asyncio.CancelledError, str]
    assert bodies(path) == ["0", "2"]


async def test_closing_completes_waiting_writes_and_refuses_later_ones(path: Path) -> None:
    writer = Writer(await open_thread(path, page_size=4096), path.name, SystemClock())
    waiting = [asyncio.create_task(writer.run(put(f"{at}"))) for at in range(5)]
    await asyncio.sleep(0)
    await writer.close()
    assert await asyncio.gather(*waiting) == ["0", "1", "2", "3", "4"]
    with pytest.raises(StoreDown):
        await writer.run(put("late"))
    assert not path.with_name(path.name + "-wal").exists()


async def test_a_full_disk_acknowledges_nothing_and_continues_by_itself(writer: Writer, path: Path) -> None:
    await writer.run(put("first"))
    pages = await writer._thread.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await writer._thread.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone())
    acknowledged, refused = ["first"], 0
    for at in range(20):
        try:
            acknowledged.append(await writer.run(put(f"{at}" + "x" * 3000)))
        except StoreFull:
            refused += 1
    assert refused >= 15
    assert trouble_of(writer) is StoreFull
    assert not writer.broken
    await writer._thread.run(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
    acknowledged.append(await writer.run(put("room again")))
    assert trouble_of(writer) is None
    assert bodies(path) == acknowledged


async def test_a_rollback_does_not_end_the_full_disk_state(writer: Writer) -> None:
    pages = await writer._thread.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await writer._thread.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(StoreFull):
        await writer.run(put("x" * 30_000))

    def half_done(tx: Tx) -> None:
        tx.execute("INSERT INTO item (body) VALUES ('half')")
        raise Conflict("changed meanwhile")

    for commands in ([half_done], [half_done, half_done]):
        results = await asyncio.gather(*map(writer.run, commands), return_exceptions=True)
        assert all(isinstance(result, Conflict) for result in results)
        assert trouble_of(writer) is StoreFull
    await writer.run(put("small"))
    assert trouble_of(writer) is None


async def test_a_lock_held_by_a_stranger_is_busy_and_passes(writer: Writer, path: Path) -> None:
    stranger = sqlite3.connect(path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreBusy):
            await writer.run(put("a"))
    finally:
        stranger.execute("ROLLBACK")
        stranger.close()
    await writer.run(put("a"))
    assert writer.trouble is None
    assert (writer.stats.commands, writer.stats.commits) == (2, 1), "what was refused is no commit"


@contextlib.asynccontextmanager
async def held(path: Path) -> AsyncIterator[tuple[Writer, asyncio.Task[None], threading.Event]]:
    """A writer with a transaction that its disk does not let come to an end until the event; and its caller."""
    go_on = threading.Event()
    made = Writer(await open_thread(path, page_size=4096), path.name, SystemClock(), stall_s=0.1)

    def hang(tx: Tx) -> None:
        tx.execute("INSERT INTO item (body) VALUES ('held')")
        assert go_on.wait(30)

    caller = asyncio.create_task(made.run(hang))
    await asyncio.sleep(0)
    try:
        yield made, caller, go_on
    finally:
        go_on.set()


async def test_writes_are_refused_while_the_disk_hangs_and_resume_by_themselves(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with held(path) as (writer, caller, go_on):
        waiting = asyncio.create_task(writer.run(put("behind it")))
        with pytest.raises(StoreBusy, match="hangs"):
            await asyncio.wait_for(waiting, 60)
        assert writer.stall is not None
        await asyncio.wait_for(writer.shrink(), 60)
        with pytest.raises(StoreBusy, match="disk of the database some"):
            await asyncio.wait_for(writer.run(put("after it")), 60)
        assert not caller.done(), "it may have been done yet, or never be"
        go_on.set()
        await asyncio.wait_for(caller, 60)
        await writer.run(put("again"))
        assert bodies(path) == ["held", "again"]
        assert [record.message for record in caplog.records if "database" in record.message] == [
            "database_stalled",
            "database_answers_again",
        ]
        assert await writer.close()


async def test_closing_does_not_wait_for_a_hanging_disk(path: Path) -> None:
    async with held(path) as (writer, caller, go_on):
        assert not await asyncio.wait_for(writer.close(limit_s=0.05), 60)
        assert not caller.done()
        go_on.set()
        await asyncio.wait_for(caller, 60)
        await asyncio.wait_for(asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}), 60)  # it closes in the end
        assert bodies(path) == ["held"]


async def test_a_read_only_file_is_reported_and_not_fatal(writer: Writer) -> None:
    await writer._thread.run(lambda db: db.execute("PRAGMA query_only = ON"))
    with pytest.raises(StoreReadOnly):
        await writer.run(put("a"))
    assert trouble_of(writer) is StoreReadOnly
    await writer._thread.run(lambda db: db.execute("PRAGMA query_only = OFF"))
    await writer.run(put("a"))
    assert trouble_of(writer) is None


_ON_A_FAILING_DISK = """
import asyncio, resource, sys
from pathlib import Path
from groundcontrol.access.store import Bucket
from groundcontrol.core.errors import StoreDown
from groundcontrol.adapters.sqlite import open_database
from spider.clock import SystemClock

async def main():
    database = await open_database(Path(sys.argv[1]), clock=SystemClock())
    store = await database.store(audit_key=bytes(32), chain="c")
    assert await database.probe() is None
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))  # from here on, long files fail with EFBIG: an I/O error
    for at in range(200):
        try:
            await store.users.reserve_attempt({f"{at}" + "x" * 2000: Bucket(1, 60.0)}, 1.0)
        except StoreDown:
            break
    else:
        raise AssertionError("the disk did not fail")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert database.broken
    for _ in range(2):
        try:
            await store.users.clear_attempts(["a"])
        except StoreDown as error:
            print(error.message)
    await database.close()

asyncio.run(main())
"""


@pytest.mark.holds("SAFETY-83", "F-13")
def test_after_an_io_error_the_connection_is_not_used_again(tmp_path: Path) -> None:
    """A connection that saw EIO is never used again, even when the disk is well."""
    argv = [sys.executable, "-c", _ON_A_FAILING_DISK, str(tmp_path / "data")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("must start again") == 2
