"""alert.eval and alert.memory: what the default rules cost for 1,000 nodes that send a row every second."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from typing import Final

from groundcontrol.alerts.defaults import DEFAULT_RULES
from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.states import NodeFacts
from groundcontrol.alerts.windows import GRAIN_S
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import SeriesSchema
from scripts.benches.hub.history import Trace, traces
from scripts.benches.measure import Results, line
from spider.wire.sample_messages import Row

NODES: Final = 1000
SECONDS: Final = 120
BEGAN: Final = 1_790_000_000


class _Fleet:
    """An engine, and nodes that repeat the recorded rows of a real server."""

    def __init__(self, recorded: list[Trace], nodes: int) -> None:
        self.engine = Engine()
        self.engine.set_rules(DEFAULT_RULES)
        self._names = [NodeId(f"n{at}") for at in range(nodes)]
        for name in self._names:
            self.engine.set_node(NodeFacts(name, cores=4, clock_skew_s=0.0))
        self._traces = [
            (SeriesSchema(one.schema.schema_id, one.schema.family, one.schema.interval_s, tuple(one.schema.series)), one.rows)
            for one in recorded
        ]

    def run(self, first: int, seconds: int) -> float:
        """Evaluate some seconds of all nodes. Returns: their cost in seconds of processor time."""
        batches = [self._rows_of(at) for at in range(first, first + seconds)]
        add_rows, tick = self.engine.add_rows, self.engine.tick
        began = time.thread_time()
        for at, rows_of in enumerate(batches, first):
            for name, layout, rows in rows_of:
                add_rows(name, layout, rows)
            tick(BEGAN + at + 1.0)
        return time.thread_time() - began

    def _rows_of(self, at: int) -> list[tuple[NodeId, SeriesSchema, list[Row]]]:
        """The rows that all nodes send in a second while all are watched."""
        return [
            (name, layout, [Row((BEGAN + at) * 1000 + no % 1000, rows[(at + no) % len(rows)])])
            for no, name in enumerate(self._names)
            for layout, rows in self._traces
            if (at + no) % layout.interval_s == 0
        ]


def evaluation(nodes: int = NODES, seconds: int = SECONDS) -> Results:
    """Cost of the default rules in a second of 1,000 watched servers, and of the longest tick, which is the longest uninterrupted work."""
    fleet = _Fleet(traces(), nodes)
    fleet.run(0, 60)
    gc.collect()
    gc.freeze()
    spent = [fleet.run(first, GRAIN_S) / GRAIN_S for first in range(60, 60 + seconds, GRAIN_S)]
    ticks = []
    for at in range(GRAIN_S):
        began = time.thread_time()
        fleet.engine.tick(BEGAN + 3600.0 + at)
        ticks.append(time.thread_time() - began)
    gc.unfreeze()
    return [
        line("alert.eval", statistics.median(spent) * 1000, "ms"),
        line("alert.eval.tick", max(ticks) * 1000, "ms"),
    ]


def memory(nodes: int = NODES, seconds: int = 61) -> Results:
    """Memory that the alert engine allocates for 1,000 servers. Windows have their full size from their first sample on."""
    recorded = traces()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    fleet = _Fleet(recorded, nodes)
    fleet.run(0, seconds)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return [line("alert.memory", (after - before) / 1024**2, "MiB")]
