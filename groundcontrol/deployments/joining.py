"""Joins with an invite: authenticates the server, probes it, sends keys and files, and waits for its first session.

Decisions and installed files are the same as over SSH (`majortom`). Only the transport differs: the node runs the fixed scripts
itself (`spider/selfcare/join.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from groundcontrol.access.store import Bucket, UserStore
from groundcontrol.agents.handshake import HandshakeRefused
from groundcontrol.agents.interfaces import AgentSocket, SocketClosed
from groundcontrol.core.bus import Bus, Changed
from groundcontrol.core.errors import HubError, NotFound
from groundcontrol.core.ids import InviteId, NodeId
from groundcontrol.core.scope import Scope, hub_scope, node_actor
from groundcontrol.core.stores import Stores
from groundcontrol.deployments.model import NO_LINES, Invite
from groundcontrol.deployments.node_files import spider_conf
from groundcontrol.deployments.policy_file import policy_conf
from groundcontrol.deployments.requests import proxy_of
from groundcontrol.deployments.store import InviteStore
from groundcontrol.deployments.target_policy import HubAddress
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event
from groundcontrol.events.refusals import Refusals
from groundcontrol.nodes.interfaces import AgentBundle
from groundcontrol.nodes.model import NewNode, Node
from groundcontrol.nodes.store import NodeStore
from majortom.errors import one_line
from majortom.interfaces import DeployError, Payload, Secret
from majortom.plan import InstallPlan, plan_install, upload_files, with_launcher
from majortom.probe import Probe, parse_probe
from majortom.ssh.shell import units
from spider.clock import Clock
from spider.logs import event
from spider.wire.errors import ProtocolError
from spider.wire.frames import CLOSE_GOING_AWAY, CLOSE_HOST, CLOSE_PROTOCOL, CLOSE_UNKNOWN
from spider.wire.ids import new_random_id
from spider.wire.joining import (
    MAX_PART_BYTES,
    HubJoin,
    JoinAccepted,
    JoinDone,
    Joined,
    JoinEnded,
    JoinPart,
    JoinProbe,
    JoinRefused,
    as_any,
    invite_secret,
    join_key,
    masked,
    saying,
)
from spider.wire.proof import node_keys

log = logging.getLogger(__name__)

REGISTRATIONS: Final = Bucket(30, 60.0)
"""Join attempts allowed from one address, and the period in seconds."""
MAX_CONCURRENT: Final = 64
WHOLE_S: Final = 900.0
"""Time limit of a join."""
PROBE_S: Final = 60.0
"""Time limit of the first message of a join."""
VERIFY_S: Final = 60
"""How long the server waits for its first session, before it rolls back."""
LOST_S: Final = 90.0
"""How long a node that disconnected during its installation may still come back."""
TICK_S: Final = 1.0
MAX_MESSAGES: Final = 1000
CLOSE_NORMAL: Final = 1000


class Opened(NamedTuple):
    """An authenticated holder of an invite."""

    socket: AgentSocket
    joined: Joined
    invite: Invite
    address: str
    url: str
    """The URL by which this server reached the hub."""


class Joining:
    """Serves joins. A join lasts as long as its connection; tasks that outlive it belong to `run`."""

    def __init__(
        self, *, store: Stores, bus: Bus, clock: Clock, refusals: Refusals, fleet_id: str, fleet_key: bytes, hub: HubAddress, hosts: frozenset[str],
        spider: AgentBundle, address_key_of: Callable[[str], str], wait_online: Callable[[NodeId, float], Awaitable[None]], close: Callable[[NodeId, int, str], Awaitable[None]],
    ) -> None:  # fmt: skip
        self.store = store
        self.bus = bus
        self.clock = clock
        self.fleet_id = fleet_id
        self.hub = hub
        self.spider = spider
        self.wait_online = wait_online
        self.close = close
        self._fleet_key = fleet_key
        self._hosts = hosts
        self._address_key_of = address_key_of
        """Address -> the key by which its attempts are counted."""
        self._running = 0
        self._refusals = refusals
        self._seen: dict[NodeId, asyncio.Event] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Settle interrupted joins until cancelled, first those before the start of the hub. Raises: StoreError."""
        left = await self.store[InviteStore].unsettled()
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for node, org in left:
                    group.create_task(self._settle_late(hub_scope(org), node), name="settle-joining")
                await asyncio.Event().wait()
            finally:
                self._group = None  # a join that ends while the hub stops is settled by the next start

    def keys(self, node: Node) -> tuple[bytes, bytes]:
        """The session key and the launch key of a node."""
        keys = node_keys(self._fleet_key, node.id, node.generation)
        return keys.session, keys.launch

    # -- handshake ---------------------------------------------------------------------------

    async def open(self, socket: AgentSocket, first: bytes, address: str) -> Opened:
        """Authenticate both sides. A peer without a valid invite learns nothing, not even whether the invite exists.

        Raises: HandshakeRefused, ProtocolError, StoreError.
        """
        now = self.clock.now()
        wait_s = await self.store[UserStore].reserve_attempt(
            {f"register:{self._address_key_of(address)}:{int(REGISTRATIONS.window_s)}": REGISTRATIONS}, now
        )
        if wait_s > 0 or self._running >= MAX_CONCURRENT:
            if await self._refusals.note(node_actor("", address), "node.join", "too_many", address_key=self._address_key_of(address)):
                event(log, "join_limited", logging.WARNING, address=address)
            raise HandshakeRefused(CLOSE_GOING_AWAY, str(int(max(wait_s, 1.0) * 1000)))
        opening = await asyncio.to_thread(HubJoin, first, os.urandom(32), int(now * 1000), self.fleet_id)
        hello = opening.hello
        invite = await self.store[InviteStore].find_invite(InviteId(hello.invite), now)
        key = os.urandom(32) if invite is None else join_key(invite_secret(self._fleet_key, invite.id), invite.id)
        await socket.send(opening.challenge(key))
        answer = await socket.receive()
        joined = await asyncio.to_thread(opening.auth, answer)
        if invite is None:  # the proof used a random key, so only a guess could pass
            raise HandshakeRefused(CLOSE_UNKNOWN, "unknown")
        if hello.host not in self._hosts:
            if self._refusals.first_line("join_wrong_host", self._address_key_of(address)):
                event(log, "join_wrong_host", logging.WARNING, invite=invite.id, host=one_line(hello.host, 100), address=address)
            raise HandshakeRefused(CLOSE_HOST, "host")
        return Opened(socket, joined, invite, address, self.hub.node_url_at(hello.host))

    async def serve(self, opened: Opened) -> tuple[int, str]:
        """Run a join to its end. Returns: close code and reason."""
        visit = _Visit(self, opened)
        self._running += 1
        try:
            async with asyncio.timeout(WHOLE_S):
                return await visit.run()
        except TimeoutError:
            return CLOSE_PROTOCOL, "joining took too long"
        except ProtocolError as exc:
            return exc.close_code, exc.reason
        except SocketClosed as exc:
            return exc.code, str(exc)
        finally:
            self._running -= 1
            if visit.open_end is not None and self._group is not None:
                self._group.create_task(self._settle_late(visit.scope, visit.open_end, opened.invite), name="settle-joining")

    # -- nodes that wait for approval --------------------------------------------------------

    def seen(self, node: NodeId) -> None:
        """Record that a node that waits for approval has authenticated."""
        waiting = self._seen.get(node)
        if waiting is not None:
            waiting.set()

    async def wait_seen(self, node: NodeId, timeout_s: float) -> None:
        """Return once the node has authenticated.

        Raises: TimeoutError.
        """
        self._seen[node] = asyncio.Event()
        try:
            async with asyncio.timeout(timeout_s):
                await self._seen[node].wait()
        finally:
            del self._seen[node]

    # -- clean-up ----------------------------------------------------------------------------

    async def forget(self, scope: Scope, node: NodeId, event: Event, why: str) -> None:
        """Delete a node whose installation did not finish, and store the event.

        Raises: StoreError.
        """
        with contextlib.suppress(NotFound):
            await self.store[NodeStore].delete_node(scope, node, event)
        await self.close(node, CLOSE_UNKNOWN, why)
        self.bus.publish(Changed("node", node, 0, scope.org))

    def event_of(self, scope: Scope, invite: Invite | None, node: NodeId, name: str, failed: str) -> Event:
        """The event of a join that has ended.

        Args: invite: None: the invite was used before the hub restarted. failed: the reason; empty: the node has joined.
        """
        details: dict[str, object] = {"node": node} if invite is None else {"node": node, "invite": invite.id, "kind": invite.kind}
        if failed:
            return new_event("node_join_failed", self.clock.now(), details | {"why": failed}, name=name, org=scope.org)
        return new_event("node_joined", self.clock.now(), details, node=node, name=name, org=scope.org)

    async def _settle_late(self, scope: Scope, node: NodeId, invite: Invite | None = None) -> None:
        """Settle a node that disconnected during its installation. If it does not reconnect, delete it: its server rolls back, too."""
        try:
            found = await self.store[NodeStore].find_node(node)
            if found is None:
                return
            with contextlib.suppress(TimeoutError):
                await (self.wait_seen if found.waiting else self.wait_online)(node, LOST_S)
                await self.store[InviteStore].settle_joining(node, self.event_of(scope, invite, node, found.name, ""))
                return
            ended = self.event_of(scope, invite, node, found.name, "its connection was lost, and it did not reconnect")
            await self.forget(scope, node, ended, "the node did not reconnect")
            event(log, "join_forgotten", logging.WARNING, node=node, node_name=found.name)
        except HubError as exc:  # the next start of the hub retries
            event(log, "join_not_settled", logging.ERROR, node=node, code=exc.code)
        except Exception:  # the boundary: a bug in one join must not affect the others
            event(log, "join_not_settled", logging.ERROR, node=node, exc_info=True)


