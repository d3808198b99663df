"""Watch leases: while a user watches a node, it sends each sample immediately."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Final

from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.core.bus import Bus, Interest, Topic
from groundcontrol.core.ids import NodeId
from spider.clock import Clock
from spider.logs import event
from spider.wire.metrics import INTERVAL_S
from spider.wire.sample_messages import Watch
from spider.wire.tables import SUBJECTS

log = logging.getLogger(__name__)

MAX_LEASE_S: Final = 60.0
FIRST_LOOK_S: Final = 3.0
"""The lease of a newly connected node. The node sends its first samples immediately, so that early requests have data."""
RENEW_BEFORE_S: Final = 6.0
"""A lease with less than this left is renewed."""
MAX_CONCURRENT: Final = 8
"""Leases that are sent before other tasks get their turn. A thousand of them take a tenth of a second."""
MAX_WATCHED: Final = 20_000
"""With more nodes than this, expired leases are dropped from memory."""
MAX_CLOSELY: Final = 1_000
"""Nodes of one `Interest` whose tables are watched."""
EVENTS: Final = 256
"""Limit of the queue of `Interest` messages."""


class WatchLeases:
    """Turns `Interest` (a notice on the bus that users watch nodes) into `Watch` messages to the agents of these nodes."""

    def __init__(self, registry: Registry, bus: Bus, clock: Clock) -> None:
        self._registry = registry
        self._bus = bus
        self._clock = clock
        self._until: dict[NodeId, float] = {}
        """Node -> monotonic end of its lease."""
        self._closely: dict[NodeId, float] = {}
        """Node -> monotonic end of the lease of its tables."""

    def watched(self, node: NodeId) -> bool:
        """Whether the node has a watch lease."""
        return self._until.get(node, 0.0) > self._clock.monotonic()

    async def run(self) -> None:
        """Follow the bus until cancelled. Interest is repeated, so a lost message does no harm."""
        async with self._bus.subscribe(Topic("interest"), limit=EVENTS, policy="ordered") as subscription:
            async for message in subscription:
                if isinstance(message, Interest):
                    try:
                        await self._look(message)
                    except Exception:  # the boundary: a bug in one session must not end the hub
                        event(log, "watch_failed", logging.ERROR, exc_info=True)

    async def joined(self, agent: AgentSession) -> None:
        """Send a newly connected node its first lease, and the leases that are still running."""
        node = agent.node.id
        self._until[node] = max(self._until.get(node, 0.0), self._clock.monotonic() + FIRST_LOOK_S)
        await self._send(agent)
        if self._closely.get(node, 0.0) > self._clock.monotonic():
            await self._send_tables(agent)

    async def _look(self, interest: Interest) -> None:
        now = self._clock.monotonic()
        until = now + min(interest.ttl_s, MAX_LEASE_S)
        if len(self._until) + len(interest.nodes) > MAX_WATCHED:
            self._until = {node: end for node, end in self._until.items() if end > now}
            self._closely = {node: end for node, end in self._closely.items() if end > now}
        sent = 0
        for node in interest.nodes:
            self._until[node] = max(until, self._until.get(node, 0.0))
            agent = self._registry.agent(node)
            if agent is not None and agent.watched_until - now < RENEW_BEFORE_S:
                await self._send(agent)
                sent += 1
                if sent % MAX_CONCURRENT == 0:
                    await asyncio.sleep(0)
        for node in interest.closely[:MAX_CLOSELY]:
            self._closely[node] = until
            agent = self._registry.agent(node)
            if agent is not None and agent.tables_until - now < RENEW_BEFORE_S:
                await self._send_tables(agent)

    async def _send(self, agent: AgentSession) -> None:
        until = self._until[agent.node.id]
        await agent.watch(until, Watch(list(INTERVAL_S), min(INTERVAL_S.values()), math.ceil(until - self._clock.monotonic())))

    async def _send_tables(self, agent: AgentSession) -> None:
        until = self._closely[agent.node.id]
        subjects: dict[int, list[str]] = {}
        for subject in SUBJECTS:
            subjects.setdefault(subject.watched_s, []).append(subject.name)
        lease_s = math.ceil(until - self._clock.monotonic())
        await agent.watch(until, *(Watch(names, every_s, lease_s) for every_s, names in sorted(subjects.items())), tables=True)
