"""History as it is asked for: samples read in slices and down-sampled as they come, so that no day is ever in memory at once."""

from __future__ import annotations

from collections.abc import Sequence

from groundcontrol.domain.history import Window
from groundcontrol.history.window import WindowBuilder
from groundcontrol.store.base import MetricStore


async def read_window(metrics: MetricStore, no: int, series: Sequence[str], start: float, end: float, points: int) -> Window:
    """The window of node number `no`.

    Raises: BadRequest: the request makes no sense; and what the store raises.
    """
    builder = WindowBuilder(series, start, end, points)
    async for layout, rows in metrics.read(no, start, end, builder.families):
        builder.add(layout, rows)
    return builder.finish()
