"""Who is online, and what each node said last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import weakref
from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.agents.clock_skew import FAMILY as SKEW_FAMILY
from groundcontrol.agents.clock_skew import SkewTracker, skew_of
from groundcontrol.agents.latest import LatestSamples, NewestRow
from groundcontrol.agents.node_events import NodeEvents
from groundcontrol.agents.retry_writer import TRANSIENT_ERRORS
from groundcontrol.agents.session import AgentSession
from groundcontrol.agents.validation import KnownLayout, scaled
from groundcontrol.core.bus import Bus, Changed, NodeLive, NodesUpdated, SessionChanged, Topic
from groundcontrol.core.errors import HubError, StoreBusy, StoreDown, StoreError
from groundcontrol.core.ids import HubId, NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.nodes.model import Node, Session
from groundcontrol.nodes.summary import SummaryFragment
from groundcontrol.samples.backfill import LostRows
from groundcontrol.samples.model import LayoutRow
from groundcontrol.stores import Store
from spider.clock import Clock
from spider.logs import event
from spider.wire.frames import CLOSE_CLONE, CLOSE_GOING_AWAY, CLOSE_SLOW, CLOSE_UNKNOWN, Row
from spider.wire.metrics import parse_series

log = logging.getLogger(__name__)

LISTED_S: Final = 0.03
"""How long new values wait for those of other nodes until lists are told of them."""
SUSPECT_S: Final = 900.0
"""A clone that is still there is refused every five minutes (`spider.hub.backoff.CLONE_S`): so long after the last time it is gone."""
TICK_S: Final = 1.0
OTHER_TIME_S: Final = 3600.0
"""From here on a node's time is another one than the hub's, and not merely late."""
SEEN_EVERY_S: Final = 30.0
"""How often `last_seen_at` of the nodes that are online is written."""
MOST_UNTOLD: Final = 1000
"""Losses of a node that wait for the last one to be told: one that always has another is told of in parts."""
OFFLINE_GRACE_S: Final = 10.0
"""A node that is back within this time was never worth an event (its state is shown at once all the same)."""
RECONNECT_S: Final = 120.0
"""For so long after the hub's start a node that was online before is not offline yet: the hub was away, and the node waits before it dials again."""
RETURNED_AFTER_S: Final = 90.0
"""A node that a fresh hub sees again after less than this was not away: the hub was."""
AHEAD_EVERY_S: Final = 6 * 3600.0
"""How often an event says again that a node's clock is far ahead."""
CLOSE_LIMIT_S: Final = 4.0
CLOSE_INTERNAL: Final = 1011
DRAIN_JITTER_MS: Final = (2_000, 10_000)
WRITTEN_S: Final = 60.0
"""For so long after somebody asked for lists as JSON what they show is written when it comes: who asks does so again, and should not wait."""
_FRESH: Final = Topic("nodes_fresh")


class _Gone(NamedTuple):
    """A node that left, until an event tells of it."""

    since: float
    seen_at: float
    how: str


