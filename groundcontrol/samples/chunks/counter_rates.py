"""Counters as rates: how fast one grew between two neighbouring samples, as a value of the moment of the second.

A rate needs two samples that are next to each other: over a gap there is none, and a counter that went back was started anew, so that
what it counted in between is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

from spider.wire.metrics import METRICS, Metric

RATE_SCALE: Final = 1000
"""Rates are kept in thousandths (of the counter's own scale) per second, the nearest. No chunk says so: those that are written hold it as it is."""
FARTHEST: Final = 1.5
"""Rhythms that may lie between two neighbours: less than two, so that no other sample can come between them later."""


class Point(NamedTuple):
    """A counter at a moment."""

    taken_at_ms: int
    value: int
    fresh: bool
    """False: it is known already, and counts only as the neighbour of one that is not."""


def is_counter(series: str) -> bool:
    """Whether this series counts up."""
    metric = METRICS.get(series.partition("{")[0])
    return metric is not None and metric.kind == "counter"


def scale_of(metric: Metric) -> int:
    """What the integers of this metric's figures are divided by."""
    return metric.scale * RATE_SCALE if metric.kind == "counter" else metric.scale


def rates(points: Iterable[Point], rhythm_s: int) -> list[tuple[int, int]]:
    """(moment, rate) of each pair of neighbours of which one at least is fresh; ascending."""
    limit_ms = rhythm_s * 1000 * FARTHEST
    found = []
    for before, after in pairwise(sorted(points)):
        width_ms = after.taken_at_ms - before.taken_at_ms
        if (before.fresh or after.fresh) and 0 < width_ms <= limit_ms and after.value >= before.value:
            grown = (after.value - before.value) * 1000 * RATE_SCALE
            found.append((after.taken_at_ms, (2 * grown + width_ms) // (2 * width_ms)))  # down would be less each time, and in each sum
    return found
