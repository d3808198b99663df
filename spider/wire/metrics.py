"""The catalogue of metrics: name, unit, interval and the scale of the integers on the wire. The lists are in `catalogue/`, by subject."""

import re
from typing import Dict, List, Tuple

from spider.wire.catalogue import custom, hardware, memory, network, processor, services, storage, system
from spider.wire.metric_type import BREATHE_S, CYCLE_S, INTERVAL_S, PULSE_S, Metric

__all__ = [
    "BREATHE_S",
    "CATALOGUE",
    "CYCLE_S",
    "INTERVAL_S",
    "METRICS",
    "NOT_IN_LABELS",
    "PULSE_S",
    "Metric",
    "parse_series",
    "series_name",
]

CATALOGUE: List[Metric] = [
    *processor.METRICS,
    *memory.METRICS,
    *storage.METRICS,
    *network.METRICS,
    *system.METRICS,
    *hardware.METRICS,
    *services.METRICS,
    *custom.METRICS,
]
METRICS: Dict[str, Metric] = {metric.name: metric for metric in CATALOGUE}

NOT_IN_LABELS = r"{}\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
"""Content of a character class: braces, and the control, invisible and bidirectional characters that a label must not contain.

Agents escape all characters of `text.UNSEEN`. Some of them are missing here, because older agents send them.
"""
_SERIES = re.compile(r"([a-z0-9_.]{1,64})(?:\{([a-z_]{1,32})=([^" + NOT_IN_LABELS + r"]{1,200})\})?\Z")


def series_name(metric: str, label: str = "", value: str = "") -> str:
    """The name of a series in queries and in the store: `disk.read{device=sda}`."""
    return f"{metric}{{{label}={value}}}" if label else metric


def parse_series(text: str) -> Tuple[Metric, str]:
    """Parse the name of a series.

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
