"""Bodies and answers of maintenance windows and expectations."""

from __future__ import annotations

from typing import Literal

import msgspec

from groundcontrol.schedules.wall_clock import Day
from groundcontrol.web.answer import Answer, Body


class SelectBody(Body):
    """Selects all nodes, or nodes by tags and ids. A node needs one of the tags. An empty selection is refused."""

    all: bool = False
    tags: list[str] = msgspec.field(default_factory=list)
    nodes: list[str] = msgspec.field(default_factory=list)


class SelectView(Answer):
    all: bool
    tags: list[str]
    nodes: list[str]


class WeeklyBody(Body):
    """From `start` to `end` on these days, such as 22:00 to 02:00, in the zone of the window.

    An end before the start is on the next day. All occurrences of a week together last at most 84 hours.
    """

    days: list[Day]
    start: str
    end: str


class WeeklyView(Answer):
    days: list[Day]
    start: str
    end: str


class MaintenanceBody(Body):
    """A window in which alerts of the selected nodes are shown but not sent."""

    select: SelectBody
    from_at: float | None = None
    """Unix seconds; null: now."""
    until_at: float | None = None
    """Unix seconds, required for a single window: at most 90 days after its start, or 7 days if it selects all nodes.

    A weekly window ends at most 366 days after its start, which is also the default. An API token may only open single windows that end
    within 24 hours, for tags or nodes.
    """
    reason: str = ""
    weekly: WeeklyBody | None = None
    zone: str | None = None
    """The time zone of a weekly window, such as Europe/Budapest."""


class MaintenanceView(Answer):
    id: str
    select: SelectView
    from_at: float
    until_at: float | None
    reason: str
    weekly: WeeklyView | None
    zone: str | None
    origin: Literal["user", "job", "deployment"]
    """A job or deployment opens its own window, with the id of the job or deployment."""
    created_by: str
    created_at: float
    closed_at: float | None
    active: bool
    """Whether the window is open now."""
    next_from_at: float | None
    """The start of the present or next occurrence; null: the window is over."""
    next_until_at: float | None


class MaintenancesView(Answer):
    maintenance: list[MaintenanceView]


class ExpectationBody(Body):
    """An event that each selected node should report on each of the days."""

    name: str
    select: SelectBody
    event: str
    """A type of event, such as `backup_completed`, or the name of a custom event."""
    by: str
    """A local time of day, such as 05:00."""
    zone: str
    """The time zone, such as Europe/Budapest."""
    start: str = msgspec.field(name="from", default="00:00")
    """An event before this time of day does not count. If `from` is not before `by`, `from` is on the previous day."""
    days: list[Day] | None = None
    """Null: every day."""
    grace_s: float = 900.0
    severity: Literal["warning", "critical"] = "critical"


class ExpectationPatch(Body):
    """Fields that are left out stay as they are."""

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
    """arrived_late: the event happened in time and was reported late. late: the event happened after the deadline and its grace."""
    at: float | None
    """When the event happened, in Unix seconds."""
    received_at: float | None
    late_s: float | None
    """How many seconds after `by` the event happened."""


class DayView(Answer):
    """One deadline: the number of nodes in each state, and up to 50 nodes that did not meet it."""

    date: str
    start_at: float
    by_at: float
    due_at: float
    met: int
    arrived_late: int
    late: int
    missed: int
    not_judged: int
    """Nodes that were added, or for which the expectation was changed, after the window began."""
    nodes: list[NodeDayView]


class DaysView(Answer):
    days: list[DayView]
