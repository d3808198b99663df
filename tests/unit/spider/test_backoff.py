"""Reconnecting: with jitter, never too fast, and after the delay that the hub gave."""

from __future__ import annotations

import random

import pytest

from spider.hub.backoff import Backoff


def test_waits_are_spread_below_a_doubling_limit_of_one_minute() -> None:
    limits = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    highest = [0.0] * len(limits)
    for seed in range(300):
        backoff = Backoff(random.Random(seed))
        for index, limit in enumerate(limits):
            wait = backoff.after(attempt_s=1.0, healthy_s=0.0)
            assert 0.0 <= wait <= limit
            highest[index] = max(highest[index], wait)
    assert all(seen > 0.9 * limit for seen, limit in zip(highest, limits, strict=True))


@pytest.mark.holds("SAFETY-98", "F-37")
def test_there_is_at_most_one_attempt_a_second() -> None:
    for seed in range(100):
        assert Backoff(random.Random(seed)).after(attempt_s=0.1, healthy_s=0.0) >= 0.9


def test_a_healthy_minute_starts_the_count_again() -> None:
    backoff = Backoff(random.Random(1))
    for _ in range(10):
        backoff.after(1.0, 0.0)
    assert backoff.after(61.0, healthy_s=60.0) <= 1.0
    assert backoff.after(60.0, healthy_s=59.9) <= 2.0


@pytest.mark.holds("SAFETY-88", "F-30")
def test_a_disconnected_node_dials_within_five_seconds_for_a_minute_then_backs_off() -> None:
    for seed in range(200):
        backoff = Backoff(random.Random(seed))
        later: list[float] = []
        at, healthy_s = 0.0, 120.0
        while len(later) < 6:
            wait = backoff.after(0.1, healthy_s)
            assert at >= 60.0 or 0.9 <= wait <= 5.0
            if at >= 60.0:
                later.append(wait)
            at, healthy_s = at + wait + 0.1, 0.0
        assert all(wait <= limit for wait, limit in zip(later, (8, 16, 32, 60, 60, 60), strict=True))
        assert max(later) > 8


def test_a_node_that_has_never_been_connected_does_not_hurry() -> None:
    backoff = Backoff(random.Random(3))
    assert max(backoff.after(0.1, 0.0) for _ in range(12)) > 20


@pytest.mark.parametrize(("code", "seconds"), [(4401, 600), (4403, 600), (4409, 300)])
def test_a_hub_that_does_not_want_this_node_is_left_alone(code: int, seconds: float) -> None:
    assert Backoff().after(1.0, 0.0, code) == seconds


def test_a_hub_that_goes_away_names_the_jitter() -> None:
    waits = [Backoff(random.Random(seed)).after(9.0, 120.0, 4410, "8000") for seed in range(200)]
    assert 0 <= min(waits) < 1
    assert 7 < max(waits) <= 8


@pytest.mark.parametrize("reason", ["", "soon", "-1", "1e9", "٣", "99999999999"])
def test_an_invalid_jitter_is_ignored(reason: str) -> None:
    assert Backoff().after(1.0, 0.0, 4410, reason) <= 1.0


def test_the_longest_named_jitter_is_ten_minutes() -> None:
    assert max(Backoff(random.Random(seed)).after(1.0, 0.0, 4410, "999999999") for seed in range(50)) <= 600


def test_retry_after_is_honoured_within_reason() -> None:
    assert 20 <= Backoff().after(0.1, 0.0, retry_after_s=20.0) <= 21
    assert Backoff().after(0.1, 0.0, retry_after_s=1e6) <= 601


@pytest.mark.holds("SAFETY-88", "F-30")
def test_a_thousand_nodes_do_not_come_back_together() -> None:
    returns = sorted(Backoff(random.Random(seed)).after(0.0, 120.0, 4410, "10000") for seed in range(1000))
    busiest = max(sum(1 for at in returns if second <= at < second + 1) for second in range(10))
    assert busiest < 300
