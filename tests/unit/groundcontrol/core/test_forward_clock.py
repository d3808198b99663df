"""A hub whose clock is set back continues from the latest time that it knew."""

from __future__ import annotations

from groundcontrol.core.forward_clock import ForwardClock
from tests.support.clock import ManualClock

DAY_S = 86_400


def test_the_forward_clock_never_goes_back_and_follows_forward_jumps() -> None:
    clock = ManualClock()
    onward, began = ForwardClock(clock), clock.now()
    clock.jump(-3 * DAY_S)
    clock.advance(60)
    assert onward.now() == began + 60
    clock.jump(4 * DAY_S)
    assert onward.now() == clock.now() == began + DAY_S + 60


def test_the_forward_clock_starts_at_the_latest_known_time() -> None:
    clock = ManualClock()
    assert ForwardClock(clock, clock.now() + DAY_S).now() == clock.now() + DAY_S
    assert ForwardClock(clock, clock.now() - DAY_S).now() == clock.now()
    assert ForwardClock(clock, None).now() == clock.now()
