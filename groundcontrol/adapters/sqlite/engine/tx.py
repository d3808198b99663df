"""What a command sees of its transaction, and which values may go in."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from groundcontrol.core.errors import BadRequest

Value = str | bytes | int | float | None

_INT_LIMIT: Final = 1 << 63
_NOT_UTF8: Final = "Could not decode to UTF-8"
_QUERIES: Final = ("SELECT ", "WITH ")
"""What may be asked twice."""
_BAD_TEXT: Final = re.compile("[\0\ud800-\udfff]")


def check_text(text: str) -> str:
    """Let a text pass that every database can hold.

    Raises: BadRequest: NUL or a lone surrogate is in it.
    """
    bad = _BAD_TEXT.search(text)
    if bad is not None:
        raise BadRequest(f"a text contains the character U+{ord(bad.group()):04X}, which cannot be stored")
    return text


def _check(values: Sequence[Value]) -> Sequence[Value]:
    for value in values:
        if isinstance(value, str):
            check_text(value)
        elif isinstance(value, int):
            if not -_INT_LIMIT <= value < _INT_LIMIT:
                raise BadRequest("a number is too large to be stored")
        elif isinstance(value, float) and not math.isfinite(value):
            raise BadRequest("a number is not finite")
    return values


def _read_text(text: bytes) -> str:
    return text.decode(errors="backslashreplace")


class Rows:
    """Reading inside one transaction. Values are checked as `check_text` and finite 64-bit numbers demand."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def all(self, sql: str, *values: Value) -> list[sqlite3.Row]:
        """Every row of the answer. A text that is not UTF-8, which only damage makes, has its bad bytes written out, as `\\xe3`."""
        try:
            return self._db.execute(sql, _check(values)).fetchall()
        except sqlite3.OperationalError as exc:
            if not str(exc).startswith(_NOT_UTF8) or not sql.startswith(_QUERIES):
                raise
        before, self._db.text_factory = self._db.text_factory, _read_text
        try:
            return self._db.execute(sql, values).fetchall()
        finally:
            self._db.text_factory = before

    def one(self, sql: str, *values: Value) -> sqlite3.Row | None:
        """The first row of the answer, or None."""
        rows = self.all(sql, *values)
        return rows[0] if rows else None


class Tx(Rows):
    """One command's share of a transaction: all of it is kept or none."""

    def __init__(self, db: sqlite3.Connection, now: float) -> None:
        super().__init__(db)
        self.now = now
        """Unix seconds by the store's clock."""
        self.shredding = False
        """Set by a command that removed secrets: the log is folded into the file and cut, so that no copy stays."""

    def do(self, sql: str, *values: Value) -> int:
        """Run a statement that changes rows.

        Returns: how many rows it changed.
        """
        return self._db.execute(sql, _check(values)).rowcount

    def do_many(self, sql: str, values: Iterable[Sequence[Value]]) -> int:
        """Run a statement once for each set of numbers and bytes; texts among them must be checked before.

        Returns: how many rows it changed in all.
        """
        return max(0, self._db.executemany(sql, values).rowcount)
