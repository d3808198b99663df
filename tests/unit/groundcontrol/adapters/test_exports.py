"""The export of a node in pieces: each row once while rows move, few at a time, and continued past damage."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable

import pytest

from groundcontrol.adapters.sqlite.database import Database
from groundcontrol.adapters.sqlite.engine.range_locks import RangeLocks
from groundcontrol.adapters.sqlite.exports import PAGE_PACKS
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import StoreBusy, StoreError
from groundcontrol.nodes.model import Session
from groundcontrol.samples.chunks.counter_rates import RATE_SCALE
from groundcontrol.samples.model import Damage, SeriesSchema, StoredPack, TierName
from tests.support.factories import SCOPE, connect, layout_row, new_node, pack_body

HOUR_S = 3600
HOUR = 1_790_000_000 // HOUR_S // 24 * 24
AT_MS = HOUR * HOUR_S * 1000
LAYOUT = layout_row("pulse", ("cpu.total", "disk.read{device=sda}"))
COUNTERS = layout_row("breathe", ("memory.oom_kills", "memory.free"), 60)
WIDE = layout_row("pulse", tuple(f"disk.read{{device=d{number}}}" for number in range(400)))
FAMILIES = ["pulse", "breathe"]


async def session_of(store: Store, *layouts: SeriesSchema) -> Session:
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node())).id)
    for layout in layouts:
        await store.metrics.save_schema(session, layout)
    return session


async def send(store: Store, session: Session, layout: SeriesSchema, packs: int, rows: int, *, first: int = 0, at_ms: int = AT_MS) -> None:
    """Packs one after the other in time."""
    step_ms = layout.interval_s * 1000
    for number in range(first, first + packs):
        made = [
            (at_ms + (number * rows + at) * step_ms, [number * rows * 10 + at * at + place for place in range(len(layout.series))])
            for at in range(rows)
        ]
        sent = StoredPack(session, 0, number, layout.schema_id, made[0][0], made[-1][0], 1, pack_body(made))
        await store.metrics.append([sent])


async def send_counter(store: Store, session: Session, packs: range) -> None:
    """Fifty minutes of a counter in each pack, from an hour and a half before `AT_MS` on: it grows by 60 times an odd number in each."""
    for number in packs:
        minutes = range(number * 50, number * 50 + 50)
        made = [(AT_MS + (minute - 90) * 60_000, [60 * minute * minute, 1]) for minute in minutes]
        await store.metrics.append([StoredPack(session, 1, number, COUNTERS.schema_id, made[0][0], made[-1][0], 1, pack_body(made))])


async def send_a_lot(store: Store, session: Session, packs: int = 12) -> None:
    """Of one hour, a quarter of a million values in each pack."""
    for number in range(packs):
        rows = [(AT_MS + (number * 600 + at) % 3000 * 1000, [1] * 400) for at in range(600)]
        await store.metrics.append([StoredPack(session, 0, number, WIDE.schema_id, AT_MS, AT_MS + 3_000_000, 1, pack_body(rows))])


async def times_of(store: Store, no: int, pause_s: float = 0.0) -> Counter[int]:
    found: Counter[int] = Counter()
    async for _, rows in store.metrics.read(no, 0, 2e9, FAMILIES):
        found.update(row.taken_at_ms for row in rows)
        await asyncio.sleep(pause_s)
    return found


async def move(store: Store) -> int:
    moved = 0
    for hour in await store.metrics.hot_hours():
        moved += (await store.metrics.compact(hour.no, hour.hour)).packs
    for due in await store.metrics.pending_merges():
        moved += await store.metrics.merge(due)
    return moved


async def test_rows_are_not_moved_while_they_are_read(store: Store) -> None:
    session = await session_of(store, LAYOUT)
    packs = 3 * PAGE_PACKS
    await send(store, session, LAYOUT, packs, 10)
    reading = store.metrics.read(session.no, 0, 2e9, FAMILIES)
    found = Counter(row.taken_at_ms for row in (await anext(reading))[1])

    assert await move(store) == 0
    async for _, rows in reading:
        found.update(row.taken_at_ms for row in rows)

    assert found == Counter(AT_MS + at * 1000 for at in range(packs * 10))
    assert await move(store) > 0
    assert await times_of(store, session.no) == found


async def test_compacted_rows_are_read_before_later_rows(store: Store) -> None:
    session = await session_of(store, LAYOUT)
    await send(store, session, LAYOUT, 10, 10, at_ms=AT_MS + 1_800_000)
    await move(store)
    await send(store, session, LAYOUT, 200, 10, first=10, at_ms=AT_MS + 1_800_000)

    times = [row.taken_at_ms async for _, rows in store.metrics.read(session.no, 0, 2e9, FAMILIES) for row in rows]

    assert times == [AT_MS + 1_800_000 + at * 1000 for at in range(2100)]


async def test_a_cancelled_read_releases_its_range(store: Store) -> None:
    session = await session_of(store, LAYOUT)
    await send(store, session, LAYOUT, 3 * PAGE_PACKS, 10)
    reading = store.metrics.read(session.no, 0, 2e9, FAMILIES)
    await anext(reading)
    assert await move(store) == 0

    await reading.aclose()

    assert await move(store) > 0


async def test_each_row_is_exported_once_while_rows_are_moved(store: Store) -> None:
    session, dice = await session_of(store, LAYOUT), random.Random(7)
    over = asyncio.Event()

    async def keep_moving() -> int:
        moved = 0
        while not over.is_set():
            moved += await move(store)
            await asyncio.sleep(dice.random() / 100)
        return moved

    moving = asyncio.create_task(keep_moving())
    for turn in range(12):
        await send(store, session, LAYOUT, 25, 10, first=turn * 25)
        for found in await asyncio.gather(*(times_of(store, session.no, dice.random() / 1000) for _ in range(3))):
            assert found == Counter(AT_MS + at * 1000 for at in range((turn + 1) * 250))
    over.set()
    assert await moving > 0


async def test_a_read_waits_only_for_a_move_of_the_same_range() -> None:
    stretches, done = RangeLocks(), []

    async def read(no: int, first: int, last: int) -> None:
        async with stretches.reading(no, first, last):
            done.append((no, first, last))

    with stretches.moving(1, 4, 6) as may:
        assert may
        tasks = [asyncio.create_task(read(*where)) for where in ((1, 6, 6), (1, 7, 9), (2, 5, 5))]
        await asyncio.sleep(0.01)
        assert done == [(1, 7, 9), (2, 5, 5)]
        with stretches.moving(1, 6, 8) as may_too:
            assert not may_too, "somebody waits to read there"
    await asyncio.gather(*tasks)
    assert done[-1] == (1, 6, 6)
    with stretches.moving(1, 4, 6) as may:
        assert may


@pytest.mark.parametrize("moved", ["nothing", "some", "all"])
@pytest.mark.parametrize("tier", ["1m", "1h"])
async def test_rollups_are_equal_before_and_after_compaction(store: Store, tier: TierName, moved: str) -> None:
    """In pieces, over the ends of hours, with counters, and series that come later."""
    session = await session_of(store, LAYOUT, COUNTERS)
    wider = layout_row("pulse", ("cpu.total", "load.1"))
    await store.metrics.save_schema(session, wider)
    await send(store, session, LAYOUT, 60, 50, at_ms=AT_MS + 1_800_000)
    await send_counter(store, session, range(2))
    if moved != "nothing":
        await move(store)
    await send(store, session, wider, 70, 50, first=60, at_ms=AT_MS + 1_800_000)
    await send_counter(store, session, range(2, 5))
    if moved == "all":
        await move(store)

    found: dict[tuple[str, int], tuple[int, ...]] = {}
    async for _, table in store.metrics.read_rollups(session.no, tier, 0, 2e9, FAMILIES):
        for name, line in table.lines.items():
            for place, *figures in zip(table.step_numbers, *line, strict=True):
                if figures[0]:
                    assert (name, place) not in found, "each figure is in one piece"
                    found[name, place] = tuple(figures)

    step_s = 60 if tier == "1m" else 3600
    model: dict[tuple[str, int], list[int]] = {}
    for number in range(130):
        for at in range(50):
            when = AT_MS + 1_800_000 + (number * 50 + at) * 1000
            for place, name in enumerate((LAYOUT if number < 60 else wider).series):
                model.setdefault((name, when // 1000 // step_s), []).append(number * 500 + at * at + place)
    for minute in range(250):
        place = (AT_MS // 1000 + (minute - 90) * 60) // step_s
        model.setdefault(("memory.free", place), []).append(1)
        if minute:
            model.setdefault(("memory.oom_kills", place), []).append((2 * minute - 1) * RATE_SCALE)
    assert found == {key: (len(values), min(values), max(values), sum(values)) for key, values in model.items()}


@pytest.mark.parametrize(
    ("tier", "moved"),
    [("1s", True), ("1m", False), *(pytest.param(*more, marks=pytest.mark.slow) for more in (("1s", False), ("1m", True)))],
)
async def test_an_hour_of_a_large_node_is_read_in_parts(store: Store, tier: TierName, moved: bool) -> None:
    """Three million values in some kilobytes: as objects they would be a hundred megabytes."""
    session = await session_of(store, WIDE)
    await send_a_lot(store, session)
    if moved:
        while await move(store):
            pass
    values = 0
    tracemalloc.start()
    try:
        if tier == "1s":
            async for found, taken in store.metrics.read(session.no, 0, 2e9, FAMILIES):
                values += len(found.series) * len(taken)
        else:
            async for _, table in store.metrics.read_rollups(session.no, "1m", 0, 2e9, FAMILIES):
                values += sum(sum(line.counts) for line in table.lines.values())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert values == 12 * 600 * 400
    assert peak < 40 << 20


async def test_closing_the_store_does_not_wait_for_a_long_read(database: Database, store: Store) -> None:
    """Python's work on so many values cannot be interrupted: it is done beside the queries, a piece at a time."""
    session = await session_of(store, WIDE)
    await send_a_lot(store, session, 80)

    async def read() -> None:
        async for _ in store.metrics.read_rollups(session.no, "1m", 0, 2e9, FAMILIES):
            pass

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.2)  # of the seconds that it takes

    assert await database._samples.reader.close(), "no query was left to itself"

    with pytest.raises(StoreBusy):
        await reading


