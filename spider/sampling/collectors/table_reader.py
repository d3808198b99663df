"""The interface of a table reader, and the escaping of texts from the host."""

import re
from typing import List, NamedTuple, Optional, Protocol, Tuple, Union

from spider.wire.frames import Cell
from spider.wire.text import UNSEEN_CHAR


class Reading(NamedTuple):
    """The result of a reader."""

    rows: List[Tuple[Cell, ...]]
    """Rows in the order of the catalogue's columns; the most important ones first, since a table has a limit."""
    total: int
    """The true number of rows."""


class TableReader(Protocol):
    """Reads one subject of `wire/tables.py`. It may block on a disk or a bus, so it runs outside the event loop, one call at a time."""

    subject: str

    def read(self, now: float) -> Optional[Reading]:
        """Read the host.

        Args:    now: monotonic seconds, for rates.
        Returns: None: this host has no such data.
        Raises:  OSError, ValueError: it could not be read this time.
        """
        ...


def plain(raw: Union[bytes, str], most: int = 200) -> str:
    """A text of the host as one harmless line: invalid UTF-8, control, invisible and bidirectional characters are escaped."""
    text = raw[: most * 4].decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw[: most * 4]
    text = UNSEEN_CHAR.sub(_escape, text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _escape(match: "re.Match[str]") -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
