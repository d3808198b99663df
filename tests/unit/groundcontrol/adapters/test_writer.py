"""The single writing connection: grouped commits, failures, and disk errors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.database import URGENT, Database, open_database
from groundcontrol.adapters.sqlite.engine.connection import open_thread
from groundcontrol.adapters.sqlite.engine.reader import POOL_SIZE, Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.errors import Conflict, StoreBusy, StoreDown, StoreError, StoreFull, StoreReadOnly
from spider.clock import SystemClock
from tests.support.eventually import eventually
from tests.support.hub import ROOT


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    file = tmp_path / "some.db"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE item (no INTEGER PRIMARY KEY, body TEXT UNIQUE)")
    db.close()
    return file


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[Writer]:
    made = Writer(await open_thread(path, page_size=4096, busy_timeout_s=0.05), path.name, SystemClock(), queue_limit=50)
    yield made
    await made.close()


def put(body: str) -> Callable[[Tx], str]:
    def command(tx: Tx) -> str:
        tx.execute("INSERT INTO item (body) VALUES (?)", body)
        return body

    return command


def trouble_of(writer: Writer) -> type[StoreError] | None:
    return type(writer.trouble) if writer.trouble else None


def bodies(path: Path) -> list[str]:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [row[0] for row in db.execute("SELECT body FROM item ORDER BY no")]
    finally:
        db.close()


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
            await asyncio.wait_for(waiting, 10)
        assert writer.stall is not None
        with pytest.raises(StoreBusy, match="disk of the database some"):
            await asyncio.wait_for(writer.run(put("after it")), 10)
        assert not caller.done(), "it may have been done yet, or never be"
        go_on.set()
        await asyncio.wait_for(caller, 10)
        await writer.run(put("again"))
        assert bodies(path) == ["held", "again"]
        assert [record.message for record in caplog.records if "database" in record.message] == [
            "database_stalled",
            "database_answers_again",
        ]
        assert await writer.close()


async def test_closing_does_not_wait_for_a_hanging_disk(path: Path) -> None:
    async with held(path) as (writer, caller, go_on):
        assert not await asyncio.wait_for(writer.close(limit_s=0.05), 10)
        assert not caller.done()
        go_on.set()
        await asyncio.wait_for(caller, 10)
        await asyncio.wait_for(asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}), 10)  # it closes in the end
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
            await store.users.reserve_attempt({f"{at}" + "x" * 2000: (1, 60.0)}, 1.0)
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


def shred(tx: Tx) -> str:
    tx.shredding = True
    return put("shred")(tx)


def log_bytes(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


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
        await eventually(lambda: not log_bytes(path), 20)
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
from tests.unit.groundcontrol.adapters.test_writer import bodies, log_bytes, put, shred

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
    await eventually(lambda: not log_bytes(path), 20)
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
from tests.unit.groundcontrol.adapters.test_writer import bodies, put, shred

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


def _without_end(rows: Rows) -> int:
    return len(rows.fetch_all("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"))


@pytest.mark.holds("F-32")
async def test_an_endless_query_is_interrupted_when_its_reader_closes(writer: Writer, path: Path) -> None:
    """The caller is gone, and the hub has ten seconds."""
    reader = await Reader.open(path, 3)
    asking = [asyncio.create_task(reader.run(_without_end)) for _ in range(3)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(reader.close(), 10)
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
    await asyncio.wait_for(database.close(), 10)
    assert all(thread.daemon for thread in stuck), "the process may end without it"
    for _ in range(100):  # the others are ending
        if [thread.is_alive() for thread in stuck].count(True) == 1:
            break
        await asyncio.sleep(0.05)
    assert [thread.is_alive() for thread in stuck].count(True) == 1
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
        for name, readers in (("stardust.db", POOL_SIZE + URGENT), ("stardust-samples.db", POOL_SIZE)):
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
