"""What a metric is, and the rhythms on which metrics are measured."""

from typing import Dict, NamedTuple, Tuple

PULSE_S = 1
BREATHE_S = 60
CYCLE_S = 300

RHYTHM_S: Dict[str, int] = {"pulse": PULSE_S, "breathe": BREATHE_S, "cycle": CYCLE_S, "custom": BREATHE_S}
"""Seconds between two samples of a family."""


class Metric(NamedTuple):
    """One metric. A value on the wire is `round(value * scale)`."""

    name: str
    unit: str
    family: str
    kind: str
    """gauge: a level, or a rate over the time since the last sample. counter: a total since boot, which may start anew."""
    labels: Tuple[str, ...]
    scale: int
    about: str
    """What it says, for people."""
    source: str
    """Where it is read."""


def pulse(name: str, unit: str, scale: int = 1, *labels: str, about: str, source: str) -> Metric:
    """A level or rate, each second."""
    return Metric(name, unit, "pulse", "gauge", labels, scale, about, source)


def breathe(name: str, unit: str, scale: int = 1, *labels: str, about: str, source: str, kind: str = "gauge") -> Metric:
    """One each minute."""
    return Metric(name, unit, "breathe", kind, labels, scale, about, source)


def cycle(name: str, unit: str, scale: int = 1, *labels: str, about: str, source: str, kind: str = "gauge") -> Metric:
    """One every five minutes."""
    return Metric(name, unit, "cycle", kind, labels, scale, about, source)
