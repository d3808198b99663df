"""The handshake of agents: authentication, rate limits, refusals and the start of a session (`docs/wire.md`)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from groundcontrol.agents.codec import CODEC
from groundcontrol.agents.handshake_slots import HandshakeSlot, Openings
from groundcontrol.agents.interfaces import AgentSocket, SocketClosed
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession, SessionDeps
from groundcontrol.agents.store import SessionStore
from groundcontrol.agents.watch_leases import WatchLeases
from groundcontrol.core.bus import Changed
from groundcontrol.core.errors import Conflict, Fenced, NotFound, StoreError, Unavailable
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.core.scope import node_actor
from groundcontrol.core.text import clean
from groundcontrol.events.refusals import Refusals
from groundcontrol.nodes.enrolment import re_adopt
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore, RecoveryStore
from groundcontrol.samples.store import MetricStore
from spider.logs import event
from spider.wire.errors import NotProven, ProtocolError
from spider.wire.frames import (
    CLOSE_CLONE,
    CLOSE_GOING_AWAY,
    CLOSE_HOST,
    CLOSE_PROTOCOL,
    CLOSE_UNKNOWN,
    GROWN,
    HUB_ADDRESS,
    JOURNAL,
    LOOKS,
    HubAddress,
    Welcome,
)
from spider.wire.joining import is_join
from spider.wire.orders import ACTION_LIMIT, ORDER_TIME
from spider.wire.proof import NONCE_BYTES, node_keys
from spider.wire.session import Hello, HubOpening, SecureChannel

log = logging.getLogger(__name__)

CLOSE_INTERNAL: Final = 1011
FIRST_FREE_CODE: Final = 3000
"""From this close code on a peer may choose any. The metrics count them all as `peer`: each reason there is a time series."""
PROBE_S: Final = 3.0
"""If two machines have the same key, the connected one has this long to answer a ping."""
CLONE_EVENT_EVERY_S: Final = 60.0
WAITING_MS: Final = 15_000
"""A node that waits for approval reconnects after a random part of this."""
WHY_REFUSED: Final = {CLOSE_PROTOCOL: "protocol", CLOSE_UNKNOWN: "unknown_key", CLOSE_HOST: "wrong_host", CLOSE_CLONE: "clone"}
"""Close code -> name of the refusal. A node that is asked to come back later is not refused."""
FEATURES: Final = (ORDER_TIME, ACTION_LIMIT, JOURNAL, LOOKS, HUB_ADDRESS, *GROWN)
"""Optional features of the protocol that this hub supports."""


class HandshakeRefused(Exception):
    """The handshake is refused; `code` closes the socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class JoinHandler(Protocol):
    """Handles servers that join with an invite (`deployments.joining`)."""

    async def open(self, socket: AgentSocket, first: bytes, address: str) -> Any:
        """Authenticate both sides. Raises: HandshakeRefused, ProtocolError, StoreError."""
        ...

    async def serve(self, opened: Any) -> tuple[int, str]:
        """Run a join to its end. Returns: close code and reason."""
        ...

    def seen(self, node: NodeId) -> None:
        """Record that a node that waits for approval has authenticated."""
        ...


