"""Wall-clock times in named zones, for windows and deadlines. Pure, but for the time zone data of the machine."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

from groundcontrol.core.errors import BadRequest

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = get_args(Day)
"""The days, in the order of `date.weekday()`."""
# posix/… and right/… are copies of the zone database; right/… counts leap seconds.
_ZONE: Final = re.compile(r"(?!posix|right)[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,32}){0,2}\Z")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")


def zone_of(name: str, field: str = "zone") -> ZoneInfo:
    """The zone of an IANA name such as `Europe/Budapest`.

    Raises: BadRequest: this machine has no such zone.
    """
    if _ZONE.match(name):
        with contextlib.suppress(KeyError, ValueError, OSError):  # there is no such file, it is damaged, or it is a folder such as `Europe`
            return ZoneInfo(name)
    raise BadRequest(f"{field}: there is no time zone {name[:80]!r}; give a name such as Europe/Budapest", field=field)


def time_of(text: str, field: str) -> time:
    """The time of day in a text such as `05:00`.

    Raises: BadRequest: the text is not `00:00` to `23:59`.
    """
    found = _TIME.match(text)
    if found is None:
        raise BadRequest(f"{field}: give a time of day such as 05:00", field=field)
    return time(int(found[1]), int(found[2]))


def instant(zone: ZoneInfo, day: date, at: time, *, second: bool = False) -> float:
    """The Unix seconds of a local time. If a change of the clocks skips it, the first instant after the gap.

    Args: second: if a change of the clocks repeats the time, take its second occurrence instead of the first.
    """
    local = datetime.combine(day, at, zone)
    first, last = local.timestamp(), local.replace(fold=1).timestamp()
    if first <= last:
        return last if second else first
    before, after = int(last), int(first)  # the change is after `before`, and at the latest at `after`
    old = _offset(zone, before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return float(after)


def date_exists(zone: ZoneInfo, day: date) -> bool:
    """Whether the zone had this date: Samoa skipped 30 December 2011."""
    return local_date(zone, instant(zone, day, time())) == day


def local_date(zone: tzinfo, at: float) -> date:
    """The date in a zone at a time in Unix seconds."""
    return datetime.fromtimestamp(at, zone).date()


def span(zone: ZoneInfo, day: date, start: time, end: time) -> tuple[float, float]:
    """From the first occurrence of `start` on this date to the last one of `end`, in Unix seconds.

    An end that is not after the start is on the next date.
    """
    last = day if end > start else day + timedelta(days=1)
    return instant(zone, day, start), instant(zone, last, end, second=True)


def _offset(zone: ZoneInfo, at: float) -> timedelta | None:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()


def ordered_days(days: list[Day], field: str) -> tuple[Day, ...]:
    """The days in the order of the week, without repetitions.

    Raises: BadRequest: the list is empty.
    """
    if not days:
        raise BadRequest(f"{field}: name at least one day", field=field)
    return tuple(day for day in DAYS if day in days)
