"""What the bench of a returning fleet says, held at one throw of the dice (F-30)."""

from __future__ import annotations

import random

import pytest

from scripts.bench_return import busiest, returns
from spider.backoff import CAP_S


@pytest.mark.holds("F-30")
@pytest.mark.parametrize("away_s", [30, 120, 600])
def test_a_fleet_whose_hub_was_away_is_back_within_a_minute_and_never_more_than_sixty_in_a_second(away_s: int) -> None:
    times = returns(away_s, random.Random(away_s))
    assert busiest(times) <= 60
    assert max(times) <= CAP_S + 1
