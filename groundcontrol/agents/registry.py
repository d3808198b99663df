"""The registry of live sessions and of the latest samples of each node."""

from __future__ import annotations

import asyncio
import logging
import random
import weakref
from collections.abc import Awaitable, Sequence
from typing import Final, NamedTuple

from groundcontrol.agents.clock_skew import FAMILY as SKEW_FAMILY
from groundcontrol.agents.clock_skew import skew_of
from groundcontrol.agents.latest import LatestValues
from groundcontrol.agents.node_events import NodeEvents
from groundcontrol.agents.retry_writer import TRANSIENT_ERRORS
from groundcontrol.agents.session import AgentSession
from groundcontrol.agents.store import SessionStore
from groundcontrol.agents.validation import KnownSchema
from groundcontrol.core.bus import Bus, Changed, SessionChanged
from groundcontrol.core.errors import HubError, JournalUnreadable, NodeOffline, StoreError
from groundcontrol.core.ids import HubId, NodeId
from groundcontrol.core.stores import Stores
from groundcontrol.nodes.model import Node, Session, UnitLines
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.backfill import LostRows
from spider.clock import Clock
from spider.logs import event
from spider.wire.frames import CLOSE_CLONE, CLOSE_GOING_AWAY, CLOSE_SLOW, CLOSE_UNKNOWN, JOURNAL
from spider.wire.sample_messages import Row

log = logging.getLogger(__name__)

SUSPECT_S: Final = 900.0
"""A node is trusted again if no clone (a second machine with its keys) was refused for this long. A clone retries every five minutes
(`spider.hub.backoff.CLONE_S`)."""
TICK_S: Final = 1.0
OTHER_TIME_S: Final = 3600.0
"""A larger difference means that the clocks of node and hub disagree, not that the samples are late."""
SEEN_EVERY_S: Final = 30.0
"""How often `last_seen_at` of online nodes is stored."""
MOST_UNREPORTED: Final = 1000
"""Most reports of lost samples that are merged into one event. A node that reports more gets several events."""
OFFLINE_GRACE_S: Final = 10.0
"""A node that reconnects within this time causes no event. Its state is shown immediately all the same."""
RECONNECT_S: Final = 120.0
"""After a start of the hub, nodes that were online before have this long to reconnect before they count as offline."""
RETURNED_AFTER_S: Final = 90.0
"""A node that was last seen less than this long ago did not go offline. The hub may have been stopped meanwhile."""
AHEAD_EVERY_S: Final = 6 * 3600.0
"""Least time between two events about the same node's clock being far ahead."""
CLOSE_LIMIT_S: Final = 4.0
CLOSE_INTERNAL: Final = 1011
DRAIN_JITTER_MS: Final = (2_000, 10_000)


class _Disconnected(NamedTuple):
    """A disconnected node whose offline event is not written yet."""

    since: float
    """Monotonic seconds."""
    seen_at: float
    """Unix seconds."""
    how: str
    """The result of `_how`."""


