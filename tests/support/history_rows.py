"""Rows of samples at known times, and the windows that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.nodes.model import Session
from groundcontrol.samples.model import Window
from groundcontrol.samples.query import WindowBuilder

HOUR_MS = 3_600_000


AT_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS


Rows = list[tuple[int, list[int | None]]]


async def window_of(store: Store, session: Session, series: Sequence[str], start: float, end: float, points: int) -> Window:
    builder = WindowBuilder(series, start, end, points)
    await store.metrics.window(session.no, builder)
    return builder.finish()


async def rows_of(store: Store, session: Session, start_ms: int = 0, end_ms: int = 2 * AT_MS) -> list[tuple[int, dict[str, int | None]]]:
    found = [
        (row.taken_at_ms, dict(zip(layout.series, row.values, strict=True)))
        async for layout, rows in store.metrics.read(session.no, start_ms / 1000, end_ms / 1000, ["pulse", "breathe"])
        for row in rows
    ]
    return in_order(found)


def in_order(rows: Iterable[tuple[int, dict[str, int | None]]]) -> list[tuple[int, dict[str, int | None]]]:
    """Rows of one time have no order of their own."""
    return sorted(rows, key=lambda row: (row[0], repr(sorted(row[1].items(), key=repr))))
