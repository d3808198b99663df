"""Cursors of paginated lists. A cursor is opaque to clients and bound to its list and organisation."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from groundcontrol.adapters.sqlite.engine.tx import Row
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.paging import Page
from spider.wire.ids import to_text

LIMIT: Final = 1000
BEHIND_ALL: Final = (1 << 63) - 1
"""A number above that of every row. A list without a cursor starts below it, so the newest row comes first."""
_WIDEST: Final = 9
"""Bytes of the largest number in MessagePack."""
T = TypeVar("T")
_Key = tuple[str, int, list[str | int | float]]
_decode: Final[msgspec.msgpack.Decoder[_Key]] = msgspec.msgpack.Decoder(_Key)


def make_cursor(kind: str, org: int, *key: str | int | float) -> str:
    """Encode the sort key of the last row of a page as the cursor of the next page.

    Its length does not depend on numbers in the key: numbers of rows count what all organisations have stored.
    """
    written = msgspec.msgpack.encode((kind, org, key))
    widest = len(written) + sum(_WIDEST - len(msgspec.msgpack.encode(part)) for part in key if isinstance(part, int))
    return base64.urlsafe_b64encode(written).decode().rstrip("=").ljust(-(-4 * widest // 3), "=")


def read_cursor(text: str, kind: str, org: int, *types: type) -> list[str | int | float]:
    """Decode a cursor that `make_cursor` wrote for this list.

    Args:   types: the types of the parts of the key.
    Raises: BadRequest: the cursor belongs to another list, or was altered.
    """
    text = text.rstrip("=")
    try:
        found, owner, key = _decode.decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise BadRequest("the cursor does not belong to this list", field="cursor") from None
    if (found, owner) != (kind, org) or [type(part) for part in key] != list(types):
        raise BadRequest("the cursor does not belong to this list", field="cursor")
    return key


def check_limit(limit: int) -> int:
    """The page size, at most `LIMIT`.

    Raises: BadRequest: it is less than 1.
    """
    if limit < 1:
        raise BadRequest("the limit must be at least 1", field="limit")
    return min(limit, LIMIT)


class Place(NamedTuple):
    """Where a page begins in a list that one column sorts."""

    kind: str
    org: int
    size: int
    start: Any
    """The value of the column behind which the page begins."""

    @property
    def most(self) -> int:
        """How many rows to read: one more than the page has, which shows whether there is a next one."""
        return self.size + 1

    def page(self, found: Sequence[Row], read: Callable[[Row], T | None], column: str = "no") -> Page[T]:
        """The page of these rows. A row that `read` answers with None is left out."""
        items = [item for row in found[: self.size] if (item := read(row)) is not None]
        return Page(items, make_cursor(self.kind, self.org, found[self.size - 1][column]) if len(found) > self.size else None)


def place(kind: str, org: int, limit: int, cursor: str | None, first: str | int = BEHIND_ALL) -> Place:
    """Where the page begins that a caller asks for. Args: first: the start of a list without a cursor.

    Raises: BadRequest: the limit is less than 1, or the cursor belongs to another list.
    """
    return Place(kind, org, check_limit(limit), first if cursor is None else read_cursor(cursor, kind, org, type(first))[0])


def first_id(at: float) -> str:
    """The lowest time-ordered id of this time (Unix seconds)."""
    return to_text(min(max(0, int(at * 1000)), (1 << 48) - 1).to_bytes(6, "big") + bytes(10))


def old_rows_sql(table: str) -> str:
    """The start of a query for the rows of all organisations with an id below its first parameter (made by `first_id`). The query gives the
    table the alias `old`, and selects `old.no`. It ends within its WHERE."""
    return (
        f"WITH RECURSIVE orgs(org) AS (SELECT min(org) FROM {table}"  # noqa: S608 - built from constants only
        f" UNION ALL SELECT (SELECT min(org) FROM {table} WHERE org > orgs.org) FROM orgs WHERE orgs.org IS NOT NULL)"
        f" SELECT old.no FROM orgs CROSS JOIN {table} AS old WHERE old.org = orgs.org AND old.id < ?"
    )
