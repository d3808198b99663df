"""Times of policies and windows: weekdays, clock changes, leap days, zones a day apart."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import islice, pairwise

import pytest

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.policies.calendar import EveryWeeks, Monthly, Times, When, ZoneUnknown, check_times, current, local_text, shifted, spans
from groundcontrol.policies.windows import Kind, Open, PatchWindow, Place, Shut, WindowId, allowed
from groundcontrol.schedules.model import Selector
from tests.support.some import some

BERLIN = "Europe/Berlin"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def dates(times: Times, after: str, count: int = 5, zone: str | None = None) -> list[str]:
    return [span.date.isoformat() for span in islice(spans(times, at(after), zone), count)]


@pytest.mark.parametrize(
    ("when", "first"),
    [
        (When(weekly=("tue", "thu")), ["2026-11-03", "2026-11-05", "2026-11-10"]),
        (When(monthly=Monthly("second", "tue")), ["2026-11-10", "2026-12-08", "2027-01-12"]),
        # December 2026 begins on a Tuesday, and November 2026 on a Sunday
        (When(monthly=Monthly("first", "tue")), ["2026-11-03", "2026-12-01", "2027-01-05"]),
        (When(monthly=Monthly("first", "sun")), ["2026-11-01", "2026-12-06", "2027-01-03"]),
        # most months have no fifth Monday: the last one is the fourth there
        (When(monthly=Monthly("last", "mon")), ["2026-11-30", "2026-12-28", "2027-01-25"]),
        (When(every_weeks=EveryWeeks(2, ("mon", "sun"), "2026-10-28")), ["2026-11-01", "2026-11-09", "2026-11-15"]),
        (When(once="2028-02-29"), ["2028-02-29"]),
    ],
)
def test_dates(when: When, first: list[str]) -> None:
    assert dates(Times(when, "02:30", 3600, BERLIN), "2026-10-31 12:00", 3) == first


def test_weeks_are_counted_over_a_leap_day_and_the_turn_of_the_year() -> None:
    times = Times(When(every_weeks=EveryWeeks(3, ("tue",), "2027-12-28")), "02:30", 3600, BERLIN)
    found = [date.fromisoformat(one) for one in dates(times, "2027-12-01", 6)]
    assert [(b - a).days for a, b in pairwise(found)] == [21] * 5
    assert dates(Times(When(monthly=Monthly("last", "tue")), "02:30", 3600, BERLIN), "2028-02-01", 1) == ["2028-02-29"]


def test_a_skipped_hour_runs_once_and_so_does_a_repeated_one() -> None:
    times = Times(When(weekly=("sun",)), "02:30", 3600, BERLIN)
    spring, *_ = spans(times, at("2026-03-28 12:00"))
    assert (local_text(spring.from_at, BERLIN), shifted(times, spring.date)) == ("2026-03-29 03:00", "skipped")
    autumn, after = islice(spans(times, at("2026-10-24 12:00")), 2)
    assert datetime.fromtimestamp(autumn.from_at, UTC).isoformat() == "2026-10-25T00:30:00+00:00"
    assert (shifted(times, autumn.date), shifted(times, after.date)) == ("repeated", "")
    assert after.date.isoformat() == "2026-11-01"
    # real length, whatever the clocks do
    assert {span.until_at - span.from_at for span in (spring, autumn, after)} == {3600.0}


def test_local_time_holds_from_winter_to_summer() -> None:
    times = Times(When(monthly=Monthly("second", "tue")), "02:30", 3600, BERLIN)
    assert {local_text(span.from_at, BERLIN)[-5:] for span in islice(spans(times, at("2026-01-01 00:00")), 12)} == {"02:30"}


def test_the_zone_of_a_node_may_be_a_day_from_that_of_the_hub() -> None:
    times = Times(When(weekly=("tue",)), "23:00", 7200, "node")
    [auckland] = islice(spans(times, at("2026-11-30 00:00"), "Pacific/Auckland"), 1)
    [samoa] = islice(spans(times, at("2026-11-30 00:00"), "Pacific/Pago_Pago"), 1)
    assert samoa.from_at - auckland.from_at == 24 * 3600
    [fleet] = islice(spans(times, at("2026-11-30 00:00")), 1)
    assert fleet.from_at <= auckland.from_at
    assert samoa.until_at <= fleet.until_at
    with pytest.raises(ZoneUnknown):
        next(spans(times, 0.0, ""))


def test_current_is_the_open_occurrence() -> None:
    times = Times(When(weekly=("tue",)), "23:00", 7200, "UTC")
    assert current(times, at("2026-12-01 22:59")) is None
    open_one = some(current(times, at("2026-12-02 00:59")))
    assert open_one.until_at == at("2026-12-02 01:00")
    assert current(times, at("2026-12-02 01:00")) is None


@pytest.mark.parametrize(
    "times",
    [
        Times(When(), "02:30", 3600, "UTC"),
        Times(When(weekly=("mon",), once="2026-01-01"), "02:30", 3600, "UTC"),
        Times(When(weekly=("mon",)), "24:30", 3600, "UTC"),
        Times(When(weekly=("mon",)), "02:30", 10, "UTC"),
        Times(When(weekly=("mon",)), "02:30", 3600, "Mars/Base"),
        Times(When(once="2026-02-29"), "02:30", 3600, "UTC"),
        Times(When(every_weeks=EveryWeeks(0, ("mon",), "2026-01-01")), "02:30", 3600, "UTC"),
    ],
)
def test_bad_times_are_refused(times: Times) -> None:
    with pytest.raises(BadRequest):
        check_times(times, shortest_s=900)


def a_window(kind: Kind, when: When, length_s: int, *, start: str = "00:00", zone: str = "UTC", tags: tuple[str, ...] = ()) -> PatchWindow:
    select = Selector(tags=tags) if tags else Selector(all=True)
    return PatchWindow(WindowId(kind), 1, f"a {kind}", kind, select, Times(when, start, length_s, zone))


def test_a_freeze_beats_a_window_and_cuts_what_is_left_of_it() -> None:
    place = Place(NodeId("n"), ("db",), "UTC")
    night = a_window("allow", When(weekly=("tue",)), 6 * 3600)
    freeze = a_window("freeze", When(once="2026-12-01"), 86_400, start="03:00")
    assert allowed([night], place, at("2026-12-01 01:00")) == Open(at("2026-12-01 06:00"))
    assert allowed([night, freeze], place, at("2026-12-01 01:00")) == Open(at("2026-12-01 03:00"))
    assert allowed([night, freeze], place, at("2026-12-01 04:00")) == Shut("frozen", "a freeze", at("2026-12-02 03:00"))
    assert allowed([night], place, at("2026-12-01 07:00")) == Shut("window", "a allow", at("2026-12-08 00:00"))
    assert allowed([], place, at("2026-12-01 07:00")) == Open(None)
    assert allowed([a_window("allow", When(weekly=("tue",)), 3600, tags=("web",))], place, at("2026-12-02 00:00")) == Open(None)


def test_a_window_opened_now_adds_to_others_and_binds_nothing_afterwards() -> None:
    at = 1_800_000_000.0
    nights = PatchWindow(WindowId("w"), 1, "nights", "allow", Selector(all=True), Times(When(once="2026-01-01"), "02:00", 3600, "UTC"))
    opened = nights._replace(name="opened", kind="open", times=Times(When(at=at), "", 3600, ""))
    place = Place(NodeId("n"), (), "")
    assert isinstance(allowed([nights], place, at), Shut)
    assert allowed([nights, opened], place, at) == Open(at + 3600)
    assert isinstance(allowed([nights, opened], place, at + 3600), Shut)
    assert allowed([opened], place, at + 7200) == Open(None)
    freeze = opened._replace(name="all", kind="freeze", times=Times(When(at=at + 60), "", 0, ""))
    assert allowed([nights, opened, freeze], place, at) == Open(at + 60)
    assert allowed([nights, opened, freeze], place, at + 60) == Shut("frozen", "all", None)


def test_without_a_zone_a_window_of_local_times_holds_the_node() -> None:
    window = a_window("allow", When(weekly=("tue",)), 3600, zone="node")
    assert allowed([window], Place(NodeId("n"), (), ""), at("2026-12-01 00:10")) == Shut("zone_unknown", "", None)
