"""Compaction, merges and retention of samples: repeated, raced, and with late or damaged packs."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import Conflict
from groundcontrol.nodes.model import Session
from groundcontrol.samples.model import Bounds, Moved, StoredPack
from groundcontrol.samples.store import Marks
from tests.support.factories import SCOPE, connect, new_node, pack, twice
from tests.support.history_packs import COUNTERS, DAY_S, LAYOUT, LAYOUTS, Sent, compact_all, merge_all, packed, session_of
from tests.support.history_rows import AT_MS, HOUR_MS, Rows, rows_of, window_of


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
    assert await store.metrics.begin_session(session) == Marks(11, -1)


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


# -- retention -----------------------------------------------------------------------------------


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