async def test_a_read_waits_for_a_move_only_for_a_limited_time() -> None:
    stretches = RangeLocks(move_limit_s=0.01)
    with stretches.moving(1, 4, 6), pytest.raises(StoreBusy):
        async with stretches.reading(1, 5, 5):
            pass
    with stretches.moving(1, 4, 6) as may:
        assert may, "who gave up holds nothing"


@pytest.mark.parametrize("tier", ["1s", "1m"])
async def test_damaged_chunks_are_reported_and_the_rest_is_read(database: Database, store: Store, tier: TierName) -> None:
    session = await session_of(store, LAYOUT, COUNTERS)
    await send(store, session, LAYOUT, 10, 10)
    await send(store, session, COUNTERS, 1, 10, first=10, at_ms=AT_MS - 10 * 10 * 60_000)
    await move(store)
    await database._samples.writer.run(
        lambda tx: tx.execute(
            f"UPDATE chunk_{tier} SET body = substr(body, 2) WHERE (place >> 12) % 128 = (SELECT no FROM family WHERE name = 'pulse')"
        )
    )
    missed: list[Damage] = []

    async def families(miss: Callable[[Damage], None] | None = None) -> set[str]:
        if tier == "1s":
            return {layout.family async for layout, _ in store.metrics.read(session.no, 0, 2e9, FAMILIES, miss)}
        return {family async for family, _ in store.metrics.read_rollups(session.no, tier, 0, 2e9, FAMILIES, miss)}

    assert await families(missed.append) == {"breathe"}
    span_s = HOUR_S if tier == "1s" else 24 * HOUR_S
    assert set(missed) == {Damage(tier, float(HOUR * HOUR_S), float(HOUR * HOUR_S + span_s))}
    with pytest.raises(StoreError):
        await families()
