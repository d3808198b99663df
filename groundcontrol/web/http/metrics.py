"""`/api/v1/metrics`: what can be measured."""

from __future__ import annotations

from typing import Literal, cast

from groundcontrol.web import schema
from groundcontrol.web.call import Call
from spider.wire.metrics import CATALOGUE, RHYTHM_S


async def list_metrics(_call: Call) -> schema.MetricsView:
    """The catalogue."""
    return schema.MetricsView(
        metrics=[
            schema.MetricView(
                name=metric.name,
                unit=metric.unit,
                rhythm=RHYTHM_S[metric.family],
                kind=cast("Literal['gauge', 'counter']", metric.kind),
                labels=list(metric.labels),
            )
            for metric in CATALOGUE
        ]
    )
