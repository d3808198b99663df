"""The connection to the hub: dials, runs the handshake, exchanges messages, and reconnects after every end.

There is one session at a time. Until the hub has proven that it knows this node's key, the link sends it the hello and nothing else.
"""

import asyncio
import logging
import os
from typing import Any, Callable, Coroutine, Dict, Iterable, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple, Type

from spider.clock import Clock
from spider.config import Config, Url
from spider.hub.addresses import HubAddresses
from spider.hub.backoff import Backoff
from spider.hub.outbox import Outbox
from spider.hub.websocket import CONNECT_TIMEOUT_S, HandshakeRefused, SocketClosed, WebSocket, WebSocketError, connect
from spider.logs import event
from spider.timeouts import wait_for
from spider.wire.errors import NotProven, ProtocolError, SessionOver
from spider.wire.frames import (
    CLOSE_CLONE,
    CLOSE_GOING_AWAY,
    CLOSE_PROTOCOL,
    CLOSE_UNKNOWN,
    HUB_ADDRESS,
    JOURNAL,
    LOOKS,
    OPENING_TIMEOUT_S,
    SUBPROTOCOL,
    HubAddress,
    Message,
    Welcome,
)
from spider.wire.job_messages import JobAck, JobDone, JobStart, JobStop
from spider.wire.orders import ACTION_LIMIT, ORDER_TIME
from spider.wire.rfc6455 import CODE_AWAY
from spider.wire.sample_messages import Ack, Watch
from spider.wire.session import NodeOpening, SecureChannel

TICK_S = 1.0
OTHER_TIMEOUT_S = 3.0
"""Limit of a connection attempt at any address but the first. A short limit lets the link try the first address again soon."""
FINISH_POLL_S = 0.02
KEEP_HUB_TIME_S = 900.0
"""So long a message with the hub's time counts, unless a better one comes: three heartbeats."""
LONGEST_DELAY_S = 60.0
FEATURES: Sequence[str] = (ORDER_TIME, ACTION_LIMIT, JOURNAL, LOOKS)
NOT_MINE = "this hub is not mine, or has forgotten me"

log = logging.getLogger(__name__)


class JobDesk(Protocol):
    """The interface of `jobs.tracker.Jobs` that the link uses."""

    def unconfirmed(self) -> List[str]:
        """Ids of the jobs that the hub may not hold completely."""
        ...

    def start(self, message: JobStart) -> None: ...
    def stop(self, message: JobStop) -> None: ...
    def acked(self, message: JobAck) -> None: ...
    def done(self, message: JobDone) -> None: ...
    def forget(self, jobs: Iterable[str]) -> None:
        """The hub holds these jobs completely. Args: jobs: their ids."""
        ...

    def resume(self, offsets: Mapping[str, int]) -> None:
        """A session has begun. Args: offsets: by job id, up to where the hub holds the job's output."""
        ...

    def suspend(self) -> None:
        """The session has ended."""
        ...


class NotConnected(ConnectionError):
    """There is no session to send in. `HubLink.on_joined` announces the next one."""


class _Ended(NamedTuple):
    """How an attempt or a session ended."""

    code: int = 0
    """The close code of the connection, or `CLOSE_UNKNOWN` if the hub is not this node's; 0: there is none."""
    reason: str = ""
    retry_after_s: Optional[float] = None
    """Retry-After of a refused handshake, in seconds; None: there was none."""
    moved: bool = False
    """The session was left for another address of the hub."""


class _Session:
    """An open session: its connection, and the channel that signs its frames."""

    def __init__(self, socket: WebSocket, channel: SecureChannel) -> None:
        self.socket = socket
        self.channel = channel

    async def send(self, message: Message) -> None:
        """Send one message; waits while too much data is unsent."""
        self.socket.write(
            self.channel.send(message)
        )  # no await in between: the frame's sequence number must match its position in the stream
        await self.socket.drain()


def better_hub_time(known: Optional[Tuple[int, float]], new: Tuple[int, float]) -> Tuple[int, float]:
    """Of two messages with the hub's time the one that was delayed less: a delay makes the hub's clock look slow.

    Otherwise a busy hub or network would seem to move this node's clock. The newer one counts once the other is old, because clocks drift,
    or if the difference is too large for a delay: the hub's clock was set back. Args: Unix milliseconds of the hub, and the monotonic second
    at which they arrived.
    """
    if known is None or new[1] - known[1] > KEEP_HUB_TIME_S:
        return new
    slower_s = (known[0] / 1000 - known[1]) - (new[0] / 1000 - new[1])
    return known if 0 < slower_s <= LONGEST_DELAY_S else new


