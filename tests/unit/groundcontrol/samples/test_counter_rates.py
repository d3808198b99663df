"""Counters as rates: only between adjacent samples, and never negative."""

from __future__ import annotations

from groundcontrol.samples.chunks.counter_rates import Point, is_counter, rates
from groundcontrol.samples.model import SeriesSchema, StoredRow
from groundcontrol.samples.query import WindowBuilder

COUNTERS = SeriesSchema(b"3" * 8, "breathe", 60, ("memory.oom_kills",))
AT = 1_790_000_000 // 3600 * 3600


def points(*found: tuple[float, int], fresh: bool = True) -> list[Point]:
    return [Point(int(at * 1000), value, fresh) for at, value in found]


def test_the_catalogue_marks_counters() -> None:
    assert is_counter("memory.oom_kills")
    assert not is_counter("cpu.total")
    assert not is_counter("nothing")


def test_a_rate_has_the_time_of_the_later_point() -> None:
    assert rates(points((0, 10), (60, 40), (120, 40)), 60) == [(60_000, 500), (120_000, 0)]


def test_a_rate_is_the_nearest_thousandth() -> None:
    """Rounded down, what happens once in a minute would be four per cent less often."""
    assert rates(points((0, 0), (60, 1), (120, 3), (180, 4)), 60) == [(60_000, 17), (120_000, 33), (180_000, 17)]
    assert rates(points((0, 0), (300, 1), (600, 3)), 300) == [(300_000, 3), (600_000, 7)]
    assert rates(points((0, 0), (59.999, 60_000_000)), 60) == [(59_999, 1_000_016_667)]


def test_no_rate_is_computed_over_a_gap_or_restart() -> None:
    assert rates(points((0, 10), (120, 40), (180, 5), (240, 11)), 60) == [(240_000, 100)]


def test_points_already_rated_serve_as_neighbours_only() -> None:
    known = points((0, 0), (60, 60), fresh=False)
    assert rates([*known, *points((120, 180))], 60) == [(120_000, 2000)]
    assert rates(known, 60) == []


def test_rows_of_one_moment_have_no_rate_between_them() -> None:
    assert rates(points((0, 1), (0, 5)), 60) == []


def test_a_window_of_a_counter_is_a_rate_a_second() -> None:
    builder = WindowBuilder(["memory.oom_kills"], AT, AT + 300, 5)
    builder.add(COUNTERS, [StoredRow((AT + at * 60) * 1000, [value]) for at, value in ((-1, 0), (0, 6), (1, 18), (3, 30), (4, None))])
    assert builder.finish().series["memory.oom_kills"].avg == [0.1, 0.2, None, None, None]
