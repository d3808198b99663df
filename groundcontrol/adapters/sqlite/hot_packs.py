"""Packs (rows of one family, as a node sent them) that are not in chunks yet. They are first in the table `arrived`, then in `hot`.

`arrived` is ordered by commit, `hot` by hour and node, as queries read it. A move to `hot` writes a page for each node, so the packs of many
commits move together. Queries read both tables. Expiry and compaction first move the packs to `hot`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.adapters.sqlite.engine.json_codec import texts_from_json
from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.core.errors import StoreDamaged, StoreError
from groundcontrol.samples.chunks.pack_codec import unpack
from groundcontrol.samples.model import SeriesSchema, StoredRow

HIGHEST: Final = (1 << 63) - 1
PAGE_PACKS: Final = 100
PIECE_VALUES: Final = 1_000_000
"""The most values that a window decodes at the same time. A pack of a few kilobytes may contain a quarter of a million."""

MOST_BATCHES: Final = 64
"""Packs move to `hot` after this many commits at the latest. Compaction, which runs every few seconds, nearly always moves them earlier."""
MOST_BYTES: Final = 16 << 20
"""Packs move to `hot` after this many bytes at the latest. A fleet that was offline sends megabytes in a commit."""
MOST_HOURS: Final = 1000
"""The most hours that one pass of compaction reads. Older hours follow when these are in chunks."""
NEWEST_ROW_HOURS: Final = 256
"""The most hours in which `newest_rows` searches. Rows of older hours are in chunks, or soon will be."""

_BATCHES: Final = (
    "WITH RECURSIVE commits(no) AS (SELECT min(batch) FROM arrived"
    " UNION ALL SELECT no + 1 FROM commits WHERE no < (SELECT max(batch) FROM arrived))"
)
_ARRIVED: Final = "commits CROSS JOIN arrived ON arrived.batch = commits.no AND arrived.node = ?2 AND arrived.hour = ?1"
"""The node's packs of an hour in `arrived`. This join costs a seek for each commit in `arrived`."""
_PACKS: Final = (
    f"{_BATCHES} SELECT boot, stream, seq, layout, first_ms, last_ms, coding, body FROM hot"  # noqa: S608 - built from constants only
    " WHERE hour = ?1 AND node = ?2 AND (boot, stream, seq) > (?3, ?4, ?5)"
    f" UNION ALL SELECT boot, stream, seq, layout, first_ms, last_ms, coding, body FROM {_ARRIVED}"
    " WHERE (boot, stream, seq) > (?3, ?4, ?5) ORDER BY boot, stream, seq LIMIT ?6"
)
_ANY: Final = f"{_BATCHES} SELECT 1 FROM hot WHERE hour = ?1 AND node = ?2 UNION ALL SELECT 1 FROM {_ARRIVED} LIMIT 1"  # noqa: S608 - built from constants only
_HAVE_ARRIVED: Final = f"{_BATCHES} SELECT 1 FROM {_ARRIVED} LIMIT 1"  # noqa: S608 - built from constants only
_NEWEST: Final = (
    f"{_BATCHES} SELECT layout, max(last_ms) AS last_ms, coding, body FROM"  # noqa: S608 - built from constants only
    " (SELECT layout, last_ms, coding, body FROM hot WHERE hour = ?1 AND node = ?2"
    f" UNION ALL SELECT layout, last_ms, coding, body FROM {_ARRIVED}) GROUP BY layout"
)
_NEXT_HOUR: Final = (
    "SELECT min(hour) AS hour FROM (SELECT * FROM (SELECT hour FROM hot WHERE hour >= ?1 AND hour <= ?2 ORDER BY hour LIMIT 1)"
    " UNION ALL SELECT * FROM (SELECT hour FROM arrived WHERE hour >= ?1 AND hour <= ?2 ORDER BY hour LIMIT 1))"
)
_HOUR_BEFORE: Final = (
    "SELECT max(hour) AS hour FROM (SELECT * FROM (SELECT hour FROM hot WHERE hour <= ?1 ORDER BY hour DESC LIMIT 1)"
    " UNION ALL SELECT * FROM (SELECT hour FROM arrived WHERE hour <= ?1 ORDER BY hour DESC LIMIT 1))"
)

