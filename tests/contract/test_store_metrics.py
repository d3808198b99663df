"""Samples: each stored once, in order, only by the session that owns the node."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import BadRequest, Conflict
from groundcontrol.core.ids import BootId
from groundcontrol.nodes.model import Session
from groundcontrol.samples.model import Bounds, StoredRow
from groundcontrol.samples.query import WindowBuilder
from groundcontrol.samples.store import Marks
from spider.wire.ids import new_random_id
from tests.support.factories import SCOPE, connect, layout_row, new_node, pack, pack_body, twice
from tests.support.store_backend import Backend

AT_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
LAYOUT = layout_row()


async def session_of(store: Store, name: str = "web-1") -> Session:
    return await connect(store, (await store.nodes.create_node(SCOPE, new_node(name))).id)


async def times_of(store: Store, session: Session, start_ms: int = 0, end_ms: int = 2 * AT_MS) -> list[int]:
    return [row.taken_at_ms async for _, rows in store.metrics.read(session.no, start_ms / 1000, end_ms / 1000, ["pulse"]) for row in rows]


async def test_a_repeated_pack_is_stored_once(store: Store) -> None:
    session = await session_of(store)
    sent = [pack(session, at, LAYOUT, AT_MS + at * 10_000) for at in range(3)]
    marks = await twice(lambda: store.metrics.append(sent))
    assert marks == {session.node: Marks(2, -1)}
    await store.metrics.append([*sent, *sent])
    assert sorted(await times_of(store, session)) == [AT_MS + at * 1000 for at in range(30)]


async def test_a_hole_is_not_stored_and_does_not_move_the_mark(store: Store) -> None:
    session = await session_of(store)
    first, second, third = (pack(session, at, LAYOUT, AT_MS + at * 10_000) for at in range(3))
    assert await store.metrics.append([first, third]) == {session.node: Marks(0, -1)}
    assert len(await times_of(store, session)) == 10
    assert await store.metrics.append([third, second]) == {session.node: Marks(2, -1)}
    assert len(await times_of(store, session)) == 30


async def test_each_stream_and_each_boot_has_its_own_sequence(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.append([pack(session, 0, LAYOUT, AT_MS), pack(session, 0, LAYOUT, AT_MS - HOUR_MS, stream=1)])
    assert await store.metrics.begin_session(session) == Marks(0, 0)
    rebooted = await connect(store, session.node, boot=BootId("aa" * 16))
    assert await store.metrics.begin_session(rebooted) == Marks(-1, -1)
    assert await store.metrics.append([pack(rebooted, 0, LAYOUT, AT_MS + 10_000)]) == {session.node: Marks(0, -1)}
    again = await connect(store, session.node, boot=session.boot)
    assert await store.metrics.begin_session(again) == Marks(0, 0)
    assert len(await times_of(store, session)) == 30


@pytest.mark.holds("SAFETY-80")
async def test_a_fenced_session_does_not_affect_other_nodes(store: Store) -> None:
    old, good = await session_of(store, "old"), await session_of(store, "good")
    await connect(store, old.node)
    answer = await store.metrics.append([pack(old, 0, LAYOUT, AT_MS), pack(good, 0, LAYOUT, AT_MS)])
    assert answer == {old.node: None, good.node: Marks(0, -1)}
    assert await times_of(store, old) == []


async def test_a_session_without_marks_may_not_write(store: Store) -> None:
    session = await session_of(store)
    newer = await store.sessions.claim(session.node, session.boot, session.hub)
    assert (await store.metrics.append([pack(newer, 0, LAYOUT, AT_MS)]))[session.node] is None
    await store.metrics.begin_session(newer)
    assert (await store.metrics.append([pack(newer, 0, LAYOUT, AT_MS)]))[session.node] == Marks(0, -1)


async def test_a_batch_of_packs_is_stored_whole_or_not_at_all(store: Store) -> None:
    one, two = await session_of(store, "one"), await session_of(store, "two")
    unknown = layout_row("pulse", ("cpu.user",))
    with pytest.raises(Conflict, match="layout"):
        await store.metrics.append([pack(one, 0, LAYOUT, AT_MS), pack(two, 0, unknown, AT_MS)])
    with pytest.raises(BadRequest):
        await store.metrics.append([pack(one, 0, LAYOUT, AT_MS), pack(one, 0, LAYOUT, AT_MS, stream=2)])
    assert await times_of(store, one) == []
    assert await store.metrics.begin_session(one) == Marks(-1, -1)


async def test_twenty_senders_of_one_pack_store_it_once(store: Store) -> None:
    session = await session_of(store)
    answers = await asyncio.gather(*(store.metrics.append([pack(session, 0, LAYOUT, AT_MS)]) for _ in range(20)))
    assert answers == [{session.node: Marks(0, -1)}] * 20
    assert len(await times_of(store, session)) == 10


async def test_one_layout_id_belongs_to_one_layout(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.save_schema(session, LAYOUT)
    with pytest.raises(Conflict):
        await store.metrics.save_schema(session, LAYOUT._replace(series=("cpu.user",)))


async def test_rows_are_read_unchanged_with_their_layout(store: Store) -> None:
    session = await session_of(store)
    breathe = layout_row("breathe", ("temperature{sensor=cpu}",), 60)
    await store.metrics.save_schema(session, breathe)
    rows = [(AT_MS, [1, None, -5]), (AT_MS + 1000, [1 << 62, 0, None])]
    plain = pack(session, 0, LAYOUT, AT_MS)._replace(body=pack_body(rows, 0), coding=0, last_ms=AT_MS + 1000)
    await store.metrics.append([plain, pack(session, 1, breathe, AT_MS, rows=1)])
    found = [found async for found in store.metrics.read(session.no, 0, AT_MS / 500, ["pulse"])]
    assert found == [(LAYOUT, [StoredRow(at, values) for at, values in rows])]
    both = [schema.family async for schema, _ in store.metrics.read(session.no, 0, AT_MS / 500, ["pulse", "breathe"])]
    assert sorted(both) == ["breathe", "pulse"]
    assert [found async for found in store.metrics.read(session.no, 0, AT_MS / 500, [])] == []


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    starts=st.lists(st.integers(-3 * HOUR_MS, 3 * HOUR_MS), max_size=30),
    window=st.tuples(st.integers(-4 * HOUR_MS, 4 * HOUR_MS), st.integers(1, 4 * HOUR_MS)),
)
async def test_a_range_returns_exactly_its_samples(store: Store, starts: list[int], window: tuple[int, int]) -> None:
    session = await session_of(store, new_random_id())
    await store.metrics.append([pack(session, seq, LAYOUT, AT_MS + start) for seq, start in enumerate(starts)])
    start, end = AT_MS + window[0], AT_MS + window[0] + window[1]
    taken = [AT_MS + at + row * 1000 for at in starts for row in range(10)]
    assert sorted(await times_of(store, session, start, end)) == sorted(at for at in taken if start <= at < end)


async def test_the_newest_row_of_each_family_is_known(store: Store) -> None:
    session = await session_of(store)
    breathe = layout_row("breathe", ("temperature{sensor=cpu}",), 60)
    wider = layout_row("pulse", ("cpu.total", "cpu.user"))
    assert await store.metrics.latest(session.no) == {}
    await store.metrics.save_schema(session, breathe)
    await store.metrics.save_schema(session, wider)
    await store.metrics.append(
        [
            pack(session, 0, breathe, AT_MS - 5 * HOUR_MS, rows=1),
            pack(session, 1, LAYOUT, AT_MS),
            pack(session, 2, wider, AT_MS + 10_000),
            pack(session, 0, LAYOUT, AT_MS - HOUR_MS, stream=1),
        ]
    )
    latest = await store.metrics.latest(session.no)
    assert {family: (schema, row.taken_at_ms) for family, (schema, row) in latest.items()} == {
        "breathe": (breathe, AT_MS - 5 * HOUR_MS),
        "pulse": (wider, AT_MS + 19_000),
    }


async def test_expired_samples_are_deleted_by_hour_and_the_marks_stay(store: Store) -> None:
    sessions = [await session_of(store, f"n{at}") for at in range(40)]
    for session in sessions:
        await store.metrics.append([pack(session, at, LAYOUT, AT_MS + at * HOUR_MS) for at in range(3)])
    limit = (AT_MS // HOUR_MS + 2) * HOUR_MS / 1000
    bounds = Bounds(limit, limit, limit, 2 * limit)
    assert await store.metrics.expire(bounds) == 80
    assert await store.metrics.expire(bounds) == 0
    for session in sessions[::13]:
        assert len(await times_of(store, session)) == 10
        assert await store.metrics.begin_session(session) == Marks(2, -1)


async def test_a_dropped_node_leaves_no_sample(store: Store) -> None:
    gone, stays = await session_of(store, "gone"), await session_of(store, "stays")
    await store.metrics.append([pack(gone, 0, LAYOUT, AT_MS), pack(stays, 0, LAYOUT, AT_MS)])
    await twice(lambda: store.metrics.drop_node(gone.no))
    assert await times_of(store, gone) == []
    assert (await store.metrics.append([pack(gone, 1, LAYOUT, AT_MS)]))[gone.node] is None
    assert len(await times_of(store, stays)) == 10


async def test_a_restart_continues_where_it_was(backend: Backend) -> None:
    session = await session_of(backend.store)
    await backend.store.metrics.append([pack(session, 0, LAYOUT, AT_MS)])
    store = await backend.reopen()
    after = await connect(store, session.node)
    answer = await store.metrics.append([pack(after, 0, LAYOUT, AT_MS), pack(after, 1, LAYOUT, AT_MS + 10_000)])
    assert answer == {session.node: Marks(1, -1)}
    assert len(await times_of(store, after)) == 20


async def test_history_is_downsampled_from_stored_samples(store: Store) -> None:
    session = await session_of(store)
    await store.metrics.append([pack(session, at, LAYOUT, AT_MS + at * 20_000) for at in range(3)])  # ten seconds, then a gap of ten
    builder = WindowBuilder(["cpu.total"], AT_MS / 1000, AT_MS / 1000 + 60, 6)
    await store.metrics.window(session.no, builder)
    window = builder.finish()
    assert (window.step_s, window.tier) == (10, "1s")
    assert window.times == [AT_MS / 1000 + at * 10 for at in range(6)]
    assert window.series["cpu.total"].avg == [0.045, None] * 3
    assert window.series["cpu.total"].min == [0.0, None] * 3
    assert window.series["cpu.total"].max == [0.09, None] * 3
