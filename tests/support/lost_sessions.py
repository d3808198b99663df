"""Agents whose sessions end, and the part of the hub that tracks them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import cast

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.core.errors import HubError
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.core.stores import Stores
from groundcontrol.events.model import Event
from groundcontrol.events.store import LogStore
from groundcontrol.nodes.model import Session
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.backfill import LostRows
from tests.support.clock import ManualClock

NODE = NodeId("node")


class Agent:
    """The part of a session that is needed for its messages."""

    def __init__(self, epoch: int, node: NodeId = NODE) -> None:
        self.node = SimpleNamespace(id=node, no=1, org=1, name="web-1", version=1)
        self.session = Session(node, 1, epoch, HubId("hub"), BootId("0f" * 16), 1)
        self.lost: list[LostRows] = []
        self.over = False
        self.verdict = (1001, "")
        self.silent_s = 0.0
        self.ahead_rows = 0
        self.socket = self

    def stop(self, verdict: tuple[int, str] | None = None) -> None:
        if verdict is not None and not self.over:
            self.verdict = verdict
        self.over = True

    def note_lost(self, reports: Iterable[LostRows]) -> None:
        self.lost.extend(reports)

    def take_lost(self) -> list[LostRows]:
        lost, self.lost = self.lost, []
        return lost

    async def close(self, code: int, reason: str) -> None:
        pass

    def loses(self, number: int, rows: int) -> None:
        self.lost.append(LostRows(self.session, 0, b"j" * 16, number, None, "pulse", 1_790_000_000_000, 1_790_000_001_000, rows))


class Hub:
    """The registry, and what it wrote into the log."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.told: list[Event] = []
        self.seen: dict[NodeId, float] = {}
        self.known = True
        self.fails: HubError | None = None
        self.registry = Registry(cast("Stores", {NodeStore: self, LogStore: self}), LocalBus(), self.clock, HubId("hub"))

    async def add_event(self, told: Event) -> None:
        if self.fails is not None:
            raise self.fails
        self.told.append(told)

    async def find_node(self, node: NodeId) -> object:
        return Agent(0, node).node if self.known else None

    async def save_seen(self, seen: Mapping[NodeId, float]) -> None:
        if self.fails is not None:
            raise self.fails
        self.seen.update(seen)

    def comes(self, epoch: int) -> Agent:
        agent = Agent(epoch)
        assert self.registry.add(cast("AgentSession", agent))
        return agent

    def goes(self, agent: Agent) -> None:
        self.registry.leave(cast("AgentSession", agent), 1006)

    async def ticks(self, agent: Agent, times: int = 3) -> None:
        for _ in range(times):
            await self.registry._emit_pending(cast("AgentSession", agent))

    def losses(self) -> list[object]:
        return [told.details["rows"] for told in self.told if told.type == "data_gap"]
