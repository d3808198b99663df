"""Packs of samples for the tiers of the history: their layouts, sessions, and moving all of them."""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.nodes.model import Session
from groundcontrol.samples.model import SeriesSchema, StoredPack
from tests.support.factories import SCOPE, connect, layout_row, new_node, pack_body
from tests.support.history_rows import Rows

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
