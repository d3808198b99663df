"""live.latest_1000: what lists show of the newest rows of 1,000 nodes, beside naming and scaling every value of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

from groundcontrol.bus.local import LocalBus
from groundcontrol.domain.history import LayoutRow
from groundcontrol.domain.ids import HubId, NodeId
from groundcontrol.fleet.intake import KnownLayout
from groundcontrol.fleet.registry import Registry
from groundcontrol.fleet.session import AgentSession
from groundcontrol.store.base import Store
from groundcontrol.web.views import samples, summary
from scripts.bench_history import Trace, traces
from spider.clock import SystemClock
from spider.wire.frames import Row
from spider.wire.metrics import parse_series

NODES = 1000
ROUNDS = 15

Results = list[dict[str, object]]


class _Crowd:
    """A registry and what its nodes say, without sockets."""

    def __init__(self, trace: list[Trace]) -> None:
        self.registry = Registry(cast("Store", None), LocalBus(), SystemClock(), HubId("bench"))
        self._trace = trace
        self._layouts = [_known(one.layout.layout, one.layout.family, tuple(one.layout.series)) for one in trace]
        self._agents = [
            cast(
                "AgentSession",
                SimpleNamespace(node=SimpleNamespace(id=NodeId(f"n{at}")), session=SimpleNamespace(epoch=1), watched_until=0.0),
            )
            for at in range(NODES)
        ]
        for agent in self._agents:
            self.registry.add(agent)

    def speak(self, second: int) -> None:
        """A new row of every family from every node."""
        for at, agent in enumerate(self._agents):
            for layout, one in zip(self._layouts, self._trace, strict=True):
                self.registry.show(agent, layout, [Row(second * 1000, one.rows[(second + at) % len(one.rows)])])

    def names(self) -> list[NodeId]:
        return [agent.node.id for agent in self._agents]


def _known(layout: bytes, family: str, series: tuple[str, ...]) -> KnownLayout:
    return KnownLayout.of(LayoutRow(layout, family, 1, series), [parse_series(name)[0].scale for name in series])


def _ms(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return (time.process_time() - began) * 1000


def latest_1000() -> Results:
    """In turn: everything of every node; what a list shows when all rows are new; the same asked a second time. Medians, processor time."""
    crowd = _Crowd(traces())
    registry, nodes = crowd.registry, crowd.names()
    everything, fresh, again = [], [], []
    for second in range(ROUNDS):
        crowd.speak(second)
        everything.append(_ms(lambda: [samples(registry.latest(node)) for node in nodes]))
        fresh.append(_ms(lambda: [summary(registry.summary(node)) for node in nodes]))
        again.append(_ms(lambda: [summary(registry.summary(node)) for node in nodes]))
    versus = statistics.median(everything)
    return [
        {
            "name": f"live.latest_1000.{name}",
            "value": round(statistics.median(times), 2),
            "unit": "ms",
            "versus": round(versus, 1),
            "ratio": round(statistics.median(times) / versus, 3),
        }
        for name, times in (("all_new", fresh), ("asked_again", again))
    ]
