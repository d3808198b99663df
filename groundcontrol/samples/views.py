"""Views of metrics and their history."""

from __future__ import annotations

from typing import Literal

from groundcontrol.web.answer import Answer


class MetricView(Answer):
    name: str
    unit: str
    rhythm: int
    kind: Literal["gauge", "counter"]
    labels: list[str]


class MetricsView(Answer):
    metrics: list[MetricView]


class SeriesView(Answer):
    avg: list[float | None]
    min: list[float | None]
    max: list[float | None]


class DamageView(Answer):
    """A time of which something was stored that cannot be read any more: values are missing there."""

    start: float
    end: float


class HistoryView(Answer):
    step: int
    tier: Literal["1s", "1m", "1h"]
    times: list[float]
    series: dict[str, SeriesView]
    damaged: list[DamageView]


class HistoriesView(Answer):
    step: int
    tier: Literal["1s", "1m", "1h"]
    times: list[float]
    nodes: dict[str, dict[str, SeriesView]]
    """By node, then by series."""
    damaged: dict[str, list[DamageView]]
    """Of the nodes of which something is damaged."""
