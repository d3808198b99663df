"""Deadlines in local time, across daylight saving changes, and their outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.schedules.deadlines import (
    AWAY_S,
    Deadline,
    DeadlineNode,
    Expectation,
    ExpectationId,
    JudgedDay,
    Report,
    deadline,
    deadlines_due,
    judge,
    judge_again,
    missed_type,
    next_deadline,
)
from groundcontrol.schedules.model import Selector
from groundcontrol.schedules.wall_clock import DAYS
from tests.support.some import some

HARD_ZONES = (
    "Africa/Casablanca", "America/Havana", "America/New_York", "America/Nuuk", "America/Santiago", "Antarctica/Troll", "Asia/Beirut",
    "Asia/Gaza", "Asia/Tehran", "Australia/Lord_Howe", "Europe/Budapest", "Pacific/Apia", "Pacific/Chatham", "UTC",
)  # fmt: skip
"""Changes at midnight, of half an hour and of two hours, four a year, none, and a date that was skipped."""
NODE = DeadlineNode(NodeId("web-1"), (), since_at=0.0)


def expect(by: str = "05:00", zone: str = "Europe/Budapest", start: str = "00:00", days: Sequence[str] = DAYS) -> Expectation:
    return Expectation(
        ExpectationId("e"), 1, "backup", Selector(all=True), "backup_completed", by, zone, tuple(day for day in DAYS if day in days), start
    )


def on(day: str, one: Expectation) -> Deadline:
    return some(deadline(one, date.fromisoformat(day)))


def local(at: float, zone: str) -> str:
    return datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat()


@pytest.mark.parametrize(
    ("zone", "day", "by", "expected"),
    [
        ("Europe/Budapest", "2026-11-20", "05:00", "2026-11-20T05:00:00+01:00"),
        ("Europe/Budapest", "2026-03-29", "02:30", "2026-03-29T03:00:00+02:00"),  # skipped: the first instant after the gap
        ("Europe/Budapest", "2026-10-25", "02:30", "2026-10-25T02:30:00+01:00"),  # twice: the second
        ("Australia/Lord_Howe", "2026-10-04", "02:10", "2026-10-04T02:30:00+11:00"),
        ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-05T01:45:00+10:30"),
        ("America/Santiago", "2026-09-06", "00:30", "2026-09-06T01:00:00-03:00"),  # there is no midnight
        ("America/Nuuk", "2026-03-28", "23:30", "2026-03-29T00:00:00-01:00"),  # skipped: the first instant is on the next date
    ],
)
def test_a_deadline_is_at_its_local_time(zone: str, day: str, by: str, expected: str) -> None:
    assert local(on(day, expect(by, zone)).by_at, zone) == expected


def test_a_window_begins_at_the_first_of_two_equal_times_and_ends_with_the_second() -> None:
    window = on("2026-10-25", expect("02:45", start="02:15"))
    assert window.by_at - window.start_at == 5400
    assert window.due_at == window.by_at + 900


def test_a_window_that_begins_in_the_evening_belongs_to_the_next_morning() -> None:
    window = on("2026-11-23", expect("05:00", start="22:00", days=("mon",)))
    assert local(window.start_at, "Europe/Budapest") == "2026-11-22T22:00:00+01:00"
    whole = on("2026-11-23", expect("05:00", start="05:00"))
    assert whole.by_at - whole.start_at == 86_400


def test_a_skipped_date_and_an_unlisted_weekday_have_no_deadline() -> None:
    assert deadline(expect(zone="Pacific/Apia"), date(2011, 12, 30)) is None
    assert deadline(expect(zone="Pacific/Apia"), date(2011, 12, 31)) is not None
    weekdays = expect(days=DAYS[:5])
    assert deadline(weekdays, date(2026, 11, 21)) is None
    following = some(next_deadline(weekdays, date(2026, 11, 20)))
    assert following.date == date(2026, 11, 23)


def check_days(zone: str, days: Sequence[date], by: str) -> None:
    """Each date that exists has one deadline, at its local time or right after the gap, 20 to 28 hours after the one before."""
    one = expect(by, zone)
    for day in days:
        window, before = deadline(one, day), deadline(one, day - timedelta(days=1))
        if window is None:
            assert zone in ("Pacific/Apia", "Pacific/Fakaofo"), (zone, day)
            continue
        assert window.start_at <= window.by_at < window.due_at
        late = datetime.fromtimestamp(window.by_at, ZoneInfo(zone)).replace(tzinfo=None) - datetime.fromisoformat(f"{day} {by}")
        assert timedelta(0) <= late <= timedelta(hours=2), (zone, day, late)
        if before is not None:
            assert 20 <= (window.by_at - before.by_at) / 3600 <= 28, (zone, day)


@given(
    zone=st.sampled_from(HARD_ZONES),
    first=st.dates(date(2010, 1, 1), date(2036, 12, 1)),
    by=st.times().map(lambda time: f"{time:%H:%M}"),
)
def test_there_is_one_deadline_a_day_over_clock_changes(zone: str, first: date, by: str) -> None:
    check_days(zone, [first + timedelta(days=ahead) for ahead in range(20)], by)


@pytest.mark.slow
def test_every_zone_has_one_deadline_a_day_over_clock_changes() -> None:
    dates = [date(2020, 1, 1) + timedelta(days=ahead) for ahead in range(3653)]
    for name in sorted(name for name in available_timezones() if "/" in name):
        zone = ZoneInfo(name)
        offsets = [datetime.combine(day, time(), zone).utcoffset() for day in dates]
        changes = [day for day, before, after in zip(dates, offsets, offsets[1:], strict=False) if before != after]
        near = sorted({day + timedelta(days=around) for day in changes for around in (-1, 0, 1, 2)})
        for by in ("00:00", "02:30", "23:30"):
            check_days(name, near, by)


# -- judging -----------------------------------------------------------------------------------------------


def report(at: float, received_at: float | None = None) -> Report:
    return Report(EventId(f"e{at}"), at, at if received_at is None else received_at)


def state(found: JudgedDay | None) -> str:
    return "too early" if found is None else found.state


def test_a_deadline_is_met_by_the_true_time_of_the_event_and_missed_without_one() -> None:
    one = expect()
    day = on("2026-11-20", one)
    made = report(day.by_at - 60, received_at=day.due_at + 9000)
    assert state(judge(one, day, NODE, made, day.due_at, away=False)) == "met"
    assert state(judge(one, day, NODE, None, day.due_at - 1, away=False)) == "too early"
    assert state(judge(one, day, NODE, None, day.due_at, away=False)) == "missed"


def test_an_offline_node_is_judged_on_return_or_after_an_hour() -> None:
    one = expect()
    day = on("2026-11-20", one)
    assert state(judge(one, day, NODE, None, day.due_at + 600, away=True)) == "too early"
    assert state(judge(one, day, NODE, None, day.due_at + 600, away=False)) == "missed"
    assert state(judge(one, day, NODE, None, day.due_at + AWAY_S, away=True)) == "missed"


def test_a_node_or_rule_younger_than_the_window_is_not_judged() -> None:
    one = expect()
    day = on("2026-11-20", one)
    young = NODE._replace(since_at=day.start_at + 1)
    assert state(judge(one, day, young, None, day.due_at, away=False)) == "not_judged"
    assert state(judge(one._replace(valid_from=day.by_at), day, NODE, None, day.due_at, away=False)) == "not_judged"


def test_an_event_in_time_differs_from_a_late_one() -> None:
    one = expect()
    day = on("2026-11-20", one)
    missed = some(judge(one, day, NODE, None, day.due_at, away=False))
    following = on("2026-11-21", one)
    in_time, late, next_day = report(day.by_at - 2880, day.by_at + 16_200), report(day.by_at + 4800), report(following.start_at + 60)

    def again(first: Report | None) -> JudgedDay | None:
        return judge_again(missed, first, following.start_at, following.start_at + 600)

    assert state(again(in_time)) == "arrived_late"
    assert state(again(late)) == "late"
    assert again(next_day) is None
    assert again(None) is None


def test_missed_days_are_judged_after_an_absence_of_the_hub() -> None:
    one = expect()
    now = on("2026-11-20", one).due_at
    assert [day.date.day for day in deadlines_due(one, now)] == [17, 18, 19, 20]
    assert [day.date.day for day in deadlines_due(one, now - 1)] == [17, 18, 19]
    far_east = expect("00:10", "Pacific/Kiritimati")._replace(grace_s=0.0)
    assert [day.date.day for day in deadlines_due(far_east, on("2026-11-20", far_east).due_at)][-1] == 20


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("backup_completed", "expected_backup_missed"),
        ("restore_tested", "expected_restore_missed"),
        ("nightly-report", "expected_nightly-report_missed"),
        ("health_ok", "expected_health_missed"),
    ],
)
def test_a_missed_deadline_is_named_after_the_expected_event(event: str, expected: str) -> None:
    assert missed_type(expect()._replace(event=event)) == expected
