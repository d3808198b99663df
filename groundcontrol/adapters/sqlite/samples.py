"""The store of samples. It stores packs and returns rows and windows."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final, cast

from groundcontrol.adapters.sqlite import chunks, compaction, expiry, hot_packs, windows
from groundcontrol.adapters.sqlite.backfill import read_gaps, record_session, take_late
from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.json_codec import texts_from_json, to_json
from groundcontrol.adapters.sqlite.engine.range_locks import RangeLocks
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx, Value
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.exports import Export
from groundcontrol.core.errors import BadRequest, Conflict, Fenced, StoreError
from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.model import Session
from groundcontrol.samples.backfill import GapRow, LatePack, LostRows
from groundcontrol.samples.chunks.pack_codec import split
from groundcontrol.samples.chunks.rollup import StatTable
from groundcontrol.samples.model import (
    Bounds,
    CheckedPiece,
    ChunkPosition,
    Damage,
    Due,
    HotHour,
    Moved,
    SeriesSchema,
    StoredPack,
    StoredRow,
    TierName,
    TierSize,
)
from groundcontrol.samples.query import WindowBuilder
from groundcontrol.samples.store import Marks, MetricStore
from groundcontrol.samples.tiers import HOUR_MS, HOUR_S, TIERS
from spider.wire.sample_messages import STREAM_BACKFILL, STREAM_LIVE

_INSERT: Final = (
    "INSERT INTO arrived VALUES (?1, CASE WHEN EXISTS (SELECT 1 FROM layout INDEXED BY layout_name WHERE node = ?2 AND layout = ?7) THEN ?2 END,"
    " ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
)
"""Inserts a pack. Without a stored schema the node is NULL, which the table refuses.

