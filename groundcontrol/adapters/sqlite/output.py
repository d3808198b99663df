"""The output of jobs as bytes: pieces in the order of their arrival, addressed by offset."""

from __future__ import annotations

import hashlib
from typing import Final

from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.core.errors import Conflict

PAGE_PIECES: Final = 32
"""The most pieces that one query reads. A piece has at most 32 KiB."""
_OFFSET_BITS: Final = 32
_HASHERS: Final = 4096
"""The most digests in memory, of half a kilobyte each: more than the jobs that can print at the same time. Without a digest in memory, a
job's output is hashed from its start with each piece."""


def append(tx: Tx, job: int, offset: int, data: bytes, at_ms: int | None = None) -> None:
    """Store a piece at the end of the stored output. Args: at_ms: when the node read it, by its clock; None: not known.

    Raises: Conflict: the output is larger than 4 GiB.
    """
    if offset + len(data) >= 1 << _OFFSET_BITS:
        raise Conflict("the output of a job cannot be longer than 4 GiB")
    tx.execute("INSERT INTO job_output (place, body, at_ms) VALUES (?, ?, ?)", job << _OFFSET_BITS | offset, data, at_ms)


def remove(tx: Tx, job: int) -> None:
    """Delete all output of a job."""
    tx.execute("DELETE FROM job_output WHERE place >= ? AND place < ?", job << _OFFSET_BITS, (job + 1) << _OFFSET_BITS)


def pieces(rows: Rows, job: int, offset: int) -> list[tuple[int, bytes]]:
    """A few pieces with their offsets, starting with the piece that contains `offset`; empty at the end."""
    first = job << _OFFSET_BITS
    found = rows.fetch_all(
        "SELECT place, body FROM job_output WHERE place >= coalesce((SELECT max(place) FROM job_output WHERE place BETWEEN ? AND ?), ?)"
        " AND place < ? ORDER BY place LIMIT ?",
        *(first, first + offset, first + offset, (job + 1) << _OFFSET_BITS, PAGE_PIECES),
    )
    whole = [(row["place"] - first, row["body"]) for row in found]
    return [(start, body) for start, body in whole if start + len(body) > offset]


def marks(rows: Rows, job: int, offset: int, most: int) -> list[tuple[int, int]]:
    """(when the node read a piece, its offset), from a byte on. Pieces whose time is not known are left out."""
    first = job << _OFFSET_BITS
    found = rows.fetch_all(
        "SELECT place, at_ms FROM job_output WHERE place >= ? AND place < ? AND at_ms IS NOT NULL ORDER BY place LIMIT ?",
        *(first + offset, (job + 1) << _OFFSET_BITS, most),
    )
    return [(row["at_ms"], row["place"] - first) for row in found]


class Digests:
    """SHA-256 of each job's stored output, updated as the output grows. A digest that does not cover exactly the stored bytes is computed
    again."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[int, hashlib._Hash]] = {}

    def grow(self, tx: Rows, job: int, offset: int, data: bytes) -> None:
        """Add a stored piece. If the transaction is rolled back later, the digest no longer fits the rows, and is computed again."""
        digest = self._at(tx, job, offset).copy()
        digest.update(data)
        self._remember(job, offset + len(data), digest)

    def whole(self, tx: Rows, job: int, end: int) -> str:
        """The digest of all `end` bytes, in hex."""
        return self._at(tx, job, end).hexdigest()

    def _at(self, tx: Rows, job: int, end: int) -> hashlib._Hash:
        hashed, digest = self._running.get(job, (-1, hashlib.sha256()))
        if hashed == end:
            return digest
        digest, position = hashlib.sha256(), 0
        while position < end:
            found = pieces(tx, job, position)
            for _, body in found:
                digest.update(body[: end - position])
                position += len(body)
            if not found:
                raise Conflict("output of a job is missing from the database")
        return digest

    def _remember(self, job: int, end: int, digest: hashlib._Hash) -> None:
        self._running.pop(job, None)
        while len(self._running) >= _HASHERS:
            del self._running[next(iter(self._running))]
        self._running[job] = (end, digest)
