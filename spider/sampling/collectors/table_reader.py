"""What a reader of a table is, and how texts of the host are made harmless for one."""

import re
from typing import List, NamedTuple, Optional, Protocol, Tuple, Union

from spider.wire.frames import Cell
from spider.wire.text import UNSEEN_CHAR


class Reading(NamedTuple):
    """What a reader found."""

    rows: List[Tuple[Cell, ...]]
    """In the order of the catalogue's columns; the most important ones first, since a table has an end."""
    total: int
    """How many rows there really are."""


class TableReader(Protocol):
    """Reads one subject of `wire/tables.py`. It may wait for a disk or a bus: it runs beside the loop, one call at a time."""

    subject: str

    def read(self, now: float) -> Optional[Reading]:
        """Look at the host.

        Args:    now: monotonic seconds, for rates.
        Returns: None: this host has nothing of the kind.
        Raises:  OSError, ValueError: it could not be read this time.
        """
        ...


def plain(raw: Union[bytes, str], most: int = 200) -> str:
    """Text of the host as one line that cannot do harm: what is no UTF-8, moves a cursor, is unseen or turns round is written as an escape."""
    text = raw[: most * 4].decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw[: most * 4]
    text = UNSEEN_CHAR.sub(_escape, text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _escape(match: "re.Match[str]") -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
