"""The hot table: packs as they arrived, until they lie in chunks."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.domain.history import LayoutRow, StoredRow
from groundcontrol.errors import StoreError
from groundcontrol.history.packs import unpack
from groundcontrol.store.sqlite.records import texts_from_json
from groundcontrol.store.sqlite.tx import Rows

HIGHEST: Final = (1 << 63) - 1
PAGE_PACKS: Final = 100
PIECE_VALUES: Final = 1_000_000
"""Values that a window takes in at once: a few kilobytes of a pack may hold a quarter of a million."""

MOST_HOURS: Final = 1000
"""Hours that are looked at in one go: a month and more. What is older has its turn when these are in chunks."""
HEAD_HOURS: Final = 256
"""How many hours are looked through for a newest row. What is older lies in chunks, or soon will."""

Group = tuple[LayoutRow, list[StoredRow]]


class Place(NamedTuple):
    """Where a pack stands within its hour and node."""

    boot: int
    stream: int
    seq: int


START: Final = Place(-1, -1, -1)


def hours(rows: Rows, first: int, last: int) -> Iterator[int]:
    """The hours in [first, last] of which there is anything at all, oldest first; one seek each, when it is asked for."""
    while (row := rows.one("SELECT hour FROM hot WHERE hour >= ? AND hour <= ? ORDER BY hour LIMIT 1", first, last)) is not None:
        yield row["hour"]
        first = row["hour"] + 1


def newest_hours(rows: Rows, most: int) -> Iterator[int]:
    """So many hours of which there is anything, newest first. One node may have said something of every hour since 1970."""
    last = HIGHEST
    for _ in range(most):
        row = rows.one("SELECT hour FROM hot WHERE hour <= ? ORDER BY hour DESC LIMIT 1", last)
        if row is None:
            return
        yield row["hour"]
        last = row["hour"] - 1


def next_hour(rows: Rows, no: int, first: int, last: int) -> int | None:
    """The first hour in [first, last] of which the node has rows here."""
    while (row := rows.one("SELECT hour FROM hot WHERE hour >= ? AND hour <= ? ORDER BY hour LIMIT 1", first, last)) is not None:
        if rows.one("SELECT 1 FROM hot WHERE hour = ? AND node = ? LIMIT 1", row["hour"], no) is not None:
            return int(row["hour"])
        first = row["hour"] + 1
    return None


def layouts(rows: Rows, no: int, families: Iterable[str] | None = None) -> dict[bytes, LayoutRow]:
    """The node's layouts, of these families or of all."""
    wanted = None if families is None else set(families)
    return {
        row["layout"]: LayoutRow(row["layout"], row["family"], row["rhythm_s"], texts_from_json(row["series"]))
        for row in rows.all("SELECT layout, family, rhythm_s, series FROM layout WHERE node = ?", no)
        if wanted is None or row["family"] in wanted
    }


def packs(rows: Rows, no: int, hour: int, after: Place = START, limit: int = -1) -> list[sqlite3.Row]:
    """Packs of a node and hour in the order of their places."""
    return rows.all(
        "SELECT boot, stream, seq, layout, first_ms, last_ms, coding, body FROM hot"
        " WHERE hour = ? AND node = ? AND (boot, stream, seq) > (?, ?, ?) ORDER BY boot, stream, seq LIMIT ?",
        *(hour, no, *after, limit),
    )


def read_pack(row: sqlite3.Row, layout: LayoutRow) -> list[StoredRow]:
    """The rows of a stored pack.

    Raises: StoreError: it is damaged.
    """
    try:
        found = unpack(row["coding"], row["body"])
    except ValueError as exc:
        raise StoreError("a stored pack cannot be read") from exc
    width = len(layout.series)
    if any(len(taken.values) != width for taken in found):
        raise StoreError("a stored pack does not fit its layout")
    return found


def paged(rows: Rows, no: int, hour: int) -> Iterator[sqlite3.Row]:
    """Packs of a node and hour in the order of their places, few of them in memory at a time."""
    after = START
    while page := packs(rows, no, hour, after, PAGE_PACKS):
        yield from page
        after = Place(*(page[-1][name] for name in Place._fields))


def groups(
    found: Iterable[sqlite3.Row], known: Mapping[bytes, LayoutRow], start_ms: int, end_ms: int, miss: Callable[[], None] | None = None
) -> list[Group]:
    """The rows of these packs by layout, as far as they were taken in [start, end).

    Args:   miss: is told of a pack that is damaged, which is left out then.
    Raises: StoreError: one is damaged, and nobody is to be told.
    """
    return list(pieces(found, known, start_ms, end_ms, miss, most=None))


def pieces(
    found: Iterable[sqlite3.Row],
    known: Mapping[bytes, LayoutRow],
    start_ms: int,
    end_ms: int,
    miss: Callable[[], None] | None = None,
    *,
    most: int | None = PIECE_VALUES,
) -> Iterator[Group]:
    """The same in pieces of about `most` values, so that one layout may come several times."""
    gathered: dict[bytes, list[StoredRow]] = {}
    values = 0
    for pack in found:
        layout = known.get(pack["layout"])
        if layout is None or pack["last_ms"] < start_ms or pack["first_ms"] >= end_ms:
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
        if taken:
            gathered.setdefault(pack["layout"], []).extend(taken)
            values += len(taken) * len(layout.series)
            if most is not None and values >= most:
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
        found: Sequence[sqlite3.Row] = rows.all(
            "SELECT layout, max(last_ms) AS last_ms, coding, body FROM hot WHERE hour = ? AND node = ? GROUP BY layout", hour, no
        )
        for head in sorted(found, key=lambda head: -head["last_ms"]):
            layout = known.get(head["layout"])
            if layout is None or layout.family in newest:
                continue
            with contextlib.suppress(StoreError):
                if taken := read_pack(head, layout):
                    newest[layout.family] = (layout, max(taken, key=lambda row: row.taken_at_ms))
    return newest
