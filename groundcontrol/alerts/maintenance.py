"""Maintenance windows: when alerts of some nodes are evaluated and shown, but not sent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

from groundcontrol.alerts.model import MaintenanceId, Selector
from groundcontrol.alerts.wall_clock import DAYS, Day, local_date, span, time_of, zone_of
from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from spider.wire.verbs import CATALOGUE, REBOOT

COVERED: Final = frozenset({*(verb.name for verb in CATALOGUE if verb.planned), "repair", REBOOT})
"""Verbs whose jobs open a window: they may restart services or the server."""
Origin = Literal["user", "job", "deployment"]

JOB_LIMIT_S: Final = 2 * 3600.0
"""How long a job or a deployment may take before its window counts as overrun."""
OVERRUN_S: Final = 900.0
"""An automatic window is open at most this long after its work ended, and after the limit of work that does not end."""
HEALTHY_S: Final = 120.0
"""How long a node must be healthy after the work before its window closes."""
MOST_WINDOWS: Final = 200
"""Windows of users of one organisation that are not over."""


class Weekly(NamedTuple):
    """From `start` to `end` on these days, in the zone of the window. An end that is not after the start is on the next day."""

    days: tuple[Day, ...]
    start: str
    end: str


def open_s(weekly: Weekly) -> float:
    """For how long a weekly window is open in a week, in seconds."""
    day = date(2000, 1, 1)
    start, end = (datetime.combine(day, time_of(text, "weekly")) for text in (weekly.start, weekly.end))
    return len(weekly.days) * ((end - start).total_seconds() % 86_400)


class Window(NamedTuple):
    """A maintenance window. One of a job or a deployment has the same id as that."""

    id: MaintenanceId
    org: int
    select: Selector
    from_at: float
    """Of a weekly window: there is no occurrence before."""
    until_at: float | None
    """Of a weekly window: there is no occurrence after. Of an automatic one: the latest end. None: an old weekly window without an end."""
    reason: str
    origin: Origin
    created_by: str
    created_at: float
    weekly: Weekly | None = None
    zone: str = ""
    """Of a weekly window, such as Europe/Budapest."""
    closed_at: float | None = None
    """When it was ended or deleted."""


class Quiet(NamedTuple):
    """A window that is open for a node."""

    id: MaintenanceId
    until_at: float


def occurrence(window: Window, now: float) -> tuple[float, float] | None:
    """The present or next occurrence as (from, until) in Unix seconds; None: it is over.

    An occurrence across a change of the clocks begins and ends at the named local times: it may be an hour longer or shorter.
    """
    if window.closed_at is not None:
        return None
    if window.weekly is None:
        until = window.until_at
        return (window.from_at, until) if until is not None and now < until else None
    try:
        zone = zone_of(window.zone)
    except BadRequest:  # the zone was known when the window was made; without the window, alerts are sent
        return None
    start, end = time_of(window.weekly.start, "start"), time_of(window.weekly.end, "end")
    first = local_date(zone, max(now, window.from_at)) - timedelta(days=1)
    for ahead in range(len(DAYS) + 2):
        day = first + timedelta(days=ahead)
        if DAYS[day.weekday()] not in window.weekly.days:
            continue
        from_at, until_at = span(zone, day, start, end)
        from_at, until_at = max(from_at, window.from_at), min(until_at, window.until_at or until_at)
        if from_at < until_at and now < until_at:
            return from_at, until_at
    return None


def begun(windows: Iterable[Window], now: float) -> Iterator[tuple[Window, float, float]]:
    """The windows that are open now, with the begin and the end of their occurrence."""
    for window in windows:
        times = occurrence(window, now)
        if times is not None and times[0] <= now:
            yield window, *times


def active(windows: Iterable[Window], node: NodeId, tags: tuple[str, ...], now: float) -> Quiet | None:
    """Of the windows that are open for this node now, the one that ends last."""
    found: Quiet | None = None
    for window, _, until_at in begun((one for one in windows if one.select.selects(node, tags)), now):
        if found is None or until_at > found.until_at:
            found = Quiet(window.id, until_at)
    return found


class Windows:
    """The windows that are not over, in memory for decisions about alerts."""

    def __init__(self, windows: Sequence[Window] = ()) -> None:
        self._windows = windows

    def replace(self, windows: Sequence[Window]) -> None:
        self._windows = windows

    def covering(self, node: NodeId, tags: tuple[str, ...], now: float) -> Quiet | None:
        """The window that is open for this node now, and when it ends; None: there is none."""
        return active(self._windows, node, tags, now)


class AutomaticWindow(NamedTuple):
    """An open window of a job or a deployment, and what became of that."""

    window: Window
    node: NodeId
    gone: bool
    """The job, the deployment or its node was deleted."""
    ended_at: float | None
    """None: the work goes on."""


def latest_end(from_at: float) -> float:
    """When the window of work that began then ends, if the work itself does not."""
    return from_at + JOB_LIMIT_S + OVERRUN_S


def verdict(one: AutomaticWindow, healthy_s: float | None, now: float) -> Literal["open", "closed", "overran"]:
    """Whether an automatic window ends now.

    Args: healthy_s: for how long its node has been healthy without a break; None: it is not healthy, or nobody knows.
    """
    if one.gone:
        return "closed"
    if one.ended_at is not None and healthy_s is not None and min(healthy_s, now - one.ended_at) >= HEALTHY_S:
        return "closed"
    latest = latest_end(one.window.from_at)
    if one.ended_at is not None:
        latest = min(latest, one.ended_at + OVERRUN_S)
    return "overran" if now >= latest else "open"
