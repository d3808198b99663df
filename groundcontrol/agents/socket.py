"""`/ws`: the WebSocket of an agent's session. Browsers cannot open it, since they always send Origin, which is refused.

aiohttp answers the HTTP handshake. It passes all further bytes to `AgentTransport`, and that splits them into messages. The session takes
the messages one by one from a bounded queue. While the queue is full, the connection is not read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from groundcontrol.access.addresses import Network, rate_limit_key
from groundcontrol.agents.handshake import AgentHandshake
from groundcontrol.agents.interfaces import SocketClosed
from groundcontrol.core.errors import BadRequest, CrossSite
from groundcontrol.web.client_address import address_of_request
from spider.wire.errors import ProtocolError
from spider.wire.frames import CLOSE_GOING_AWAY, MAX_FRAME_BYTES, SUBPROTOCOL
from spider.wire.rfc6455 import (
    CODE_ABNORMAL,
    CODE_NO_STATUS,
    CODE_NORMAL,
    CODE_UNSUPPORTED,
    OP_BINARY,
    OP_CLOSE,
    OP_PING,
    OP_PONG,
    FrameReader,
    Incoming,
    Violation,
    accept_for,
    build_frame,
    close_payload,
    read_close,
)

CLOSE_WAIT_S: Final = 2.0
"""How long a peer has to answer a close frame."""
MAX_CONTROLS: Final = 64
"""Pings and unrequested pongs allowed between two messages. More is a flood."""
READ_AHEAD_BYTES: Final = 64 * 1024
"""Bytes of queued messages above which the connection is not read."""
MESSAGE_BYTES: Final = 64
"""Bytes charged for a queued message beside its content. Otherwise the queue could hold any number of empty messages."""
MAX_UNHEARD: Final = 4096
"""Messages that a node may send after its session ended. With more, the hub no longer waits for its close frame."""
MAX_CONCURRENT: Final = 64
"""Messages of one node that are processed before other tasks get their turn."""
DRAIN_BYTES: Final = 64 * 1024
"""Bytes in the send buffer above which a sender waits."""


def handler(
    handshake: AgentHandshake, trusted: Sequence[Network], close_wait_s: float = CLOSE_WAIT_S
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of `GET /ws`.

    Raises: CrossSite: the request has an Origin; BadRequest: no WebSocket, or the wrong subprotocol; Unavailable: too many handshakes.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        if hdrs.ORIGIN in request.headers:
            raise CrossSite("this address is for nodes, not for browsers")
        offered = web.WebSocketResponse(protocols=(SUBPROTOCOL,)).can_prepare(request)
        if not offered.ok or offered.protocol != SUBPROTOCOL:
            raise BadRequest(f"this address takes WebSocket connections with the subprotocol {SUBPROTOCOL} only")
        address = address_of_request(request, trusted) or "local"
        with handshake.reserve_slot(rate_limit_key(address)) as opening:
            switched = web.StreamResponse(
                status=101,
                headers={
                    hdrs.UPGRADE: "websocket",
                    hdrs.CONNECTION: "upgrade",
                    hdrs.SEC_WEBSOCKET_ACCEPT: accept_for(request.headers[hdrs.SEC_WEBSOCKET_KEY].encode()),
                    hdrs.SEC_WEBSOCKET_PROTOCOL: SUBPROTOCOL,
                },
            )
            switched.force_close()
            writer = await switched.prepare(request)
            transport = request.transport
            if writer is None or transport is None:
                raise ConnectionResetError("the connection is gone")
            socket = AgentTransport(transport, request.protocol, writer, close_wait_s)
            request.protocol.set_parser(cast("Any", socket))  # like aiohttp's own WebSocketReader
            await handshake.serve(socket, address, opening)
        return switched

    return handle


class AgentTransport:
    """An `AgentSocket` that is also the parser which aiohttp feeds with the connection's bytes."""

    def __init__(
        self, transport: asyncio.Transport, protocol: web.RequestHandler, writer: AbstractStreamWriter, close_wait_s: float
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._writer = writer
        self._close_wait_s = close_wait_s
        self._frames = FrameReader(MAX_FRAME_BYTES, masked=True)
        self._messages: deque[bytes] = deque()
        self._waiting_bytes = self._taken = 0
        self._paused = False
        self._arrived = asyncio.Event()
        """Set when a message or the end of the connection has arrived."""
        self._over: Exception | None = None
        """Why the connection ended; None: it is open."""
        self._controls = self._unheard = 0
        self._pong = asyncio.Event()
        self._close_sent = False
        self._input_drained = asyncio.Event()
        """Set when no further frame of the peer is expected."""
        self._closing = asyncio.Lock()

    # -- called by aiohttp ---------------------------------------------------------------------

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Parse received bytes. The returned pair tells aiohttp that the connection continues and all bytes were consumed."""
        if self._input_drained.is_set():
            return False, b""
        self._frames.feed(data)
        try:
            while not self._input_drained.is_set() and (frame := self._frames.next()) is not None:
                self._take(frame)
        except Violation as broken:
            self._input_drained.set()  # after this error the start of the next frame is unknown
            is_text = broken.code == CODE_UNSUPPORTED
            self._end(ProtocolError("a text message") if is_text else SocketClosed(broken.code, "not WebSocket, or too big"))
        except ProtocolError as error:
            if self._over is not None:
                self._input_drained.set()  # in a flood, waiting for the close frame would be in vain
            self._end(error)
        return False, b""

    def feed_eof(self) -> None:
        """The connection is over."""
        self._input_drained.set()
        self._end(SocketClosed(CODE_ABNORMAL))

    def _take(self, frame: Incoming) -> None:
        if frame.opcode == OP_BINARY:
            self._queue(frame.data)
        elif frame.opcode == OP_CLOSE:
            code, _reason = read_close(frame.data)
            self._input_drained.set()
            self._send_close(CODE_NORMAL if code == CODE_NO_STATUS else code, "")
            self._end(SocketClosed(code))
        elif frame.opcode == OP_PONG and not self._pong.is_set():
            self._pong.set()  # requested by a probe, so not counted: each clone that connects causes a probe
        else:
            self._controls += 1
            if self._controls > MAX_CONTROLS:
                raise ProtocolError("a flood of pings")
            if frame.opcode == OP_PING and self.backlog < MAX_FRAME_BYTES and not self._close_sent:
                self._transport.write(build_frame(OP_PONG, frame.data, masked=False))

    def _queue(self, message: bytes) -> None:
        self._controls = 0
        if self._over is not None:
            self._unheard += 1
            if self._unheard > MAX_UNHEARD:
                raise ProtocolError("too many messages after the end")
            return
        self._messages.append(message)
        self._waiting_bytes += len(message) + MESSAGE_BYTES
        if self._waiting_bytes > READ_AHEAD_BYTES and not self._paused:
            self._paused = True
            self._protocol.pause_reading()
        self._arrived.set()

    def _end(self, why: Exception) -> None:
        """Record the end. `receive` raises it after the queued messages."""
        if self._over is None:
            self._over = why
        self._arrived.set()

    # -- called by the session -----------------------------------------------------------------

    async def receive(self) -> bytes:
        self._taken += 1
        if self._taken % MAX_CONCURRENT == 0:
            await asyncio.sleep(0)
        while not self._messages:
            if self._over is not None:
                raise self._over
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        self._waiting_bytes -= len(message) + MESSAGE_BYTES
        if self._paused and self._waiting_bytes <= READ_AHEAD_BYTES // 2:
            self._resume()
        return message

    def _resume(self) -> None:
        self._paused = False
        self._protocol.resume_reading()

    def write(self, data: bytes) -> None:
        if self._close_sent or self._transport.is_closing():
            raise SocketClosed(CODE_ABNORMAL)
        self._transport.write(build_frame(OP_BINARY, data, masked=False))

    async def send(self, data: bytes) -> None:
        self.write(data)
        if self._transport.get_write_buffer_size() > DRAIN_BYTES:
            try:
                await self._writer.drain()
            except ConnectionError as exc:
                raise SocketClosed(CODE_ABNORMAL) from exc

    async def probe(self, timeout_s: float) -> bool:
        if self._over is not None or self._close_sent or self._transport.is_closing():
            return False
        self._pong.clear()
        self._transport.write(build_frame(OP_PING, b"", masked=False))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._pong.wait()
        return self._pong.is_set()

    def _send_close(self, code: int, reason: str) -> None:
        if not self._close_sent and not self._transport.is_closing():
            self._transport.write(build_frame(OP_CLOSE, close_payload(code, reason), masked=False))
        self._close_sent = True

    async def close(self, code: int, reason: str, *, linger: bool = True) -> None:
        if not 1000 <= code < 5000 or code in (CODE_NO_STATUS, CODE_ABNORMAL):
            code = CLOSE_GOING_AWAY
        self._messages.clear()
        self._end(SocketClosed(CODE_ABNORMAL, "closed here"))
        self._send_close(code, reason)
        async with self._closing:  # the connection ends with its handler, so a second caller waits until the first close is complete
            if self._paused:
                self._resume()  # unread data would turn the end into a TCP reset, which overtakes the close frame
            if linger:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._close_wait_s):
                        await self._input_drained.wait()
            self._transport.close()
            if self._transport.get_write_buffer_size():  # a peer that reads nothing could delay the end without limit
                asyncio.get_running_loop().call_later(self._close_wait_s, self._transport.abort)

    @property
    def backlog(self) -> int:
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()
