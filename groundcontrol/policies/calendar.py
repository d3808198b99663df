"""Times of policies and windows: weekly, monthly by weekday, every N weeks, or once. Pure.

An occurrence begins at a local time. A local time that a change of the clocks skips begins at the first instant after the gap; one that
the change repeats begins at its first instant. So each date has one beginning at most.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final, Literal, NamedTuple, get_args

from groundcontrol.core.errors import BadRequest
from groundcontrol.schedules.wall_clock import DAYS, Day, date_exists, instant, time_of, zone_of

Nth = Literal["first", "second", "third", "fourth", "last"]
NTHS: Final[tuple[Nth, ...]] = get_args(Nth)
OF_NODE: Final = "node"
"""The zone of a policy or window whose times are local times of each node."""
MOST_WEEKS: Final = 52
LONGEST_S: Final = 31 * 86_400
MOMENT_S: Final = 60
"""The shortest time that something lasts which a person begins now."""
_FAR: Final = 4 * 366
"""Days to look ahead: 29 February comes at least every eight years, but only `once` names a date, which needs no search."""
_FIRST_ZONE: Final = timezone(timedelta(hours=14))
_LAST_ZONE: Final = timezone(timedelta(hours=-12))


class Monthly(NamedTuple):
    """A weekday of each month: the second Tuesday."""

    nth: Nth
    day: Day


class EveryWeeks(NamedTuple):
    """These days of every N-th week. Weeks begin on Monday and count from the week of `since`."""

    weeks: int
    days: tuple[Day, ...]
    since: str
    """A date such as 2026-12-01."""


class When(NamedTuple):
    """One of the five is set."""

    weekly: tuple[Day, ...] = ()
    monthly: Monthly | None = None
    every_weeks: EveryWeeks | None = None
    once: str = ""
    """A date such as 2026-12-24."""
    at: float = 0.0
    """Unix seconds: once, from this very moment. `Times.start` and `Times.zone` are empty then, and a `length_s` of 0 has no end."""


class Times(NamedTuple):
    """When something begins and how long it lasts."""

    when: When
    start: str
    """A local time of day, such as 02:30."""
    length_s: int
    zone: str
    """A name such as Europe/Budapest, or `node`: the zone of each node."""


class Span(NamedTuple):
    """One occurrence in Unix seconds. It lasts `length_s` of real time, whatever the clocks do meanwhile."""

    from_at: float
    until_at: float
    date: date


class ZoneUnknown(Exception):
    """The zone of a node is not known, or this machine does not have it."""


def range_words(shortest_s: int, longest_s: int) -> str:
    """The limits of a time: in seconds, as programs give it, and as people do."""
    return f"{shortest_s} to {longest_s} seconds ({shortest_s / 60:g} min to {longest_s / 3600:g} h)"


def check_times(times: Times, *, shortest_s: int, longest_s: int = LONGEST_S) -> None:
    """Raises: BadRequest: the text names the field."""
    if times.when.at:
        if times.length_s and not MOMENT_S <= times.length_s <= longest_s:
            raise BadRequest(f"length_s: {range_words(MOMENT_S, longest_s)}, or 0 until somebody ends it", field="length_s")
        return
    given = [bool(times.when.weekly), times.when.monthly is not None, times.when.every_weeks is not None, bool(times.when.once)]
    if sum(given) != 1:
        raise BadRequest("when: give one of weekly, monthly, every_weeks and once", field="when")
    if times.when.once:
        date_of(times.when.once, "once")
    if times.when.every_weeks is not None:
        every = times.when.every_weeks
        date_of(every.since, "every_weeks.since")
        if not 1 <= every.weeks <= MOST_WEEKS:
            raise BadRequest(f"every_weeks.weeks: 1 to {MOST_WEEKS}", field="when")
        if not every.days:
            raise BadRequest("every_weeks.days: name at least one day", field="when")
    time_of(times.start, "start")
    if not shortest_s <= times.length_s <= longest_s:
        raise BadRequest(f"length_s: {range_words(shortest_s, longest_s)}", field="length_s")
    if times.zone != OF_NODE:
        zone_of(times.zone)


def date_of(text: str, field: str) -> date:
    """Raises: BadRequest: the text is not a date from 2000 to 2200."""
    with contextlib.suppress(ValueError):
        found = date.fromisoformat(text)
        if found.isoformat() == text and 2000 <= found.year <= 2200:
            return found
    raise BadRequest(f"{field}: give a date such as 2026-12-24", field=field)


def falls_on(when: When, day: date) -> bool:
    """Whether an occurrence begins on this date."""
    if when.once:
        return day.isoformat() == when.once
    weekday = DAYS[day.weekday()]
    if when.weekly:
        return weekday in when.weekly
    if when.monthly is not None:
        nth = when.monthly.nth
        is_last = (day + timedelta(days=7)).month != day.month
        return weekday == when.monthly.day and (is_last if nth == "last" else NTHS.index(nth) == (day.day - 1) // 7)
    every = when.every_weeks
    if every is None or weekday not in every.days:
        return False
    since = date.fromisoformat(every.since)
    weeks = (_monday(day) - _monday(since)).days // 7
    return day >= since and weeks % every.weeks == 0


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def zone_named(name: str) -> tzinfo:
    """Raises: ZoneUnknown: it is empty, or this machine has no such zone."""
    try:
        return zone_of(name)
    except BadRequest:
        raise ZoneUnknown(name) from None


def begins_at(times: Times, day: date, node_zone: str | None = None) -> float:
    """When the occurrence of a date begins, in Unix seconds.

    Args:   node_zone: for times in the zone of the node: that zone. None: the first zone on Earth in which the date begins.
    Raises: ZoneUnknown.
    """
    at = time_of(times.start, "start")
    if times.zone == OF_NODE and node_zone is None:
        return datetime.combine(day, at, _FIRST_ZONE).timestamp()
    return instant(zone_of(_zone(times, node_zone)), day, at)


def _zone(times: Times, node_zone: str | None) -> str:
    name = times.zone if times.zone != OF_NODE else node_zone or ""
    zone_named(name)
    return name


def span_on(times: Times, day: date, node_zone: str | None = None) -> Span:
    """The occurrence of a date. For times in the zone of the node and without a node: from the first to the last zone on Earth.

    Raises: ZoneUnknown.
    """
    begin = begins_at(times, day, node_zone)
    if times.zone == OF_NODE and node_zone is None:
        last = datetime.combine(day, time_of(times.start, "start"), _LAST_ZONE).timestamp()
        return Span(begin, last + times.length_s, day)
    return Span(begin, begin + times.length_s, day)


def _from_now(times: Times) -> Span:
    at = times.when.at
    return Span(at, at + times.length_s if times.length_s else math.inf, datetime.fromtimestamp(at, UTC).date())


def spans(times: Times, after: float, node_zone: str | None = None) -> Iterator[Span]:
    """The occurrences that begin after a time, in order. There may be none.

    Raises: ZoneUnknown.
    """
    if times.when.at:
        if times.when.at > after:
            yield _from_now(times)
        return
    if times.zone != OF_NODE or node_zone is not None:
        zone: tzinfo = zone_named(_zone(times, node_zone))
    else:
        zone = _FIRST_ZONE
    if times.when.once:
        days: Iterator[date] = iter((date.fromisoformat(times.when.once),))
    else:
        first = datetime.fromtimestamp(max(after, 0.0), zone).date() - timedelta(days=1)
        days = (first + timedelta(days=ahead) for ahead in range(_FAR))
    for day in days:
        if not falls_on(times.when, day):
            continue
        if zone is not _FIRST_ZONE and not date_exists(zone_of(_zone(times, node_zone)), day):
            continue
        found = span_on(times, day, node_zone)
        if found.from_at > after:
            yield found


def current(times: Times, now: float, node_zone: str | None = None) -> Span | None:
    """The open occurrence that ends last; None: none is open.

    Raises: ZoneUnknown.
    """
    if times.when.at:
        one = _from_now(times)
        return one if one.from_at <= now < one.until_at else None
    longest_s = times.length_s + (26 * 3600 if times.zone == OF_NODE and node_zone is None else 0)
    best: Span | None = None
    for one in spans(times, now - longest_s - 1, node_zone):
        if one.from_at > now:
            return best
        if now < one.until_at and (best is None or one.until_at > best.until_at):
            best = one
    return best


def local_text(at: float, zone: str) -> str:
    """A time as local time of a zone: `2026-03-29 03:00`. An unknown zone: UTC."""
    try:
        found: tzinfo = zone_named(zone)
    except ZoneUnknown:
        found = UTC
    return datetime.fromtimestamp(at, found).strftime("%Y-%m-%d %H:%M")


def shifted(times: Times, day: date, node_zone: str | None = None) -> Literal["skipped", "repeated", ""]:
    """Whether a change of the clocks skips or repeats the start of this date. Raises: ZoneUnknown."""
    if times.zone == OF_NODE and node_zone is None:
        return ""
    zone = zone_named(_zone(times, node_zone))
    local = datetime.combine(day, time_of(times.start, "start"), zone)
    first, last = local.timestamp(), local.replace(fold=1).timestamp()
    return "" if first == last else "repeated" if first < last else "skipped"
