"""The memory used for one node while its rows are moved, merged and shown is bounded."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite import chunks, hot_packs
from groundcontrol.adapters.sqlite import compaction as sqlite_compaction
from groundcontrol.adapters.sqlite.compaction import MemoryBudget
from groundcontrol.adapters.sqlite.database import Database
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.nodes.model import Session
from groundcontrol.samples.chunks import compaction
from groundcontrol.samples.chunks.compaction import Made
from groundcontrol.samples.chunks.row_table import RowChunk
from groundcontrol.samples.model import Moved, SeriesSchema, StoredPack, StoredRow
from groundcontrol.samples.query import WindowBuilder
from groundcontrol.samples.tiers import Tier
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, connect, layout_row, new_node, pack_body
from tests.support.history_rows import AT_MS, HOUR_MS, rows_of, window_of
from tests.support.store_files import open_new

Groups = Sequence[tuple[SeriesSchema, Sequence[StoredRow]]]

LAYOUT = layout_row("pulse", ("cpu.total", "load.1"))
ROWS = 10
PACKS = 130
"""More than two pages."""


def packs_of(session: Session) -> list[StoredPack]:
    packs = []
    for seq in range(PACKS):
        first = AT_MS + seq * ROWS * 1000
        rows: list[tuple[int, list[int | None]]] = [(first + at * 1000, [seq, at]) for at in range(ROWS)]
        packs.append(StoredPack(session, 0, seq, LAYOUT.schema_id, first, first + (ROWS - 1) * 1000, 1, pack_body(rows)))
    return packs


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_new(tmp_path / "data", clock=ManualClock())
    yield database
    await database.close()


@pytest.fixture
async def store(database: Database) -> Store:
    return await database.store(audit_key=bytes(32), chain=new_time_id(ManualClock().now()))


@pytest.mark.holds("F-33")
async def test_a_large_node_is_compacted_in_parts(store: Store, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 400
    files, memory = (database._samples.reader, database._samples.writer), MemoryBudget(values=most)
    held: list[int] = []
    make, merge = compaction.make_chunks, compaction.merge

    def making(groups: Groups, known: Mapping[str, Sequence[RowChunk]]) -> list[Made]:
        held.append(sum(len(layout.series) * len(rows) for layout, rows in groups))
        return make(groups, known)

    def merging(tier: Tier, bodies: Sequence[bytes]) -> tuple[int, bytes]:
        held.append(sum(compaction.size(tier, body) for body in bodies))
        return merge(tier, bodies)

    monkeypatch.setattr(compaction, "make_chunks", making)
    monkeypatch.setattr(compaction, "merge", merging)
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node("web-1"))).id)
    await store.metrics.save_schema(session, LAYOUT)
    await store.metrics.append(packs_of(session))
    before = await rows_of(store, session)
    moved = 0
    while hours := await store.metrics.hot_hours():
        moved += (await sqlite_compaction.compact(*files, hours[0].no, AT_MS // HOUR_MS, include_slow=True, memory=memory)).packs
    assert moved == PACKS
    assert await rows_of(store, session) == before
    for _round in range(PACKS):
        for due in await store.metrics.pending_merges():
            await sqlite_compaction.merge(*files, due, everything=True, memory=memory)
    assert await store.metrics.pending_merges() == [], "what cannot be one chunk is left alone"
    assert await rows_of(store, session) == before
    assert len(held) > PACKS * ROWS * 2 // most
    assert max(held) <= most + ROWS * 2


async def test_packs_are_read_in_pages_of_some_bytes(store: Store, database: Database) -> None:
    files, memory = (database._samples.reader, database._samples.writer), MemoryBudget(batch_bytes=1)
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node("web-1"))).id)
    await store.metrics.save_schema(session, LAYOUT)
    rows: list[tuple[int, list[int | None]]] = [(AT_MS, [1, 2])]
    await store.metrics.append([StoredPack(session, 0, seq, LAYOUT.schema_id, AT_MS, AT_MS, 1, pack_body(rows)) for seq in range(PACKS)])
    moved = [
        (await sqlite_compaction.compact(*files, session.no, AT_MS // HOUR_MS, include_slow=True, memory=memory)).packs for _ in range(4)
    ]
    assert moved == [50, 50, 30, 0]


async def test_a_window_read_in_pieces_gives_the_same_result(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node("web-1"))).id)
    await store.metrics.save_schema(session, LAYOUT)
    await store.metrics.append(packs_of(session))
    span = (AT_MS / 1000 - 60, AT_MS / 1000 + PACKS * ROWS + 60)
    whole = await window_of(store, session, LAYOUT.series, *span, 50)
    held: list[int] = []
    row_groups, add = hot_packs.row_groups, WindowBuilder.add

    def adding(builder: WindowBuilder, layout: SeriesSchema, rows: Sequence[StoredRow]) -> None:
        held.append(len(layout.series) * len(rows))
        add(builder, layout, rows)

    monkeypatch.setattr(hot_packs, "row_groups", partial(row_groups, most=100))
    monkeypatch.setattr(WindowBuilder, "add", adding)
    assert await window_of(store, session, LAYOUT.series, *span, 50) == whole
    assert sum(held) == PACKS * ROWS * 2
    assert max(held) <= 100 + ROWS * 2


async def test_a_full_span_is_reported_and_loses_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    database = await open_new(tmp_path / "data", clock=clock)
    try:
        store = await database.store(audit_key=bytes(32), chain=new_time_id(clock.now()))
        session = await connect(store, (await store.nodes.create_node(SCOPE, new_node("web-1"))).id)
        await store.metrics.save_schema(session, LAYOUT)
        packs = packs_of(session)
        await store.metrics.append(packs[:20])
        [hour] = await store.metrics.hot_hours()
        await store.metrics.compact(hour.no, hour.hour)
        with closing(sqlite3.connect(tmp_path / "data" / "stardust-samples.db")) as db, db:
            db.execute(f"UPDATE {chunks.TABLES[0]} SET place = place | 4095")
        await store.metrics.append(packs[20:40])
        assert await store.metrics.compact(hour.no, hour.hour) == Moved(0, 0, full=True)
        assert [found.no for found in await store.metrics.hot_hours()] == [hour.no], "what was to be moved is where it was"
    finally:
        await database.close()
