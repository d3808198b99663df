"""Writes the samples of all agents in shared transactions. A pack (a message with rows of samples) is acknowledged after its commit,
never before."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Final, Literal

from groundcontrol.agents.session import AgentSession, StoredItem
from groundcontrol.core.errors import HubError, StoreBusy, StoreDown, StoreError, StoreFull, StoreReadOnly
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.backfill import LatePack, LostRows
from groundcontrol.samples.model import StoredPack
from groundcontrol.samples.store import Marks, MetricStore
from spider.clock import Clock
from spider.logs import event
from spider.wire.frames import CLOSE_CLONE
from spider.wire.sample_messages import STREAM_BACKFILL, STREAM_LATE, STREAM_LIVE

log = logging.getLogger(__name__)

GATHER_S: Final = 1.0
"""How long the first pack of a batch waits for others. A commit costs as much as ten packs; live values are shown before it."""
HURRY_S: Final = 0.04
"""Replaces GATHER_S while an agent sends its backlog. Such an agent waits for an acknowledgement after every few packs."""
BATCH_PACKS: Final = 1000
BATCH_BYTES: Final = 8 * 1024 * 1024
AGENT_PACKS: Final = 64
"""Packs of one agent that may wait for a commit. With more packs or bytes, the hub does not read the agent's socket."""
AGENT_BYTES: Final = 1024 * 1024
"""Bytes of one agent that may wait for a commit."""
TOTAL_BYTES: Final = 64 * 1024 * 1024
"""Bytes of all agents together that may wait for a commit."""
RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
GIVE_UP_S: Final = 30.0
"""If the database has not answered for this long, the hub exits. A new process then opens it again."""

MAX_CONCURRENT: Final = 8
"""Agents that are acknowledged before the event loop may run other tasks."""

CLOSE_INTERNAL: Final = 1011

IngestHealth = Literal["ok", "full", "read_only", "down"]
Offered = tuple[AgentSession, StoredItem]


