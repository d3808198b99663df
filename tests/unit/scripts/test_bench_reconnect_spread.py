"""The output of the reconnect benchmark for one fixed random seed (F-30)."""

from __future__ import annotations

import random

import pytest

from scripts.benches.hub.reconnect_spread import busiest, returns
from spider.hub.backoff import CAP_S, RETURN_CAP_S


@pytest.mark.holds("F-30")
@pytest.mark.parametrize(
    ("away_s", "a_second", "last_s"), [(10, 310, RETURN_CAP_S), (30, 310, RETURN_CAP_S), (120, 60, CAP_S), (600, 60, CAP_S)]
)
def test_a_fleet_reconnects_in_five_seconds_or_a_minute_by_outage(away_s: int, a_second: int, last_s: float) -> None:
    """The hub takes a thousand that come at the same moment (F-31)."""
    times = returns(away_s, random.Random(away_s))
    assert busiest(times) <= a_second
    assert max(times) <= last_s + 1
