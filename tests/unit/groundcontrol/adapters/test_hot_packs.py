"""Packs read the same while staged by commit and after they are flushed by hour and node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite import hot_packs
from groundcontrol.adapters.sqlite.database import Database
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import Conflict
from groundcontrol.nodes.model import Session
from groundcontrol.samples.model import Bounds, StoredPack
from groundcontrol.samples.store import Marks
from spider.wire.ids import new_time_id
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, connect, layout_row, new_node, pack_body
from tests.support.history_rows import AT_MS, HOUR_MS, rows_of, window_of
from tests.support.store_files import open_new

LAYOUT = layout_row("pulse", ("cpu.total", "load.1"))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_new(tmp_path / "data", clock=ManualClock())
    yield database
    await database.close()


@pytest.fixture
async def store(database: Database) -> Store:
    return await database.store(audit_key=bytes(32), chain=new_time_id(1_790_000_000.0))


async def joined(store: Store, name: str) -> Session:
    session = await connect(store, (await store.nodes.create_node(SCOPE, new_node(name))).id)
    await store.metrics.save_schema(session, LAYOUT)
    return session


def pack(session: Session, seq: int, at_ms: int | None = None) -> StoredPack:
    taken = AT_MS + seq * 1000 if at_ms is None else at_ms
    return StoredPack(session, 0, seq, LAYOUT.schema_id, taken, taken, 1, pack_body([(taken, [seq, session.no])]))


async def counts(database: Database) -> tuple[int, int]:
    """Packs that lie by commit, and that have gone over."""

    def count(table: str) -> str:
        return f"SELECT count(*) AS found FROM {table}"

    return await database._samples.reader.run(
        lambda rows: (rows.fetch_all(count("arrived"))[0]["found"], rows.fetch_all(count("hot"))[0]["found"])
    )


async def settle(database: Database) -> None:
    await database._samples.writer.run(hot_packs.move_arrived_to_hot)


async def test_packs_read_the_same_before_and_after_they_are_flushed(store: Store, database: Database) -> None:
    one, other = await joined(store, "web-1"), await joined(store, "web-2")
    span = (AT_MS / 1000 - 60, AT_MS / 1000 + 7200)
    for seq in range(60):
        late = AT_MS + HOUR_MS + seq * 1000 if seq % 7 == 0 else None  # of another hour, between the others
        await store.metrics.append([pack(session, seq, late) for session in (one, other)])
        if seq in (20, 41):
            await settle(database)
    assert await counts(database) == (36, 84)
    before = [(await rows_of(store, each), await window_of(store, each, LAYOUT.series, *span, 300)) for each in (one, other)]
    newest = [await store.metrics.latest(each.no) for each in (one, other)]
    assert len(before[0][0]) == 60
    await settle(database)
    assert await counts(database) == (0, 120)
    assert [(await rows_of(store, each), await window_of(store, each, LAYOUT.series, *span, 300)) for each in (one, other)] == before
    assert [await store.metrics.latest(each.no) for each in (one, other)] == newest


async def test_staged_packs_are_flushed_after_a_number_of_commits(store: Store, database: Database) -> None:
    session = await joined(store, "web-1")
    for seq in range(hot_packs.MOST_BATCHES + 3):
        await store.metrics.append([pack(session, seq)])
    assert await counts(database) == (3, hot_packs.MOST_BATCHES)
    assert [hour.hour for hour in await store.metrics.hot_hours()] == [AT_MS // HOUR_MS]
    assert await counts(database) == (0, hot_packs.MOST_BATCHES + 3)


async def test_large_staged_packs_are_flushed(store: Store, database: Database) -> None:
    session = await joined(store, "web-1")
    body = bytes(-(-hot_packs.MOST_BYTES // 5))
    for seq in range(4):
        await store.metrics.append([pack(session, seq)._replace(body=body)])
    await settle(database)  # as compaction does: what was counted until then counts no more
    for seq in range(4, 11):
        await store.metrics.append([pack(session, seq)._replace(body=body)])
    assert await counts(database) == (2, 9)


async def test_a_pack_without_its_layout_is_refused_with_its_whole_batch(store: Store, database: Database) -> None:
    session = await joined(store, "web-1")
    unknown = pack(session, 1)._replace(schema_id=b"unknown!")
    with pytest.raises(Conflict, match="layout"):
        await store.metrics.append([pack(session, 0), unknown])
    assert await counts(database) == (0, 0)
    assert await store.metrics.append([pack(session, 0)]) == {session.node: Marks(0, -1)}


async def test_staged_packs_are_deleted_with_their_node_and_by_age(store: Store, database: Database) -> None:
    one, other = await joined(store, "web-1"), await joined(store, "web-2")
    await store.metrics.append([pack(session, 0) for session in (one, other)])
    await store.metrics.drop_node(one.no)
    assert await counts(database) == (0, 1)
    await store.metrics.append([pack(other, 1)])
    after = AT_MS / 1000 + 10 * 3600
    assert await store.metrics.expire(Bounds(seconds=after, minutes=after, hours=after, future=after + 3600)) == 2
    assert await counts(database) == (0, 0)
