"""Windows compared with a plain computation on the same samples."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.alerts.windows import SLOTS, WindowSpec, make_window

Bucket = tuple[int, tuple[int, ...]]


@st.composite
def buckets(draw: st.DrawFn) -> list[Bucket]:
    """Buckets of 10 s with gaps between them; some are empty, some have lost samples."""
    found, end = [], 1_790_000_000
    for skip in draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, 5, 40]), min_size=1, max_size=120)):
        end += skip * 10
        found.append((end * 1000, tuple(draw(st.lists(st.integers(-50, 10_000), max_size=3)))))
    return found


@given(buckets(), st.sampled_from([10, 60, 300, 600, 1200, 7200]))
def test_a_window_returns_mean_maximum_and_minimum_of_its_samples(given_buckets: list[Bucket], window_s: int) -> None:
    slot_ms = 10_000 * -(-window_s // (10 * SLOTS))
    slots = -(-window_s * 1000 // slot_ms)
    windows = {name: make_window(WindowSpec(name, "x", window_s), 10, 100) for name in ("avg", "max", "min")}
    for place, (end_ms, values) in enumerate(given_buckets):
        for window in windows.values():
            window.push(end_ms, sum(values) * 3, len(values) * 3, values)
        first_ms = ((end_ms - 1) // slot_ms - slots + 1) * slot_ms
        inside = [value for at_ms, some in given_buckets[: place + 1] if at_ms > first_ms for value in some]
        if 3 * len(inside) >= max(1.0, min(0.6 * window_s, window_s - 10)):
            assert windows["avg"].value() == sum(inside) / len(inside) / 100
            assert windows["max"].value() == max(inside) / 100
            assert windows["min"].value() == min(inside) / 100
        else:
            assert [window.value() for window in windows.values()] == [None] * 3


def test_a_mean_is_available_for_the_time_of_a_slower_family() -> None:
    ahead, exact = (make_window(WindowSpec("avg", "x", 600), 10, 1, slack=True) for _ in range(2))
    then_ms = 1_790_000_400_000
    for end_ms in range(then_ms - 900_000, then_ms + 130_000, 10_000):
        ahead.push(end_ms, end_ms // 10_000 % 977 * 10, 10, (1,))
        if end_ms <= then_ms:
            exact.push(end_ms, end_ms // 10_000 % 977 * 10, 10, (1,))
    assert exact.value_at(then_ms + 5_000) == ahead.value_at(then_ms + 5_000) is not None


@pytest.mark.parametrize(
    ("counts", "rate"),
    [
        ([5, 5, 5, 5, 5, 5], 0.0),
        ([5, 5, 7, 7, 7, 8], 3 / 300),
        ([5, None, 6, 6, 6, 6], 0.0),
        ([5, None, 6, 6, 6], None),
        ([9, 9, 2, 2, 3, 3], 1 / 240),
    ],
)
def test_a_rate_is_the_growth_between_samples_and_null_after_a_reset(counts: list[int | None], rate: float | None) -> None:
    window = make_window(WindowSpec("rate", "x", 300), 60, 1)
    for at, count in enumerate(counts):
        window.push(1_790_000_000_000 + at * 60_000, 0, 0, () if count is None else (count,))
    assert window.value() == (None if rate is None else pytest.approx(rate))


def test_a_slope_is_a_linear_fit_and_unknown_without_enough_samples() -> None:
    window = make_window(WindowSpec("slope", "x", 6 * 3600), 60, 1)
    seen = []
    for minute in range(8 * 60):
        window.push(1_790_000_000_000 + minute * 60_000, (10**12 - minute * 60_000_000) * 60, 60, (1,))
        seen.append(window.value())
    assert seen[3 * 60] is None
    assert [value for before, value in pairwise(seen) if value is not None and before is None] == [pytest.approx(-1e6, rel=0.03)]
    assert seen[-1] == pytest.approx(-1e6)


def test_an_impossible_value_counts_as_not_measured() -> None:
    window = make_window(WindowSpec("avg", "x", 60), 10, 1)
    for at in range(12):
        huge = (1 << 63) - 1 if at == 3 else 7
        window.push(1_790_000_000_000 + at * 10_000, huge * 10, 10, (huge,))
    assert window.value() == 7


def test_the_newest_value_counts_until_two_and_a_half_samples_are_missing() -> None:
    window = make_window(WindowSpec("last", "x", 0), 60, 10)
    told = []
    for at, values in enumerate([(42,), (), (), (), (43,)]):
        window.push(1_790_000_000_000 + at * 60_000, 0, 0, values)
        told.append(window.value())
    assert told == [4.2, 4.2, 4.2, None, 4.3]