class AgentHandshake:
    """Serves each socket of an agent: handshake, session and end."""

    def __init__(
        self,
        deps: SessionDeps,
        registry: Registry,
        refusals: Refusals,
        watching: WatchLeases,
        joins: JoinHandler,
        hub: HubId,
        fleet_id: str,
        fleet_key: bytes,
        hosts: frozenset[str],
        address_for: Callable[[str], str | None],
        pack_s: int,
    ) -> None:
        """Args: hosts: names and addresses by which a node may have dialled this hub. address_for: `Config.address_for`."""
        self._deps = deps
        self._registry = registry
        self._watching = watching
        self._joins = joins
        self._hub = hub
        self._fleet_id = fleet_id
        self._fleet_key = fleet_key
        self._hosts = hosts
        self._address_for = address_for
        self._pack_s = pack_s
        self._openings = Openings(deps.clock)
        self._refusals = refusals
        self._locks: weakref.WeakValueDictionary[NodeId, asyncio.Lock] = weakref.WeakValueDictionary()
        self._clones_reported: dict[NodeId, float] = {}
        self.draining = False
        self.adopt_until = 0.0
        """Until this time (Unix seconds), unknown nodes of this fleet are enrolled again. It is set if the hub was rebuilt with the recovery
        key."""
        self.refused: Counter[str] = Counter()
        """Reason -> number of handshakes that ended without a session, for /metrics."""

    async def start(self) -> None:
        """Load `adopt_until`."""
        self.adopt_until = await self._deps.store[RecoveryStore].adopt_until()

    def stop_adopting(self) -> None:
        """Accept only nodes that the store knows from now on."""
        self.adopt_until = 0.0

    @contextlib.contextmanager
    def reserve_slot(self, address_key: str) -> Iterator[HandshakeSlot]:
        """Reserve a handshake slot. `address_key`: the key of the client's address, by which slots are counted.

        Raises: Unavailable: too many handshakes at the moment, or the hub is stopping.
        """
        try:
            if self.draining:
                raise Unavailable("this hub is stopping; come back later", retry_after_s=random.randint(2, 8))
            opening = self._openings.enter(address_key)
        except Unavailable:
            self.refused["draining" if self.draining else "busy"] += 1
            raise
        try:
            yield opening
        finally:
            self._openings.leave(opening)

    async def serve(self, socket: AgentSocket, address: str, opening: HandshakeSlot) -> None:
        """Serve one socket: handshake, session, end. No error of the peer affects other sockets."""
        code, reason = CLOSE_INTERNAL, "internal"
        agent: AgentSession | None = None
        joined = closed_by_peer = False
        try:
            async with asyncio.timeout(None) as limit:
                opening.begin(limit)
                first = await socket.receive()
                opening.first_message(self._deps.clock.monotonic())
                joining = await self._joins.open(socket, first, address) if is_join(first) else None
                if joining is None:
                    agent = await self._open(socket, first, address, opening)
            self._openings.leave(opening)
            if agent is not None:
                await self._live(agent)
                code, reason = agent.verdict  # the hub ended the session, in another task
            else:
                joined = True
                code, reason = await self._joins.serve(joining)
        except Exception as exc:  # the boundary: an error in one session must not affect the others
            # A consequence of the hub's own close needs no log line.
            ended_here = agent is not None and agent.over and isinstance(exc, SocketClosed)
            closed_by_peer = isinstance(exc, SocketClosed) and not ended_here
            code, reason = agent.verdict if agent is not None and ended_here else _verdict(exc, address, opening)
        finally:
            self._openings.leave(opening)
            if joined:
                event(log, "join_closed", address=address, code=code, reason=reason)
            elif agent is None:
                self.refused["displaced" if opening.displaced else "peer" if closed_by_peer and code >= FIRST_FREE_CODE else str(code)] += 1
                why = "displaced" if opening.displaced else "" if closed_by_peer else WHY_REFUSED.get(code, "")
                await self._refused(opening, address, code, reason, why)
            else:
                await self._left(agent, code, reason)
                if not closed_by_peer and code in WHY_REFUSED:
                    await self._refusals.note(node_actor(agent.node.id, address), "agent.session", WHY_REFUSED[code])
            await socket.close(code, reason, linger=opening.spoke)

    async def _refused(self, opening: HandshakeSlot, address: str, code: int, reason: str, why: str) -> None:
        """Log an ended handshake, and audit it if it was refused. `why`: name of the refusal; empty: not refused."""
        if why:
            first = await self._refusals.note(node_actor(opening.node or "", address), "agent.open", why, address_key=opening.address_key)
        else:
            first = self._refusals.first_line("agent_refused", opening.node or opening.address_key)
        if first:
            event(log, "agent_refused", logging.INFO, node=opening.node, address=address, code=code, reason=reason)

    async def _open(self, socket: AgentSocket, first: bytes, address: str, slot: HandshakeSlot) -> AgentSession:
        now_ms = int(self._deps.clock.now() * 1000)
        opening = HubOpening(first, os.urandom(NONCE_BYTES), now_ms, self._fleet_id, CODEC, FEATURES)
        hello = opening.hello._replace(version=clean(opening.hello.version, 64), host=clean(opening.hello.host))
        node = await self._deps.store[NodeStore].find_node(NodeId(hello.node))
        keys = node_keys(self._fleet_key, hello.node, hello.generation)
        # Keys of a later generation derive from this fleet's key alone. Their holder got them from this hub,
        # or from the hub whose backup this one is.
        adopting = node is None and self._deps.clock.now() < self.adopt_until
        known = adopting or (node is not None and hello.generation >= node.generation)
        await socket.send(opening.challenge(keys.session if known else os.urandom(32)))
        link = opening.auth(await socket.receive())
        if not known:  # the proof used a random key, so only a guess could pass
            raise HandshakeRefused(CLOSE_UNKNOWN, "unknown")
        slot.node = NodeId(hello.node)
        await self._charge(slot.node, address)
        self._openings.displace_older(slot)
        if adopting and hello.host in self._hosts:
            try:
                node = await re_adopt(self._deps.store, self._deps.bus, NodeId(hello.node), address, self._deps.clock.now())
            except Conflict:  # the node was removed from this hub
                raise HandshakeRefused(CLOSE_UNKNOWN, "unknown") from None
        if node is None:
            raise HandshakeRefused(CLOSE_UNKNOWN, "unknown")
        if hello.host not in self._hosts:
            if self._refusals.first_line("agent_wrong_host", node.id):
                event(log, "agent_wrong_host", logging.WARNING, node=node.id, host=hello.host[:100], address=address)
            raise HandshakeRefused(CLOSE_HOST, "host")
        if node.waiting:
            self._joins.seen(node.id)
            raise HandshakeRefused(CLOSE_GOING_AWAY, str(WAITING_MS))
        async with self._locks.setdefault(node.id, asyncio.Lock()):
            node = await self._reload(hello)
            await self._refuse_clone(node, hello, address)
            if hello.generation > node.generation:
                node = await self._deps.store[NodeStore].renew_keys(node.id, hello.generation)
                self._registry.clear_clone(node.id)
                self._deps.bus.publish(Changed("node", node.id, node.version, node.org))
            return await self._welcome(node, hello, link, socket, address)

    async def _reload(self, hello: Hello) -> Node:
        """Read the node again: while the peer proved its keys, the node may have got newer ones, or may have been removed.

        Raises: HandshakeRefused, StoreError.
        """
        node = await self._deps.store[NodeStore].find_node(NodeId(hello.node))
        if node is None or hello.generation < node.generation:
            raise HandshakeRefused(CLOSE_UNKNOWN, "unknown")
        return node

    async def _charge(self, node: NodeId, address: str) -> None:
        """Charge the handshake to the quota of its node, before any wait."""
        now = self._deps.clock.monotonic()
        if (wait_s := self._deps.quotas.of(node, now).open(now)) > 0:
            await self._refusals.note(node_actor(node, address), "agent.open", "too_many_sessions")
            raise HandshakeRefused(CLOSE_GOING_AWAY, str(int(1000 * (wait_s + random.uniform(0, wait_s)))))

    async def _refuse_clone(self, node: Node, hello: Hello, address: str) -> None:
        first = self._registry.agent(node.id)
        if first is None or first.hello.boot == hello.boot or not await first.probe(PROBE_S):
            return
        self._registry.mark_clone(node.id)
        now = self._deps.clock.monotonic()
        self._deps.quotas.of(node.id, now).give_back()  # a clone must not use up the quota of the real node
        if now - self._clones_reported.get(node.id, -CLONE_EVENT_EVERY_S) >= CLONE_EVENT_EVERY_S:
            self._clones_reported[node.id] = now
            await self._registry.events.cloned(node, address)
        raise HandshakeRefused(CLOSE_CLONE, "another machine with this key is connected")

    async def _welcome(self, node: Node, hello: Hello, link: SecureChannel, socket: AgentSocket, address: str) -> AgentSession:
        store, clock = self._deps.store, self._deps.clock
        session = await store[SessionStore].claim(node.id, BootId(hello.boot), self._hub)
        marks = await store[MetricStore].begin_session(session)
        jobs = await self._deps.jobs.wanted(session, hello.known_jobs)
        agent = AgentSession(node, session, link, socket, hello, address, marks, self._deps)
        if self.draining or not self._registry.add(agent):
            raise HandshakeRefused(CLOSE_GOING_AWAY, str(random.randint(2_000, 10_000)))
        now_ms = int(clock.now() * 1000)
        welcome = Welcome(
            session.epoch, now_ms, self._pack_s, marks.live, marks.backfill, list(jobs.ids), list(jobs.offsets), list(jobs.forget)
        )
        try:
            await agent.send(welcome)  # nothing was awaited since the session was registered, so this is its first frame
        except BaseException:
            self._registry.leave(agent)
            raise
        return agent

    async def _live(self, agent: AgentSession) -> None:
        event(
            log,
            "agent_online",
            node=agent.node.id,
            node_name=agent.node.name,
            epoch=agent.session.epoch,
            address=agent.address,
            version=agent.hello.version,
        )
        await self._registry.arrived(agent)
        address = self._address_for(agent.hello.host)
        if address is not None and HUB_ADDRESS in agent.hello.features:
            await agent.send(HubAddress(address))
        await self._watching.joined(agent)
        await self._deps.jobs.joined(agent)
        await self._deps.tables.joined(agent)
        await agent.run()

    async def _left(self, agent: AgentSession, code: int, reason: str) -> None:
        away = self._registry.leave(agent, code)
        self._deps.jobs.left(agent)
        self._deps.tables.left(agent)
        seconds = round(self._deps.clock.monotonic() - agent.since, 1)
        event(
            log, "agent_gone", node=agent.node.id, node_name=agent.node.name, code=code, reason=reason, frames=agent.frames, seconds=seconds
        )
        if away and not self.draining:  # the next hub expects the nodes that were connected until shutdown
            with contextlib.suppress(StoreError):  # the next claim replaces the row anyway
                await self._deps.store[SessionStore].release(agent.session)


def _verdict(exc: Exception, address: str, opening: HandshakeSlot) -> tuple[int, str]:  # noqa: PLR0911  # one answer for each kind of end
    """The close code and reason for an error."""
    match exc:
        case TimeoutError() if opening.displaced:
            return CLOSE_GOING_AWAY, str(random.randint(2_000, 8_000))
        case SocketClosed():
            return exc.code, str(exc)
        case HandshakeRefused():
            return exc.code, exc.reason
        case NotProven():
            return CLOSE_UNKNOWN, "unknown"
        case ProtocolError():
            return exc.close_code, exc.reason
        case Fenced():
            return CLOSE_CLONE, "a newer session of this node took over"
        case NotFound():
            return CLOSE_UNKNOWN, "unknown"  # the node was removed meanwhile
        case StoreError():
            event(log, "agent_store_failed", logging.WARNING, error=exc.code, address=address)
            return CLOSE_GOING_AWAY, str(random.randint(5_000, 30_000))
        case TimeoutError():
            return CLOSE_PROTOCOL, "the opening took too long"
    event(log, "agent_session_failed", logging.ERROR, exc_info=True, address=address)
    return CLOSE_INTERNAL, "internal"
