"""Samples: packs in, rows out."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.domain.history import LayoutRow, StoredPack, StoredRow
from groundcontrol.domain.ids import NodeId
from groundcontrol.domain.nodes import Session
from groundcontrol.errors import BadRequest, Conflict, Fenced, StoreError
from groundcontrol.history.packs import unpack
from groundcontrol.store.base import Marks
from groundcontrol.store.sqlite.reader import Reader
from groundcontrol.store.sqlite.records import texts_from_json, to_json
from groundcontrol.store.sqlite.tx import Rows, Tx
from groundcontrol.store.sqlite.writer import Writer
from spider.wire.frames import STREAM_BACKFILL, STREAM_LIVE

HOUR_MS: Final = 3_600_000
SLICE_PACKS: Final = 90
"""Packs that one step of `read` unpacks: a quarter of an hour of ten-second packs."""
SLICE_NODES: Final = 32
"""Nodes whose expired hour goes in one transaction."""
_DROPPED: Final = (1 << 63) - 1

_INSERT: Final = "INSERT INTO hot VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_STATE: Final = (
    "SELECT fence.epoch, boot.no, boot.live, boot.backfill FROM fence JOIN boot ON boot.node = fence.node"
    " WHERE fence.node = ? AND boot.boot = ?"
)


class SqliteMetrics:
    """`MetricStore`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def marks(self, session: Session) -> Marks:
        boot = _boot_bytes(session)

        def command(tx: Tx) -> Marks:
            tx.do(
                "INSERT INTO fence VALUES (?, ?) ON CONFLICT (node) DO UPDATE SET epoch = max(epoch, excluded.epoch)",
                *(session.no, session.epoch),
            )
            if tx.all("SELECT epoch FROM fence WHERE node = ?", session.no)[0]["epoch"] != session.epoch:
                raise _fenced(session)
            tx.do("INSERT INTO boot (node, boot) VALUES (?, ?) ON CONFLICT DO NOTHING", session.no, boot)
            row = tx.all(_STATE, session.no, boot)[0]
            return Marks(row["live"], row["backfill"])

        return await self._writer.run(command)

    async def save_layout(self, session: Session, layout: LayoutRow) -> None:
        series = to_json(layout.series)

        def command(tx: Tx) -> None:
            if _state(tx, session) is None:
                raise _fenced(session)
            wanted = (layout.family, layout.rhythm_s, series)
            known = tx.one("SELECT family, rhythm_s, series FROM layout WHERE node = ? AND layout = ?", session.no, layout.layout)
            if known is None:
                tx.do("INSERT INTO layout VALUES (?, ?, ?, ?, ?)", session.no, layout.layout, *wanted)
            elif tuple(known) != wanted:
                raise Conflict(f"node {session.node} gave one layout id to two layouts")

        await self._writer.run(command)

    async def append(self, batch: Sequence[StoredPack]) -> Mapping[NodeId, Marks | None]:
        by_session: dict[Session, list[StoredPack]] = {}
        for pack in batch:
            if pack.stream not in (STREAM_LIVE, STREAM_BACKFILL):
                raise BadRequest(f"there is no stream {pack.stream}")
            by_session.setdefault(pack.session, []).append(pack)

        def command(tx: Tx) -> dict[NodeId, Marks | None]:
            answer: dict[NodeId, Marks | None] = {}
            for session, packs in by_session.items():
                marks = _append(tx, session, packs)
                if marks is not None or session.node not in answer:
                    answer[session.node] = marks  # of two sessions of one node in a batch the current one speaks
            return answer

        return await self._writer.run(command)

    async def read(
        self, no: int, start: float, end: float, families: Sequence[str]
    ) -> AsyncIterator[tuple[LayoutRow, Sequence[StoredRow]]]:
        start_ms, end_ms = int(start * 1000), int(end * 1000)
        hours = await self._reader.run(lambda rows: _hours(rows, start_ms // HOUR_MS - 1, (end_ms - 1) // HOUR_MS))
        layouts = await self._reader.run(lambda rows: _layouts(rows, no, families))
        for hour in hours:
            after: _Place | None = _Place(-1, -1, -1)
            while after is not None:
                found, after = await self._reader.run(_slice_query(no, hour, after, start_ms, end_ms, layouts))
                for layout, taken in found:
                    yield layout, taken

    async def latest(self, no: int) -> Mapping[str, tuple[LayoutRow, StoredRow]]:
        return await self._reader.run(lambda rows: _latest(rows, no))

    async def expire(self, before: float) -> int:
        limit, removed = int(before * 1000) // HOUR_MS, 0
        while counts := await self._writer.run(lambda tx: _expire_slice(tx, limit)):
            removed += sum(counts)
        return removed

    async def drop_node(self, no: int) -> None:
        def command(tx: Tx) -> None:
            tx.do("INSERT OR REPLACE INTO fence VALUES (?, ?)", no, _DROPPED)
            for hour in _hours(tx, -_DROPPED, _DROPPED):
                tx.do("DELETE FROM hot WHERE hour = ? AND node = ?", hour, no)
            tx.do("DELETE FROM layout WHERE node = ?", no)
            tx.do("DELETE FROM boot WHERE node = ?", no)

        await self._writer.run(command)


class _Place(NamedTuple):
    boot: int
    stream: int
    seq: int


def _fenced(session: Session) -> Fenced:
    return Fenced(f"session {session.epoch} of node {session.node} is over")


def _boot_bytes(session: Session) -> bytes:
    try:
        boot = bytes.fromhex(session.boot)
    except ValueError:
        boot = b""
    if len(boot) != 16:
        raise BadRequest("a boot id has 32 hexadecimal digits")
    return boot


def _state(rows: Rows, session: Session) -> sqlite3.Row | None:
    """Epoch, boot number and marks, if the session may write."""
    row = rows.one(_STATE, session.no, _boot_bytes(session))
    return row if row is not None and row["epoch"] == session.epoch else None


def _append(tx: Tx, session: Session, packs: list[StoredPack]) -> Marks | None:
    state = _state(tx, session)
    if state is None:
        return None
    marks = [state["live"], state["backfill"]]
    fresh = []
    for pack in sorted(packs, key=lambda pack: (pack.stream, pack.seq)):
        if pack.seq == marks[pack.stream] + 1:
            marks[pack.stream] = pack.seq
            fresh.append(pack)
    if fresh:
        for layout in {pack.layout for pack in fresh}:
            if tx.one("SELECT 1 FROM layout WHERE node = ? AND layout = ?", session.no, layout) is None:
                raise Conflict(f"node {session.node} sent a pack whose layout is not stored")
        tx.do_many(
            _INSERT,
            [
                (p.first_ms // HOUR_MS, session.no, state["no"], p.stream, p.seq, p.layout, p.first_ms, p.last_ms, p.coding, p.body)
                for p in fresh
            ],
        )
        tx.do("UPDATE boot SET live = ?, backfill = ? WHERE no = ?", *marks, state["no"])
    return Marks(*marks)


def _hours(rows: Rows, first: int, last: int) -> list[int]:
    """The hours in [first, last] of which there is anything at all, oldest first; one seek each."""
    hours: list[int] = []
    while row := rows.one("SELECT hour FROM hot WHERE hour >= ? AND hour <= ? ORDER BY hour LIMIT 1", first, last):
        hours.append(row["hour"])
        first = row["hour"] + 1
    return hours


def _layouts(rows: Rows, no: int, families: Sequence[str]) -> dict[bytes, LayoutRow]:
    found = (
        LayoutRow(row["layout"], row["family"], row["rhythm_s"], texts_from_json(row["series"]))
        for row in rows.all("SELECT * FROM layout WHERE node = ?", no)
    )
    return {layout.layout: layout for layout in found if layout.family in families}


def _unpack(row: sqlite3.Row, layout: LayoutRow) -> list[StoredRow]:
    try:
        found = unpack(row["coding"], row["body"])
    except ValueError as exc:
        raise StoreError("a stored pack cannot be read") from exc
    width = len(layout.series)
    if any(len(taken.values) != width for taken in found):
        raise StoreError("a stored pack does not fit its layout")
    return found


_Slice = tuple[list[tuple[LayoutRow, list[StoredRow]]], _Place | None]


def _slice_query(
    no: int, hour: int, after: _Place, start_ms: int, end_ms: int, layouts: Mapping[bytes, LayoutRow]
) -> Callable[[Rows], _Slice]:
    """A query for the next few packs of an hour, unpacked on the reading thread, and where to go on."""

    def query(rows: Rows) -> _Slice:
        packs = rows.all(
            "SELECT boot, stream, seq, layout, first_ms, last_ms, coding, body FROM hot"
            " WHERE hour = ? AND node = ? AND (boot, stream, seq) > (?, ?, ?) ORDER BY boot, stream, seq LIMIT ?",
            *(hour, no, *after, SLICE_PACKS),
        )
        groups: dict[bytes, list[StoredRow]] = {}
        for pack in packs:
            layout = layouts.get(pack["layout"])
            if layout is None or pack["last_ms"] < start_ms or pack["first_ms"] >= end_ms:
                continue
            taken = _unpack(pack, layout)
            if pack["first_ms"] < start_ms or pack["last_ms"] >= end_ms:
                taken = [row for row in taken if start_ms <= row.taken_at_ms < end_ms]
            groups.setdefault(pack["layout"], []).extend(taken)
        more = _Place(packs[-1]["boot"], packs[-1]["stream"], packs[-1]["seq"]) if len(packs) == SLICE_PACKS else None
        return [(layouts[layout], taken) for layout, taken in groups.items() if taken], more

    return query


def _latest(rows: Rows, no: int) -> dict[str, tuple[LayoutRow, StoredRow]]:
    layouts = _layouts(rows, no, [row["family"] for row in rows.all("SELECT DISTINCT family FROM layout WHERE node = ?", no)])
    wanted = {layout.family for layout in layouts.values()}
    newest: dict[str, tuple[LayoutRow, StoredRow]] = {}
    for hour in reversed(_hours(rows, -_DROPPED, _DROPPED)):
        if wanted <= newest.keys():
            break
        heads = rows.all(
            "SELECT layout, max(last_ms) AS last_ms, coding, body FROM hot WHERE hour = ? AND node = ? GROUP BY layout", hour, no
        )
        for head in sorted(heads, key=lambda head: -head["last_ms"]):
            layout = layouts[head["layout"]]
            if layout.family not in newest and (taken := _unpack(head, layout)):
                newest[layout.family] = (layout, max(taken, key=lambda row: row.taken_at_ms))
    return newest


def _expire_slice(tx: Tx, limit: int) -> list[int]:
    """Remove one hour of a few nodes; nothing left to remove: an empty list."""
    oldest = tx.one("SELECT hour FROM hot WHERE hour < ? ORDER BY hour LIMIT 1", limit)
    if oldest is None:
        return []
    counts: list[int] = []
    node = -1
    while len(counts) < SLICE_NODES:
        row = tx.one("SELECT node FROM hot WHERE hour = ? AND node > ? ORDER BY node LIMIT 1", oldest["hour"], node)
        if row is None:
            break
        node = row["node"]
        counts.append(tx.do("DELETE FROM hot WHERE hour = ? AND node = ?", oldest["hour"], node))
    return counts
