"""Lines of nodes' system logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class LogLine(NamedTuple):
    """One line, capped; what would act on a terminal or a page is written out."""

    at_ms: int
    """By the node's clock."""
    priority: int
    """0 to 7, as syslog(3) counts."""
    source: str
    text: str
    left_out: int = 0
    """Lines shortly before this one that were too many to be sent."""


class LogBatch(NamedTuple):
    """Lines that follow on each other in the journal of a node."""

    after: str
    """The journal's cursor behind which the first one stands; empty = the beginning."""
    cursor: str
    """That of the last one."""
    lines: Sequence[LogLine]
