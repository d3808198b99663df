"""One browser tab on the live socket. It reads the rights of its user from the store again and again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import msgspec
from aiohttp import WSMsgType, web

from groundcontrol.access.sessions import Caller, ends_at
from groundcontrol.access.users import ALL_USERS
from groundcontrol.core.bus import Revoked
from groundcontrol.core.errors import (
    BadRequest,
    HubError,
    OrganisationSuspended,
    OrganisationUnknown,
    PasswordChangeRequired,
    StoreBusy,
    StoreError,
    TotpEnrolmentRequired,
    Unauthenticated,
)
from groundcontrol.core.ids import UserId
from groundcontrol.core.permissions import authorize
from groundcontrol.core.scope import Scope
from groundcontrol.web.aiohttp_private import stop_heartbeat
from groundcontrol.web.declare import LiveTopic, Stream
from groundcontrol.web.errors import live_error
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.send_queue import SendQueue, TooSlow
from groundcontrol.web.live.views import GapMessage, LiveHello, Nothing, SubscribeBody, UnsubscribeBody, encode
from groundcontrol.web.services import Services
from spider.logs import event

MAX_TOPICS: Final = 64
STORE_RETRY_S: Final = 0.1
FLUSH_LIMIT_S: Final = 5.0
"""How long unsent bytes may stay in the transport's buffer after the close, before the connection is aborted."""
CLOSE_GOING_AWAY: Final = 1001
CLOSE_TRY_LATER: Final = 1013
CLOSE_MALFORMED: Final = 4400
CLOSE_SESSION_OVER: Final = 4401
CLOSE_TOO_SLOW: Final = 4408

_TOPIC: Final = re.compile(r"([a-z]+)(?::([0-7][0-9a-hjkmnp-tv-z]{25}))?\Z")

HandleMessage = Callable[[Any], Awaitable[None]]

_ENVELOPE: Final = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])
_SUBSCRIBE: Final = msgspec.msgpack.Decoder(SubscribeBody)
_UNSUBSCRIBE: Final = msgspec.msgpack.Decoder(UnsubscribeBody)
_NOTHING: Final = msgspec.msgpack.Decoder(Nothing)

log = logging.getLogger(__name__)


class Feeds(Protocol):
    """Topics that all browsers share (`live.hub.LiveHub`)."""

    async def join(self, connection: Connection, topic: str, declared: LiveTopic, after: int | None) -> None: ...
    def leave(self, connection: Connection, scope: Scope, topic: str, *, may_return: bool) -> None: ...


