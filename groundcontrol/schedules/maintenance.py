"""Maintenance windows. While one is open, alerts of its nodes are evaluated and shown but not sent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.schedules.model import MaintenanceId, Selector
from groundcontrol.schedules.wall_clock import DAYS, Day, local_date, span, time_of, zone_of
from spider.wire.verbs import CATALOGUE, REBOOT

COVERED: Final = frozenset({*(verb.name for verb in CATALOGUE if verb.planned), "repair", REBOOT})
"""Verbs whose jobs open a window, since they may restart services or the server."""
Origin = Literal["user", "job", "deployment"]

JOB_LIMIT_S: Final = 2 * 3600.0
"""How long a job or deployment usually takes at most."""
OVERRUN_S: Final = 900.0
"""An automatic window ends at most this long after its work. The work counts as ended after `JOB_LIMIT_S`."""
HEALTHY_S: Final = 120.0
"""How long a node must be healthy after the work before its window closes."""
MOST_WINDOWS: Final = 200
"""The limit for windows of users that are not over, in one organisation."""


class Weekly(NamedTuple):
    """Times from `start` to `end` on these days, in the zone of the window. An end that is not after the start is on the next day."""

    days: tuple[Day, ...]
    start: str
    end: str


def open_s(weekly: Weekly) -> float:
    """How many seconds of a week a weekly window is open."""
    day = date(2000, 1, 1)
    start, end = (datetime.combine(day, time_of(text, "weekly")) for text in (weekly.start, weekly.end))
    return len(weekly.days) * ((end - start).total_seconds() % 86_400)


class Window(NamedTuple):
    """A maintenance window. The window of a job or deployment has the id of the job or deployment."""

    id: MaintenanceId
    org: int
    select: Selector
    from_at: float
    """The start. A weekly window has no occurrence before it."""
    until_at: float | None
    """The end. A weekly window has no occurrence after it; an automatic one may end earlier. None: an old weekly window without an end."""
    reason: str
    origin: Origin
    created_by: str
    created_at: float
    weekly: Weekly | None = None
    zone: str = ""
    """The time zone of a weekly window, such as Europe/Budapest."""
    closed_at: float | None = None
    """When the window was ended or deleted."""


class Quiet(NamedTuple):
    """A window that is open for a node."""

    id: MaintenanceId
    until_at: float


def occurrence(window: Window, now: float) -> tuple[float, float] | None:
    """The present or next occurrence of a window as (from, until) in Unix seconds; None: the window is over.

    An occurrence begins and ends at local times. A change of the clocks makes it longer or shorter.
    """
    if window.closed_at is not None:
        return None
    if window.weekly is None:
        from_at, until = window.from_at, window.until_at
        if window.origin != "user" and until is not None and from_at > now:  # the clock was ahead when its work began
            from_at, until = now, latest_end(now)
        return (from_at, until) if until is not None and now < until else None
    try:
        zone = zone_of(window.zone)
    except BadRequest:  # this machine no longer has the zone: sending alerts is better than silence
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
    """The windows that are open now, with the start and the end of their occurrences."""
    for window in windows:
        times = occurrence(window, now)
        if times is not None and times[0] <= now:
            yield window, *times


def active(windows: Iterable[Window], node: NodeId, tags: tuple[str, ...], now: float) -> Quiet | None:
    """The window that is open for this node now and ends last; None: there is none."""
    found: Quiet | None = None
    for window, _, until_at in begun((one for one in windows if one.select.selects(node, tags)), now):
        if found is None or until_at > found.until_at:
            found = Quiet(window.id, until_at)
    return found


class Windows:
    """Holds the windows that are not over in memory, for decisions about alerts."""

    def __init__(self, windows: Sequence[Window] = ()) -> None:
        self.replace(windows)

    def replace(self, windows: Sequence[Window]) -> None:
        self._windows = dict[int, list[Window]]()
        for window in windows:
            self._windows.setdefault(window.org, []).append(window)

    def covering(self, org: int, node: NodeId, tags: tuple[str, ...], now: float) -> Quiet | None:
        """As `active`. Args: org: the organisation of the node."""
        return active(self._windows.get(org, ()), node, tags, now)


class AutomaticWindow(NamedTuple):
    """An open window of a job or deployment, with the state of that work."""

    window: Window
    node: NodeId
    gone: bool
    """Whether the job, the deployment or its node was deleted."""
    ended_at: float | None
    """When the work ended; None: it has not ended."""


def latest_end(from_at: float) -> float:
    """When the window of a job or deployment ends if the work itself does not, in Unix seconds."""
    return from_at + JOB_LIMIT_S + OVERRUN_S


def verdict(one: AutomaticWindow, healthy_s: float | None, now: float, seen_s: float = 0.0) -> Literal["open", "closed", "overran"]:
    """Whether an automatic window ends now, and whether it overran.

    Args: healthy_s: for how many seconds its node has been healthy; None: it is not healthy.
          seen_s: for how many seconds the window has been in its present state. It counts for times in the future: the clock was ahead.
    """
    if one.gone:
        return "closed"
    open_for_s = now - one.window.from_at if one.window.from_at <= now else seen_s
    ended_for_s = None if one.ended_at is None else now - one.ended_at if one.ended_at <= now else seen_s
    if ended_for_s is not None and healthy_s is not None and min(healthy_s, ended_for_s) >= HEALTHY_S:
        return "closed"
    return "overran" if open_for_s >= JOB_LIMIT_S + OVERRUN_S or (ended_for_s or 0.0) >= OVERRUN_S else "open"
