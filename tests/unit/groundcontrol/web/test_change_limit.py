"""One user writes a bounded number of audit rows."""

from __future__ import annotations

import pytest

from groundcontrol.core.errors import TooManyRequests
from groundcontrol.core.ids import UserId
from groundcontrol.web.costs import CHANGES_PER_S, MOST_CHANGES, ChangeLimiter
from tests.support.clock import ManualClock


@pytest.mark.holds("SAFETY-102")
def test_a_user_who_changes_things_in_a_loop_is_stopped_and_others_are_not() -> None:
    clock = ManualClock()
    limiter = ChangeLimiter(clock)
    loud, calm = UserId("loud"), UserId("calm")
    for _ in range(MOST_CHANGES):
        limiter.spend(loud)
    with pytest.raises(TooManyRequests) as refused:
        limiter.spend(loud)
    assert refused.value.detail["retry_after_s"] == 1
    limiter.spend(calm)
    for _ in range(10_000):
        limiter.spend(None)
    clock.advance(60)
    for _ in range(int(60 * CHANGES_PER_S)):
        limiter.spend(loud)
    with pytest.raises(TooManyRequests):
        limiter.spend(loud)