class Registry:
    """The live sessions of this hub, at most one per node."""

    def __init__(self, store: Stores, bus: Bus, clock: Clock, hub: HubId, reconnect_s: float = RECONNECT_S) -> None:
        self._awaited: set[NodeId] = set()
        """Nodes online before the restart that have not reconnected and do not count as offline yet."""
        self._started = clock.monotonic()
        self._reconnect_s = reconnect_s
        self._store = store
        self._bus = bus
        self._clock = clock
        self._hub = hub
        self.events = NodeEvents(store, clock)
        self.values = LatestValues(store, bus, clock)
        self._agents: dict[NodeId, AgentSession] = {}
        self._waiting: dict[NodeId, set[asyncio.Future[None]]] = {}
        """Node -> the callers of `wait_online`."""
        self._disconnected: dict[NodeId, _Disconnected] = {}
        self._emitted_offline: set[NodeId] = set()
        """Nodes with an offline event since their last online event."""
        self._emitted_online: set[NodeId] = set()
        """Nodes with an online event since the start of the hub."""
        self._unsaved: dict[NodeId, float] = {}
        """Node -> a `last_seen_at` from its connect or disconnect that the store refused. It is written later."""
        self._closing: set[asyncio.Task[None]] = set()
        self._draining = False
        self._ahead_emitted: dict[NodeId, float] = {}
        self._suspected: dict[NodeId, float] = {}
        """Node -> monotonic time at which a second machine last used its keys."""
        self._lost_seen: weakref.WeakKeyDictionary[AgentSession, LostRows] = weakref.WeakKeyDictionary()
        """Session -> its newest loss report at the previous tick. If it is unchanged, the report is complete."""
        self._unreported: dict[NodeId, list[LostRows]] = {}
        """Node -> losses of ended sessions without an event yet. They are reported in the next session, or with the offline event."""

    async def start(self) -> None:
        """Read which nodes were online when the previous hub process ended."""
        self._awaited = set(await self._store[SessionStore].left_online(self._hub))

    # -- sessions --------------------------------------------------------------------------------

    def online(self, node: NodeId) -> bool:
        """Whether the node has a live session here."""
        return node in self._agents

    def reconnecting(self, node: NodeId) -> bool:
        """Whether the node was online before the hub's restart, and has time left to reconnect."""
        return node in self._awaited and node not in self._agents

    def current(self, node: NodeId) -> Session | None:
        """The node's live session; None: it is not connected."""
        agent = self._agents.get(node)
        return None if agent is None else agent.session

    def mark_clone(self, node: NodeId) -> None:
        """Mark the node as cloned: a second machine uses its keys, and the hub cannot know which of the two is genuine."""
        self._suspected[node] = self._clock.monotonic()

    def clear_clone(self, node: NodeId) -> None:
        """Clear the clone mark: the node has new keys."""
        self._suspected.pop(node, None)

    def is_cloned(self, node: NodeId) -> bool:
        """Whether a second machine used this node's keys within SUSPECT_S. If so, no job is sent to either machine."""
        seen = self._suspected.get(node)
        if seen is not None and self._clock.monotonic() - seen > SUSPECT_S:
            del self._suspected[node]
            return False
        return seen is not None

    def last_seen(self, node: Node) -> float | None:
        """When the node was last seen, in Unix seconds; None: never. The stored value of an online node is up to SEEN_EVERY_S old."""
        agent, disconnected = self._agents.get(node.id), self._disconnected.get(node.id)
        if agent is not None:
            return self._clock.now() - agent.silent_s
        return disconnected.seen_at if disconnected is not None else node.last_seen_at

    def agent(self, node: NodeId) -> AgentSession | None:
        """The object that sends messages to a connected node; None: it is not connected."""
        return self._agents.get(node)

    async def read_journal(self, node: NodeId, unit: str, lines: int, level: str) -> UnitLines:
        """Ask the node for the last lines of a unit's journal. level: warning or all.

        Raises: NodeOffline; Unavailable: too many requests; JournalUnreadable: the node's agent is too old.
        """
        agent = self._agents.get(node)
        if agent is None:
            raise NodeOffline("the node is not connected: its journal is read there, and not stored here")
        if JOURNAL not in agent.hello.features:
            raise JournalUnreadable("the node's agent is too old to read the journal on demand: update it")
        return await agent.journal.read(unit, lines, level)

    def agents(self) -> list[AgentSession]:
        return list(self._agents.values())

    def sessions(self) -> list[Session]:
        """Every live session."""
        return [agent.session for agent in self._agents.values()]

    def skew(self, node: NodeId) -> float | None:
        """Seconds by which the clock of a connected node is ahead of the hub's, as last measured; None: unknown."""
        newest = self.values.rows_of(node).get(SKEW_FAMILY) if node in self._agents else None
        return None if newest is None else skew_of(newest.schema.row, newest.row)

    def clock_disagrees(self) -> bool | None:
        """Whether most connected nodes disagree with the hub's clock by more than an hour. None: no connected node has samples."""
        now = self._clock.now()
        newest = [max(one.row.taken_at_ms for one in held.values()) for node in self._agents if (held := self.values.rows_of(node))]
        return 2 * sum(abs(now - at_ms / 1000) > OTHER_TIME_S for at_ms in newest) > len(newest) if newest else None

    async def wait_online(self, node: NodeId, timeout_s: float) -> None:
        """Return as soon as the node has a live session.

        Raises: TimeoutError.
        """
        if node in self._agents:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(node, set())
        waiting.add(future)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        finally:
            waiting.discard(future)
            if not waiting:
                self._waiting.pop(node, None)

    def close(self, node: NodeId, code: int = CLOSE_UNKNOWN, reason: str = "") -> Awaitable[None]:
        """End a node's session immediately. Await the result to wait until the socket is closed.

        CLOSE_UNKNOWN means that the node was removed: all that is held of it is forgotten too.
        """
        agent = self._agents.get(node)
        if agent is not None:
            closed = self.end(agent, code, reason)
        else:
            closed = asyncio.get_running_loop().create_future()
            closed.set_result(None)
        if code == CLOSE_UNKNOWN:  # last, since the end of the session notes when the node was heard
            self._forget(node)
        return closed

    def _forget(self, node: NodeId) -> None:
        self.values.forget(node)
        for nodes in (self._awaited, self._emitted_offline, self._emitted_online):
            nodes.discard(node)
        for notes in (self._disconnected, self._unsaved, self._ahead_emitted, self._suspected, self._unreported):
            notes.pop(node, None)

    # -- connect, disconnect ----------------------------------------------------------------------

    def add(self, agent: AgentSession) -> bool:
        """Make this the node's session; an older one is closed.

        Returns: False: a newer session was accepted meanwhile, and this one ends.
        """
        node = agent.node.id
        before = self._agents.get(node)
        if before is not None and before.session.epoch > agent.session.epoch:
            agent.stop()
            return False
        if before is not None:
            self.end(before, CLOSE_CLONE, "a newer session of this node took over")
        self._agents[node] = agent
        agent.note_lost(self._unreported.pop(node, ()))
        for future in self._waiting.get(node, ()):
            if not future.done():
                future.set_result(None)
        self._bus.publish(SessionChanged(node, agent.session.epoch, self._hub, online=True, org=agent.node.org))
        return True

    def leave(self, agent: AgentSession, code: int | None = None) -> bool:
        """Remove an ended session. Returns whether the node is offline now.

        Args:
        code: the close code; None: the hub ended the session.
        """
        agent.stop()
        node = agent.node.id
        if self._agents.get(node) is not agent:
            return False
        del self._agents[node]
        self._awaited.discard(node)
        if agent.lost:
            self._unreported[node] = agent.take_lost()
        self._disconnected[node] = _Disconnected(
            self._clock.monotonic(), self._clock.now() - agent.silent_s, _how(agent.verdict[0] if code is None else code)
        )
        if not self._draining:  # during shutdown, browsers notice the end of their own connection instead
            self._bus.publish(SessionChanged(node, agent.session.epoch, self._hub, online=False, org=agent.node.org))
        return True

    def end(self, agent: AgentSession, code: int, reason: str) -> Awaitable[None]:
        """Remove a session immediately and close its socket. Await the result to wait for the close."""
        agent.stop((code, reason))
        self.leave(agent)

        async def close() -> None:
            try:
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await agent.socket.close(code, reason)
            except TimeoutError:
                event(log, "agent_close_slow", logging.WARNING, node=agent.node.id)

        task = asyncio.get_running_loop().create_task(close(), name=f"close {agent.node.id}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def arrived(self, agent: AgentSession) -> None:
        """Publish that a node has connected. Emit an event if the node was away, or connects for the first time."""
        node, now = agent.node, self._clock.now()
        self._disconnected.pop(node.id, None)
        try:
            await self._store[NodeStore].save_seen({node.id: now})
        except TRANSIENT_ERRORS:
            self._unsaved[node.id] = now  # written later with others: a store error must not end the new session
        returns = node.id in self._awaited  # the hub was away, not the node
        self._awaited.discard(node.id)
        away = not returns and (node.last_seen_at is None or now - node.last_seen_at > RETURNED_AFTER_S)
        if away or node.id in self._emitted_offline or (node.pending and node.id not in self._emitted_online):
            self._emitted_offline.discard(node.id)
            self._emitted_online.add(node.id)  # one event only: a node that never sends its identity would cause one at each connect
            await self.events.online(node, agent.address, agent.hello.version)
        self._bus.publish(Changed("node", node.id, node.version, node.org))

    def update_latest(self, agent: AgentSession, schema: KnownSchema, rows: list[Row]) -> None:
        """Update the newest values with rows of a live pack, unless another session of the node has begun."""
        if self._agents.get(agent.node.id) is agent:
            self.values.update(agent, schema, rows)

    # -- periodic work --------------------------------------------------------------------------

    async def run(self) -> None:
        """Send heartbeats, end silent sessions, store `last_seen_at` and emit offline events, until cancelled."""
        # Separate tasks: a hanging store must not delay heartbeats, or the nodes would disconnect.
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(), name="heartbeats")
            group.create_task(self._write(), name="events of nodes")

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            now = self._clock.monotonic()
            for agent in self.agents():
                if not agent.is_idle(now):
                    await self._tick(agent)

    async def _tick(self, agent: AgentSession) -> None:
        try:
            await agent.tick()
        except Exception:  # the boundary: a bug in one session must not affect the others
            self._end_failed(agent)

    def _end_failed(self, agent: AgentSession) -> None:
        event(log, "agent_tick_failed", logging.ERROR, node=agent.node.id, exc_info=True)
        self.end(agent, CLOSE_INTERNAL, "internal")

    async def _write(self) -> None:
        seen_at = self._clock.monotonic()
        while True:
            await self._clock.sleep(TICK_S)
            for agent in self.agents():
                if agent.ahead_rows or agent.lost or self.values.skews.has_changes:
                    await self._emit_pending(agent)
            try:
                await self.events.write_waiting()
                if self._awaited and self._clock.monotonic() - self._started >= self._reconnect_s:
                    await self._stop_awaiting()
                await self._emit_disconnected()
                if self._clock.monotonic() - seen_at >= SEEN_EVERY_S:
                    seen_at = self._clock.monotonic()
                    await self._save_seen(self.agents())
            except HubError as exc:
                event(log, "registry_store_failed", logging.WARNING, error=exc.code)
            except Exception:  # the boundary: a bug that one node hits must not end the hub
                event(log, "registry_failed", logging.ERROR, exc_info=True)

    async def _emit_pending(self, agent: AgentSession) -> None:
        try:
            if agent.ahead_rows and self._clock.monotonic() - self._ahead_emitted.get(agent.node.id, -AHEAD_EVERY_S) >= AHEAD_EVERY_S:
                self._ahead_emitted[agent.node.id] = self._clock.monotonic()
                await self.events.clock_ahead(agent.node, agent.ahead_rows)
            if self.events.may_emit("clock", agent.node.id) and (skew := self.values.skews.pop_change(agent.node.id)) is not None:
                await self.events.clock_moved(agent.node, *skew)
                self._bus.publish(Changed("node", agent.node.id, agent.node.version, agent.node.org))
            if agent.lost and (self.events.may_emit("samples_lost", agent.node.id) or len(agent.lost) > MOST_UNREPORTED):
                if agent.lost[-1] is self._lost_seen.pop(agent, None) or len(agent.lost) > MOST_UNREPORTED:
                    await self.events.samples_lost(agent.node, agent.take_lost())
                else:
                    self._lost_seen[agent] = agent.lost[-1]
        except Exception:  # the boundary: a bug in one session must not affect the others
            self._end_failed(agent)

    async def _stop_awaiting(self) -> None:
        """End the time for reconnects: nodes that did not return count as offline and get an event.

        Raises: HubError: nothing has changed, and the next call does it.
        """
        found = {node: await self._store[NodeStore].find_node(node) for node in list(self._awaited)}
        await self._store[SessionStore].release_dead(self._hub)
        for node, row in found.items():
            if node in self._awaited and node not in self._agents:
                self._awaited.discard(node)
                if row is not None:
                    self._disconnected[node] = _Disconnected(self._started, row.last_seen_at or 0.0, "restarted")

    async def _emit_disconnected(self) -> None:
        now = self._clock.monotonic()
        for node, disconnected in list(self._disconnected.items()):
            if self._draining or now - disconnected.since < OFFLINE_GRACE_S:
                continue
            if self._disconnected.get(node) is not disconnected:
                continue  # it reconnected or was removed while other events were written
            del self._disconnected[node]
            try:
                await self._emit_offline(node, disconnected)
            except HubError:
                if node not in self._agents:
                    self._disconnected.setdefault(node, disconnected)  # nothing was written: retry when the store works again
                raise

    async def _emit_offline(self, node: NodeId, disconnected: _Disconnected) -> None:
        """Emit the offline event. Raises: HubError: nothing was written."""
        found = await self._store[NodeStore].find_node(node)
        if node in self._agents:
            return
        if found is None:
            self._unreported.pop(node, None)
            return
        try:
            await self._store[NodeStore].save_seen({node: disconnected.seen_at})
        except StoreError:
            self._unsaved[node] = disconnected.seen_at  # the event has its own queue and keeps its time
        if node in self._agents:
            return
        self._emitted_offline.add(node)
        await self.events.offline(found, disconnected.how)
        if lost := self._unreported.pop(node, None):
            await self.events.samples_lost(found, lost)
        self._bus.publish(Changed("node", node, found.version, found.org))

    async def _save_seen(self, agents: Sequence[AgentSession]) -> None:
        now = self._clock.now()
        seen = self._unsaved | {agent.node.id: now - agent.silent_s for agent in agents}
        if seen:
            await self._store[NodeStore].save_seen(seen)
            self._unsaved = {node: at for node, at in self._unsaved.items() if at > seen.get(node, 0.0)}

    async def drain(self) -> None:
        """Close all sessions at shutdown. Each node gets its own delay before it reconnects."""
        self._draining = True
        agents = self.agents()
        try:
            await self._save_seen(agents)
        except HubError as exc:
            event(log, "registry_store_failed", logging.WARNING, error=exc.code)
        for agent in agents:
            self.end(agent, CLOSE_GOING_AWAY, str(random.randint(*DRAIN_JITTER_MS)))
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_LIMIT_S + 1)


def _how(code: int) -> str:
    """One word for how a session ended: by the node, by a lost connection, by silence, or by the hub."""
    return {1000: "left", 1001: "left", 1005: "cut", 1006: "cut", CLOSE_SLOW: "silent"}.get(code, "sent_away")
