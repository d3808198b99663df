"""Views of the lines of nodes' system logs."""

from __future__ import annotations

from groundcontrol.web.answer import Answer


class LogLineView(Answer):
    at: float
    """By the node's clock."""
    priority: int
    """0 (emergency) to 7 (debug), as syslog(3) counts."""
    source: str
    """The unit, else the program."""
    text: str
    left_out: int
    """Lines shortly before this one that were too many to be sent."""


class LogsView(Answer):
    lines: list[LogLineView]
    """None at all where the node's owner does not ask for them."""
    next: str | None
