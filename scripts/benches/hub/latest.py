"""live.latest_1000: encoding the list's values of 1,000 nodes, compared with naming and scaling all their values."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.agents.validation import KnownSchema
from groundcontrol.core.bus import Topic
from groundcontrol.core.ids import HubId, NodeId
from groundcontrol.nodes.views import sample_views, summary_json, summary_msgpack
from groundcontrol.samples.model import SeriesSchema
from scripts.benches.hub.history import Trace, traces
from spider.clock import SystemClock
from spider.wire.metrics import parse_series
from spider.wire.sample_messages import Row

NODES = 1000
ROUNDS = 15
BEGAN_MS = 1_790_000_000_000
"""A current time, because a time of 1970 is encoded faster."""

Results = list[dict[str, object]]


class _Crowd:
    """A registry, and nodes without sockets that update it."""

    def __init__(self, trace: list[Trace], nodes: int) -> None:
        self.registry = Registry(cast("Store", None), LocalBus(), SystemClock(), HubId("bench"))
        self._trace = trace
        self._schemas = [_known(one.schema.schema_id, one.schema.family, tuple(one.schema.series)) for one in trace]
        self._agents = [
            cast(
                "AgentSession",
                SimpleNamespace(
                    node=SimpleNamespace(id=(node := NodeId(f"n{at}"))),
                    session=SimpleNamespace(epoch=1),
                    watched_until=0.0,
                    lost=[],
                    live=Topic("node_live", node),
                ),
            )
            for at in range(nodes)
        ]
        for agent in self._agents:
            self.registry.add(agent)

    def speak(self, second: int) -> None:
        """Add a new row of every family of every node."""
        for at, agent in enumerate(self._agents):
            for schema, one in zip(self._schemas, self._trace, strict=True):
                row = Row(BEGAN_MS + second * 1000 + at % 1000, one.rows[(second + at) % len(one.rows)])
                self.registry.update_latest(agent, schema, [row, row])  # several rows, as in the pack of an unwatched node

    def names(self) -> list[NodeId]:
        return [agent.node.id for agent in self._agents]


def _known(schema: bytes, family: str, series: tuple[str, ...]) -> KnownSchema:
    return KnownSchema.of(SeriesSchema(schema, family, 1, series), [parse_series(name)[0].scale for name in series])


def _ms(act: Callable[..., object]) -> float:
    began = time.process_time()
    act()
    return (time.process_time() - began) * 1000


def latest_1000(count: int = NODES, rounds: int = ROUNDS) -> Results:
    """Medians of processor time: all values of every node; the list's values for the live socket and for REST, each also a second time
    without new rows; and the update with new rows."""
    crowd = _Crowd(traces(), count)
    registry, nodes = crowd.registry, crowd.names()
    calls: dict[str, Callable[[], object]] = {
        "packed": lambda: [summary_msgpack(registry.values.summary(node)) for node in nodes],
        "packed_again": lambda: [summary_msgpack(registry.values.summary(node)) for node in nodes],
        "json": lambda: [summary_json(registry.values.summary(node, as_json=True)) for node in nodes],
        "json_again": lambda: [summary_json(registry.values.summary(node, as_json=True)) for node in nodes],
    }
    took: dict[str, list[float]] = {name: [] for name in ("everything", "arrival", *calls)}
    for second in range(rounds):
        took["arrival"].append(_ms(lambda at=second: crowd.speak(at)))
        took["everything"].append(_ms(lambda: [sample_views(registry.values.latest(node)) for node in nodes]))
        for name, call in calls.items():
            took[name].append(_ms(call))
    versus = statistics.median(took.pop("everything"))
    return [
        {
            "name": f"live.latest_1000.{name}",
            "value": round(statistics.median(times), 2),
            "unit": "ms",
            "versus": round(versus, 1),
            "ratio": round(statistics.median(times) / versus, 3),
        }
        for name, times in took.items()
    ]
