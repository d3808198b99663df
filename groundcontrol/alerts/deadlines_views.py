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
    """From `start` to `end`, such as 22:00 to 02:00, on these days in the window's zone. An end before the start is on the next day. It is
    open for at most half of a week."""

    days: list[Day]
    start: str
    end: str


class WeeklyView(Answer):
    days: list[Day]
    start: str
    end: str


class MaintenanceBody(Body):
    """A window in which alerts of the selected nodes are shown and not sent."""

    select: SelectBody
    from_at: float | None = None
    """Unix seconds; without it now."""
    until_at: float | None = None
    """Required for a single window: at most 90 days after its start, 7 days for every server. Of a weekly one at most 366 days, which it has
    without it. A window of an API token is a single one, ends within 24 hours, and names tags or nodes."""
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


class ExpectationBody(Body):
    """An event that is expected of each selected node on each of the days."""

    name: str
    select: SelectBody
    event: str
    """A type of event, such as `backup_completed`, or the name of a custom event."""
    by: str
    """A local time of day, such as 05:00."""
    zone: str
    """Such as Europe/Budapest."""
    start: str = msgspec.field(name="from", default="00:00")
    """An event before this time does not count; if it is not before `by`, it is a time of the day before."""
    days: list[Day] | None = None
    """Without it every day."""
    grace_s: float = 900.0
    severity: Literal["warning", "critical"] = "critical"


class ExpectationPatch(Body):
    """What is left out stays."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    select: SelectBody | msgspec.UnsetType = msgspec.UNSET
    event: str | msgspec.UnsetType = msgspec.UNSET
    by: str | msgspec.UnsetType = msgspec.UNSET
    zone: str | msgspec.UnsetType = msgspec.UNSET
    start: str | msgspec.UnsetType = msgspec.field(name="from", default=msgspec.UNSET)
    days: list[Day] | msgspec.UnsetType = msgspec.UNSET
    grace_s: float | msgspec.UnsetType = msgspec.UNSET
    severity: Literal["warning", "critical"] | msgspec.UnsetType = msgspec.UNSET


class ExpectationView(Answer):
    id: str
    name: str
    select: SelectView
    event: str
    start: str = msgspec.field(name="from")
    by: str
    zone: str
    days: list[Day]
    grace_s: float
    severity: Literal["warning", "critical"]


class ExpectationsView(Answer):
    expectations: list[ExpectationView]


class NodeDayView(Answer):
    node_id: str
    state: Literal["met", "missed", "arrived_late", "late", "not_judged"]
    """arrived_late: made in time, and reported after it was due. late: made after it was due."""
    at: float | None
    """When it happened, in Unix seconds."""
    received_at: float | None
    late_s: float | None
    """How long after `by`."""


class DayView(Answer):
    """One deadline: how many nodes met it, and fifty that did not, those that missed it first."""

    date: str
    start_at: float
    by_at: float
    due_at: float
    met: int
    arrived_late: int
    late: int
    missed: int
    not_judged: int
    """The node, or the expectation in its present form, is younger than the window."""
    nodes: list[NodeDayView]


class DaysView(Answer):
    days: list[DayView]
