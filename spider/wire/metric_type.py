"""The type of a metric, and the intervals at which metrics are measured."""

from typing import Dict, NamedTuple, Tuple

PULSE_S = 1
BREATHE_S = 60
CYCLE_S = 300

INTERVAL_S: Dict[str, int] = {"pulse": PULSE_S, "breathe": BREATHE_S, "cycle": CYCLE_S, "custom": BREATHE_S}
"""Seconds between two samples of a family."""


class Metric(NamedTuple):
    """One metric. A value on the wire is `round(value * scale)`."""

    name: str
    unit: str
    family: str
    kind: str
    """gauge: a level, or a rate over the time since the last sample. counter: a total since boot, which may restart."""
    labels: Tuple[str, ...]
    scale: int
    about: str
    """Description for people."""
    source: str
    """Source of the value: the file or call that is read."""


def pulse(name: str, unit: str, scale: int = 1, *labels: str, about: str, source: str) -> Metric:
    """A level or rate, measured every second."""
    return Metric(name, unit, "pulse", "gauge", labels, scale, about, source)


def breathe(name: str, unit: str, scale: int = 1, *labels: str, about: str, source: str, kind: str = "gauge") -> Metric:
    """A metric that is measured every minute."""
    return Metric(name, unit, "breathe", kind, labels, scale, about, source)


def cycle(name: str, unit: str, scale: int = 1, *labels: str, about: str, source: str, kind: str = "gauge") -> Metric:
    """A metric that is measured every five minutes."""
    return Metric(name, unit, "cycle", kind, labels, scale, about, source)
