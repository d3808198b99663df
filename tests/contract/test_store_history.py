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

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundcontrol.adapters.sqlite.database import Database, open_database
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.nodes.model import Session
from groundcontrol.samples.model import Window
from spider.clock import SystemClock
from spider.wire.ids import new_random_id, new_time_id
from spider.wire.metrics import parse_series
from tests.support.history_packs import COUNTERS, DAY_S, LAYOUTS, SERIES, Sent, compact_all, merge_all, packed, session_of
from tests.support.history_rows import AT_MS, HOUR_MS, Rows, in_order, rows_of, window_of
from tests.support.hub import ROOT
from tests.support.store_backend import Backend
from tests.support.writer_program import AUDIT_KEY

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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
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


# -- killed ---------------------------------------------------------------------------------------

NODES, HOURS, KILLS = 3, 5, 4


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
