"""Rates of counters: the growth between two neighbouring samples, at the time of the second sample.

There is no rate over a gap, nor if a counter went back. Such a counter was restarted, so its growth is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

from spider.wire.metrics import METRICS, Metric

RATE_SCALE: Final = 1000
"""Rates are stored in thousandths (of the counter's own scale) per second, rounded to the nearest.

This number cannot change, since stored chunks depend on it and do not hold it.
"""
FARTHEST: Final = 1.5
"""Neighbours are at most this many sample intervals apart. That is less than two, so no late sample can fall between them."""


class Point(NamedTuple):
    """The value of a counter at one time."""

    taken_at_ms: int
    value: int
    fresh: bool
    """False: the rates of this sample were computed before. It only serves as the neighbour of a new sample."""


def is_counter(series: str) -> bool:
    """Whether this series is a counter."""
    metric = METRICS.get(series.partition("{")[0])
    return metric is not None and metric.kind == "counter"


def scale_of(metric: Metric) -> int:
    """The divisor of the integers in this metric's aggregates."""
    return metric.scale * RATE_SCALE if metric.kind == "counter" else metric.scale


def rates(points: Iterable[Point], interval_s: int) -> list[tuple[int, int]]:
    """(time, rate) of each pair of neighbours with at least one fresh point, in ascending order."""
    limit_ms = interval_s * 1000 * FARTHEST
    found = []
    for before, after in pairwise(sorted(points)):
        width_ms = after.taken_at_ms - before.taken_at_ms
        if (before.fresh or after.fresh) and 0 < width_ms <= limit_ms and after.value >= before.value:
            grown = (after.value - before.value) * 1000 * RATE_SCALE
            # rounded to the nearest: rounding down would make each rate, and each sum, too small
            found.append((after.taken_at_ms, (2 * grown + width_ms) // (2 * width_ms)))
    return found
