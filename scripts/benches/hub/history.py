"""history.*: bytes of samples on disk, the cost of moving them into chunks, and the time to answer a window.

The values were recorded every second for most of an hour on a machine that compiled and ran tests (`scripts/traces/`). Each hour of each
node begins at a different second of the recording, so that hours differ.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from groundcontrol.adapters.sqlite.database import Database, open_database
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.agents.validation import schema_id_of
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.nodes.model import NewNode, Session
from groundcontrol.samples.chunks.row_table import RowChunk
from groundcontrol.samples.compactor import MOST_PARTS
from groundcontrol.samples.model import SeriesSchema, StoredPack
from groundcontrol.samples.query import WindowBuilder
from scripts.benches.measure import line
from spider.clock import SystemClock
from spider.wire.codec import pack_rows
from spider.wire.ids import new_random_id, new_time_id
from spider.wire.sample_messages import Row

TRACES = Path(__file__).resolve().parents[2] / "traces"
HOUR_S = 3600
DAY_S = 86_400
NODES = 3
HOURS = 25
"""A day and one more hour."""
LONG_DAYS = 30
LONG_EVERY_S = 60
"""Seconds between the rows of the node with a month of history. Its tier of hours has the same size, and it is filled within a minute."""
PACK_ROWS = 10
ROUNDS = 15
SERIES = ["cpu.total", "memory.used", "load.1", "network.received{interface=eth0}"]
SCOPE = Scope(Actor("system", "01h000000000000000000bench", "bench", "admin"), 1)

Result = dict[str, object]


class Trace(NamedTuple):
    """The recorded rows of one family."""

    schema: SeriesSchema
    rows: list[list[int | None]]


def traces() -> list[Trace]:
    found = []
    for path in sorted(TRACES.glob("*.chunk")):
        family = path.name.split(".")[1]
        chunk = RowChunk(path.read_bytes())
        table = chunk.table()
        schema = SeriesSchema(schema_id_of(family, chunk.names), family, chunk.interval_s, tuple(chunk.names))
        found.append(Trace(schema, [list(values) for values in zip(*table.columns.values(), strict=True)]))
    return found


def packs(session: Session, trace: Trace, start_s: int, every_s: int, count: int, seq: int, turn: int) -> Iterator[StoredPack]:
    """Packs of `count` rows of a trace, one every `every_s` seconds from `start_s` (Unix seconds) on, beginning with the row `turn`."""
    rows = [Row((start_s + at * every_s) * 1000, trace.rows[(at + turn) % len(trace.rows)]) for at in range(count)]
    for first in range(0, count, PACK_ROWS):
        some = rows[first : first + PACK_ROWS]
        coding, body = pack_rows(some)
        yield StoredPack(session, 0, seq, trace.schema.schema_id, some[0].taken_at_ms, some[-1].taken_at_ms, coding, body)
        seq += 1


async def connect(store: Store, name: str, trace: Sequence[Trace]) -> Session:
    """Make a node with the schemas of these families. Returns: its session."""
    node = await store.nodes.create_node(SCOPE, NewNode(NodeId(new_random_id()), name, "192.0.2.1", ()))
    session = await store.sessions.claim(node.id, BootId("0f" * 16), HubId(new_time_id()))
    await store.metrics.begin_session(session)
    for one in trace:
        await store.metrics.save_schema(session, one.schema)
    return session


class Cost(NamedTuple):
    samples: int
    packs: int
    append_cpu_s: float
    compact_cpu_s: float


async def compact_and_merge(store: Store, *, include_slow: bool) -> None:
    """Compact and merge as the hub's compactor does."""
    for hour in await store.metrics.hot_hours():
        await store.metrics.compact(hour.no, hour.hour, include_slow=include_slow)
    for due in await store.metrics.pending_merges():
        if due.parts >= MOST_PARTS:
            await store.metrics.merge(due, everything=False)


