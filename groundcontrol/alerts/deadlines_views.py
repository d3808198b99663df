"""Bodies and answers of maintenance windows and expectations."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.alerts.wall_clock import Day
from groundcontrol.web.answer import Answer, Body


class SelectBody(Body):
    """The nodes: all, those with one of the tags, and those named. An empty selection is refused."""

    all: bool = False
    tags: list[str] = msgspec.field(default_factory=list)
    nodes: list[str] = msgspec.field(default_factory=list)


class SelectView(Answer):
    all: bool
    tags: list[str]
    nodes: list[str]


class WeeklyBody(Body):
    """From `start` to `end`, such as 22:00 to 02:00, on these days in the window's zone. An end that is not after the start is on the
    next day."""

    days: list[Day]
    start: str
    end: str


class WeeklyView(Answer):
    days: list[Day]
    start: str
    end: str


class MaintenanceBody(Body):
    """A window in which alerts of the selected nodes are shown and not told."""

    select: SelectBody
    from_at: float | None = None
    """Unix seconds; without it now."""
    until_at: float | None = None
    """Required for a single window; a weekly one may have no end."""
    reason: str = ""
    weekly: WeeklyBody | None = None
    zone: str | None = None
    """Of a weekly window, such as Europe/Budapest."""


class MaintenanceView(Answer):
    id: str
    select: SelectView
    from_at: float
    until_at: float | None
    reason: str
    weekly: WeeklyView | None
    zone: str | None
    origin: Literal["user", "job", "deployment"]
    """A job or a deployment opens its own window; then the id is that of the job or the deployment."""
    created_by: str
    created_at: float
    closed_at: float | None
    active: bool
    """Whether it is open now."""
    next_from_at: float | None
    """Of the present or next occurrence; null: it is over."""
    next_until_at: float | None


class MaintenancesView(Answer):
    maintenance: list[MaintenanceView]