PackGroup = tuple[SeriesSchema, list[StoredRow]]
"""Some rows and their common schema."""


class PackPosition(NamedTuple):
    """The position of a pack within its hour and node."""

    boot: int
    stream: int
    seq: int


START: Final = PackPosition(-1, -1, -1)


def hours(rows: Rows, first: int, last: int) -> Iterator[int]:
    """The hours in [first, last] with packs of any node, oldest first. Each hour costs one query, when the caller asks for it."""
    while (hour := _next(rows, _NEXT_HOUR, first, last)) is not None:
        yield hour
        first = hour + 1


def newest_hours(rows: Rows, most: int) -> Iterator[int]:
    """The newest hours with packs of any node, newest first, at most `most`."""
    last = HIGHEST
    for _ in range(most):
        hour = _next(rows, _HOUR_BEFORE, last)
        if hour is None:
            return
        yield hour
        last = hour - 1


def _next(rows: Rows, sql: str, *bounds: int) -> int | None:
    hour: int | None = rows.fetch_all(sql, *bounds)[0]["hour"]
    return hour


def next_hour(rows: Rows, no: int, first: int, last: int) -> int | None:
    """The first hour in [first, last] with packs of the node; None: there is none."""
    return next((hour for hour in hours(rows, first, last) if rows.fetch_one(_ANY, hour, no) is not None), None)


class SchemaTable(dict[bytes, SeriesSchema]):
    """Schemas by their ids."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: dict[bytes, str] = {}
        """Id of an unreadable schema -> its family. The packs of such a schema are unreadable until the node sends the schema again."""


def schemas(rows: Rows, no: int, families: Iterable[str] | None = None) -> SchemaTable:
    """The node's schemas of these families; `families` None: of all families."""
    wanted = None if families is None else set(families)
    found = SchemaTable()
    for row in rows.fetch_all("SELECT layout, family, rhythm_s, series FROM layout WHERE node = ?", no):
        if wanted is not None and row["family"] not in wanted:
            continue
        try:
            found[row["layout"]] = SeriesSchema(row["layout"], row["family"], row["rhythm_s"], texts_from_json(row["series"]))
        except StoreError:
            found.damaged[row["layout"]] = row["family"]
    return found


def unreadable_schemas(rows: Rows) -> list[tuple[int, str]]:
    """The nodes (by number) and families of unreadable schemas."""
    return [
        (row["node"], family)
        for row in rows.fetch_all("SELECT DISTINCT node FROM layout")
        for family in schemas(rows, row["node"]).damaged.values()
    ]


def packs(rows: Rows, no: int, hour: int, after: PackPosition = START, limit: int = -1) -> list[Row]:
    """Packs of a node and hour after a position, in order. `limit`: the most packs; -1: all."""
    return rows.fetch_all(_PACKS, hour, no, *after, limit)


def packs_in_hot(rows: Rows, no: int, hour: int, after: PackPosition, limit: int) -> list[Row]:
    """`packs`, but only those in `hot`."""
    return rows.fetch_all(
        "SELECT boot, stream, seq, layout, first_ms, last_ms, coding, body FROM hot"
        " WHERE hour = ? AND node = ? AND (boot, stream, seq) > (?, ?, ?) ORDER BY boot, stream, seq LIMIT ?",
        *(hour, no, *after, limit),
    )


def has_arrived(rows: Rows, no: int, hour: int) -> bool:
    """Whether packs of this node and hour are still in `arrived`."""
    return rows.fetch_one(_HAVE_ARRIVED, hour, no) is not None


def next_batch(tx: Tx) -> int:
    """The number under which the current commit adds its packs to `arrived`."""
    newest: int | None = tx.fetch_all("SELECT max(batch) AS newest FROM arrived")[0]["newest"]
    return 1 if newest is None else newest + 1


