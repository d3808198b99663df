"""The chunk tables, one for each tier. A chunk has the samples of one node and family in one span of time.

A span of a family may have several chunks, its parts, until compaction merges them. The key of a chunk combines node, span, family and part
(`migrations/0005_history`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.core.errors import StoreError
from groundcontrol.samples.chunks.chunk_codec import Chunk
from groundcontrol.samples.model import CheckedPiece, ChunkPosition, Damage
from groundcontrol.samples.tiers import TIERS, Tier

TABLES: Final = tuple(f"chunk_{tier.name}" for tier in TIERS)
"""Table names, indexed by the number of the tier."""

_NODE_SHIFT: Final = 40
_SPAN_SHIFT: Final = 19
_FAMILY_SHIFT: Final = 12
_MOST_SPANS: Final = 1 << (_NODE_SHIFT - _SPAN_SHIFT)
_MOST_FAMILIES: Final = 1 << (_SPAN_SHIFT - _FAMILY_SHIFT)
_MOST_PARTS: Final = 1 << _FAMILY_SHIFT
LAST_SPAN: Final = _MOST_SPANS - 1
_PAGE: Final = 8
"""The most chunks that `walk` has in memory at the same time."""


class SpanFull(Exception):
    """A span has the most parts possible. Compaction must merge them before another part is added."""


class ChunkBody(NamedTuple):
    """A stored chunk."""

    key: int
    body: bytes

    @property
    def no(self) -> int:
        """The node's number."""
        return self.key >> _NODE_SHIFT

    @property
    def span(self) -> int:
        return (self.key >> _SPAN_SHIFT) % _MOST_SPANS

    @property
    def family(self) -> int:
        return (self.key >> _FAMILY_SHIFT) % _MOST_FAMILIES


def chunk_key(no: int, span: int, family: int = 0) -> int:
    """The first key of a node's span, or of a family in the span. For a span beyond `LAST_SPAN`, the key after all chunks of the node."""
    return (no << _NODE_SHIFT) + (min(span, _MOST_SPANS) << _SPAN_SHIFT) + (family << _FAMILY_SHIFT)


def after_span(no: int, span: int) -> int:
    """The first key after a node's span."""
    return chunk_key(no, span + 1)


def families(rows: Rows, names: Iterable[str]) -> dict[int, str]:
    """Number -> name of these families. Families without a number are left out."""
    wanted = set(names)
    return {row["no"]: row["name"] for row in rows.fetch_all("SELECT no, name FROM family") if row["name"] in wanted}


def family_no(tx: Tx, name: str) -> int:
    """The number of a family, which never changes. A new family gets the next number.

    Raises: StoreError: there are too many families.
    """
    row = tx.fetch_one("SELECT no FROM family WHERE name = ?", name)
    if row is None:
        row = tx.fetch_all("INSERT INTO family (name) VALUES (?) RETURNING no", name)[0]
    if row["no"] >= _MOST_FAMILIES:
        raise StoreError(f"there are more than {_MOST_FAMILIES} families of samples")
    return int(row["no"])


def walk(rows: Rows, tier: Tier, no: int, first_span: int, last_span: int, wanted: Sequence[int]) -> Iterator[ChunkBody]:
    """The node's chunks of these families in [first_span, last_span], with at most `_PAGE` in memory."""
    marks = ", ".join("?" * len(wanted))
    sql = (
        f"SELECT place, body FROM {TABLES[tier.no]} WHERE place >= ? AND place < ? AND (place >> {_FAMILY_SHIFT}) % {_MOST_FAMILIES}"  # noqa: S608 - built from constants only
        f" IN ({marks}) ORDER BY place LIMIT {_PAGE}"
    )
    at, end = chunk_key(no, first_span), after_span(no, last_span)
    while wanted:
        found = rows.fetch_all(sql, at, end, *wanted)
        for row in found:
            yield ChunkBody(row["place"], row["body"])
        if len(found) < _PAGE:
            return
        at = found[-1]["place"] + 1


def check(rows: Rows, start: ChunkPosition, most: int) -> CheckedPiece:
    """Check up to `most` chunks of one tier, from a position on."""
    tier = TIERS[start.tier]
    found = rows.fetch_all(f"SELECT place, body FROM {TABLES[tier.no]} WHERE place >= ? ORDER BY place LIMIT ?", start.key, most)  # noqa: S608 - built from constants only
    damaged: dict[int, list[Damage]] = {}
    for row in found:
        try:
            Chunk(row["body"])
        except ValueError:
            chunk = ChunkBody(row["place"], b"")
            first = float(chunk.span * tier.span_s)
            damaged.setdefault(chunk.no, []).append(Damage(tier.name, first, first + tier.span_s))
    following = None if tier.no + 1 == len(TIERS) else ChunkPosition(tier.no + 1, 0)
    return CheckedPiece(len(found), damaged, following if len(found) < most else ChunkPosition(tier.no, found[-1]["place"] + 1))


def next_span(rows: Rows, tier: Tier, no: int, first_span: int, last_span: int) -> int | None:
    """The first span in [first_span, last_span] with a chunk of the node; None: there is none."""
    sql = f"SELECT place FROM {TABLES[tier.no]} WHERE place >= ? AND place < ? ORDER BY place LIMIT 1"  # noqa: S608 - built from constants only
    row = rows.fetch_one(sql, chunk_key(no, first_span), after_span(no, last_span))
    return None if row is None else ChunkBody(row["place"], b"").span


