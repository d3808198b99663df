"""`/api/v1/metrics`: the catalogue of metrics."""

from __future__ import annotations

from typing import Literal, cast

from groundcontrol.samples.views import MetricsView, MetricView
from groundcontrol.web.request import ApiRequest
from spider.wire.metrics import CATALOGUE, RHYTHM_S


async def list_metrics(_call: ApiRequest) -> MetricsView:
    """The catalogue."""
    return MetricsView(
        metrics=[
            MetricView(
                name=metric.name,
                unit=metric.unit,
                rhythm=RHYTHM_S[metric.family],
                kind=cast("Literal['gauge', 'counter']", metric.kind),
                labels=list(metric.labels),
            )
            for metric in CATALOGUE
        ]
    )
