"""The interface of a table reader."""

from typing import List, NamedTuple, Optional, Protocol, Tuple

from spider.wire.report_messages import Cell


class Reading(NamedTuple):
    """The result of a reader."""

    rows: List[Tuple[Cell, ...]]
    """The most important rows first, since a table has a limit. Their cells are in the order of the catalogue's columns."""
    total: int
    """The true number of rows, also of those that are not in `rows`."""
    taken_at_ms: Optional[int] = None
    """When the host was asked, in Unix milliseconds; None: by this very call. What is told later must not look newer than a job meanwhile."""


class TableReader(Protocol):
    """Reads one subject of `wire/tables.py`. It may block on a disk or a bus, so it runs outside the event loop, one call at a time."""

    subject: str

    def read(self, now: float) -> Optional[Reading]:
        """Read the host.

        Args:    now: monotonic seconds, for rates.
        Returns: None: this host has no such data.
        Raises:  OSError, ValueError: the table could not be read this time.
        """
        ...