class Registry:
    """The live sessions of this hub, by node: at most one each."""

    def __init__(
        self, store: Store, bus: Bus, clock: Clock, hub: HubId, awaited: Collection[NodeId] = (), reconnect_s: float = RECONNECT_S
    ) -> None:
        """`awaited`: nodes that were online when the hub before this one ended."""
        self._awaited = set(awaited)
        """Of those: which have not been here yet, until they are offline."""
        self._started = clock.monotonic()
        self._reconnect_s = reconnect_s
        self._store = store
        self._bus = bus
        self._clock = clock
        self._hub = hub
        self.events = NodeEvents(store, bus, clock)
        self._agents: dict[NodeId, AgentSession] = {}
        self._latest: dict[NodeId, LatestSamples] = {}
        self._waiting: dict[NodeId, set[asyncio.Future[None]]] = {}
        self._gone: dict[NodeId, _Gone] = {}
        self._told_offline: set[NodeId] = set()
        self._told_pending: set[NodeId] = set()
        self._unsaved: dict[NodeId, float] = {}
        """When nodes were seen last as they came or left, which the store did not take then."""
        self._closing: set[asyncio.Task[None]] = set()
        self._draining = False
        self._ahead_told: dict[NodeId, float] = {}
        self._skews = SkewTracker()
        self._suspected: dict[NodeId, float] = {}
        """When a second machine with the node's keys was seen last, by the monotonic clock."""
        self._lost_seen: weakref.WeakKeyDictionary[AgentSession, LostRows] = weakref.WeakKeyDictionary()
        """The newest loss that each session had told a second ago."""
        self._untold: dict[NodeId, list[LostRows]] = {}
        """What sessions had lost that ended before that was told: the next one of the node tells it, or that the node is offline."""
        self._fresh: dict[NodeId, None] = {}
        """Nodes with values that lists were not told of yet."""
        self._tell_fresh_at = float("-inf")
        """When they are, or were last."""
        self._written_until = float("-inf")
        self.rows = 0
        """Rows of the live streams so far."""

    # -- who is there ----------------------------------------------------------------------------

    def online(self, node: NodeId) -> bool:
        """Whether the node has a live session here."""
        return node in self._agents

    def reconnecting(self, node: NodeId) -> bool:
        """Whether the node was online when the hub before this one ended, and may still come back to this one."""
        return node in self._awaited and node not in self._agents

    def current(self, node: NodeId) -> Session | None:
        """The node's live session."""
        agent = self._agents.get(node)
        return None if agent is None else agent.session

    def suspect(self, node: NodeId) -> None:
        """A second machine has shown this node's keys: which of the two is the right one, nobody here can tell."""
        self._suspected[node] = self._clock.monotonic()

    def trust(self, node: NodeId) -> None:
        """The node has keys that no other machine has."""
        self._suspected.pop(node, None)

    def suspected(self, node: NodeId) -> bool:
        """Whether a second machine with this node's keys was about lately: nothing is run on either then."""
        seen = self._suspected.get(node)
        if seen is not None and self._clock.monotonic() - seen > SUSPECT_S:
            del self._suspected[node]
            return False
        return seen is not None

    def last_seen(self, node: Node) -> float | None:
        """When the node was last heard of. What the store has of a node that is online is up to SEEN_EVERY_S old."""
        agent, gone = self._agents.get(node.id), self._gone.get(node.id)
        if agent is not None:
            return self._clock.now() - agent.silent_s
        return gone.seen_at if gone is not None else node.last_seen_at

    def agent(self, node: NodeId) -> AgentSession | None:
        """The live connection itself, to tell the node something."""
        return self._agents.get(node)

    def agents(self) -> list[AgentSession]:
        return list(self._agents.values())

    def sessions(self) -> list[Session]:
        """Every live session."""
        return [agent.session for agent in self._agents.values()]

    def latest(self, node: NodeId) -> dict[str, tuple[float | None, float]]:
        """Series -> (value, taken_at) of the newest row of each family; None = could not be measured."""
        found: dict[str, tuple[float | None, float]] = {}
        for newest in self._rows(node).values():
            taken_at = newest.taken_at
            found.update((name, (value, taken_at)) for name, value in scaled(newest.layout, newest.row).items())
        return found

    def skew(self, node: NodeId) -> float | None:
        """How many seconds the clock of a connected node is ahead of ours, as it measured last; None: that is not known."""
        newest = self._rows(node).get(SKEW_FAMILY) if node in self._agents else None
        return None if newest is None else skew_of(newest.layout.row, newest.row)

    def _rows(self, node: NodeId) -> Mapping[str, NewestRow]:
        held = self._latest.get(node)
        return {} if held is None else held.rows

    def summary(self, node: NodeId, *, written: bool = False) -> Collection[SummaryFragment]:
        """What a list shows of the newest row of each family: a few lookups, not every series. `written`: it will be sent as JSON.

        It follows what comes: to hold what was shown, copy it.
        """
        if written:
            self._written_until = self._clock.monotonic() + WRITTEN_S
        held = self._latest.get(node)
        return () if held is None else held.briefs()

    def outvoted(self) -> bool | None:
        """Whether, of the nodes that are connected and measure, more have another time than this hub: by more than an hour. None: there is none."""
        now = self._clock.now()
        newest = [max(one.row.taken_at_ms for one in held.values()) for node in self._agents if (held := self._rows(node))]
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
        """End a node's session now; what is returned may be awaited for the socket to be closed.

        With CLOSE_UNKNOWN (the node was removed) its latest values are forgotten too.
        """
        agent = self._agents.get(node)
        if code == CLOSE_UNKNOWN:
            self._latest.pop(node, None)
            self._gone.pop(node, None)
            self._awaited.discard(node)
            self._suspected.pop(node, None)
            self._skews.forget(node)
        if agent is not None:
            return self.end(agent, code, reason)
        nothing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        nothing.set_result(None)
        return nothing

    # -- coming and going ------------------------------------------------------------------------

    def add(self, agent: AgentSession) -> bool:
        """Make this the node's session; an older one is closed.

        Returns: False: a newer session was accepted meanwhile, so this one is over.
        """
        node = agent.node.id
        before = self._agents.get(node)
        if before is not None and before.session.epoch > agent.session.epoch:
            agent.over = True
            return False
        if before is not None:
            self.end(before, CLOSE_CLONE, "a newer session of this node took over")
        self._agents[node] = agent
        agent.lost = self._untold.pop(node, []) + agent.lost
        for future in self._waiting.get(node, ()):
            if not future.done():
                future.set_result(None)
        self._bus.publish(SessionChanged(node, agent.session.epoch, self._hub, online=True))
        return True

    def leave(self, agent: AgentSession, code: int | None = None) -> bool:
        """The session is over, by whatever reason. Returns whether the node is offline by that.

        Args:
        code: how it was closed; without it we ended it ourselves.
        """
        agent.over = True
        agent.room.set()
        node = agent.node.id
        if self._agents.get(node) is not agent:
            return False
        del self._agents[node]
        self._awaited.discard(node)
        if agent.lost:
            self._untold[node], agent.lost = agent.lost, []
        self._gone[node] = _Gone(
            self._clock.monotonic(), self._clock.now() - agent.silent_s, _how(agent.verdict[0] if code is None else code)
        )
        if not self._draining:  # then it is the hub that goes: whoever looks is told so by the end of the link
            self._bus.publish(SessionChanged(node, agent.session.epoch, self._hub, online=False))
        return True

    def end(self, agent: AgentSession, code: int, reason: str) -> Awaitable[None]:
        """Take a session out at once and close its socket; the closing may be awaited."""
        if not agent.over:
            agent.verdict = (code, reason)
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
        """Tell of a node that has just completed its opening."""
        node, now = agent.node, self._clock.now()
        self._gone.pop(node.id, None)
        try:
            await self._store.nodes.save_seen({node.id: now})
        except TRANSIENT_ERRORS:
            self._unsaved[node.id] = now  # with those of others: no reason to send away who has just come in
        returns = node.id in self._awaited  # the hub was away, not the node
        self._awaited.discard(node.id)
        away = not returns and (node.last_seen_at is None or now - node.last_seen_at > RETURNED_AFTER_S)
        if away or node.id in self._told_offline or (node.pending and node.id not in self._told_pending):
            self._told_offline.discard(node.id)
            self._told_pending.add(node.id)  # one that never says what it is would be an event each time
            await self.events.online(node, agent.address, agent.hello.version)
        self._bus.publish(Changed("node", node.id, node.version))

    # -- values ----------------------------------------------------------------------------------

    def show(self, agent: AgentSession, layout: KnownLayout, rows: list[Row]) -> None:
        """Keep the newest row of a family, and tell who watches: of every row while somebody does, else of the newest.

        Values are worked out where somebody looks at this very node; lists are told that there is something new, and ask. What they
        show is made ready here for whoever asks next, but not for each second of a node that is looked at while no list is.
        """
        node = agent.node.id
        if self._agents.get(node) is not agent:
            return
        self.rows += len(rows)
        self._skews.note(node, layout.row, rows[-1])
        newest = self._latest.get(node)
        if newest is None:
            newest = self._latest[node] = LatestSamples()
        newest.keep(layout, rows[-1])
        listed = self._bus.heard(_FRESH)
        if listed:
            self._tell_fresh(node)
        if listed or len(rows) > 1:
            briefs = newest.briefs()
            if self._clock.monotonic() < self._written_until:
                for brief in briefs:
                    brief.write()
        if not self._bus.heard(agent.live):
            return
        for row in rows if agent.watched_until > self._clock.monotonic() else rows[-1:]:
            self._bus.publish(NodeLive(node, layout.row.family, row.taken_at_ms / 1000, scaled(layout, row)))

    def _tell_fresh(self, node: NodeId) -> None:
        """At once where nothing was told of for a round, else with the others of this one: a thousand nodes are not a thousand messages."""
        first = not self._fresh
        self._fresh[node] = None
        if not first:
            return  # it goes with the others
        loop = asyncio.get_running_loop()
        # By when it was to be told, not by when that was done: else it would be a moment too late for the next round of nodes, and wake the hub for itself.
        self._tell_fresh_at = max(loop.time(), self._tell_fresh_at + LISTED_S)
        loop.call_at(self._tell_fresh_at, self._flush_fresh)

    def _flush_fresh(self) -> None:
        nodes, self._fresh = tuple(self._fresh), {}
        self._bus.publish(NodesUpdated(nodes))

    async def recall(self) -> None:
        """After a start: show what was stored last, until the nodes report again; and tell in the log of what cannot be read.

        What is the matter with one node keeps nothing of the others, and never ends the hub.
        """
        try:
            await self._recall()
        except HubError as exc:
            event(log, "recall_failed", logging.WARNING, error=exc.code)

    async def _recall(self) -> None:
        cursor: str | None = None
        unreadable: dict[int, set[str]] = {}
        for no, family in await self._store.metrics.unreadable():
            unreadable.setdefault(no, set()).add(family)
        while True:
            page = await self._store.nodes.nodes(SYSTEM, 200, cursor)
            for node in page.items:
                if node.damaged:
                    event(log, "node_damaged", logging.ERROR, node=node.id, what=node.damaged, means="left out; the node may say it anew")
                if families := unreadable.get(node.no):
                    event(
                        log,
                        "layouts_damaged",
                        logging.ERROR,
                        node=node.id,
                        families=sorted(families),
                        means="samples of these are left out",
                    )
                try:
                    await self._recall_node(node)
                except (StoreDown, StoreBusy):
                    raise
                except Exception:  # the boundary
                    event(log, "recall_failed", logging.ERROR, node=node.id, exc_info=True)
            cursor = page.next
            if cursor is None:
                return

    async def _recall_node(self, node: Node) -> None:
        for family, (layout, row) in (await self._store.metrics.latest(node.no)).items():
            known = self._latest.setdefault(node.id, LatestSamples())
            if family not in known.rows and len(row.values) == len(layout.series):
                with contextlib.suppress(ValueError):  # series of a newer program, which ran on this database before
                    known.keep(_known(layout), newest := Row(row.taken_at_ms, list(row.values)))
                    self._skews.known(node.id, layout, newest)

    # -- the clockwork ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Heartbeats, silence, `last_seen_at` and the events of nodes that stayed away; until cancelled."""
        async with asyncio.TaskGroup() as group:  # a store that hangs keeps no heartbeat back: its nodes would take the hub for gone
            group.create_task(self._beat(), name="heartbeats")
            group.create_task(self._write(), name="what is told of nodes")

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            now = self._clock.monotonic()
            for agent in self.agents():
                if not agent.calm(now):
                    await self._tick(agent)

    async def _tick(self, agent: AgentSession) -> None:
        try:
            await agent.tick()
        except Exception:  # the boundary: a fault of ours in one session leaves the others alone
            self._end_failed(agent)

    def _end_failed(self, agent: AgentSession) -> None:
        event(log, "agent_tick_failed", logging.ERROR, node=agent.node.id, exc_info=True)
        self.end(agent, CLOSE_INTERNAL, "internal")

    async def _write(self) -> None:
        seen_at = self._clock.monotonic()
        while True:
            await self._clock.sleep(TICK_S)
            for agent in self.agents():
                if agent.ahead_rows or agent.lost or self._skews.any_news:
                    await self._tell_of(agent)
            try:
                await self.events.tell_waiting()
                if self._awaited and self._clock.monotonic() - self._started >= self._reconnect_s:
                    await self._stop_awaiting()
                await self._tell_gone()
                if self._clock.monotonic() - seen_at >= SEEN_EVERY_S:
                    seen_at = self._clock.monotonic()
                    await self._save_seen(self.agents())
            except HubError as exc:
                event(log, "registry_store_failed", logging.WARNING, error=exc.code)

    async def _tell_of(self, agent: AgentSession) -> None:
        try:
            if agent.ahead_rows and self._clock.monotonic() - self._ahead_told.get(agent.node.id, -AHEAD_EVERY_S) >= AHEAD_EVERY_S:
                self._ahead_told[agent.node.id] = self._clock.monotonic()
                await self.events.clock_ahead(agent.node, agent.ahead_rows)
            if self.events.may_tell("clock", agent.node.id) and (skew := self._skews.news(agent.node.id)) is not None:
                await self.events.clock_moved(agent.node, *skew)
                self._bus.publish(Changed("node", agent.node.id, agent.node.version))
            if agent.lost and (self.events.may_tell("samples_lost", agent.node.id) or len(agent.lost) > MOST_UNTOLD):
                if agent.lost[-1] is self._lost_seen.pop(agent, None) or len(agent.lost) > MOST_UNTOLD:
                    told, agent.lost = agent.lost, []
                    await self.events.samples_lost(agent.node, told)
                else:
                    self._lost_seen[agent] = agent.lost[-1]
        except Exception:  # the boundary, likewise
            self._end_failed(agent)

    async def _stop_awaiting(self) -> None:
        """From now on a node that did not come back to this hub is offline, and an event says so."""
        for node in list(self._awaited):
            found = await self._store.nodes.find_node(node)
            if node in self._awaited and node not in self._agents:
                self._awaited.discard(node)
                if found is not None:
                    self._gone[node] = _Gone(self._started, found.last_seen_at or 0.0, "restarted")
        await self._store.sessions.release_dead(self._hub)

    async def _tell_gone(self) -> None:
        now = self._clock.monotonic()
        for node, gone in list(self._gone.items()):
            if self._draining or now - gone.since < OFFLINE_GRACE_S:
                continue
            if self._gone.get(node) is not gone:
                continue  # it came back, or was removed, while others were told of
            del self._gone[node]
            try:
                await self._tell_offline(node, gone)
            except HubError:
                if node not in self._agents:
                    self._gone.setdefault(node, gone)  # nobody was told: once more, as soon as the store is there
                raise

    async def _tell_offline(self, node: NodeId, gone: _Gone) -> None:
        """Raises: HubError: nobody was told."""
        found = await self._store.nodes.find_node(node)
        if node in self._agents:
            return
        if found is None:
            self._untold.pop(node, None)
            return
        try:
            await self._store.nodes.save_seen({node: gone.seen_at})
        except StoreError:
            self._unsaved[node] = gone.seen_at  # the event waits by itself, with the time of now
        if node in self._agents:
            return
        self._told_offline.add(node)
        await self.events.offline(found, gone.how)
        if lost := self._untold.pop(node, None):
            await self.events.samples_lost(found, lost)
        self._bus.publish(Changed("node", node, found.version))

    async def _save_seen(self, agents: Sequence[AgentSession]) -> None:
        now = self._clock.now()
        seen = self._unsaved | {agent.node.id: now - agent.silent_s for agent in agents}
        if seen:
            await self._store.nodes.save_seen(seen)
            self._unsaved = {node: at for node, at in self._unsaved.items() if at > seen.get(node, 0.0)}

    async def drain(self) -> None:
        """Send everybody away, each to come back after its own time."""
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
    """In one word how a node left: it said so, it was cut off, it fell silent, or we sent it away."""
    return {1000: "left", 1001: "left", 1005: "cut", 1006: "cut", CLOSE_SLOW: "silent"}.get(code, "sent_away")


def _known(layout: LayoutRow) -> KnownLayout:
    return KnownLayout.of(layout, [parse_series(name)[0].scale for name in layout.series])
