"""How much one node may say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.fleet.quota import BURST_S, BYTES_PER_S, FRAMES_PER_S, Quota


def test_an_ordinary_node_never_waits() -> None:
    quota = Quota(0.0)
    assert not any(quota.spend(float(second), 3.0, 2000) for second in range(1000))


def test_a_flood_waits_for_as_long_as_its_share_needs() -> None:
    quota = Quota(0.0)
    allowed = int(FRAMES_PER_S * BURST_S)
    assert not any(quota.spend(0.0, 1.0, 10) for _ in range(allowed))
    assert quota.spend(0.0, 1.0, 10) > 0
    assert quota.spend(1.0, 1.0, 10) == 0.0
    assert quota.throttled_s > 0


def test_bytes_count_as_well() -> None:
    quota = Quota(0.0)
    assert quota.spend(0.0, 1.0, int(BYTES_PER_S * BURST_S) + 1024 * 1024) > 0


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 100), st.integers(0, 300_000)), max_size=200))
def test_over_any_time_no_more_than_the_share_and_the_burst_goes_through(steps: list[tuple[float, float, int]]) -> None:
    quota, now, spent = Quota(0.0), 0.0, 0.0
    for passed, frames, size in steps:
        now += passed
        now += quota.spend(now, frames, size)
        spent += frames
        assert spent <= FRAMES_PER_S * (now + BURST_S) + 100
