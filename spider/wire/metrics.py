"""Every metric there is: its name, unit, rhythm and the scale of its integers on the wire."""

import re
from typing import Dict, List, NamedTuple, Tuple

PULSE_S = 1
BREATHE_S = 60


class Metric(NamedTuple):
    """One metric. A value on the wire is `round(value * scale)`."""

    name: str
    unit: str
    family: str
    kind: str
    """gauge or counter."""
    labels: Tuple[str, ...]
    scale: int


RHYTHM_S: Dict[str, int] = {"pulse": PULSE_S, "breathe": BREATHE_S}
"""Seconds between two samples of a family."""


def _pulse(name: str, unit: str, scale: int = 1, *labels: str) -> Metric:
    return Metric(name, unit, "pulse", "gauge", labels, scale)


def _breathe(name: str, unit: str, scale: int = 1, *labels: str) -> Metric:
    return Metric(name, unit, "breathe", "gauge", labels, scale)


_TCP_STATES = (
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
)

CATALOGUE: List[Metric] = [
    _pulse("cpu.total", "percent", 100),
    _pulse("cpu.user", "percent", 100),
    _pulse("cpu.system", "percent", 100),
    _pulse("cpu.iowait", "percent", 100),
    _pulse("cpu.steal", "percent", 100),
    _pulse("cpu.core", "percent", 100, "core"),
    _pulse("load.1", "processes", 100),
    _pulse("load.5", "processes", 100),
    _pulse("load.15", "processes", 100),
    _pulse("memory.total", "bytes"),
    _pulse("memory.used", "bytes"),
    _pulse("memory.available", "bytes"),
    _pulse("memory.cached", "bytes"),
    _pulse("memory.buffers", "bytes"),
    _pulse("swap.total", "bytes"),
    _pulse("swap.used", "bytes"),
    _pulse("disk.read", "bytes/s", 1, "device"),
    _pulse("disk.written", "bytes/s", 1, "device"),
    _pulse("disk.busy", "percent", 100, "device"),
    _pulse("network.received", "bytes/s", 1, "interface"),
    _pulse("network.sent", "bytes/s", 1, "interface"),
    *(_pulse("tcp." + state, "sockets") for state in _TCP_STATES),
    _breathe("filesystem.size", "bytes", 1, "mount"),
    _breathe("filesystem.used", "bytes", 1, "mount"),
    _breathe("filesystem.inodes_used", "percent", 100, "mount"),
    _breathe("temperature", "celsius", 100, "sensor"),
]
METRICS: Dict[str, Metric] = {metric.name: metric for metric in CATALOGUE}

NOT_IN_LABELS = r"{}\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
"""For a class of a pattern: what moves a cursor, hides, or turns the reading round never stands in a label."""
_SERIES = re.compile(r"([a-z0-9_.]{1,64})(?:\{([a-z_]{1,32})=([^" + NOT_IN_LABELS + r"]{1,200})\})?\Z")


def series_name(metric: str, label: str = "", value: str = "") -> str:
    """Write a series as it is asked for and stored: `disk.read{device=sda}`."""
    return f"{metric}{{{label}={value}}}" if label else metric


def parse_series(text: str) -> Tuple[Metric, str]:
    """Read a series name.

    Returns: the metric and the value of its label (empty when it has none).
    Raises:  ValueError: not a series of the catalogue.
    """
    match = _SERIES.match(text)
    metric = METRICS.get(match.group(1)) if match else None
    if match is None or metric is None:
        raise ValueError(f"no such series: {text[:80]!r}")
    if (match.group(2) or "") != "".join(metric.labels):
        wanted = "".join(metric.labels)
        need = f"it needs the label {wanted}, as in {metric.name}{{{wanted}=…}}" if wanted else f"{metric.name} has no label"
        raise ValueError(f"no such series: {text[:80]!r}: {need}")
    return metric, match.group(3) or ""
