"""hub.return: how many of a thousand nodes dial in the busiest second after their hub was away, and when the last node dials.

The dials are simulated with the agent's back-off, to see how well its random waits spread a fleet. `hub.reconnect` measures the hub.
"""

from __future__ import annotations

import random
from collections import Counter

from spider.hub.backoff import HEALTHY_S, Backoff

NODES = 1000
AWAY_S = (30, 120, 600)
FLEETS = 20
REFUSED_S = 0.01
"""The time of a refused attempt."""

Results = list[dict[str, object]]


def returns(away_s: float, dice: random.Random) -> list[float]:
    """When each node reaches the hub, in seconds after the hub listens again. All nodes lose the hub at the same moment.

    Args: away_s: how long the hub is away.
    """
    found = []
    for _ in range(NODES):
        backoff = Backoff(dice)
        at, healthy_s = 0.0, 2 * HEALTHY_S
        while at < away_s:
            at += REFUSED_S + backoff.after(REFUSED_S, healthy_s)
            healthy_s = 0.0
        found.append(at - away_s)
    return found


def busiest(times: list[float]) -> int:
    """The number of dials in the busiest second."""
    return max(Counter(map(int, times)).values())


def spread() -> Results:
    """The worst of FLEETS simulated fleets."""
    results: Results = []
    for away_s in AWAY_S:
        fleets = [returns(away_s, random.Random(f"{away_s} {number}")) for number in range(FLEETS)]
        results += [
            {"name": f"hub.return.peak.{away_s}", "value": max(map(busiest, fleets)), "unit": "1/s"},
            {"name": f"hub.return.last.{away_s}", "value": round(max(map(max, fleets)), 1), "unit": "s"},
        ]
    return results
