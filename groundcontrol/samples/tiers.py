"""The three tiers of history, and the choice of a tier for a request."""

from __future__ import annotations

from typing import Final, NamedTuple

from groundcontrol.samples.model import Retention, TierName

HOUR_S: Final = 3600
HOUR_MS: Final = HOUR_S * 1000


class Tier(NamedTuple):
    """One resolution in which samples are stored."""

    no: int
    name: TierName
    step_s: int
    """The time that one row covers. The tier of seconds holds the rows as they were measured."""
    span_s: int
    """The time that one chunk covers."""

    @property
    def step_ms(self) -> int:
        return self.step_s * 1000


SECONDS: Final = Tier(0, "1s", 1, HOUR_S)
MINUTES: Final = Tier(1, "1m", 60, 24 * HOUR_S)
HOURS: Final = Tier(2, "1h", HOUR_S, 32 * 24 * HOUR_S)
TIERS: Final = (SECONDS, MINUTES, HOURS)

GRACE_S: Final = 2 * HOUR_S
"""A tier is kept this much longer than its retention. So a window as long as the retention is full to its start."""


def retention_s(tier: Tier, retention: Retention) -> int:
    """How long a tier is kept, in seconds."""
    return (retention.seconds_s, retention.minutes_s, retention.hours_s)[tier.no]


def choose_tier(step_s: int) -> Tier:
    """The coarsest tier from which steps of this length can be made exactly."""
    for tier in reversed(TIERS):
        if step_s % tier.step_s == 0:
            return tier
    return SECONDS


def finest_tier(start: float, now: float, retention: Retention) -> Tier:
    """The finest tier that still reaches back to `start`; if none does, the tier that reaches back farthest."""
    for tier in TIERS:
        if start >= now - retention_s(tier, retention) - GRACE_S:
            return tier
    return HOURS


AHEAD_S: Final = 2 * 86_400.0
"""How far in the future a sample's time may lie: the clock of a node may be wrong. The hub removes samples further ahead."""
