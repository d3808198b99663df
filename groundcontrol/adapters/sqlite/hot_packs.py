"""Packs as they arrived, until they lie in chunks: first in `arrived`, by commit, then in `hot`, by hour and node.

In `hot` what one query asks for lies together, and so each pack of a commit goes into another page. Those of many commits go over at
once: a page is written once for all of a node's. Whoever reads sees both tables as one; whoever removes or compacts moves them over first.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.adapters.sqlite.engine.json_codec import texts_from_json
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.core.errors import StoreDamaged, StoreError
from groundcontrol.samples.chunks.pack_codec import unpack
from groundcontrol.samples.model import LayoutRow, StoredRow

HIGHEST: Final = (1 << 63) - 1
PAGE_PACKS: Final = 100
PIECE_VALUES: Final = 1_000_000
"""Values that a window takes in at once: a few kilobytes of a pack may hold a quarter of a million."""

MOST_BATCHES: Final = 64
"""Commits after which their packs go over at the latest; compaction, which looks every few seconds, is nearly always first."""
MOST_BYTES: Final = 16 << 20
"""Bytes of packs after which they go over at the latest: a fleet that was away sends megabytes a commit."""
MOST_HOURS: Final = 1000
"""Hours that are looked at in one go: a month and more. What is older has its turn when these are in chunks."""
HEAD_HOURS: Final = 256
"""How many hours are looked through for a newest row. What is older lies in chunks, or soon will."""

_BATCHES: Final = (
    "WITH RECURSIVE commits(no) AS (SELECT min(batch) FROM arrived"
    " UNION ALL SELECT no + 1 FROM commits WHERE no < (SELECT max(batch) FROM arrived))"
)
_ARRIVED: Final = "commits CROSS JOIN arrived ON arrived.batch = commits.no AND arrived.node = ?2 AND arrived.hour = ?1"
"""The node's packs of this hour that have just arrived: a seek for each commit."""
_PACKS: Final = (
    f"{_BATCHES} SELECT boot, stream, seq, layout, first_ms, last_ms, coding, body FROM hot"  # noqa: S608  words of our own
    " WHERE hour = ?1 AND node = ?2 AND (boot, stream, seq) > (?3, ?4, ?5)"
    f" UNION ALL SELECT boot, stream, seq, layout, first_ms, last_ms, coding, body FROM {_ARRIVED}"
    " WHERE (boot, stream, seq) > (?3, ?4, ?5) ORDER BY boot, stream, seq LIMIT ?6"
)
_ANY: Final = f"{_BATCHES} SELECT 1 FROM hot WHERE hour = ?1 AND node = ?2 UNION ALL SELECT 1 FROM {_ARRIVED} LIMIT 1"  # noqa: S608  words of our own
_HAVE_ARRIVED: Final = f"{_BATCHES} SELECT 1 FROM {_ARRIVED} LIMIT 1"  # noqa: S608  words of our own
_HEADS: Final = (
    f"{_BATCHES} SELECT layout, max(last_ms) AS last_ms, coding, body FROM"  # noqa: S608  words of our own
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

PackGroup = tuple[LayoutRow, list[StoredRow]]


class PackPosition(NamedTuple):
    """Where a pack stands within its hour and node."""

    boot: int
    stream: int
    seq: int


START: Final = PackPosition(-1, -1, -1)


def hours(rows: Rows, first: int, last: int) -> Iterator[int]:
    """The hours in [first, last] of which there is anything at all, oldest first; one seek each, when it is asked for."""
    while (hour := _next(rows, _NEXT_HOUR, first, last)) is not None:
        yield hour
        first = hour + 1


def newest_hours(rows: Rows, most: int) -> Iterator[int]:
    """So many hours of which there is anything, newest first. One node may have said something of every hour since 1970."""
    last = HIGHEST
    for _ in range(most):
        hour = _next(rows, _HOUR_BEFORE, last)
        if hour is None:
            return
        yield hour
        last = hour - 1


def _next(rows: Rows, sql: str, *bounds: int) -> int | None:
    hour: int | None = rows.all(sql, *bounds)[0]["hour"]
    return hour


def next_hour(rows: Rows, no: int, first: int, last: int) -> int | None:
    """The first hour in [first, last] of which the node has rows here."""
    return next((hour for hour in hours(rows, first, last) if rows.one(_ANY, hour, no) is not None), None)


class LayoutTable(dict[bytes, LayoutRow]):
    """Layouts by their ids."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: dict[bytes, str] = {}
        """Those that cannot be read, with their families: no pack of theirs can, until the node says them anew."""


def layouts(rows: Rows, no: int, families: Iterable[str] | None = None) -> LayoutTable:
    """The node's layouts, of these families or of all."""
    wanted = None if families is None else set(families)
    found = LayoutTable()
    for row in rows.all("SELECT layout, family, rhythm_s, series FROM layout WHERE node = ?", no):
        if wanted is not None and row["family"] not in wanted:
            continue
        try:
            found[row["layout"]] = LayoutRow(row["layout"], row["family"], row["rhythm_s"], texts_from_json(row["series"]))
        except StoreError:
            found.damaged[row["layout"]] = row["family"]
    return found


def unreadable(rows: Rows) -> list[tuple[int, str]]:
    """The nodes (by number) and families of layouts that cannot be read."""
    return [
        (row["node"], family)
        for row in rows.all("SELECT DISTINCT node FROM layout")
        for family in layouts(rows, row["node"]).damaged.values()
    ]


def packs(rows: Rows, no: int, hour: int, after: PackPosition = START, limit: int = -1) -> list[sqlite3.Row]:
    """Packs of a node and hour in the order of their places."""
    return rows.all(_PACKS, hour, no, *after, limit)


def settled(rows: Rows, no: int, hour: int, after: PackPosition, limit: int) -> list[sqlite3.Row]:
    """The same of those that have gone over."""
    return rows.all(
        "SELECT boot, stream, seq, layout, first_ms, last_ms, coding, body FROM hot"
        " WHERE hour = ? AND node = ? AND (boot, stream, seq) > (?, ?, ?) ORDER BY boot, stream, seq LIMIT ?",
        *(hour, no, *after, limit),
    )


def has_arrived(rows: Rows, no: int, hour: int) -> bool:
    """Whether some have not."""
    return rows.one(_HAVE_ARRIVED, hour, no) is not None


def next_batch(tx: Tx) -> int:
    """The number of this commit in `arrived`."""
    newest: int | None = tx.all("SELECT max(batch) AS newest FROM arrived")[0]["newest"]
    return 1 if newest is None else newest + 1


def settle(tx: Tx) -> None:
    """Move what has arrived over to its hours and nodes.

    Of a pack that lies there already, which only a restored or mended file could hold, the one that was there first stays.
    """
    tx.do(
        "INSERT OR IGNORE INTO hot SELECT hour, node, boot, stream, seq, layout, first_ms, last_ms, coding, body FROM arrived"
        " ORDER BY hour, node, boot, stream, seq"
    )
    tx.do("DELETE FROM arrived")


def read_pack(row: sqlite3.Row, layout: LayoutRow | None) -> list[StoredRow]:
    """The rows of a stored pack.

    Args:   layout: None: it cannot be read.
    Raises: StoreDamaged.
    """
    if layout is None:
        raise StoreDamaged("the layout of a stored pack cannot be read")
    try:
        found = unpack(row["coding"], row["body"])
    except ValueError as exc:
        raise StoreDamaged("a stored pack cannot be read") from exc
    width = len(layout.series)
    if any(len(taken.values) != width for taken in found):
        raise StoreDamaged("a stored pack does not fit its layout")
    return found


def paged(rows: Rows, no: int, hour: int) -> Iterator[sqlite3.Row]:
    """Packs of a node and hour in the order of their places, few of them in memory at a time."""
    after = START
    while page := packs(rows, no, hour, after, PAGE_PACKS):
        yield from page
        after = PackPosition(*(page[-1][name] for name in PackPosition._fields))


def pieces(
    found: Iterable[sqlite3.Row],
    known: LayoutTable,
    start_ms: int,
    end_ms: int,
    miss: Callable[[], None] | None = None,
    *,
    most: int = PIECE_VALUES,
) -> Iterator[PackGroup]:
    """The rows of these packs by layout, as far as they were taken in [start, end): in pieces of about `most` values, so that one layout may
    come several times.

    Args:   miss: is told of a pack that is damaged, which is left out then.
    Raises: StoreDamaged: one is, and nobody is to be told.
    """
    gathered: dict[bytes, list[StoredRow]] = {}
    values = 0
    for pack in found:
        layout = known.get(pack["layout"])
        if (layout is None and pack["layout"] not in known.damaged) or pack["last_ms"] < start_ms or pack["first_ms"] >= end_ms:
            continue
        try:
            taken = read_pack(pack, layout)
        except StoreError:
            if miss is None:
                raise
            miss()
            continue
        if pack["first_ms"] < start_ms or pack["last_ms"] >= end_ms:
            taken = [row for row in taken if start_ms <= row.taken_at_ms < end_ms]
        if layout is not None and taken:
            gathered.setdefault(pack["layout"], []).extend(taken)
            values += len(taken) * len(layout.series)
            if values >= most:
                yield from [(known[key], rows) for key, rows in gathered.items()]
                gathered, values = {}, 0
    yield from [(known[key], rows) for key, rows in gathered.items()]


def heads(rows: Rows, no: int, known: Mapping[bytes, LayoutRow]) -> dict[str, tuple[LayoutRow, StoredRow]]:
    """The newest row of each family, as far as it can be read: what is damaged hides neither other families nor other nodes."""
    wanted = {layout.family for layout in known.values()}
    newest: dict[str, tuple[LayoutRow, StoredRow]] = {}
    for hour in newest_hours(rows, HEAD_HOURS):
        if wanted <= newest.keys():
            break
        found: Sequence[sqlite3.Row] = rows.all(_HEADS, hour, no)
        for head in sorted(found, key=lambda head: -head["last_ms"]):
            layout = known.get(head["layout"])
            if layout is None or layout.family in newest:
                continue
            with contextlib.suppress(StoreError):
                if taken := read_pack(head, layout):
                    newest[layout.family] = (layout, max(taken, key=lambda row: row.taken_at_ms))
    return newest
