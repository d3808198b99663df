"""Derived metrics: percents and ratios that the hub computes for rules. Each is a pure function of one sample of a node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from spider.wire.metrics import METRICS, Metric

SCALE: Final = 1000
"""Values are integers, `round(value * SCALE)`, as on the wire."""


class Derived(NamedTuple):
    metric: Metric
    """Its row of the catalogue; the family and the labels are those of its sources."""
    sources: tuple[str, ...]
    """Metrics of one family with the same label."""
    compute: Callable[[Sequence[float], int], float | None]
    """Takes the values of the sources and the number of cores. Returns None where the value has no meaning, as for swap of size zero."""


def _share(values: Sequence[float], _cores: int) -> float | None:
    part, whole = values
    return 100.0 * part / whole if whole > 0 else None


def _share_of_sum(values: Sequence[float], _cores: int) -> float | None:
    used, free = values
    return 100.0 * used / (used + free) if used + free > 0 else None


def _per_core(values: Sequence[float], cores: int) -> float | None:
    return values[0] / cores if cores > 0 else None


def _derived(name: str, unit: str, compute: Callable[[Sequence[float], int], float | None], *sources: str, about: str) -> Derived:
    like = METRICS[sources[0]]
    return Derived(Metric(name, unit, like.family, "gauge", like.labels, SCALE, about, ", ".join(sources)), sources, compute)


CATALOGUE: Final = (
    _derived(
        "filesystem.used_percent",
        "percent",
        _share_of_sum,
        "filesystem.used",
        "filesystem.free",
        about="of what users may fill, as df shows it: 100 when only root can write",
    ),
    _derived("memory.available_percent", "percent", _share, "memory.available", "memory.total", about="of the memory"),
    _derived("swap.used_percent", "percent", _share, "swap.used", "swap.total", about="of all swap areas"),
    _derived("load.per_core", "processes", _per_core, "load.5", about="load.5 divided by the number of cores"),
    _derived("files.used_percent", "percent", _share, "files.open", "files.limit", about="of the file handles that the kernel allows"),
    _derived("conntrack.used_percent", "percent", _share, "conntrack.used", "conntrack.limit", about="of the connections it can track"),
)
DERIVED: Final = {row.metric.name: row for row in CATALOGUE}


def metric_of(name: str) -> Metric | None:
    """The row of a measured or derived metric; None: there is no such metric."""
    found = DERIVED.get(name)
    return METRICS.get(name) if found is None else found.metric
