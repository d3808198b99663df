"""Maintenance windows: when they are open, across daylight saving changes, and when those of jobs and deployments close."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.schedules.maintenance import (
    COVERED,
    HEALTHY_S,
    JOB_LIMIT_S,
    OVERRUN_S,
    AutomaticWindow,
    Weekly,
    Window,
    active,
    latest_end,
    occurrence,
    verdict,
)
from groundcontrol.schedules.model import MaintenanceId, Selector
from groundcontrol.schedules.wall_clock import DAYS, zone_of
from tests.support.some import some

WEB = NodeId("web-1")
ONLY_WEB = Selector(nodes=(WEB,))


def a_window(select: Selector = ONLY_WEB, from_at: float = 1000.0, until_at: float | None = 2000.0) -> Window:
    return Window(MaintenanceId("w"), 1, select, from_at, until_at, "", "user", "ada", 0.0)


def weekly(start: str, end: str, zone: str, days: tuple[str, ...] = DAYS) -> Window:
    return a_window(from_at=0.0, until_at=None)._replace(weekly=Weekly(tuple(day for day in DAYS if day in days), start, end), zone=zone)


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def test_a_single_window_is_open_from_its_start_until_just_before_its_end() -> None:
    window = a_window()
    assert [occurrence(window, now) is not None for now in (0.0, 1000.0, 1999.9, 2000.0)] == [True, True, True, False]
    assert [active([window], WEB, (), now) is not None for now in (999.9, 1000.0, 1999.9, 2000.0)] == [False, True, True, False]
    assert active([window._replace(closed_at=1500.0)], WEB, (), 1600.0) is None


def test_the_latest_end_of_overlapping_windows_counts() -> None:
    windows = [
        a_window(Selector(all=True), until_at=1500.0),
        a_window(Selector(tags=("db",)), until_at=9000.0),
        a_window(until_at=3000.0)._replace(id=MaintenanceId("longest")),
    ]
    found = some(active(windows, WEB, ("web",), 1200.0))
    assert (found.id, found.until_at) == ("longest", 3000.0)
    assert active(windows[1:], NodeId("other"), ("web",), 1200.0) is None


def test_a_weekly_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    window = weekly("22:00", "02:00", "Europe/Budapest", ("sat",))
    saturday = at("2026-11-28 22:00", "Europe/Budapest")
    assert occurrence(window, saturday - 5 * 86_400) == (saturday, saturday + 4 * 3600)
    assert occurrence(window, saturday + 4 * 3600 - 1) == (saturday, saturday + 4 * 3600)
    assert occurrence(window, saturday + 4 * 3600) == (saturday + 7 * 86_400, saturday + 7 * 86_400 + 4 * 3600)


@pytest.mark.parametrize(
    ("zone", "day", "start", "end", "seconds"),
    [
        ("Europe/Budapest", "2026-03-29", "01:00", "04:00", 2 * 3600),  # 02:00 to 03:00 is skipped
        ("Europe/Budapest", "2026-10-25", "01:00", "04:00", 4 * 3600),  # 02:00 to 03:00 comes twice
        ("Europe/Budapest", "2026-10-25", "02:15", "02:45", 5400),  # from the first 02:15 to the second 02:45
        ("Europe/Budapest", "2026-03-29", "02:15", "02:45", None),  # there is no such time on this day
        ("Australia/Lord_Howe", "2026-10-04", "01:00", "03:00", 5400),
        ("America/New_York", "2026-11-01", "00:30", "02:30", 3 * 3600),
    ],
)
def test_a_weekly_window_keeps_its_local_times_when_the_clocks_change(
    zone: str, day: str, start: str, end: str, seconds: int | None
) -> None:
    found = some(occurrence(weekly(start, end, zone), at(f"{day} 00:00", zone)))
    began, ended = (datetime.fromtimestamp(moment, ZoneInfo(zone)) for moment in found)
    if seconds is None:
        assert began.date() > datetime.fromisoformat(day).date()
    else:
        assert f"{began:%Y-%m-%d %H:%M} {ended:%H:%M}" == f"{day} {start} {end}"
        assert found[1] - found[0] == seconds


def test_a_weekly_window_keeps_to_its_first_and_last_moment() -> None:
    first, last = at("2026-06-01 10:30"), at("2026-06-03 11:00")
    window = weekly("10:00", "12:00", "UTC")._replace(from_at=first, until_at=last)
    assert occurrence(window, 0.0) == (first, at("2026-06-01 12:00"))
    assert occurrence(window, at("2026-06-02 13:00")) == (at("2026-06-03 10:00"), last)
    assert occurrence(window, last) is None


def test_an_unknown_time_zone_silences_nothing() -> None:
    assert occurrence(weekly("00:00", "23:59", "Europe/Atlantis"), 0.0) is None


@pytest.mark.parametrize(
    "name", ["", "Europe", "Europe/Atlantis", "../../etc/passwd", "/etc/localtime", "posix/Europe/Paris", "a" * 300, "UTC\n"]
)
def test_malformed_zone_is_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        zone_of(name)


def test_a_job_window_closes_two_minutes_after_the_job_of_a_healthy_node() -> None:
    window = a_window(from_at=0.0, until_at=latest_end(0.0))
    one = AutomaticWindow(window, WEB, gone=False, ended_at=None)
    ended = one._replace(ended_at=500.0)
    assert verdict(one, 10_000.0, 600.0) == "open"
    assert verdict(ended, 10_000.0, 500.0 + HEALTHY_S - 1) == "open"
    assert verdict(ended, HEALTHY_S - 1, 5000.0 - OVERRUN_S) == "overran"
    assert verdict(ended, 10_000.0, 500.0 + HEALTHY_S) == "closed"
    assert verdict(ended, None, 500.0 + OVERRUN_S - 1) == "open"
    assert verdict(ended, None, 500.0 + OVERRUN_S) == "overran"
    assert verdict(one, None, JOB_LIMIT_S + OVERRUN_S - 1) == "open"
    assert verdict(one, None, JOB_LIMIT_S + OVERRUN_S) == "overran"
    assert verdict(one._replace(gone=True), None, 1.0) == "closed"


def test_jobs_that_change_packages_or_reboot_open_windows_and_others_do_not() -> None:
    assert {"upgrade", "full-upgrade", "security-upgrade", "install", "reboot", "repair"} <= COVERED
    assert not COVERED & {"check", "refresh", "plan", "hold", "update", "rekey"}