def move_arrived_to_hot(tx: Tx) -> None:
    """Move all packs from `arrived` to `hot`.

    Only in a restored or repaired file a pack may be in `hot` already; then the pack in `hot` stays.
    """
    tx.execute(
        "INSERT OR IGNORE INTO hot SELECT hour, node, boot, stream, seq, layout, first_ms, last_ms, coding, body FROM arrived"
        " ORDER BY hour, node, boot, stream, seq"
    )
    tx.execute("DELETE FROM arrived")


def read_pack(row: Row, schema: SeriesSchema | None) -> list[StoredRow]:
    """The rows of a stored pack.

    Args:   schema: None: the schema is unreadable.
    Raises: StoreDamaged: the pack or its schema is damaged.
    """
    if schema is None:
        raise StoreDamaged("the layout of a stored pack cannot be read")
    try:
        found = unpack(row["coding"], row["body"])
    except ValueError as exc:
        raise StoreDamaged("a stored pack cannot be read") from exc
    width = len(schema.series)
    if any(len(taken.values) != width for taken in found):
        raise StoreDamaged("a stored pack does not fit its layout")
    return found


def paged_packs(rows: Rows, no: int, hour: int) -> Iterator[Row]:
    """All packs of a node and hour in order, with at most `PAGE_PACKS` in memory."""
    after = START
    while page := packs(rows, no, hour, after, PAGE_PACKS):
        yield from page
        after = PackPosition(*(page[-1][name] for name in PackPosition._fields))


def row_groups(
    found: Iterable[Row],
    known: SchemaTable,
    start_ms: int,
    end_ms: int,
    miss: Callable[[], None] | None = None,
    *,
    most: int = PIECE_VALUES,
) -> Iterator[PackGroup]:
    """The rows of these packs that were measured in [start_ms, end_ms), by schema. A piece has about `most` values, so a schema may come
    several times.

    Args:   known: the wanted schemas; packs of other schemas are left out.
            miss: is called for each damaged pack, which is left out. A pack with a damaged schema counts as damaged too.
    Raises: StoreDamaged: a pack is damaged and `miss` is None.
    """
    gathered: dict[bytes, list[StoredRow]] = {}
    values = 0
    for pack in found:
        schema = known.get(pack["layout"])
        if (schema is None and pack["layout"] not in known.damaged) or pack["last_ms"] < start_ms or pack["first_ms"] >= end_ms:
            continue
        try:
            taken = read_pack(pack, schema)
        except StoreError:
            if miss is None:
                raise
            miss()
            continue
        if pack["first_ms"] < start_ms or pack["last_ms"] >= end_ms:
            taken = [row for row in taken if start_ms <= row.taken_at_ms < end_ms]
        if schema is not None and taken:
            gathered.setdefault(pack["layout"], []).extend(taken)
            values += len(taken) * len(schema.series)
            if values >= most:
                yield from [(known[key], rows) for key, rows in gathered.items()]
                gathered, values = {}, 0
    yield from [(known[key], rows) for key, rows in gathered.items()]


def newest_rows(rows: Rows, no: int, known: Mapping[bytes, SeriesSchema]) -> dict[str, tuple[SeriesSchema, StoredRow]]:
    """Family -> its newest row, with the schema of that row. `known`: the wanted schemas.

    Only the newest pack of each hour and schema is read. If it is damaged, an older hour may give the row. Families without a row are absent.
    """
    wanted = {schema.family for schema in known.values()}
    newest: dict[str, tuple[SeriesSchema, StoredRow]] = {}
    for hour in newest_hours(rows, NEWEST_ROW_HOURS):
        if wanted <= newest.keys():
            break
        found: Sequence[Row] = rows.fetch_all(_NEWEST, hour, no)
        for pack in sorted(found, key=lambda pack: -pack["last_ms"]):
            schema = known.get(pack["layout"])
            if schema is None or schema.family in newest:
                continue
            with contextlib.suppress(StoreError):
                if taken := read_pack(pack, schema):
                    newest[schema.family] = (schema, max(taken, key=lambda row: row.taken_at_ms))
    return newest