_Kind = TypeVar("_Kind", JoinProbe, JoinEnded)


class _Visit:
    """One join, from the probe of the server to its first session."""

    def __init__(self, joining: Joining, opened: Opened) -> None:
        self._joining = joining
        self._socket, self._joined, self._invite, self._address, self._url = opened
        self._received = 0
        self.scope = hub_scope(self._invite.org)
        self.open_end: NodeId | None = None
        """A new node whose installation is not settled yet; None: there is none."""

    async def run(self) -> tuple[int, str]:
        joining = self._joining
        async with asyncio.timeout(PROBE_S):
            message = await self._receive(JoinProbe)
        try:
            probe = parse_probe([one_line(line, 1000) for line in message.lines[:200]])
            plan = await self._plan(probe)
        except DeployError as exc:
            event(log, "join_refused", logging.WARNING, invite=self._invite.id, address=self._address, code=exc.code)
            await self._send(JoinRefused(exc.code, exc.message))
            return CLOSE_NORMAL, "refused"
        wanted = NewNode(NodeId(new_random_id()), self._name(probe), self._address, self._invite.tags)
        try:
            node = await joining.store[InviteStore].use_invite(self._invite.id, self.scope, wanted)
        except NotFound as exc:  # another server used the invite first
            await self._send(JoinRefused("invite_spent", exc.message))
            return CLOSE_UNKNOWN, "unknown"
        self.open_end = node.id
        event(log, "join_begins", node=node.id, node_name=node.name, invite=self._invite.id, address=self._address)
        joining.bus.publish(Changed("node", node.id, node.version, node.org))
        await self._hand_over(node, probe, plan)
        ended = await self._await_session(node)
        failed = one_line(ended.message or ended.code, 300) if ended.code else ""
        outcome = joining.event_of(self.scope, self._invite, node.id, node.name, failed)
        if failed:
            await joining.forget(self.scope, node.id, outcome, "the installation failed")
        else:
            await joining.store[InviteStore].settle_joining(node.id, outcome)
        self.open_end = None
        event(log, "join_ended", node=node.id, node_name=node.name, invite=self._invite.id, why=failed)
        return CLOSE_NORMAL, "not joined" if failed else "joined"

    async def _plan(self, probe: Probe) -> InstallPlan:
        joining, there = self._joining, probe.existing
        replaceable = (
            there.fleet == joining.fleet_id and bool(there.node) and await joining.store[NodeStore].find_node(NodeId(there.node)) is None
        )
        return plan_install(probe, install_python=False, hub_url=self._url, fleet=joining.fleet_id, replaceable=replaceable)

    def _name(self, probe: Probe) -> str:
        if self._invite.kind == "node" and self._invite.name:
            return self._invite.name
        return one_line(probe.hostname, 90) or "unnamed"

    def _policy_mode(self, probe: Probe) -> str:
        """The mode for the launcher and for a server without a policy file. A policy file that is there stays."""
        there = probe.existing
        if probe.launchd:  # macOS has no launcher
            return "monitor"
        return (there.policy or "readonly") if there.has_policy else self._invite.policy

    async def _hand_over(self, node: Node, probe: Probe, plan: InstallPlan) -> None:
        joining = self._joining
        session_key, launch_key = joining.keys(node)
        mode = self._policy_mode(probe)
        payload = Payload(
            version=joining.spider.version,
            bundle=joining.spider.bundle,
            spider_conf=spider_conf(node, self._url, joining.fleet_id, joining.hub.tls_pin, proxy_of(probe.proxy)),
            policy_conf=policy_conf(mode, lines=self._invite.lines if mode == self._invite.policy else NO_LINES),
            session_key=Secret(session_key.hex()),
            launch_key=Secret(launch_key.hex()),
            install_python=False,
        )
        files = dict(upload_files(payload, units(), probe))
        manifest = hashlib.sha256(files["manifest"]).hexdigest()
        for key in ("session.key", "launch.key"):
            files.pop(key, None)  # the keys are sent masked
        launcher = with_launcher(payload.policy_conf)
        await self._send(
            JoinAccepted(
                node.id, node.generation, masked(session_key, self._joined.session_mask), masked(launch_key, self._joined.launch_mask),
                payload.version, int(launcher), plan.clean, int(node.waiting), VERIFY_S, manifest, list(files), [len(data) for data in files.values()],
            )
        )  # fmt: skip
        for name, data in files.items():
            for at in range(0, len(data), MAX_PART_BYTES):
                await self._send(JoinPart(name, at, data[at : at + MAX_PART_BYTES]))

    async def _await_session(self, node: Node) -> JoinEnded:
        """Report the first session to the node, and wait for its answer: installed, or rolled back."""
        joining = self._joining
        session = asyncio.ensure_future((joining.wait_seen if node.waiting else joining.wait_online)(node.id, WHOLE_S))
        answer = asyncio.ensure_future(self._receive(JoinEnded))
        reported = False
        try:
            while not answer.done():
                await asyncio.wait({answer} if reported else {answer, session}, timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
                if session.done() and not reported:
                    reported = True
                    await self._send(JoinDone(int(node.waiting)))
                beat = self._joined.link.due(joining.clock.monotonic(), int(joining.clock.now() * 1000))
                if beat is not None:
                    await self._socket.send(beat)
            return answer.result()
        finally:
            for task in (session, answer):
                task.cancel()
            await asyncio.gather(session, answer, return_exceptions=True)

    # -- messages ----------------------------------------------------------------------------

    async def _send(self, message: object) -> None:
        await self._socket.send(self._joined.link.send(saying(message)))

    async def _receive(self, kind: type[_Kind]) -> _Kind:
        """The next message, which must have this type.

        Raises: ProtocolError.
        """
        while True:
            self._received += 1
            if self._received > MAX_MESSAGES:
                raise ProtocolError("too many messages")
            message = as_any(self._joined.link.receive(await self._socket.receive(), self._joining.clock.monotonic()))
            if message is None:
                continue
            if not isinstance(message, kind):
                raise ProtocolError("a message in the wrong place")
            return message
