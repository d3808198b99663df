"""The live hub: all browsers on `/api/v1/live`. A change of a topic is read and encoded once for all its browsers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.access.sessions import Caller, ends_at
from groundcontrol.core.bus import Interest, Revoked, Topic
from groundcontrol.core.errors import BadRequest, HubError, NotFound, Unavailable
from groundcontrol.core.scope import Grants, Scope
from groundcontrol.web.admission import Admission, bearer_token
from groundcontrol.web.cookies import check_socket_origin
from groundcontrol.web.declare import LiveTopic
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.connection import CLOSE_GOING_AWAY, Connection
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.live.views import LiveHello
from groundcontrol.web.services import Services
from spider.logs import event

MAX_FRAME_BYTES: Final = 64 << 10
MAX_CONNECTIONS: Final = 512
MAX_OF_A_USER: Final = 32
"""The most simultaneous live pages of one user, so that one user cannot use up `MAX_CONNECTIONS`. `LiveLimits.of_an_address` bounds the
pages of one address."""
HEARTBEAT_S: Final = 20.0
INTEREST_TTL_S: Final = 30.0
"""How long nodes still send each second after the last page that shows them closed. Pages renew this time; each renewal costs a frame to
the node."""

log = logging.getLogger(__name__)

_FeedKey = tuple[int, tuple[Grants, ...], str]
"""Key of a feed: organisation, grants and topic. Browsers with the same key see the same data."""


def _feed_key(scope: Scope, topic: str) -> _FeedKey:
    """The key of a feed. It has the grants also for a topic of one object, which may be about many nodes, as a roll-out is."""
    return scope.org, scope.grants, topic


class LiveHub:
    """All browsers of one hub."""

    def __init__(
        self, services: Services, gate: Admission, topics: Mapping[str, LiveTopic], *, page_build: str, limits: LiveLimits
    ) -> None:
        self.services = services
        self.limits = limits
        self._gate = gate
        self._topics = topics
        self._build = page_build
        self._started_at = services.clock.now()
        self._connections: set[Connection] = set()
        self._feeds: dict[_FeedKey, tuple[Feed, asyncio.Task[None]]] = {}
        self._left: dict[_FeedKey, float] = {}
        """Key of a feed without subscribers -> the monotonic time at which the last subscriber left."""
        self._group: asyncio.TaskGroup | None = None
        self._empty = asyncio.Event()
        self._empty.set()
        self.slow_readers_dropped = 0
        """Number of pages that were disconnected because they did not read their data."""

    # -- start and end -------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled, run the feeds, and pass on revocations and interest."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._revocations(), name="live revocations")
                group.create_task(self._keep_interest(), name="live interest")
        finally:
            self._group = None

    async def close(self) -> None:
        """Close all connections, and wait a short time for their ends."""
        for connection in list(self._connections):
            connection.end(CLOSE_GOING_AWAY, "the hub is stopping")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * self.limits.close_s):
                await self._empty.wait()

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Accept the handshake, and serve the connection until its end."""
        call = await self._gate.admit(request, "live.open")
        if call.caller.session is not None and bearer_token(request) is None:
            check_socket_origin(request, self.services.config.origins)
        self._check_room(call.caller)
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, max_msg_size=MAX_FRAME_BYTES, compress=False, timeout=self.limits.close_s, writer_limit=MAX_FRAME_BYTES
        )
        if not socket.can_prepare(request):
            raise BadRequest("this address is for WebSocket only")
        connection = Connection(self.services, self, socket, request.transport, call.caller, self.limits, self._topics)
        self._connections.add(connection)  # before any wait, so that many simultaneous connections are counted, too
        self._empty.clear()
        try:
            await socket.prepare(request)
            await connection.run(self._hello(call.caller))
        finally:
            self.slow_readers_dropped += connection.too_slow
            self._connections.discard(connection)
            if not self._connections:
                self._empty.set()
        return socket

    def _check_room(self, caller: Caller) -> None:
        if self._group is None:
            raise Unavailable("the hub is starting or stopping; try again later")
        if len(self._connections) >= MAX_CONNECTIONS:
            raise Unavailable("too many pages are open at this hub; try again later")
        if caller.user is None:
            return
        if sum(other.user == caller.user.id for other in self._connections) >= MAX_OF_A_USER:
            raise Unavailable(f"{MAX_OF_A_USER} pages of this user are open already; close some")
        address = rate_limit_key(caller.scope.actor.address)
        most = self.limits.of_an_address
        if sum(rate_limit_key(other.scope.actor.address) == address for other in self._connections) >= most:
            raise Unavailable(f"{most} pages are open from this address already; close some")

    def _hello(self, caller: Caller) -> LiveHello:
        now = self.services.clock.now()
        ends = ends_at(caller) or now + 86_400.0
        return LiveHello(hub_id=self.services.hub_id, build=self._build, now=now, started_at=self._started_at, session_expires_at=ends)

    async def _revocations(self) -> None:
        async with self.services.bus.subscribe(Topic("revoked"), limit=256, policy="ordered") as subscription:
            async for message in subscription:
                for connection in list(self._connections):
                    if not isinstance(message, Revoked) or connection.may_be_affected_by(message):
                        connection.reload_rights()

    # -- feeds ---------------------------------------------------------------------------

    async def join(self, connection: Connection, topic: str, declared: LiveTopic, after: int | None) -> None:
        """Send a connection a snapshot of a shared topic, or the changes since `after`, then every later change.

        Raises: HubError: the object does not exist, the hub is stopping, or the snapshot failed.
        """
        scope = connection.scope
        feed_key, feed = _feed_key(scope, topic), self._find_or_start(scope, topic, declared)
        try:
            await feed.join(connection, connection.put, after)
        except HubError:
            # `feed.join` has removed only its own subscription. Meanwhile the feed may have got another one, or another feed has replaced it.
            found = self._feeds.get(feed_key)
            if found is not None and found[0] is feed and feed.empty:
                self._drop(feed_key)
            raise
        self._publish_interest(feed)

    def leave(self, connection: Connection, scope: Scope, topic: str, *, may_return: bool) -> None:
        """Remove a connection from a topic. A topic without subscribers ends: immediately, or after `linger_s` if its last one may return."""
        feed_key = _feed_key(scope, topic)
        found = self._feeds.get(feed_key)
        if found is None:
            return
        feed, _ = found
        feed.leave(connection)
        if not feed.empty:
            return
        if may_return and not feed.over and len(self._left) < self.limits.linger_most:
            self._left[feed_key] = self.services.clock.monotonic()
        else:
            self._drop(feed_key)

    def _drop(self, feed_key: _FeedKey) -> None:
        self._left.pop(feed_key, None)
        feed, task = self._feeds.pop(feed_key)
        task.cancel()
        feed.close()

    def _find_or_start(self, scope: Scope, topic: str, declared: LiveTopic) -> Feed:
        feed_key = _feed_key(scope, topic)
        self._left.pop(feed_key, None)
        found = self._feeds.get(feed_key)
        if found is not None and not found[0].over and not found[1].done():
            return found[0]
        if self._group is None:
            raise Unavailable("the hub is stopping")
        if declared.feed is None:
            raise NotFound("there is no such topic")
        feed = declared.feed(self.services.of(scope.org), scope, topic, self.limits)
        task = self._group.create_task(self._guard(feed), name=f"live {topic}")
        self._feeds[feed_key] = (feed, task)
        return feed

    async def _guard(self, feed: Feed) -> None:
        """Run a feed. If it fails, its subscribers receive an error, and other feeds continue."""
        try:
            await feed.run()
        except Exception:
            event(log, "live_feed_crashed", logging.ERROR, topic=feed.topic, exc_info=True)
            feed.end(HubError("a feed crashed"))

    def _publish_interest(self, *feeds: Feed) -> None:
        nodes = tuple(dict.fromkeys(node for feed in feeds for node in feed.watched()))
        if nodes:
            closely = tuple(dict.fromkeys(node for feed in feeds for node in feed.watched_closely()))
            self.services.bus.publish(Interest(nodes, INTEREST_TTL_S, closely))

    async def _keep_interest(self) -> None:
        """End the topics whose last page has not returned in time, and renew the interest in the nodes of all others."""
        while True:
            await self.services.clock.sleep(self.limits.interest_every_s)
            now = self.services.clock.monotonic()
            for feed_key in [feed_key for feed_key, since in self._left.items() if now - since >= self.limits.linger_s]:
                self._drop(feed_key)
            self._publish_interest(*(feed for feed_key, (feed, _) in self._feeds.items() if feed_key not in self._left))
