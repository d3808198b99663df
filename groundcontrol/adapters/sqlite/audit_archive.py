"""The archive of the audit log: old rows of a chain, packed in the same database.

So a move is one transaction, every backup has the archive, and nothing can separate it from its chain. The first and the last row of a chain
are never packed: the first one records the ends of earlier chains, and a later chain records the last one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from groundcontrol.adapters.sqlite.engine.tx import Row, Rows, Tx
from groundcontrol.core.errors import StoreDamaged

PAGE_ROWS: Final = 1000
PACK_ROWS: Final = 2000
PACK_BYTES: Final = 4 << 20
"""About the most bytes of the rows of a pack."""
MOST_BODY_BYTES: Final = 256 << 20


class StoredRow(NamedTuple):
    """A row of the audit log, in the order of its columns."""

    chain: str
    n: int
    org: int
    at: float
    actor_id: str
    actor: str
    address: str
    action: str
    target: str
    result: str
    detail: str
    """JSON."""
    prev: bytes
    hash: bytes


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[tuple[int, int, float, str, str, str, str, str, str, str, bytes]])
"""Rows as they are packed: without chain and `prev`, which follow from the pack and the row before."""


def page(rows: Rows, chain: str, n: int, *, archive: bool) -> list[StoredRow]:
    """Rows of a chain from number `n` on, in their order: those of one pack, or some of the table. Empty: there are no more.

    Args:   archive: False: the database is of a schema without archive, which only a command reads.
    Raises: StoreDamaged: a pack cannot be read.
    """
    pack = (
        rows.fetch_one("SELECT * FROM audit_pack WHERE chain = ? AND last_n >= ? ORDER BY first_n LIMIT 1", chain, n) if archive else None
    )
    if pack is not None and pack["first_n"] <= n:
        return [row for row in _unpack(pack) if row.n >= n]
    until = pack["first_n"] if pack is not None else 1 << 62
    found = rows.fetch_all("SELECT * FROM audit WHERE chain = ? AND n >= ? AND n < ? ORDER BY n LIMIT ?", chain, n, until, PAGE_ROWS)
    if found or pack is None:
        return [StoredRow(*row) for row in found]
    return list(_unpack(pack))


def _unpack(pack: Row) -> Iterator[StoredRow]:
    try:
        packed = _decoder.decode(zlib.decompressobj().decompress(pack["body"], MOST_BODY_BYTES))
        if (packed[0][0], packed[-1][0]) != (pack["first_n"], pack["last_n"]):
            raise ValueError("other rows than its numbers say")
    except (zlib.error, ValueError, IndexError, TypeError) as exc:  # msgspec's errors are values
        raise StoreDamaged(f"the archive of the audit log cannot be read: chain {pack['chain']} from row {pack['first_n']}") from exc
    prev: bytes = pack["prev"]
    for row in packed:
        yield StoredRow(pack["chain"], *row[:-1], prev, row[-1])
        prev = row[-1]


def rows_numbered(rows: Rows, n: int, chain: str) -> list[StoredRow]:
    """The archived rows with this number. Args: chain: empty: of any chain."""
    found = rows.fetch_all(
        "SELECT * FROM audit_pack WHERE first_n <= ? AND last_n >= ? AND chain = coalesce(nullif(?, ''), chain)", n, n, chain
    )
    return [row for pack in found for row in _unpack(pack) if row.n == n]


def misplaced(rows: Rows) -> str | None:
    """What the hub never leaves in an archive, as text: a row that is in the table too, or a chain that is in the archive alone."""
    twice = rows.fetch_one(
        "SELECT a.chain, a.n FROM audit_pack p JOIN audit a ON a.chain = p.chain AND a.n >= p.first_n AND a.n <= p.last_n LIMIT 1"
    )
    if twice is not None:
        return f"chain {twice['chain']}: row {twice['n']} is in the archive, and in the table too"
    lone = rows.fetch_one("SELECT chain FROM audit_pack WHERE chain NOT IN (SELECT chain FROM audit) LIMIT 1")
    return None if lone is None else f"chain {lone['chain']}: row 0 is missing"


class Portion(NamedTuple):
    """Rows of a chain that one transaction packs."""

    chain: str
    first_n: int
    last_n: int


def next_portion(rows: Rows, before: float, most_rows: int) -> Portion | None:
    """The oldest rows to pack: those from before a time (Unix seconds), and those that are too many for the table. None: there are none."""
    surplus = rows.fetch_all("SELECT count(*) AS n FROM audit")[0]["n"] - most_rows
    chain = ""
    while (following := rows.fetch_one("SELECT chain FROM audit WHERE chain > ? ORDER BY chain LIMIT 1", chain)) is not None:
        chain = following["chain"]
        found = rows.fetch_all(
            "SELECT n, at, length(detail) AS size FROM audit WHERE chain = ? AND n > 0 AND n < (SELECT max(n) FROM audit WHERE chain = ?)"
            " ORDER BY n LIMIT ?",
            *(chain, chain, PACK_ROWS),
        )
        chosen: list[Row] = []
        size = 0
        for row in found:
            if (row["at"] >= before and len(chosen) >= surplus) or size > PACK_BYTES or (chosen and row["n"] != chosen[-1]["n"] + 1):
                break
            chosen.append(row)
            size += row["size"]
        if chosen:
            return Portion(chain, chosen[0]["n"], chosen[-1]["n"])
    return None


def pack(tx: Tx, portion: Portion) -> int:
    """Move the rows of a portion into a pack. Returns: how many; 0: they are not in the table any more."""
    place = (portion.chain, portion.first_n, portion.last_n)
    found = [StoredRow(*row) for row in tx.fetch_all("SELECT * FROM audit WHERE chain = ? AND n >= ? AND n <= ? ORDER BY n", *place)]
    if [row.n for row in found] != list(range(portion.first_n, portion.last_n + 1)):
        return 0
    body = zlib.compress(_encoder.encode([(*row[1:11], row.hash) for row in found]), 6)
    tx.execute("INSERT INTO audit_pack VALUES (?, ?, ?, ?, ?)", *place, found[0].prev, body)
    return tx.execute("DELETE FROM audit WHERE chain = ? AND n >= ? AND n <= ?", *place)


class ArchiveSize(NamedTuple):
    """The size of the audit log."""

    rows: int
    """In the table."""
    archived_rows: int
    archived_bytes: int


def size(rows: Rows, *, archive: bool) -> ArchiveSize:
    """The size of the audit log. Args: archive: as in `page`."""
    table = rows.fetch_all("SELECT count(*) AS n FROM audit")[0]["n"]
    if not archive:
        return ArchiveSize(table, 0, 0)
    found = rows.fetch_all("SELECT coalesce(sum(last_n - first_n + 1), 0) AS n, coalesce(sum(length(body)), 0) AS size FROM audit_pack")[0]
    return ArchiveSize(table, found["n"], found["size"])