def newest_parts(rows: Rows, no: int, family: int) -> list[ChunkBody]:
    """All parts of the newest span of a family in the tier of seconds; empty: there is none."""
    table = TABLES[0]
    last = rows.fetch_one(
        f"SELECT place FROM {table} WHERE place >= ? AND place < ? AND (place >> {_FAMILY_SHIFT}) % {_MOST_FAMILIES} = ?"  # noqa: S608 - built from constants only
        " ORDER BY place DESC LIMIT 1",
        *(chunk_key(no, 0), chunk_key(no + 1, 0), family),
    )
    return [] if last is None else parts(rows, TIERS[0], no, ChunkBody(last["place"], b"").span, family)


def newest_sizes(rows: Rows, tier: Tier, no: int, most: int) -> list[tuple[int, int]]:
    """(bytes, samples) of a node's newest final chunks, at most `most`.

    The newest span still grows, and unmerged parts take several times the bytes for the same samples. Both are left out.
    """
    due = {(row["span"], row["family"]) for row in rows.fetch_all("SELECT span, family FROM due WHERE tier = ? AND node = ?", tier.no, no)}
    table, begin, end = TABLES[tier.no], chunk_key(no, 0), chunk_key(no + 1, 0)
    last = rows.fetch_all(f"SELECT max(place) AS place FROM {table} WHERE place >= ? AND place < ?", begin, end)[0]["place"]  # noqa: S608 - built from constants only
    if last is None:
        return []
    sql = f"SELECT place, length(body) AS length, samples FROM {table} WHERE place >= ? AND place < ? ORDER BY place DESC LIMIT ?"  # noqa: S608 - built from constants only
    found = rows.fetch_all(sql, begin, chunk_key(no, ChunkBody(last, b"").span), most + len(due))
    whole = [row for row in found if (ChunkBody(row["place"], b"").span, ChunkBody(row["place"], b"").family) not in due]
    return [(row["length"], row["samples"]) for row in whole[:most]]


def parts(rows: Rows, tier: Tier, no: int, span: int, family: int) -> list[ChunkBody]:
    """All parts of a span of a family, in the order of their keys."""
    first = chunk_key(no, span, family)
    sql = f"SELECT place, body FROM {TABLES[tier.no]} WHERE place >= ? AND place < ? ORDER BY place"  # noqa: S608 - built from constants only
    return [ChunkBody(row["place"], row["body"]) for row in rows.fetch_all(sql, first, first + _MOST_PARTS)]


def add_part(tx: Tx, tier: Tier, no: int, span: int, family: int, samples: int, body: bytes) -> None:
    """Add a chunk to a span. A span with several parts is recorded in `due` for a merge.

    Raises: SpanFull: the span's parts must be merged first.
    """
    first = chunk_key(no, span, family)
    table = TABLES[tier.no]
    last = tx.fetch_all(f"SELECT max(place) AS place FROM {table} WHERE place >= ? AND place < ?", first, first + _MOST_PARTS)[0]["place"]  # noqa: S608 - built from constants only
    key = first if last is None else last + 1
    if key == first + _MOST_PARTS:
        raise SpanFull
    tx.execute(f"INSERT INTO {table} VALUES (?, ?, ?)", key, samples, body)  # noqa: S608 - built from constants only
    if last is not None:
        tx.execute(
            "INSERT INTO due VALUES (?, ?, ?, ?, 2, ?) ON CONFLICT DO UPDATE SET parts = parts + 1, since = excluded.since",
            *(tier.no, no, span, family, tx.now),
        )


def replace_parts(tx: Tx, tier: Tier, no: int, span: int, family: int, old: Sequence[int], samples: int, body: bytes) -> bool:
    """Replace these parts with one chunk.

    Returns: False: one of the parts is missing, so the caller must roll back.
    """
    table = TABLES[tier.no]
    for key in old:
        if tx.execute(f"DELETE FROM {table} WHERE place = ?", key) != 1:  # noqa: S608 - built from constants only
            return False
    tx.execute(f"INSERT INTO {table} VALUES (?, ?, ?)", old[0], samples, body)  # noqa: S608 - built from constants only
    first = chunk_key(no, span, family)
    left = tx.fetch_all(f"SELECT count(*) AS n FROM {table} WHERE place >= ? AND place < ?", first, first + _MOST_PARTS)[0]["n"]  # noqa: S608 - built from constants only
    if left > 1:
        tx.execute("UPDATE due SET parts = ? WHERE tier = ? AND node = ? AND span = ? AND family = ?", left, tier.no, no, span, family)
    else:
        tx.execute("DELETE FROM due WHERE tier = ? AND node = ? AND span = ? AND family = ?", tier.no, no, span, family)
    return True


def remove(tx: Tx, tier: Tier, no: int, first: int | None, end: int | None, most: int) -> int:
    """Remove at most `most` chunks of a node in the spans [first, end); None: without that bound. Returns the number of removed chunks."""
    table = TABLES[tier.no]
    low = chunk_key(no, 0 if first is None else min(first, _MOST_SPANS - 1))
    high = chunk_key(no + 1, 0) if end is None else chunk_key(no, 0) + (max(0, min(end, _MOST_SPANS)) << _SPAN_SHIFT)
    sql = f"DELETE FROM {table} WHERE place IN (SELECT place FROM {table} WHERE place >= ? AND place < ? ORDER BY place LIMIT ?)"  # noqa: S608 - built from constants only
    return tx.execute(sql, low, high, most)
