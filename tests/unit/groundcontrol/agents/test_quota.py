"""The quota of one node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.agents.quota import (
    BURST_S,
    BYTES_PER_S,
    FRAMES_PER_S,
    OPENINGS,
    OPENINGS_PER_S,
    STORED_BYTES,
    STORED_BYTES_PER_S,
    Quota,
    Quotas,
)
from groundcontrol.core.ids import NodeId


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


def test_the_quota_counts_bytes_too() -> None:
    quota = Quota(0.0)
    assert quota.spend(0.0, 1.0, int(BYTES_PER_S * BURST_S) + 1024 * 1024) > 0


@pytest.mark.holds("S-48")
def test_the_quota_limits_slow_writers_too() -> None:
    """A day at a megabyte a second, which neither frames nor bytes forbid: little more than the day's share is stored."""
    quota, now, stored = Quota(0.0), 0.0, 0
    while now < 86_400:
        quota.store(1 << 20)
        stored += 1 << 20
        now += 1
        now += quota.spend(now, 4.0, 1 << 20)
    assert stored <= STORED_BYTES + 86_400 * STORED_BYTES_PER_S + (2 << 20)


def test_a_full_spool_is_accepted_without_a_wait() -> None:
    quota = Quota(0.0)
    for at in range(256):
        quota.store(256 * 1024)
        assert quota.spend(at / 50, 1.0, 256 * 1024) == 0.0


def test_a_returning_node_keeps_its_quota() -> None:
    every = Quotas()
    first = every.of(NodeId("a"), 0.0)
    assert every.of(NodeId("a"), 10.0) is first
    assert every.of(NodeId("b"), 10.0) is not first


def test_quotas_of_nodes_that_were_long_away_are_forgotten() -> None:
    every = Quotas(most_quotas=2)
    first, second = every.of(NodeId("a"), 0.0), every.of(NodeId("b"), 0.0)
    second.spend(80_000.0, 1.0, 1)
    every.of(NodeId("c"), 90_000.0)
    assert every.of(NodeId("b"), 90_000.0) is second
    assert every.of(NodeId("a"), 90_000.0) is not first


@pytest.mark.holds("SAFETY-53")
@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 100), st.integers(0, 300_000)), max_size=200))
def test_over_any_time_the_quota_is_rate_plus_burst(steps: list[tuple[float, float, int]]) -> None:
    quota, now, spent = Quota(0.0), 0.0, 0.0
    for passed, frames, size in steps:
        now += passed
        now += quota.spend(now, frames, size)
        spent += frames
        assert spent <= FRAMES_PER_S * (now + BURST_S) + 100


@pytest.mark.holds("S-48")
def test_the_number_of_sessions_of_a_node_is_limited_to_that_of_a_bad_link() -> None:
    """Each may leave a line, an event or a row of the audit log."""
    quota, opened = Quota(0.0), 0
    for tenth in range(36_000):
        opened += quota.open(tenth / 10) == 0.0
    assert opened == pytest.approx(OPENINGS + 3600 * OPENINGS_PER_S, abs=2)
    steady = Quota(0.0)
    assert not any(steady.open(4.0 * number) for number in range(1000))