async def fill(store: Store, sessions: Sequence[Session], trace: Sequence[Trace], start_s: int, hours: int) -> Cost:
    """Store some hours of all nodes as a hub does: packs, then chunks every ten minutes, then one chunk of the hour."""
    chance, seqs = random.Random(7), dict.fromkeys(sessions, 0)
    samples = stored = 0
    appending = compacting = 0.0
    for hour in range(hours):
        turns = {(session, one.schema.family): chance.randrange(3600) for session in sessions for one in trace}
        for piece in range(6):
            made = []
            for session in sessions:
                for one in trace:
                    interval_s = one.schema.interval_s
                    count = max(1, 600 // interval_s)
                    found = list(
                        packs(
                            session, one, start_s + hour * HOUR_S + piece * 600, interval_s, count, seqs[session],
                            turns[session, one.schema.family] + piece * count,
                        )
                    )  # fmt: skip
                    seqs[session] += len(found)
                    made += found
                    samples += count * len(one.schema.series)
            stored += len(made)
            before = time.process_time()
            for at in range(0, len(made), 100):
                await store.metrics.append(made[at : at + 100])
            middle = time.process_time()
            await compact_and_merge(store, include_slow=piece == 5)
            appending += middle - before
            compacting += time.process_time() - middle
        before = time.process_time()
        for due in await store.metrics.pending_merges():
            if due.tier == 0:
                await store.metrics.merge(due)
        compacting += time.process_time() - before
    before = time.process_time()
    for due in await store.metrics.pending_merges():
        await store.metrics.merge(due)
    return Cost(samples, stored, appending, compacting + time.process_time() - before)


class Took(NamedTuple):
    """Medians of some runs, in milliseconds."""

    wall: float
    cpu: float
    """Processor time of this process, which other programs do not change."""


async def median_ms(act: Callable[[], Awaitable[object]]) -> Took:
    """Medians of ROUNDS calls, after a first call that does not count."""
    await act()
    found = []
    for _ in range(ROUNDS):
        started, spent = time.perf_counter(), time.process_time()
        await act()
        found.append(Took((time.perf_counter() - started) * 1000, (time.process_time() - spent) * 1000))
    return Took(statistics.median(took.wall for took in found), statistics.median(took.cpu for took in found))


def query(name: str, took: Took, versus: float | None = None) -> list[Result]:
    return [line(f"query.{name}", took.wall, "ms", versus), line(f"query.{name}.cpu", took.cpu, "ms")]


def row_per_sample(folder: Path, trace: Sequence[Trace], start_s: int) -> tuple[float, float]:
    """A plain table with a row for each value of an hour of one node, for comparison.

    Returns: bytes per sample, and milliseconds to read a day of four series. The day is computed as 24 times the hour, because the rows
    of a series are contiguous.
    """
    with sqlite3.connect(folder / "plain.db") as db:
        db.execute("PRAGMA page_size = 4096")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "CREATE TABLE sample (node INTEGER, series INTEGER, at INTEGER, value INTEGER, PRIMARY KEY (node, series, at)) WITHOUT ROWID"
        )
        count = 0
        for family, one in enumerate(trace):
            for at, row in enumerate(one.rows):
                moment = start_s + at * one.schema.interval_s
                db.executemany(
                    "INSERT INTO sample VALUES (1, ?, ?, ?)", [(family * 1000 + n, moment, value) for n, value in enumerate(row)]
                )
                count += len(row)
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
        pulse = next(at for at, one in enumerate(trace) if one.schema.family == "pulse")
        numbers = [pulse * 1000 + trace[pulse].schema.series.index(name) for name in SERIES]
        times = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            for number in numbers:
                db.execute(
                    "SELECT at / 180, avg(value), min(value), max(value) FROM sample WHERE node = 1 AND series = ? GROUP BY 1", (number,)
                ).fetchall()
            times.append((time.perf_counter() - started) * 1000)
        hours = len(trace[pulse].rows) / 3600
        return size / count, statistics.median(times) * 24 / hours


