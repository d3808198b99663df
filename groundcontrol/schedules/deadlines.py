"""Expectations: events that should happen by a time, such as a backup on each working day by 05:00. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple, NewType

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.records import Record
from groundcontrol.schedules.model import Level, Selector
from groundcontrol.schedules.wall_clock import DAYS, Day, date_exists, instant, local_date, time_of, zone_of

ExpectationId = NewType("ExpectationId", str)

AWAY_S: Final = 3600.0
"""How long the hub waits for the report of a node that is away when its deadline is due."""
LOOK_BACK_DAYS: Final = 3
"""How many past dates are judged, also after the hub was away."""
LATE_DAYS: Final = 7
"""For how many days after a missed deadline a late report still counts."""
_OUTCOME: Final = re.compile(r"_(?:completed|succeeded|deployed|applied|tested|ok)\Z")


class Expectation(NamedTuple):
    """An event that each selected node should report on each of the days by a time of day."""

    id: ExpectationId
    org: int
    name: str
    """Such as `Nightly backup`; unique in the organisation."""
    select: Selector
    event: str
    """The type of the event, or the name of a custom event."""
    by: str
    zone: str
    days: tuple[Day, ...]
    start: str = "00:00"
    """An event before this time does not count. If `start` is not before `by`, it is a time of the day before."""
    grace_s: float = 900.0
    level: Level = "critical"
    valid_from: float = 0.0
    """When the times were last changed, in Unix seconds. A deadline whose window began before is not judged."""
    version: int = 1


EXPECTATIONS: Final = Record(
    model=Expectation,
    table="expectation",
    noun="expectation",
    edited=("name", "select", "event", "start", "by", "zone", "days", "grace_s", "level", "valid_from"),
    audited={name: name for name in ("name", "select", "event", "start", "by", "zone", "days", "grace_s", "level")},
    columns={"select": "selector", "start": "start_time", "by": "by_time"},
    unique="name",
    order="name",
    most=100,  # since each expectation is checked every minute
)


class Deadline(NamedTuple):
    """The window of one date, in Unix seconds."""

    date: date
    """The date of `by` in the expectation's zone."""
    start_at: float
    by_at: float
    due_at: float
    """`by_at` plus the grace."""


DayState = Literal["met", "missed", "arrived_late", "late", "not_judged"]
"""`arrived_late`: the event happened in time and was reported after `due_at`. `late`: the event happened after `due_at`."""


class Report(NamedTuple):
    """An event that meets an expectation."""

    event_id: EventId
    at: float
    """When it happened, in Unix seconds."""
    received_at: float


class JudgedDay(NamedTuple):
    """The judgement of one deadline of one node. (org, expectation, node, date) is unique."""

    expectation: ExpectationId
    node: NodeId
    date: date
    state: DayState
    by_at: float
    due_at: float
    judged_at: float
    report: Report | None = None


class DeadlineNode(NamedTuple):
    """The facts about a node that a judgement needs."""

    id: NodeId
    tags: tuple[str, ...]
    since_at: float
    """When the node was added, in Unix seconds."""
    name: str = ""


class Unmet(NamedTuple):
    """A missed deadline that is still open."""

    level: Level
    by_at: float
    event: str
    zone: str


def deadline(expectation: Expectation, day: date) -> Deadline | None:
    """The deadline of a date; None: the weekday is not among the days, or the zone skipped the date.

    If a change of the clocks repeats a time, the first occurrence of `start` counts, and the second one of `by`. If it skips a time, the
    first instant after the gap counts.

    Raises: BadRequest: the zone is not known (any more).
    """
    zone = zone_of(expectation.zone)
    if DAYS[day.weekday()] not in expectation.days or not date_exists(zone, day):
        return None
    start, by = time_of(expectation.start, "from"), time_of(expectation.by, "by")
    first = day if start < by else day - timedelta(days=1)
    by_at = instant(zone, day, by, second=True)
    return Deadline(day, instant(zone, first, start), by_at, by_at + expectation.grace_s)


def next_deadline(expectation: Expectation, after: date) -> Deadline | None:
    """The first deadline after a date; None: there is none within two weeks. Raises: as `deadline`."""
    days = (deadline(expectation, after + timedelta(days=ahead)) for ahead in range(1, 15))
    return next((found for found in days if found is not None), None)


def deadlines_due(expectation: Expectation, now: float, days: int = LOOK_BACK_DAYS) -> list[Deadline]:
    """The due deadlines of today and the `days` dates before, oldest first.

    Raises: BadRequest: the zone is not known (any more).
    """
    today = local_date(zone_of(expectation.zone), now)
    found = (deadline(expectation, today - timedelta(days=back)) for back in range(days, -1, -1))
    return [one for one in found if one is not None and one.due_at <= now]


def judge(
    expectation: Expectation, day: Deadline, node: DeadlineNode, report: Report | None, now: float, *, away: bool
) -> JudgedDay | None:
    """The first judgement of a deadline.

    Args:    report: the earliest event in the window, grace included; None: there is none.
             away: whether the node is not connected. Then a report may still come.
    Returns: None: it is too early to judge.
    """
    made = JudgedDay(expectation.id, node.id, day.date, "met", day.by_at, day.due_at, now, report)
    if max(node.since_at, expectation.valid_from) > day.start_at:
        return made._replace(state="not_judged", report=None)
    if report is not None:
        return made
    if now < day.due_at or (away and now < day.due_at + AWAY_S):
        return None
    return made._replace(state="missed")


def judge_again(missed: JudgedDay, report: Report | None, next_start_at: float | None, now: float) -> JudgedDay | None:
    """The new judgement of a missed deadline by a late report; None: it stays missed.

    Args: report: the earliest event of the node since the beginning of the window. next_start_at: when the next window begins. An event
              from then on does not count for this deadline. None: there is no next window.
    """
    if report is None:
        return None
    if report.at <= missed.due_at:
        return missed._replace(state="arrived_late", report=report, judged_at=now)
    if next_start_at is None or report.at < next_start_at:
        return missed._replace(state="late", report=report, judged_at=now)
    return None


def missed_type(expectation: Expectation) -> str:
    """The type of the event of a missed deadline, such as `expected_backup_missed` for `backup_completed`."""
    return f"expected_{_OUTCOME.sub('', expectation.event) or expectation.event}_missed"


def usable(expectations: Sequence[Expectation]) -> list[Expectation]:
    """The expectations whose time zone this machine has. An unknown zone must not stop the check of the other expectations."""
    found = []
    for one in expectations:
        try:
            zone_of(one.zone)
        except BadRequest:
            continue
        found.append(one)
    return found
