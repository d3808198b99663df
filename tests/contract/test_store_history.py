"""Chunks of all tiers: after moves, merges, late samples and changes, a window equals that of a naive model of the rows."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundcontrol.adapters.sqlite.database import Database, open_database
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import Conflict
from groundcontrol.nodes.model import Session
from groundcontrol.samples.model import Bounds, Moved, SeriesSchema, StoredPack, Window
from groundcontrol.samples.store import Marks
from spider.clock import SystemClock
from spider.wire.ids import new_random_id, new_time_id
from spider.wire.metrics import parse_series
from tests.support.factories import SCOPE, connect, layout_row, new_node, pack, pack_body, twice
from tests.support.history_rows import AT_MS, HOUR_MS, Rows, in_order, rows_of, window_of
from tests.support.hub import ROOT
from tests.support.store_backend import Backend
from tests.support.writer_program import AUDIT_KEY

DAY_S = 86_400
LAYOUT = layout_row()
LAYOUTS = (
    LAYOUT,
    layout_row("pulse", ("cpu.total", "disk.read{device=sda}", "disk.read{device=sdb}")),
    layout_row("pulse", ("disk.read{device=sdb}", "load.1")),
)
COUNTERS = layout_row("breathe", ("memory.oom_kills", "memory.free"), 60)
SERIES = ("cpu.total", "memory.used", "disk.read{device=sda}", "disk.read{device=sdb}", "load.1", "memory.oom_kills", "memory.free")


class Sent(NamedTuple):
    schema: SeriesSchema
    rows: Rows
    late: bool


async def session_of(store: Store, name: str = "web-1") -> Session:
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node(name))).id)
    for schema in (*LAYOUTS, COUNTERS):
        await store.metrics.save_schema(session, schema)
    return session


def packed(session: Session, seq: int, sent: Sent) -> StoredPack:
    times = [at for at, _ in sent.rows]
    return StoredPack(session, int(sent.late), seq, sent.schema.schema_id, min(times), max(times), 1, pack_body(sent.rows))


async def compact_all(store: Store) -> None:
    while hours := await store.metrics.hot_hours():
        for hour in hours:
            assert await store.metrics.compact(hour.no, hour.hour) > (0, 0)


async def merge_all(store: Store) -> None:
    for due in await store.metrics.pending_merges():
        assert await store.metrics.merge(due)
    assert await store.metrics.pending_merges() == []


# -- the model --------------------------------------------------------------------------------


def model(everything: Sequence[Sent], name: str, start: float, end: float, step_s: int) -> Mapping[int, list[float]]:
    """Every value of a series by the bucket that it belongs to, straight from the rows."""
    grain = next(grain for grain in (3600, 60, 1) if step_s % grain == 0)
    low = math.floor(start / grain) * grain * 1000 if grain > 1 else start * 1000
    high = math.ceil(end / grain) * grain * 1000 if grain > 1 else end * 1000
    metric, _ = parse_series(name)
    points = sorted(
        (at, values[sent.schema.series.index(name)])
        for sent in everything
        if name in sent.schema.series
        for at, values in sent.rows
        if values[sent.schema.series.index(name)] is not None
    )
    scale = metric.scale
    found = [(at, value) for at, value in points if value is not None]
    if metric.kind == "counter":
        scale *= 1000
        found = [
            (after[0], math.floor(Fraction((after[1] - before[1]) * 1_000_000, after[0] - before[0]) + Fraction(1, 2)))
            for before, after in pairwise(found)
            if 0 < after[0] - before[0] <= 90_000 and after[1] >= before[1]
        ]
    buckets: dict[int, list[float]] = defaultdict(list)
    for at, value in found:
        if low <= at < high:
            buckets[at // (step_s * 1000)].append(value)
    return {place: [sum(values) / len(values) / scale, min(values) / scale, max(values) / scale] for place, values in buckets.items()}


def check(window: Window, everything: Sequence[Sent], start: float, end: float) -> None:
    for name, line in window.series.items():
        expected = model(everything, name, start, end, window.step_s)
        for at, time in enumerate(window.times):
            told = [line.avg[at], line.min[at], line.max[at]]
            assert told == expected.get(int(time) // window.step_s, [None, None, None]), (name, time, window.tier)


VALUES = st.one_of(st.none(), st.integers(0, 10_000), st.integers(-(1 << 62), 1 << 62))


@st.composite
def sent_packs(draw: st.DrawFn) -> Sent:
    """Some rows anywhere within two days, near the edges of hours more often than elsewhere."""
    at = AT_MS + draw(st.integers(-30, 30)) * HOUR_MS + draw(st.sampled_from([0, 1, -1, -5000, 59_999, 1_800_000, 3_599_000]))
    schema = draw(st.sampled_from(LAYOUTS))
    width = len(schema.series)
    times = [at + draw(st.sampled_from([0, 1, 1000, 60_000])) * row for row in range(draw(st.integers(1, 12)))]
    rows: Rows = [(time, draw(st.lists(VALUES, min_size=width, max_size=width))) for time in times]
    return Sent(schema, rows, draw(st.booleans()))


@st.composite
def counter_packs(draw: st.DrawFn) -> list[Sent]:
    """A counter over some hours, in packs in any order; sometimes it restarts or is not read."""
    minutes = sorted(draw(st.sets(st.integers(0, 150), max_size=40)))
    total, rows = 0, []
    for minute in minutes:
        total = 0 if draw(st.integers(0, 9)) == 0 else total + draw(st.integers(0, 1000))
        read = None if draw(st.integers(0, 9)) == 0 else total
        rows.append((AT_MS + minute * 60_000, [read, minute]))
    cut = draw(st.integers(1, 7))
    packs = [Sent(COUNTERS, rows[at : at + cut], draw(st.booleans())) for at in range(0, len(rows), cut)]
    return list(draw(st.permutations(packs)))


ACTS = st.sampled_from(["compact", "compact", "merge", "reopen"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    packs=st.lists(sent_packs(), max_size=14),
    counters=counter_packs(),
    acts=st.lists(st.tuples(st.integers(0, 40), ACTS), max_size=10),
    asked=st.lists(
        st.tuples(st.integers(-40 * 3600, 40 * 3600), st.sampled_from([5, 600, 7200, 3 * DAY_S, 40 * DAY_S]), st.integers(1, 700)),
        min_size=1,
        max_size=3,
    ),
    compact_at_last=st.booleans(),
)
async def test_a_window_equals_the_stored_rows(
    backend: Backend,
    packs: list[Sent],
    counters: list[Sent],
    acts: list[tuple[int, str]],
    asked: list[tuple[int, int, int]],
    compact_at_last: bool,
) -> None:
    session = await session_of(backend.store, new_random_id())
    everything = [*packs, *counters]
    done: dict[str, Callable[[Store], Awaitable[object]]] = {
        "compact": compact_all,
        "merge": merge_all,
        "reopen": lambda _store: backend.reopen(),
    }
    seq = [0, 0]
    for number, sent in enumerate(everything):
        await backend.store.metrics.append([packed(session, seq[sent.late], sent)])
        seq[sent.late] += 1
        for at, act in acts:
            if at == number:
                await done[act](backend.store)
    if compact_at_last:
        await compact_all(backend.store)
        await merge_all(backend.store)
    for offset, length, points in asked:
        start = AT_MS / 1000 + offset
        check(await window_of(backend.store, session, SERIES, start, start + length, points), everything, start, start + length)
    assert await rows_of(backend.store, session) == in_order(
        (at, dict(zip(sent.schema.series, values, strict=True))) for sent in everything for at, values in sent.rows
    )
    await backend.store.metrics.drop_node(session.no)
    assert await backend.store.metrics.hot_hours() == []


# -- the commands, repeated and raced -----------------------------------------------------------


async def filled(store: Store, hours: int = 2) -> Session:
    """A node with a row every ten seconds."""
    session = await session_of(store)
    await store.metrics.append([pack(session, at, LAYOUT, AT_MS + at * 600_000, rows=60) for at in range(hours * 6)])
    return session


async def test_twenty_concurrent_compactions_move_an_hour_once(store: Store) -> None:
    session = await filled(store)
    before = await rows_of(store, session)
    moved = await asyncio.gather(*(store.metrics.compact(session.no, AT_MS // HOUR_MS) for _ in range(20)))
    assert sum(one.packs for one in moved) == 6
    assert await rows_of(store, session) == before
    assert [hour.hour for hour in await store.metrics.hot_hours()] == [AT_MS // HOUR_MS + 1]
    assert await twice(lambda: store.metrics.compact(session.no, AT_MS // HOUR_MS)) == Moved(0, 0)


@pytest.mark.holds("S-48")
async def test_the_backlog_of_one_node_leaves_room_for_others(store: Store) -> None:
    """Its hours are deleted in portions, the newest first, and hidden immediately."""
    wide, other = await session_of(store, "wide"), await session_of(store, "other")
    hours = 2500
    for first in range(0, hours, 50):
        await store.metrics.append([pack(wide, at, LAYOUT, AT_MS - at * HOUR_MS, rows=1) for at in range(first, first + 50)])
    await store.metrics.append([pack(other, 0, LAYOUT, AT_MS)])
    found = await store.metrics.hot_hours()
    assert len({hour.hour for hour in found}) == 1000
    assert {hour.no for hour in found if hour.hour == AT_MS // HOUR_MS} == {wide.no, other.no}
    assert set(await store.metrics.latest(wide.no)) == {LAYOUT.family}
    for hour in found:
        await store.metrics.compact(hour.no, hour.hour)
    assert len({hour.hour for hour in await store.metrics.hot_hours()}) == 1000, "now those behind them"
    await store.metrics.drop_node(wide.no)
    assert await store.metrics.hot_hours() == []
    assert len(await rows_of(store, other)) == 10


async def test_twenty_concurrent_merges_merge_a_span_once(store: Store) -> None:
    session = await session_of(store)
    for at in range(5):
        await store.metrics.append([pack(session, at, LAYOUT, AT_MS + at * 60_000)])
        await store.metrics.compact(session.no, AT_MS // HOUR_MS)
    before = await rows_of(store, session)
    dues = await store.metrics.pending_merges()
    assert {(due.tier, due.parts) for due in dues} == {(0, 5), (1, 5), (2, 5)}
    done = await asyncio.gather(*(store.metrics.merge(due) for due in dues for _ in range(20)))
    assert sum(done) == 3
    assert await store.metrics.pending_merges() == []
    assert await rows_of(store, session) == before
    assert not await twice(lambda: store.metrics.merge(dues[0]))


async def test_packs_that_arrive_during_a_compaction_are_not_moved(store: Store) -> None:
    session = await session_of(store)
    for round_ in range(6):
        await asyncio.gather(
            store.metrics.append([pack(session, round_ * 2, LAYOUT, AT_MS + round_ * 20_000)]),
            store.metrics.compact(session.no, AT_MS // HOUR_MS),
            store.metrics.append([pack(session, round_ * 2 + 1, LAYOUT, AT_MS + round_ * 20_000 + 10_000)]),
        )
    assert [at for at, _ in await rows_of(store, session)] == [AT_MS + at * 1000 for at in range(120)]
    assert await store.metrics.marks(session) == Marks(11, -1)


async def test_windows_count_each_row_once_while_rows_move(store: Store) -> None:
    session = await filled(store)
    stop = asyncio.Event()

    async def look() -> set[float]:
        seen = set()
        while not stop.is_set():
            window = await window_of(store, session, ["memory.used"], AT_MS / 1000, AT_MS / 1000 + 7200, 2)
            seen.add(sum(value or 0.0 for value in window.series["memory.used"].avg))
        return seen

    looking = asyncio.create_task(look())
    await compact_all(store)
    await merge_all(store)
    stop.set()
    assert await looking == {2 * (sum(range(60)) / 60 + 1)}


async def test_a_one_second_spike_is_visible_in_thirty_days_of_history(store: Store) -> None:
    session = await session_of(store)
    start_ms = AT_MS - 30 * DAY_S * 1000
    quiet: Rows = [(start_ms + at * 3_600_000 + second * 1000, [100, 1, 1]) for at in (0, 200, 719) for second in range(60)]
    spiked: Rows = [(at, [9_900, 1, 1] if at == quiet[90][0] else values) for at, values in quiet]
    await store.metrics.append([packed(session, at, Sent(LAYOUT, spiked[at * 60 : at * 60 + 60], late=False)) for at in range(3)])
    await compact_all(store)
    await merge_all(store)
    await store.metrics.expire(Bounds(AT_MS / 1000, AT_MS / 1000, 0.0, 2e10))  # only hours are left

    window = await window_of(store, session, ["cpu.total"], start_ms / 1000, AT_MS / 1000, 600)

    assert (window.tier, window.step_s) == ("1h", 7200)
    line = window.series["cpu.total"]
    assert [value for value in line.max if value is not None] == [1.0, 99.0, 1.0]
    assert [value for value in line.min if value is not None] == [1.0, 1.0, 1.0]


# -- what goes -----------------------------------------------------------------------------------


async def test_each_tier_expires_after_its_retention(store: Store) -> None:
    session = await session_of(store)
    day_ms = AT_MS // (DAY_S * 1000) * DAY_S * 1000
    await store.metrics.append([pack(session, at, LAYOUT, day_ms + at * DAY_S * 1000) for at in range(3)])
    await compact_all(store)
    day_s = day_ms / 1000

    async def means(points: int, after_days: int = 0) -> tuple[str, int]:
        """Of which tier the answer is, and how many steps of it have something."""
        window = await window_of(store, session, ["memory.used"], day_s + after_days * DAY_S, day_s + 3 * DAY_S, points)
        return window.tier, sum(value is not None for value in window.series["memory.used"].avg)

    assert await store.metrics.expire(Bounds(day_s + DAY_S, 0.0, 0.0, 2e10)) == 1
    assert (len(await rows_of(store, session)), await means(3000), await means(3)) == (20, ("1m", 3), ("1h", 3))
    assert await store.metrics.expire(Bounds(day_s + DAY_S, day_s + 2 * DAY_S, 0.0, 2e10)) == 2
    assert (len(await rows_of(store, session)), await means(1440, 2), await means(3)) == (20, ("1m", 1), ("1h", 3))
    assert await means(3000) == ("1h", 3)  # minutes do not go back so far any more
    assert await store.metrics.expire(Bounds(day_s + 9 * DAY_S, day_s + 9 * DAY_S, day_s + 99 * DAY_S, 2e10)) == 6
    assert (await rows_of(store, session), (await means(3000))[1], (await means(3))[1]) == ([], 0, 0)


async def test_samples_dated_far_ahead_expire_too(store: Store) -> None:
    session = await session_of(store)
    ahead_ms = AT_MS + 60 * 365 * DAY_S * 1000
    await store.metrics.append([pack(session, 0, LAYOUT, AT_MS), pack(session, 1, LAYOUT, ahead_ms)])
    await compact_all(store)
    await store.metrics.append([pack(session, 2, LAYOUT, ahead_ms + 60_000)])
    assert await store.metrics.expire(Bounds(0.0, 0.0, 0.0, AT_MS / 1000 + DAY_S)) == 4
    assert [at for at, _ in await rows_of(store, session, 0, 3 * AT_MS)] == [AT_MS + at * 1000 for at in range(10)]
    assert (await store.metrics.latest(session.no))["pulse"][1].taken_at_ms == AT_MS + 9000


async def test_a_removed_node_leaves_no_chunk(store: Store) -> None:
    gone = await filled(store, 30)
    stays = await connect(store, (await store.nodes.create_node(SCOPE, new_node("stays"))).id)
    await store.metrics.append([pack(stays, 0, LAYOUT, AT_MS)])
    await compact_all(store)
    await store.metrics.append([pack(gone, 180, LAYOUT, AT_MS)])
    await twice(lambda: store.metrics.drop_node(gone.no))
    assert await rows_of(store, gone) == []
    assert await store.metrics.latest(gone.no) == {}
    assert await store.metrics.pending_merges() == []
    assert [hour.no for hour in await store.metrics.hot_hours()] == []
    assert len(await rows_of(store, stays)) == 10


async def test_the_newest_row_is_found_in_chunks_and_beside_them(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.append(
        [packed(session, 0, Sent(LAYOUTS[1], [(AT_MS, [1, 2, None])], late=False)), pack(session, 1, LAYOUT, AT_MS + 60_000)]
    )
    await compact_all(store)
    schema, row = (await store.metrics.latest(session.no))["pulse"]
    assert row.taken_at_ms == AT_MS + 69_000
    assert dict(zip(schema.series, row.values, strict=True)) == dict(zip(LAYOUT.series, [9, 10, 11], strict=True))
    await store.metrics.append([packed(session, 2, Sent(LAYOUTS[2], [(AT_MS + 90_000, [7, None])], late=False))])
    schema, row = (await store.metrics.latest(session.no))["pulse"]
    assert (schema.series, list(row.values)) == (LAYOUTS[2].series, [7, None])
    await compact_all(store)
    schema, row = (await store.metrics.latest(session.no))["pulse"]
    assert (schema.series, list(row.values)) == (LAYOUTS[2].series, [7, None])


async def test_layouts_that_nothing_uses_are_forgotten_and_those_in_use_are_not(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.append([pack(session, 0, LAYOUT, AT_MS)])
    none = Bounds(0.0, 0.0, 0.0, 2e10)
    newer = await connect(store, session.node)  # its only layout is stored again
    await store.metrics.expire(none)
    assert await store.metrics.append([pack(newer, 1, LAYOUT, AT_MS + 10_000)]) == {session.node: Marks(1, -1)}
    with pytest.raises(Conflict, match="layout"):
        await store.metrics.append([packed(newer, 2, Sent(LAYOUTS[1], [(AT_MS, [1, 2, 3])], late=False))])
    assert len(await rows_of(store, session)) == 20


@pytest.mark.holds("F-34")
async def test_a_damaged_pack_is_set_aside_and_the_rest_of_its_hour_goes_into_chunks(store: Store) -> None:
    session = await session_of(store)
    hour = AT_MS // HOUR_MS
    broken = StoredPack(session, 0, 0, LAYOUT.schema_id, AT_MS, AT_MS, 1, b"no zlib")
    narrow = pack(session, 2, LAYOUTS[2], AT_MS)._replace(schema_id=LAYOUT.schema_id)
    sound = [pack(session, seq, LAYOUT, AT_MS + seq * 10_000) for seq in (1, 3)]
    await store.metrics.append([broken, sound[0], narrow, sound[1]])
    assert await store.metrics.compact(session.no, hour) == Moved(2, 2)
    assert await store.metrics.compact(session.no, hour) == Moved(0, 2)
    [left] = await store.metrics.hot_hours()
    assert (left.no, left.hour) == (session.no, hour), "they stay, to be told of"
    await store.metrics.append([pack(session, 4, LAYOUT, AT_MS + 40_000)])
    assert await store.metrics.compact(session.no, hour) == Moved(1, 2)


async def test_the_size_of_each_tier_is_measured(store: Store) -> None:
    session = await filled(store)
    await compact_all(store)
    seconds, minutes, hours = await store.metrics.sizes(AT_MS / 1000)
    assert (seconds.tier, minutes.tier, hours.tier) == ("1s", "1m", "1h")
    assert (seconds.samples, minutes.samples, hours.samples) == (3 * 360, 0, 0), "what still grows says nothing of what it will take"
    assert seconds.bytes > 0
    series = sum(len(schema.series) for schema in (LAYOUTS[2],))
    assert seconds.per_day == (series * DAY_S) + len(COUNTERS.series) * 1440
    assert session.no > 0


async def test_the_size_of_a_tier_is_measured_on_nodes_with_samples(store: Store) -> None:
    await filled(store)
    await compact_all(store)
    before = await store.metrics.sizes(AT_MS / 1000)
    for at in range(51):
        gone = await connect(store, (await store.nodes.create_node(SCOPE, new_node(f"gone-{at}"))).id)
        await store.metrics.drop_node(gone.no)
    assert await store.metrics.sizes(AT_MS / 1000) == before


async def test_a_tier_with_few_values_has_no_measured_size(store: Store) -> None:
    """Most of such a chunk is the names of its series."""
    session = await session_of(store)
    await store.metrics.append([pack(session, at, LAYOUT, AT_MS + at * HOUR_MS) for at in range(3)])
    await compact_all(store)
    seconds = (await store.metrics.sizes(AT_MS / 1000))[0]
    assert (seconds.bytes, seconds.samples) == (0, 0)
    assert seconds.per_day > 0


async def test_an_absent_node_is_left_out_of_the_daily_values_until_it_returns(store: Store) -> None:
    session = await filled(store)
    later = AT_MS + 3 * DAY_S * 1000

    async def given(since_ms: int) -> list[float]:
        return [size.per_day for size in await store.metrics.sizes(since_ms / 1000)]

    there = await given(AT_MS)
    assert min(there) > 0
    assert await given(later) == [0, 0, 0]
    await compact_all(store)
    assert (await given(AT_MS), await given(later)) == (there, [0, 0, 0])
    assert (await store.metrics.sizes(later / 1000))[0].samples > 0, "what it has left still says what a value takes"
    await store.metrics.append([pack(session, 12, LAYOUT, later)])
    assert await given(later) == there
    await compact_all(store)
    assert await given(later) == there


# -- killed ---------------------------------------------------------------------------------------

NODES, HOURS, KILLS = 3, 5, 8


async def told(store: Store, sessions: Sequence[Session]) -> list[object]:
    """Everything that can be asked of these nodes, in every tier."""
    start = AT_MS / 1000
    return [
        [
            await rows_of(store, session),
            *[await window_of(store, session, SERIES, start, start + length, points) for length, points in QUESTIONS],
        ]
        for session in sessions
    ]


QUESTIONS = ((600, 600), (HOURS * 3600, 500), (HOURS * 3600, 100), (HOURS * 3600, 5))


async def fill_many(store: Store) -> list[Session]:
    sessions = []
    for number in range(NODES):
        session = await session_of(store, f"n{number}")
        sessions.append(session)
        chance, seq = random.Random(number), 0
        for minute in range(HOURS * 60):
            for schema, rows in ((LAYOUTS[minute // 50 % 2], 6), (COUNTERS, 1)):
                at = AT_MS + minute * 60_000
                made: Rows = [
                    (at + row * 10_000, [chance.choice([None, *range(20)]) if n else minute * 7 for n in range(len(schema.series))])
                    for row in range(rows)
                ]
                await store.metrics.append([packed(session, seq, Sent(schema, made, late=False))])
                seq += 1
    return sessions


async def move_and_kill(folder: Path, after_s: float) -> bool:
    """Let it work for a while, then kill it. Returns: whether it had nothing left to do."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.compaction_program", str(folder)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(60.0):
        assert await process.stdout.readline() == b"ready\n"
    with contextlib.suppress(TimeoutError):  # the moment of the kill is the point of this test, not a wait for something
        async with asyncio.timeout(after_s):
            await process.wait()
    if process.returncode is None:
        process.kill()
    rest = await process.stdout.read()
    await process.wait()
    return rest.endswith(b"done\n")


@pytest.mark.holds("F-01")
@pytest.mark.timeout(300)
async def test_a_hub_killed_during_compaction_neither_loses_nor_duplicates_samples(tmp_path: Path) -> None:
    """Every response stays the same, whatever was killed where."""
    folder, chance = tmp_path / "data", random.Random(7)

    async def opened() -> tuple[Database, Store]:
        database = await open_database(folder, clock=SystemClock())
        return database, await database.store(audit_key=AUDIT_KEY, chain=new_time_id())

    database, store = await opened()
    sessions = await fill_many(store)
    expected = await told(store, sessions)
    await database.close()

    done, kills = False, 0
    while not done:
        done = await move_and_kill(folder, chance.uniform(0.0, 0.06) if kills < KILLS else 60.0)
        kills += 1
        database, store = await opened()
        try:
            assert await told(store, sessions) == expected, f"after kill {kills}"
        finally:
            await database.close()
    print(f"killed {kills - 1} times")
    assert kills > KILLS / 3, "it was hardly killed in the middle of its work"