class _End(Exception):
    """Ends the connection."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@contextlib.asynccontextmanager
async def _in_time(limit_s: float) -> AsyncIterator[None]:
    """A time limit for a read of rights.

    Raises: StoreBusy: the read took too long, or `limit_s` is not above 0.
    """
    if limit_s <= 0.0:
        raise StoreBusy("the database has too many reads")
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as exc:
        raise StoreBusy("the database has too many reads") from exc


def _close_reason(ended: BaseExceptionGroup[BaseException]) -> tuple[int, str]:
    """The close code and the reason; the reason is empty if the connection was lost."""
    for exc in ended.exceptions:
        if isinstance(exc, _End):
            return exc.code, exc.reason
    return CLOSE_GOING_AWAY, ""


class Connection:
    """One browser tab."""

    def __init__(
        self,
        services: Services,
        feeds: Feeds,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        caller: Caller,
        limits: LiveLimits,
        topic_kinds: Mapping[str, LiveTopic],
    ) -> None:
        self._services = services
        self._feeds = feeds
        self._socket = socket
        self._transport = transport
        self._caller = caller
        self._limits = limits
        self._topic_kinds = topic_kinds
        self._outgoing = SendQueue(services.clock, patience_s=limits.patience_s)
        self._topics: dict[str, Callable[[bool], None]] = {}
        """Topic -> function that ends the subscription. Its argument: whether the page may subscribe again soon."""
        self._group: asyncio.TaskGroup | None = None
        self._checks = 0
        """How many reads of the user's rights have begun. Some of them run at the same time."""
        self._newest_check = 0
        """The count of `_checks` when the read began that has set `_caller`."""
        self._reload_requested = asyncio.Event()
        self._end_requested = asyncio.Event()
        self._end: _End | None = None
        self.too_slow = False
        """Whether the connection ended because the page did not read its data."""

    @property
    def scope(self) -> Scope:
        return self._caller.scope

    @property
    def user(self) -> UserId | None:
        """The user of the session or token; None: the local socket."""
        return None if self._caller.user is None else self._caller.user.id

    def put(self, message: bytes) -> None:
        """Queue a message for this browser."""
        self._outgoing.put(message)

    def may_be_affected_by(self, revoked: Revoked) -> bool:
        """Whether a revocation may concern the session or the user of this connection."""
        session, user = self._caller.session, self._caller.user
        if session is not None and revoked.session == session.id:
            return True
        if revoked.user == ALL_USERS:
            return user is not None and revoked.org == self.scope.org
        return user is not None and revoked.user == user.id

    def reload_rights(self) -> None:
        """Let the connection read the rights from the store again as soon as possible."""
        self._reload_requested.set()

    def end(self, code: int, reason: str) -> None:
        """End the connection from outside."""
        if self._end is None:
            self._end = _End(code, reason)
            self._end_requested.set()

    async def run(self, hello: LiveHello) -> None:
        """Serve until either side closes."""
        self.put(encode("hello", hello))
        code, reason = CLOSE_GOING_AWAY, ""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._write(), name="live writer")
                group.create_task(self._watch_rights(), name="live rights")
                group.create_task(self._wait_for_end(), name="live end")
                await self._read()
        except* (_End, ConnectionError) as ended:
            code, reason = _close_reason(ended)
        finally:
            topics = list(self._topics)
            for stop in list(self._topics.values()):
                stop(True)
            self._topics.clear()
            self._outgoing.clear()
            await self._close(code, reason, topics)
            stop_heartbeat(self._socket)

    async def _close(self, code: int, reason: str, topics: list[str]) -> None:
        """Close the connection with this code and reason. If the page was too slow, a gap message for each of its topics comes first.

        Data that the browser does not read within seconds is dropped.
        """
        try:
            async with asyncio.timeout(self._limits.close_s):
                for topic in topics if code == CLOSE_TOO_SLOW else ():
                    await self._socket.send_bytes(encode("gap", GapMessage(topic=topic)))
                await self._socket.close(code=code, message=reason.encode())
        except (TimeoutError, ConnectionError, RuntimeError):
            event(log, "live_close_incomplete", code=code)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # aiohttp's send and close wait on the same future. If a send was cancelled, so was this future, and `close` raises
            # CancelledError although this task was not cancelled.
            event(log, "live_close_incomplete", code=code)
        finally:
            if self._transport is not None and self._transport.get_write_buffer_size():
                asyncio.get_running_loop().call_later(FLUSH_LIMIT_S, self._transport.abort)

    # -- tasks ---------------------------------------------------------------------------

    async def _write(self) -> None:
        try:
            await self._outgoing.pump(self._socket.send_bytes)
        except TooSlow as exc:
            self.too_slow = True
            raise _End(CLOSE_TOO_SLOW, "the page did not take what was sent to it") from exc

    async def _wait_for_end(self) -> None:
        await self._end_requested.wait()
        if self._end is not None:
            raise self._end

    async def _watch_rights(self) -> None:
        """Read the rights again after every revocation, and every `rights_reload_s`.

        If the store does not answer, the last known rights stay valid until the next read. After a revocation, or after the end of the
        session, they do not: then the connection ends.
        """
        if self._caller.user is None:
            return
        unsure = False
        while True:
            ends = ends_at(self._caller)
            wait = self._limits.rights_reload_s
            if ends is not None:
                wait = max(0.0, min(wait, ends - self._services.clock.now()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._reload_requested.wait()
            changed = self._reload_requested.is_set()
            must_know = changed or (ends is not None and ends <= self._services.clock.now())
            self._reload_requested.clear()
            try:
                await self._renew_rights(changed=changed)
                unsure = False
            except StoreError as exc:
                event(log, "live_rights_unknown", logging.WARNING, code=exc.code)
                if must_know or unsure:
                    self._outgoing.clear()
                    raise _End(CLOSE_TRY_LATER, "the hub cannot look up now what this page may see: connect again") from exc
                unsure = True

    async def _renew_rights(self, *, changed: bool = False) -> None:
        """Read the user's rights now. End the topics that the user may no longer see, and restart those that now show less or more.

        Args:   changed: a revocation arrived. Then the page receives a message even if the rights look the same, because they may have
                    changed and changed back.
        Raises: StoreError: the store did not answer for all or some topics. _End: the session is over.
        """
        self._checks += 1
        check = self._checks
        try:
            caller = await self._read_caller()
        except (Unauthenticated, PasswordChangeRequired, TotpEnrolmentRequired, OrganisationUnknown, OrganisationSuspended) as exc:
            self._outgoing.clear()
            raise _End(CLOSE_SESSION_OVER, "the session is over") from exc
        before = self.scope
        if check > self._newest_check:  # otherwise a later check that ran at the same time has a newer answer
            self._newest_check, self._caller = check, caller
        if changed or (self.scope.grants, self.scope.actor.role) != (before.grants, before.actor.role):
            self.put(encode("rights", Nothing()))
        anew = self.scope.grants != before.grants
        topics = sorted(self._topics, key=_covers_many)  # a page learns first which of its objects are gone
        for topic in topics if anew else ():
            if self._parse(topic)[0].feed is not None:
                self._stop(topic)  # before any wait: no topic continues with old rights while another is read
        deadline = asyncio.get_running_loop().time() + self._limits.rights_s
        for topic in topics:
            await self._recheck_topic(topic, anew=anew, deadline=deadline)

    async def _read_caller(self) -> Caller:
        """Read the current state of the user. A busy store is queried again until the time limit.

        Raises: StoreError; and as `AuthService.reload_caller`.
        """
        async with _in_time(self._limits.rights_s):
            while True:
                try:
                    return await self._services.auth.reload_caller(self._caller)
                except StoreBusy:
                    await self._services.clock.sleep(STORE_RETRY_S)

    async def _recheck_topic(self, topic: str, *, anew: bool, deadline: float) -> None:
        """End a topic that the user's rights do not allow. If the grants changed, start the others again: what they show depends on them.

        Args:   anew: whether the grants changed.
                deadline: loop time by which all lookups together must be done; used only with `anew`.
        Raises: StoreError: the store did not answer, and `anew` is False.
        """
        declared, key = self._parse(topic)
        try:
            authorize(self.scope, declared.action)
            if declared.find is not None and (self.scope.grants or anew):
                async with _in_time(deadline - asyncio.get_running_loop().time() if anew else self._limits.rights_s):
                    await self._check_resource(declared, key)
            if anew and declared.feed is not None:
                self.put(encode("gap", GapMessage(topic=topic)))
                await self._join(topic, declared, None)
        except HubError as exc:
            if isinstance(exc, StoreError) and not anew:
                raise
            self._stop(topic)
            self.put(encode("error", live_error(exc, topic)))

    # -- messages of the page ------------------------------------------------------------

    def _message_kinds(self) -> dict[str, tuple[msgspec.msgpack.Decoder[Any], HandleMessage]]:
        """Every message that a page may send, with its schema and handler."""
        return {
            "subscribe": (_SUBSCRIBE, self._subscribe),
            "unsubscribe": (_UNSUBSCRIBE, self._unsubscribe),
            "ping": (_NOTHING, self._ping),
        }

    async def _read(self) -> None:
        kinds = self._message_kinds()
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY:
                raise _End(CLOSE_MALFORMED, "messages are MessagePack in binary frames")
            try:
                kind, raw = _ENVELOPE.decode(message.data)
                schema, handle = kinds.get(kind, (None, None))
                body = schema.decode(raw) if schema else None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
                raise _End(CLOSE_MALFORMED, f"this is not a message of the live socket: {exc}"[:120]) from exc
            if handle is None:
                self.put(encode("error", live_error(BadRequest(f"there is no message {kind[:40]!r}"))))
                continue
            await handle(body)
        raise _End(self._socket.close_code or CLOSE_GOING_AWAY, "")

    async def _ping(self, _body: Nothing) -> None:
        self.put(encode("pong", Nothing()))

    async def _unsubscribe(self, body: UnsubscribeBody) -> None:
        self._stop(body.topic)

    async def _subscribe(self, body: SubscribeBody) -> None:
        try:
            await self._start(body)
        except HubError as exc:
            self.put(encode("error", live_error(exc, body.topic[:64])))

    async def _start(self, body: SubscribeBody) -> None:
        """Check a subscription, and begin it within the limits of its cost class. It replaces an earlier one to the same topic."""
        topic, key = self._parse(body.topic)
        if body.after is not None and body.after < 0:
            raise BadRequest("after must not be negative")
        await self._renew_rights()
        authorize(self.scope, topic.action)
        self._stop(body.topic, may_return=True)
        if len(self._topics) >= MAX_TOPICS:
            raise BadRequest(f"a page may follow at most {MAX_TOPICS} topics")
        async with self._services.costs.take(topic.cost, self.user):
            await self._begin(body, topic, key)

    def _parse(self, text: str) -> tuple[LiveTopic, str]:
        """The declaration of a topic, and the id of its object, or "" if the topic has none.

        Raises: BadRequest: there is no such topic.
        """
        match = _TOPIC.match(text)
        topic = self._topic_kinds.get(match[1]) if match else None
        if match is None or topic is None or (topic.find is None) != (match[2] is None):
            forms = [kind if topic.find is None else f"{kind}:<id>" for kind, topic in self._topic_kinds.items()]
            raise BadRequest(f"a topic is {', '.join(forms[:-1])} or {forms[-1]}")
        return topic, match[2] or ""

    async def _begin(self, body: SubscribeBody, topic: LiveTopic, key: str) -> None:
        """Authorize the current caller, then run the topic's stream or join its shared feed."""
        caller = None
        while caller is not self._caller:  # the rights may have changed while the store was queried
            caller = self._caller
            authorize(caller.scope, topic.action)
            await self._check_resource(topic, key)
        if topic.stream is not None:
            stream = topic.stream(
                self._services.of(self.scope.org), lambda: self.scope, key, body.after or 0, self.put, self._outgoing.room
            )
            assert self._group is not None
            self._topics[body.topic] = _canceller(self._group.create_task(self._run_stream(stream), name=f"live {stream.topic}"))
            return
        await self._join(body.topic, topic, body.after)

    async def _join(self, topic: str, declared: LiveTopic, after: int | None) -> None:
        scope = self.scope

        def stop(may_return: bool) -> None:
            self._feeds.leave(self, scope, topic, may_return=may_return)

        self._topics[topic] = stop
        try:
            await self._feeds.join(self, topic, declared, after)
        except HubError:
            if self._topics.get(topic) is not stop:
                return  # the topic has ended or restarted with other rights, and the page has been notified
            del self._topics[topic]
            raise

    async def _check_resource(self, topic: LiveTopic, key: str) -> None:
        """Check that the caller's rights cover the object of the topic."""
        if topic.find is not None:
            authorize(self.scope, topic.action, await topic.find(self._services.of(self.scope.org), self.scope, key))

    async def _run_stream(self, stream: Stream) -> None:
        try:
            await stream.run()
        except Exception:
            event(log, "job_stream_crashed", logging.ERROR, topic=stream.topic, exc_info=True)
            self.put(encode("error", live_error(HubError("a stream crashed"), stream.topic)))

    def _stop(self, topic: str, *, may_return: bool = False) -> None:
        stop = self._topics.pop(topic, None)
        if stop is not None:
            stop(may_return)


def _covers_many(topic: str) -> bool:
    return ":" not in topic


def _canceller(task: asyncio.Task[None]) -> Callable[[bool], None]:
    def stop(_may_return: bool) -> None:
        task.cancel()

    return stop