def size_of(folder: Path) -> int:
    """Bytes of the samples' database, with its write-ahead log."""
    with sqlite3.connect(f"{(folder / 'data' / 'stardust-samples.db').as_uri()}?mode=ro", uri=True) as db:
        return int(db.execute("PRAGMA page_count").fetchone()[0]) * int(db.execute("PRAGMA page_size").fetchone()[0])


async def month(store: Store, trace: Sequence[Trace], end_s: int) -> Session:
    """Make a node with a month of history before `end_s` (Unix seconds). Returns: its session."""
    session = await connect(store, "month", trace)
    pulse = next(one for one in trace if one.schema.family == "pulse")
    seq = 0
    for day in range(LONG_DAYS, 0, -1):
        found = list(packs(session, pulse, end_s - day * DAY_S, LONG_EVERY_S, DAY_S // LONG_EVERY_S, seq, day * 97))
        seq += len(found)
        await store.metrics.append(found)
        await compact_and_merge(store, include_slow=True)
    for due in await store.metrics.pending_merges():
        await store.metrics.merge(due)
    return session


async def with_hot(store: Store, session: Session, trace: Sequence[Trace], end_s: int, act: Callable[[], Awaitable[object]]) -> Took:
    """The time of `act` while 620 seconds are not in a chunk yet. A hub leaves at most this many."""
    pulse = next(one for one in trace if one.schema.family == "pulse")
    seq = (await store.metrics.begin_session(session)).live + 1
    await store.metrics.append(list(packs(session, pulse, end_s, 1, 620, seq, 0)))
    return await median_ms(act)


async def measure(folder: Path) -> list[Result]:
    trace = traces()
    clock = SystemClock()
    database: Database = await open_database(folder / "data", clock=clock)
    try:
        store = await database.store(audit_key=bytes(32), chain=new_time_id())
        end_s = int(clock.now()) // HOUR_S * HOUR_S
        start_s = end_s - HOURS * HOUR_S
        sessions = [await connect(store, f"n{at}", trace) for at in range(NODES)]
        empty = size_of(folder)
        cost = await fill(store, sessions, trace, start_s, HOURS)
        size = size_of(folder) - empty
        plain_bytes, plain_ms = await asyncio.to_thread(row_per_sample, folder, trace, start_s)
        per_sample = size / cost.samples
        long = await month(store, trace, end_s)

        async def ask(no: int, start: float, end: float, points: int, series: Sequence[str] = SERIES) -> None:
            builder = WindowBuilder(series, start, end, points)
            await store.metrics.window(no, builder)
            await asyncio.to_thread(builder.finish)

        first = sessions[0].no
        day = await median_ms(lambda: ask(first, end_s - DAY_S, end_s, 600))
        seconds = await median_ms(lambda: ask(first, end_s - DAY_S, end_s, 4000))
        all_of_day = await median_ms(lambda: ask(first, end_s - DAY_S, end_s, 600, list(trace[0].schema.series)[:50]))
        thirty = await median_ms(lambda: ask(long.no, end_s - LONG_DAYS * DAY_S, end_s, 600))
        tiers = await store.metrics.sizes(0.0)
        hot = await with_hot(store, sessions[0], trace, end_s, lambda: ask(first, end_s + 900 - DAY_S, end_s + 900, 600))
    finally:
        await database.close()
    return [
        line("history.bytes_per_sample", per_sample, "B", plain_bytes),
        *(line(f"history.chunk_bytes.{tier.tier}", tier.bytes / tier.samples, "B/value") for tier in tiers),
        line("history.append_cpu", cost.append_cpu_s / cost.packs * 1e6, "us/pack"),
        line("history.compact_cpu", cost.compact_cpu_s / (NODES * HOURS) * 1e3, "ms/node-hour"),
        *query("24h_600_points", day, plain_ms),
        *query("24h_600_points_hot", hot),
        *query("24h_600_points_50_series", all_of_day),
        *query("24h_4000_points", seconds),
        *query("30d_600_points", thirty),
    ]  # fmt: skip


async def history() -> list[Result]:
    """Bytes a sample and milliseconds a window, beside a row for each sample."""
    with tempfile.TemporaryDirectory() as folder:
        return await measure(Path(folder))
