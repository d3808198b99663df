"""Transactions as commands see them, and the check of values for the database."""

from __future__ import annotations

import contextlib
import math
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

from groundcontrol.adapters.sqlite.engine.organisation import Acting
from groundcontrol.core.bus import BusEvent
from groundcontrol.core.errors import BadRequest

Value = str | bytes | int | float | None


class Row(Protocol):
    """One row of a result, by the names of its columns. Its values are iterated in the order of the columns."""

    def __getitem__(self, column: str, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def keys(self) -> Iterable[str]: ...


_INT_LIMIT: Final = 1 << 63
_NOT_UTF8: Final = "Could not decode to UTF-8"
_QUERIES: Final = ("SELECT ", "WITH ")
"""First words of statements that change nothing, and may be run twice."""
_BAD_TEXT: Final = re.compile("[\0\ud800-\udfff]")


def check_text(text: str) -> str:
    """Check that the database can store a text.

    Raises: BadRequest: the text contains NUL or a lone surrogate.
    """
    bad = _BAD_TEXT.search(text)
    if bad is not None:
        raise BadRequest(f"a text contains the character U+{ord(bad.group()):04X}, which cannot be stored")
    return text


def _check(values: Sequence[Value]) -> Sequence[Value]:
    """Check values for the database. Booleans become 0 and 1, since other databases do not store them in a column of numbers."""
    for value in values:
        if isinstance(value, bool):
            return _check([int(each) if isinstance(each, bool) else each for each in values])
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
    """Read access inside one transaction. A parameter with a text that `check_text` refuses, or with a number that is not finite or does not
    fit 64 bits, raises BadRequest."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def fetch_all(self, sql: str, *values: Value) -> list[Row]:
        """Every row of the result. In a query, a damaged text (not UTF-8) shows each bad byte as in `\\xe3`."""
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

    def fetch_one(self, sql: str, *values: Value) -> Row | None:
        """The first row of the result; None: there is none."""
        rows = self.fetch_all(sql, *values)
        return rows[0] if rows else None


class Tx(Rows):
    """One command's part of a transaction. The part is committed as a whole or not at all."""

    def __init__(self, db: sqlite3.Connection, now: float, acting: Acting | None = None) -> None:
        """`acting`: None: the connection acts for the hub as a whole."""
        super().__init__(db)
        self._acting = acting or Acting()
        self.now = now
        """Unix seconds by the store's clock."""
        self.published: list[BusEvent] = []
        self.shredding = False
        """A command sets this after it removed secrets. The write-ahead log is then checkpointed and truncated, so that no copy stays."""

    @contextlib.contextmanager
    def for_the_hub(self) -> Iterator[None]:
        """Let the statements within act for the hub as a whole. Only the audit log uses it, to begin its chains."""
        before, self._acting.org = self._acting.org, None
        try:
            yield
        finally:
            self._acting.org = before

    def publish(self, message: BusEvent) -> None:
        """Publish a message after the commit. Without a commit it is dropped."""
        self.published.append(message)

    def execute(self, sql: str, *values: Value) -> int:
        """Run a statement that changes rows.

        Returns: the number of changed rows.
        """
        return self._db.execute(sql, _check(values)).rowcount

    def execute_many(self, sql: str, values: Iterable[Sequence[Value]]) -> int:
        """Run a statement once for each set of values, which are not checked: the caller checks texts first.

        Returns: the total number of changed rows.
        """
        return max(0, self._db.executemany(sql, values).rowcount)
