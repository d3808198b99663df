"""Cached responses become invalid with the next commit."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.engine.connection import open_thread
from groundcontrol.adapters.sqlite.engine.reader import LONGEST_S, CommitCache, Reader
from groundcontrol.adapters.sqlite.engine.tx import Row
from groundcontrol.adapters.sqlite.engine.writer import Writer
from tests.support.clock import ManualClock

ASK = "SELECT role FROM person WHERE name = ?"


class CountingReader(Reader):
    """A reader that can be held after it has read."""

    asked = 0
    held: asyncio.Event | None = None
    reached = asyncio.Event()

    async def fetch_all(self, sql: str, *values: object) -> list[Row]:
        self.asked += 1
        rows = await super().fetch_all(sql, *values)  # type: ignore[arg-type]  # a test asks by texts
        if self.held is not None:
            self.reached.set()
            await self.held.wait()
        return rows


def role(row: Row) -> str:
    return str(row["role"])


class Bench:
    def __init__(self, path: Path, writer: Writer, reader: CountingReader, clock: ManualClock) -> None:
        self.path = path
        self.writer = writer
        self.reader = reader
        self.clock = clock
        self.fresh = CommitCache[str](writer, reader, clock, ASK, lambda rows: role(rows[0]))

    async def ask(self, name: str = "ada") -> str | None:
        return await self.fresh.get(name)

    async def write(self, sql: str, *values: str) -> None:
        await self.writer.run(lambda tx: tx.execute(sql, *values))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    path, clock = tmp_path / "file.db", ManualClock()
    path.touch()
    writer = Writer(await open_thread(path, page_size=4096), path.name, clock)
    await writer.run(lambda tx: tx.execute("CREATE TABLE person (name TEXT PRIMARY KEY, role TEXT)"))
    await writer.run(lambda tx: tx.execute("CREATE TABLE other (x)"))
    await writer.run(lambda tx: tx.execute("INSERT INTO person VALUES ('ada', 'admin'), ('bob', 'viewer')"))
    reader = await CountingReader.open(path, 2)
    assert isinstance(reader, CountingReader)
    reader.reached = asyncio.Event()
    try:
        yield Bench(path, writer, reader, clock)
    finally:
        await reader.close()
        await writer.close()


@pytest.mark.holds("SAFETY-18", "S-09")
async def test_a_cached_session_is_invalid_after_the_next_commit(bench: Bench) -> None:
    for _ in range(3):
        assert [await bench.ask(), await bench.ask("bob")] == ["admin", "viewer"]
    assert bench.reader.asked == 2
    await bench.write("INSERT INTO other VALUES ('anything at all')")
    assert await bench.ask() == "admin"
    assert bench.reader.asked == 3
    await bench.write("UPDATE person SET role = 'viewer' WHERE name = 'ada'")
    assert await bench.ask() == "viewer"
    await bench.write("DELETE FROM person")
    assert [await bench.ask(), await bench.ask("bob")] == [None, None]


async def test_a_value_read_before_a_commit_is_not_cached_after_it(bench: Bench) -> None:
    bench.reader.held = asyncio.Event()
    late = asyncio.create_task(bench.ask())
    await bench.reader.reached.wait()
    await bench.write("UPDATE person SET role = 'viewer' WHERE name = 'ada'")
    bench.reader.held.set()
    assert await late == "admin", "it was asked before"
    assert await bench.ask() == "viewer"
    assert await bench.ask() == "viewer"


async def test_a_command_that_changes_nothing_leaves_the_cache_valid(bench: Bench) -> None:
    await bench.ask()
    await bench.write("UPDATE person SET role = 'viewer' WHERE name = 'nobody'")
    with contextlib.suppress(ZeroDivisionError):
        await bench.writer.run(lambda tx: 1 // 0)
    assert await bench.ask() == "admin"
    assert bench.reader.asked == 1


async def test_a_change_by_another_process_is_seen_after_a_second(bench: Bench) -> None:
    await bench.ask()

    def change() -> None:
        with contextlib.closing(sqlite3.connect(bench.path)) as stranger, stranger:
            stranger.execute("UPDATE person SET role = 'viewer'")

    await asyncio.to_thread(change)
    bench.clock.advance(LONGEST_S)
    assert await bench.ask() == "viewer"


async def test_missing_rows_are_not_cached_and_the_cache_is_bounded(bench: Bench) -> None:
    for _ in range(3):
        assert await bench.ask("nobody") is None
    assert bench.reader.asked == 3
    bench.fresh = CommitCache(bench.writer, bench.reader, bench.clock, ASK, lambda rows: role(rows[0]), most=1)
    for _ in range(2):
        assert [await bench.ask(), await bench.ask("bob")] == ["admin", "viewer"]
    assert bench.reader.asked == 6