class HubLink:
    """Keeps a session with the hub. `run` it as one task; cancel the task to leave."""

    def __init__(self, config: Config, outbox: Outbox, jobs: JobDesk, clock: Clock, backoff: Optional[Backoff] = None) -> None:
        self._config = config
        self._outbox = outbox
        self._jobs = jobs
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._session: Optional[_Session] = None
        self._wake = asyncio.Event()
        self._up_since = 0.0
        self.hub_time: Optional[Tuple[int, float]] = None
        """The hub's clock in the recent message with the least delay (Unix milliseconds), and the monotonic second of its arrival."""
        self.tried = asyncio.Event()
        """Set once the first attempt has led to a session or has failed."""
        self._on_joined: List[Callable[[], None]] = []
        self._addresses = HubAddresses(config, clock)
        self._sessions = 0
        self._handlers: Dict[object, Callable[[Any], None]] = {HubAddress: self._addresses.receive}
        outbox.on_ready(self._wake.set)

    def on_joined(self, call: Callable[[], None]) -> None:
        """Run `call` at the beginning of every session, and immediately if there is a session now."""
        self._on_joined.append(call)
        if self._session is not None:
            call()

    def on_message(self, kind: Type[Message], call: Callable[[Any], None]) -> None:
        """Run `call` with every message of this kind, after the link has handled it. `call` replaces an earlier one for this kind."""
        self._handlers[kind] = call

    async def send(self, message: Message) -> None:
        """Send a message in the present session; waits while too much data is unsent.

        Raises: NotConnected: there is no session, or it ended meanwhile. LocalProtocolError: the message can never be sent.
        """
        session = self._session
        if session is None:
            raise NotConnected("there is no session with the hub")
        try:
            await session.send(message)
        except (SocketClosed, SessionOver) as error:
            raise NotConnected(str(error)) from error

    async def finish(self, limit_s: float) -> None:
        """Close the open batches and wait until the hub has acknowledged all batches in memory. Waits at most `limit_s`, and only during a
        session."""
        self._outbox.flush()
        until = self._clock.monotonic() + limit_s
        while self._session is not None and not self._outbox.settled() and self._clock.monotonic() < until:
            await self._clock.sleep(FINISH_POLL_S)

    async def run(self) -> None:
        """Dial, serve and wait, in a loop."""
        while True:
            began = self._clock.monotonic()
            ended = await self._dial()
            self.tried.set()
            if ended.moved:
                continue
            now = self._clock.monotonic()
            wait = self._backoff.after(now - began, now - max(began, self._up_since), ended.code, ended.reason, ended.retry_after_s)
            event(log, "link_waits", logging.DEBUG if wait < 60 else logging.WARNING, seconds=round(wait, 1))
            await self._clock.sleep(wait)

    async def _dial(self) -> _Ended:
        """Try the addresses of the hub in turn, until one leads to a session or the hub refuses at one in a way that holds for all.

        Returns: how the last attempt ended. If all addresses were tried in vain: the end with the highest close code.
        """
        sessions, ended = self._sessions, _Ended()
        for at, url in enumerate(self._addresses.in_order()):
            latest = await self._attempt(url, OTHER_TIMEOUT_S if at else CONNECT_TIMEOUT_S)
            if self._sessions > sessions or latest.retry_after_s is not None or latest.code in (CLOSE_CLONE, CLOSE_GOING_AWAY):
                return latest
            ended = max(ended, latest, key=lambda end: end.code)  # the codes of a hub that refuses this node are the highest
        return ended

    async def _attempt(self, url: Url, timeout_s: float) -> _Ended:
        config = self._config
        try:
            socket = await connect(url, SUBPROTOCOL, f"stardust-spider/{config.version}", config.tls_pin, config.proxy, timeout_s)
        except HandshakeRefused as error:
            event(log, "hub_refused", logging.WARNING, host=url.authority, why=str(error))
            return _Ended(retry_after_s=error.retry_after_s)
        except WebSocketError as error:
            event(log, "hub_not_reached", logging.WARNING, host=url.authority, why=str(error))
            return _Ended()
        code, reason = CODE_AWAY, "leaving"
        try:
            await self._serve(socket, url)
            return _Ended(moved=True)
        except NotProven:
            code, reason = CLOSE_UNKNOWN, "not proven"
            event(log, "hub_not_proven", logging.ERROR, host=url.authority, why=NOT_MINE)
            return _Ended(CLOSE_UNKNOWN)
        except ProtocolError as error:
            code, reason = error.close_code, error.reason
            event(log, "session_broken", logging.WARNING, host=url.authority, why=error.reason)
        except SocketClosed as error:
            event(log, "session_closed", logging.WARNING, host=url.authority, code=error.code, why=error.reason)
            return _Ended(error.code, error.reason)
        except asyncio.TimeoutError:
            code, reason = CLOSE_PROTOCOL, "the opening took too long"
            event(log, "hub_not_reached", logging.WARNING, host=url.authority, why=reason)
        finally:
            if self._session is not None:
                self._session = None
                self._outbox.suspend()
                self._jobs.suspend()
            await socket.close(code, reason)
        return _Ended()

    async def _serve(self, socket: WebSocket, url: Url) -> None:
        """Run one session. Returns when the node should leave it for another address of the hub.

        Raises: NotProven, ProtocolError, SocketClosed, asyncio.TimeoutError: how else the session ended.
        """
        channel, welcome = await wait_for(OPENING_TIMEOUT_S, self._open(socket, url))
        event(log, "session_open", host=url.authority, epoch=welcome.epoch)
        self._sessions += 1
        self._addresses.opened(url)
        self._up_since = self._clock.monotonic()
        self.hub_time = better_hub_time(self.hub_time, (welcome.hub_time_ms, self._up_since))
        self._outbox.resume(welcome)
        session = self._session = _Session(socket, channel)
        self._jobs.forget(welcome.forget_jobs)
        self._jobs.resume(dict(zip(welcome.job_ids, welcome.job_offsets)))
        for call in tuple(self._on_joined):  # a callback may add another one, which `on_joined` then calls
            call()
        self.tried.set()
        await _first_end([self._receive(session), self._send_outbox(session), self._tick(session), self._addresses.move(url)])

    async def _open(self, socket: WebSocket, url: Url) -> "tuple[SecureChannel, Welcome]":
        config = self._config
        opening = NodeOpening(
            config.node,
            config.generation,
            config.key,
            config.boot,
            url.authority,
            config.version,
            (*FEATURES, HUB_ADDRESS) if self._addresses.follows else FEATURES,
            self._jobs.unconfirmed(),
            os.urandom(32),
        )
        await socket.send(opening.hello())
        answer, channel = opening.challenge(await socket.receive())
        if opening.fleet != config.fleet:
            raise NotProven("the hub serves another fleet", CLOSE_UNKNOWN)
        await socket.send(answer)
        welcome = channel.receive(await socket.receive(), self._clock.monotonic())
        if not isinstance(welcome, Welcome):  # the channel guarantees that the first message is a Welcome
            raise ProtocolError("no welcome")
        if len(welcome.job_ids) != len(welcome.job_offsets) or min(welcome.live_seq, welcome.backfill_seq, *welcome.job_offsets) < -1:
            raise ProtocolError("a welcome with impossible numbers")
        return channel, welcome

    async def _receive(self, session: _Session) -> None:
        while True:
            data = await session.socket.receive()
            now = self._clock.monotonic()
            message = session.channel.receive(data, now)
            if session.channel.peer_time_ms > 0:
                self.hub_time = better_hub_time(self.hub_time, (session.channel.peer_time_ms, now))
                session.channel.peer_time_ms = 0
            if isinstance(message, Ack):
                self._outbox.acked(message)
            elif isinstance(message, Watch):
                self._outbox.watch(message)
            elif isinstance(message, JobStart):
                self._jobs.start(message)
            elif isinstance(message, JobStop):
                self._jobs.stop(message)
            elif isinstance(message, JobAck):
                self._jobs.acked(message)
            elif isinstance(message, JobDone):
                self._jobs.done(message)
            call = self._handlers.get(type(message))
            if call is not None:
                call(message)

    async def _send_outbox(self, session: _Session) -> None:
        while True:
            self._wake.clear()
            message = self._outbox.take()
            if message is None:
                await self._wake.wait()
            else:
                await session.send(message)

    async def _tick(self, session: _Session) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            self._outbox.tick()
            beat = session.channel.due(self._clock.monotonic(), int(self._clock.now() * 1000))
            if beat is not None:
                session.socket.write(beat)
                await session.socket.drain()


async def _first_end(parts: Sequence[Coroutine[None, None, None]]) -> None:
    """Run these at the same time until one ends, then cancel the others. Raises the error of the one that ended.

    Several may end in the same moment. A `SessionOver` among their errors does not say why the session ended, so any other error is
    raised before it.
    """
    started = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(started, return_when=asyncio.FIRST_COMPLETED)
        for task in sorted(done, key=lambda task: isinstance(task.exception(), SessionOver)):
            task.result()
    finally:
        for task in started:
            task.cancel()
        await asyncio.gather(*started, return_exceptions=True)
