"""Lines of nodes' system logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class LogLine(NamedTuple):
    """One line of limited length; control characters that would act on a terminal or a page are escaped."""

    at_ms: int
    """The time by the node's clock."""
    priority: int
    """0 to 7, as in syslog(3)."""
    source: str
    text: str
    left_out: int = 0
    """The number of lines shortly before this one that the node did not send, because there were too many."""


class LogBatch(NamedTuple):
    """Consecutive lines of a node's journal."""

    after: str
    """The journal cursor just before the first line; empty = the beginning."""
    cursor: str
    """The journal cursor of the last line."""
    lines: Sequence[LogLine]
