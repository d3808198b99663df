"""hub.return: how many nodes of a thousand dial in the busiest second after their hub was away, and when the last one does.

Simulated with the agent's own back-off, since what is asked is how well its dice spread a fleet; what the hub does with them is `hub.reconnect`.
"""

from __future__ import annotations

import random
from collections import Counter

from spider.hub.backoff import HEALTHY_S, Backoff

NODES = 1000
AWAY_S = (30, 120, 600)
FLEETS = 20
REFUSED_S = 0.01
"""How long an attempt takes where nobody listens."""

Results = list[dict[str, object]]


def returns(away_s: float, dice: random.Random) -> list[float]:
    """When each node of a fleet that lost its hub all at once dials a hub that listens again, in seconds after that."""
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
    """How many came in the busiest second."""
    return max(Counter(map(int, times)).values())


def spread() -> Results:
    """The worst of some fleets."""
    results: Results = []
    for away_s in AWAY_S:
        fleets = [returns(away_s, random.Random(f"{away_s} {number}")) for number in range(FLEETS)]
        results += [
            {"name": f"hub.return.peak.{away_s}", "value": max(map(busiest, fleets)), "unit": "1/s"},
            {"name": f"hub.return.last.{away_s}", "value": round(max(map(max, fleets)), 1), "unit": "s"},
        ]
    return results