Not `INSERT ... SELECT`: that may insert several rows, so SQLite would copy each page before writing, to be able to undo the statement.
"""
_STATE: Final = (
    "SELECT fence.epoch, boot.no, boot.live, boot.backfill FROM fence JOIN boot ON boot.node = fence.node"
    " WHERE fence.node = ? AND boot.boot = ?"
)
_STATES: Final = (
    "SELECT fence.epoch, boot.no, boot.live, boot.backfill FROM json_each(?) AS wanted"
    " CROSS JOIN boot ON boot.no = wanted.value CROSS JOIN fence ON fence.node = boot.node"
)
"""`_STATE` of many boots in one statement, by the numbers of the boots."""


@serves("metrics", MetricStore)
class SqliteMetrics:
    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._boots: dict[int, tuple[str, int]] = {}
        """Node number -> its newest boot, and the unique number of that boot."""
        self._range_locks = RangeLocks()
        self._arrived_bytes = 0
        """Bytes of packs that this process has inserted into `arrived` since the table was last emptied, including failed commits."""

    async def begin_session(self, session: Session) -> Marks:
        boot = _boot_bytes(session)

        def command(tx: Tx) -> tuple[Marks, int]:
            tx.execute(
                "INSERT INTO fence VALUES (?, ?) ON CONFLICT (node) DO UPDATE SET epoch = max(epoch, excluded.epoch)",
                *(session.no, session.epoch),
            )
            if tx.fetch_all("SELECT epoch FROM fence WHERE node = ?", session.no)[0]["epoch"] != session.epoch:
                raise _fenced(session)
            tx.execute("INSERT INTO boot (node, boot) VALUES (?, ?) ON CONFLICT DO NOTHING", session.no, boot)
            row = tx.fetch_all(_STATE, session.no, boot)[0]
            record_session(tx, session, row["no"])
            return Marks(row["live"], row["backfill"]), row["no"]

        marks, boot_no = await self._writer.run(command)
        self._boots[session.no] = (session.boot, boot_no)
        return marks

    async def save_schema(self, session: Session, schema: SeriesSchema) -> None:
        series = to_json(schema.series)

        def command(tx: Tx) -> None:
            if _state(tx, session) is None:
                raise _fenced(session)
            wanted = (schema.family, schema.interval_s, series)
            known = tx.fetch_one("SELECT family, rhythm_s, series FROM layout WHERE node = ? AND layout = ?", session.no, schema.schema_id)
            if known is not None and not _is_readable(known):
                tx.execute(
                    "UPDATE layout SET family = ?, rhythm_s = ?, series = ? WHERE node = ? AND layout = ?",
                    *(*wanted, session.no, schema.schema_id),
                )
            elif known is not None and tuple(known) != wanted:
                raise Conflict(f"node {session.node} used one layout id for two layouts")
            tx.execute(
                "INSERT INTO layout (node, layout, family, rhythm_s, series, epoch, told)"
                " VALUES (?, ?, ?, ?, ?, ?, (SELECT coalesce(max(told), 0) + 1 FROM layout WHERE node = ?))"
                " ON CONFLICT DO UPDATE SET epoch = excluded.epoch, told = excluded.told",
                *(session.no, schema.schema_id, *wanted, session.epoch, session.no),
            )

        await self._writer.run(command)

    async def append(self, items: Sequence[StoredPack | LatePack | LostRows]) -> Mapping[NodeId, Marks | None]:
        by_session: dict[Session, list[StoredPack | LatePack | LostRows]] = {}
        for pack in items:
            if isinstance(pack, StoredPack) and pack.stream not in (STREAM_LIVE, STREAM_BACKFILL):
                raise BadRequest(f"there is no stream {pack.stream}")
            by_session.setdefault(pack.session, []).append(pack)

        def command(tx: Tx) -> dict[NodeId, Marks | None]:
            answer: dict[NodeId, Marks | None] = {}
            new_marks: list[tuple[int, int, int]] = []
            new_rows: list[tuple[Value, ...]] = []
            states = self._states(tx, by_session)
            for session, packs in by_session.items():
                marks = _append(tx, session, states.get(session), packs, new_marks, new_rows)
                if marks is not None or session.node not in answer:
                    answer[session.node] = marks  # if the items have two sessions of a node, the current session counts
            tx.execute_many("UPDATE boot SET live = ?, backfill = ? WHERE no = ?", new_marks)
            if new_rows:
                self._store(tx, new_rows)
            return answer

        return await self._writer.run(command)

    def _store(self, tx: Tx, new_rows: list[tuple[Value, ...]]) -> None:
        batch_no = hot_packs.next_batch(tx)
        new_rows.sort(key=itemgetter(0))  # in the order of the table, so that each page is read once
        try:
            tx.execute_many(_INSERT, [(batch_no, *row) for row in new_rows])
        except sqlite3.IntegrityError as exc:
            raise Conflict("a node sent a pack twice, or a pack whose layout is not stored") from exc
        # number 1: `arrived` was empty, since its packs were moved to `hot`, and the count restarts
        before = self._arrived_bytes if batch_no > 1 else 0
        self._arrived_bytes = before + sum(len(cast("bytes", row[-1])) for row in new_rows)
        if batch_no >= hot_packs.MOST_BATCHES or self._arrived_bytes >= hot_packs.MOST_BYTES:
            hot_packs.move_arrived_to_hot(tx)

    def _states(self, rows: Rows, sessions: Iterable[Session]) -> dict[Session, Row]:
        """Epoch, boot number and marks of each of these sessions that may write."""
        known: dict[int, Session] = {}
        found: dict[Session, Row | None] = {}
        for session in sessions:
            boot, no = self._boots.get(session.no, ("", 0))
            if boot == session.boot and no not in known:
                known[no] = session
            else:
                found[session] = _state(rows, session)
        for row in rows.fetch_all(_STATES, to_json(list(known))):
            session = known[row["no"]]
            found[session] = row if row["epoch"] == session.epoch else None
        return {session: row for session, row in found.items() if row is not None}

    async def window(self, no: int, builder: WindowBuilder) -> None:
        await self._reader.run(lambda rows: windows.fill(rows, no, builder))

    async def read(
        self, no: int, start: float, end: float, families: Sequence[str], miss: Callable[[Damage], None] | None = None
    ) -> AsyncGenerator[tuple[SeriesSchema, Sequence[StoredRow]]]:
        export = Export(self._reader, self._range_locks, no, families, miss)
        async with contextlib.aclosing(export.rows(int(start * 1000), int(end * 1000))) as pieces:
            async for piece in pieces:
                yield piece

    async def read_rollups(
        self, no: int, tier: TierName, start: float, end: float, families: Sequence[str], miss: Callable[[Damage], None] | None = None
    ) -> AsyncGenerator[tuple[str, StatTable]]:
        export = Export(self._reader, self._range_locks, no, families, miss)
        wanted_tier = next(known for known in TIERS if known.name == tier)
        async with contextlib.aclosing(export.rollups(wanted_tier, start, end)) as pieces:
            async for piece in pieces:
                yield piece

    async def latest(self, no: int) -> Mapping[str, tuple[SeriesSchema, StoredRow]]:
        return await self._reader.run(lambda rows: windows.latest(rows, no))

    async def unreadable(self) -> Sequence[tuple[int, str]]:
        return await self._reader.run(hot_packs.unreadable_schemas)

    async def gaps(self, no: int, start: float, end: float) -> Sequence[GapRow]:
        return await self._reader.run(lambda rows: read_gaps(rows, no, int(start * 1000), int(end * 1000)))

    async def hot_hours(self) -> Sequence[HotHour]:
        return await compaction.hot_hours(self._reader, self._writer)

    async def compact(self, no: int, hour: int, *, include_slow: bool = True) -> Moved:
        # a rate at the edge of an hour uses a row of the neighbouring hour, so that hour is locked too
        with self._range_locks.moving(no, hour - 1, hour + 1) as may:
            return await compaction.compact(self._reader, self._writer, no, hour, include_slow=include_slow) if may else Moved(0, 0)

    async def check_chunks(self, start: ChunkPosition, most: int) -> CheckedPiece:
        return await self._reader.run(lambda rows: chunks.check(rows, start, most))

    async def pending_merges(self) -> Sequence[Due]:
        return await compaction.pending_merges(self._reader)

    async def merge(self, due: Due, *, everything: bool = True) -> bool:
        hours = TIERS[due.tier].span_s // HOUR_S
        with self._range_locks.moving(due.no, due.span * hours, (due.span + 1) * hours - 1) as may:
            return may and await compaction.merge(self._reader, self._writer, due, everything=everything)

    async def sizes(self, since: float) -> Sequence[TierSize]:
        return await self._reader.run(lambda rows: expiry.sizes(rows, since))

    async def expire(self, bounds: Bounds) -> int:
        return await expiry.expire(self._writer, bounds)

    async def drop_node(self, no: int) -> None:
        self._boots.pop(no, None)
        await expiry.drop_node(self._writer, no)


def _is_readable(schema: Row) -> bool:
    try:
        texts_from_json(schema["series"])
    except StoreError:
        return False
    return True


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


def _state(rows: Rows, session: Session) -> Row | None:
    """Epoch, boot number and marks of a session; None: the session may not write any more."""
    row = rows.fetch_one(_STATE, session.no, _boot_bytes(session))
    return row if row is not None and row["epoch"] == session.epoch else None


def _within_hours(pack: StoredPack) -> Iterator[StoredPack]:
    """The parts of a pack by hour, since a query finds rows by the hour in which they were measured."""
    try:
        yield from split(pack, HOUR_MS)
    except ValueError as exc:
        raise BadRequest(f"node {pack.session.node} sent a pack that cannot be read") from exc


def _append(
    tx: Tx,
    session: Session,
    state: Row | None,
    items: list[StoredPack | LatePack | LostRows],
    new_marks: list[tuple[int, int, int]],
    new_rows: list[tuple[Value, ...]],
) -> Marks | None:
    """Convert the packs of one session into rows for `boot` and `arrived`, and add these to `new_marks` and `new_rows` for the caller.

    Live packs whose number does not follow the mark are left out. Late packs change `boot`, `skipped` and `gap` immediately.

    Returns: the new marks; None: the session may not write any more.
    """
    if state is None:
        return None
    boot_no = state["no"]
    live, backfill = marks = [state["live"], state["backfill"]]
    packs = [item for item in items if type(item) is StoredPack]
    late = take_late(tx, session, [item for item in items if not isinstance(item, StoredPack)]) if len(packs) < len(items) else []
    if len(packs) > 1:
        packs.sort(key=lambda pack: (pack.stream, pack.seq))
    for pack in packs:
        if pack.seq == marks[pack.stream] + 1:
            marks[pack.stream] = pack.seq
            if pack.body:
                new_rows += _rows_of(session, boot_no, pack)
    if marks != [live, backfill]:
        new_marks.append((*marks, boot_no))
    for journal_no, pack in late:
        new_rows += _rows_of(session, journal_no, pack)
    return Marks(*marks)


def _rows_of(session: Session, boot_no: int, pack: StoredPack) -> list[tuple[Value, ...]]:
    """The rows of `arrived` for a pack, without the first column, `batch`. `boot_no`: the number of its boot or journal."""
    return [
        (session.no, p.first_ms // HOUR_MS, boot_no, p.stream, p.seq, p.schema_id, p.first_ms, p.last_ms, p.coding, p.body)
        for p in _within_hours(pack)
    ]