class Ingest:
    """The only writer of samples to the store."""

    def __init__(self, metrics: MetricStore, clock: Clock, retry_s: tuple[float, ...] = RETRY_S) -> None:
        self._metrics = metrics
        self._clock = clock
        self._retry_s = retry_s
        self._waiting: deque[Offered] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._full_batch = asyncio.Event()
        """Set when the batch is large enough to commit."""
        self._hurry = False
        """Whether an agent in the next batch waits for its acknowledgement."""
        self._gathering: asyncio.Timeout | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._room = asyncio.Event()
        self.health: IngestHealth = "ok"
        self.packs = 0
        """Committed packs since the start."""
        self.batches = 0
        self.dropped = 0
        """Packs of sessions that ended before the commit. They are never acknowledged, so the node sends them again."""

    async def submit(self, agent: AgentSession, pack: StoredItem) -> None:
        """Queue a pack. Waits while the queue of this agent or the queue of all agents is full."""
        while agent.inflight_packs >= AGENT_PACKS or agent.inflight_bytes >= AGENT_BYTES:
            await agent.wait_for_room()
            if agent.over:
                return
        while self._waiting_bytes >= TOTAL_BYTES:
            self._room.clear()
            await agent.paused(self._room.wait())
        self._take(agent, pack)

    def _take(self, agent: AgentSession, pack: StoredItem) -> None:
        size = _size(pack)
        agent.pack_taken(size)
        self._waiting_bytes += size
        self._waiting.append((agent, pack))
        self._idle.clear()
        self._wake.set()
        if len(self._waiting) >= BATCH_PACKS or self._waiting_bytes >= BATCH_BYTES:
            self._full_batch.set()
        elif not self._hurry and not (isinstance(pack, StoredPack) and pack.stream == STREAM_LIVE):
            self._hurry = True
            # With an expired timeout, the batch is committed in this iteration of the loop anyway.
            if self._gathering is not None and not self._gathering.expired():
                soon = asyncio.get_running_loop().time() + HURRY_S
                self._gathering.reschedule(min(soon, self._gathering.when() or soon))

    async def run(self) -> None:
        """Commit batches until cancelled.

        Raises: StoreDown: the database has not answered for GIVE_UP_S.
        """
        while True:
            await self._wake.wait()
            if len(self._waiting) < BATCH_PACKS:
                self._full_batch.clear()
                await self._gather()
            self._hurry = False
            await self._commit(self._next_batch())
            if not self._waiting:
                self._wake.clear()
                self._idle.set()

    async def _gather(self) -> None:
        """Wait until the batch is full or its time is up."""
        try:
            async with asyncio.timeout(HURRY_S if self._hurry else GATHER_S) as self._gathering:
                await self._full_batch.wait()
        except TimeoutError:
            pass
        finally:
            self._gathering = None

    async def flush(self, timeout_s: float) -> bool:
        """Wait until all queued packs are committed. Returns: False: the timeout came first."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _next_batch(self) -> list[Offered]:
        batch: list[Offered] = []
        size = 0
        while self._waiting and len(batch) < BATCH_PACKS and size < BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += _size(batch[-1][1])
        return batch

    async def _commit(self, batch: list[Offered]) -> None:
        """Commit a batch, retrying as long as needed, then acknowledge it."""
        answered_at = self._clock.monotonic()
        attempt = 0
        while True:
            live = [(agent, pack) for agent, pack in batch if not agent.over]
            try:
                marks = await self._append(live)
                break
            except (StoreFull, StoreReadOnly, StoreBusy, StoreDown) as exc:
                self._fail(exc)
                if isinstance(exc, (StoreFull, StoreReadOnly)):
                    answered_at = self._clock.monotonic()
                elif isinstance(exc, StoreDown) and self._clock.monotonic() - answered_at > GIVE_UP_S:
                    raise
            await self._clock.sleep(self._retry_s[min(attempt, len(self._retry_s) - 1)])
            attempt += 1
        if self.health != "ok" and any(marks.values()):  # if all sessions of the batch have ended, nothing was written
            event(log, "ingest_resumed", logging.WARNING)
            self.health = "ok"
        self.batches += 1
        self.packs += len(live)
        self.dropped += len(batch) - len(live)
        self._account(batch)
        late = {agent: pack for agent, pack in live if not isinstance(pack, StoredPack)}  # the last pack of each agent
        answered = 0
        for agent in dict.fromkeys([agent for agent, _pack in live]):
            if agent.over:
                continue
            try:
                if not await self._answer(agent, marks.get(agent.node.id), late.get(agent), live):
                    continue
            except Exception:  # the boundary: a bug in one session must not affect the others
                event(log, "acknowledgement_failed", logging.ERROR, node=agent.node.id, exc_info=True)
                agent.end(CLOSE_INTERNAL, "internal")
                continue
            answered += 1
            if answered % MAX_CONCURRENT == 0:
                await asyncio.sleep(0)

    async def _answer(self, agent: AgentSession, held: Marks | None, late: LatePack | LostRows | None, live: list[Offered]) -> bool:
        """Acknowledge the packs of one agent. Returns: whether a message was sent.

        Args: held: None: a newer session of the node took over. late: the last late pack of the agent.
        """
        if held is None:
            agent.end(CLOSE_CLONE, "a newer session of this node took over")
            return False
        agent.acknowledge(STREAM_LIVE, held.live)
        agent.acknowledge(STREAM_BACKFILL, held.backfill)
        if late is not None:
            agent.acknowledge(STREAM_LATE, late.order)
            agent.note_lost(pack for owner, pack in live if owner is agent and isinstance(pack, LostRows))
        if not agent.owes_answer:
            return False
        await agent.flush()
        return True

    async def _append(self, live: list[Offered]) -> Mapping[NodeId, Marks | None]:
        """Write all packs in one transaction. If the store refuses it, write one transaction per agent: only the sender of a bad pack is affected."""
        if not live:
            return {}
        try:
            return await self._metrics.append([pack for _agent, pack in live])
        except (StoreFull, StoreReadOnly, StoreBusy, StoreDown):
            raise
        except Exception as exc:  # also an unexpected error: a bug that one pack hits must not affect the other agents
            agents = list({agent: None for agent, _pack in live})
            if len(agents) == 1:
                code = exc.code if isinstance(exc, HubError) else HubError.code
                event(
                    log, "packs_refused", logging.ERROR, exc_info=not isinstance(exc, HubError), node=agents[0].node.id, error=code, why=str(exc)
                )  # fmt: skip
                agents[0].end(CLOSE_INTERNAL, "internal")
                return {}
        marks: dict[NodeId, Marks | None] = {}
        for agent in agents:
            marks |= await self._append([(one, pack) for one, pack in live if one is agent])
        return marks

    def _account(self, batch: list[Offered]) -> None:
        for agent, pack in batch:
            size = _size(pack)
            agent.pack_settled(size)
            self._waiting_bytes -= size
        if self._waiting_bytes < TOTAL_BYTES:
            self._room.set()

    def _fail(self, exc: StoreError) -> None:
        health: IngestHealth = "full" if isinstance(exc, StoreFull) else "read_only" if isinstance(exc, StoreReadOnly) else "down"
        if health != self.health and not isinstance(exc, StoreBusy):
            event(log, "ingest_stopped", logging.ERROR, why=exc.code, waiting=len(self._waiting))
            self.health = health


def _size(pack: StoredItem) -> int:
    return 64 + (0 if isinstance(pack, LostRows) else len(pack.body))
