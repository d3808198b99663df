"""`/ws`: the WebSocket under an agent's session. A browser can never open it: every browser sends Origin.

aiohttp answers the handshake and passes the bytes of the connection to `_Socket`, which splits them into messages. The session takes
them one after the other. What it has not taken yet is bounded: with more, nothing is read of the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.agents.handshake import AgentHandshake
from groundcontrol.agents.interfaces import SocketClosed
from groundcontrol.config import Network
from groundcontrol.core.errors import BadRequest, CrossSite
from groundcontrol.web.client_address import address_of
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
"""How long a peer has to answer a close."""
MAX_CONTROLS: Final = 64
"""Pings, and pongs that nobody asked for, between two messages; more is a flood."""
READ_AHEAD_BYTES: Final = 64 * 1024
"""Messages that wait while the session is busy with one; with more of them nothing is read."""
MESSAGE_BYTES: Final = 64
"""What a waiting message takes besides its bytes: without it, empty messages could wait without end."""
MAX_UNHEARD: Final = 4096
"""Messages that a node may send after the end of its session; who sends more is not waited for."""
AT_ONCE: Final = 64
"""Messages of one node that are taken without a pause; then other tasks have their turn."""
DRAIN_BYTES: Final = 64 * 1024
"""Unsent bytes of a socket from which on a sender waits."""


def handler(
    door: AgentHandshake, trusted: Sequence[Network], close_wait_s: float = CLOSE_WAIT_S
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of `GET /ws`.

    It raises CrossSite: the request has an Origin; BadRequest: no WebSocket, or not our subprotocol; Unavailable: too many at once.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        if hdrs.ORIGIN in request.headers:
            raise CrossSite("this address is for nodes, not for browsers")
        offered = web.WebSocketResponse(protocols=(SUBPROTOCOL,)).can_prepare(request)
        if not offered.ok or offered.protocol != SUBPROTOCOL:
            raise BadRequest(f"this address takes WebSocket connections with the subprotocol {SUBPROTOCOL} only")
        address = address_of(request, trusted) or "local"
        with door.admit(rate_limit_key(address)) as opening:
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
            socket = _Socket(transport, request.protocol, writer, close_wait_s)
            request.protocol.set_parser(cast("Any", socket))  # as aiohttp's own WebSocketReader is
            await door.serve(socket, address, opening)
        return switched

    return handle


class _Socket:
    """An `AgentSocket`, and the parser to which aiohttp gives the bytes of its connection."""

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
        """A message has come, or the end."""
        self._over: Exception | None = None
        """Why no further message comes."""
        self._controls = self._unheard = 0
        self._pong = asyncio.Event()
        self._close_sent = False
        self._heard_out = asyncio.Event()
        """The peer has sent its last frame."""
        self._closing = asyncio.Lock()

    # -- what aiohttp calls ----------------------------------------------------------------------

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take what was read. Returns: in aiohttp's terms, that the connection goes on and all was taken."""
        if self._heard_out.is_set():
            return False, b""
        self._frames.feed(data)
        try:
            while not self._heard_out.is_set() and (frame := self._frames.next()) is not None:
                self._take(frame)
        except Violation as broken:
            self._heard_out.set()  # the next frame cannot be found
            text = broken.code == CODE_UNSUPPORTED
            self._end(ProtocolError("a text message") if text else SocketClosed(broken.code, "not WebSocket, or too big"))
        except ProtocolError as error:
            if self._over is not None:
                self._heard_out.set()  # a close would wait in vain for the end of a flood
            self._end(error)
        return False, b""

    def feed_eof(self) -> None:
        """The connection is over."""
        self._heard_out.set()
        self._end(SocketClosed(CODE_ABNORMAL))

    def _take(self, frame: Incoming) -> None:
        if frame.opcode == OP_BINARY:
            self._queue(frame.data)
        elif frame.opcode == OP_CLOSE:
            code, _reason = read_close(frame.data)
            self._heard_out.set()
            self._send_close(CODE_NORMAL if code == CODE_NO_STATUS else code, "")
            self._end(SocketClosed(code))
        elif frame.opcode == OP_PONG and not self._pong.is_set():
            self._pong.set()  # a probe waits for it: not counted, since the probes are as many as the clones that dial
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
                raise ProtocolError("it goes on and on")
            return
        self._messages.append(message)
        self._waiting_bytes += len(message) + MESSAGE_BYTES
        if self._waiting_bytes > READ_AHEAD_BYTES and not self._paused:
            self._paused = True
            self._protocol.pause_reading()
        self._arrived.set()

    def _end(self, why: Exception) -> None:
        """Nothing further comes; `receive` raises this once the messages before it were taken."""
        if self._over is None:
            self._over = why
        self._arrived.set()

    # -- what the session calls ------------------------------------------------------------------

    async def receive(self) -> bytes:
        self._taken += 1
        if self._taken % AT_ONCE == 0:
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

    async def send(self, data: bytes) -> None:
        if self._close_sent or self._transport.is_closing():
            raise SocketClosed(CODE_ABNORMAL)
        self._transport.write(build_frame(OP_BINARY, data, masked=False))
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
        async with self._closing:  # the connection ends with its handler: who comes second waits until the peer has heard the first
            if self._paused:
                self._resume()  # what was sent meanwhile, unread, would make the end a reset, which overtakes the close frame
            if linger:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._close_wait_s):
                        await self._heard_out.wait()
            self._transport.close()
            if self._transport.get_write_buffer_size():  # who takes nothing would be waited for as long as it likes
                asyncio.get_running_loop().call_later(self._close_wait_s, self._transport.abort)

    @property
    def backlog(self) -> int:
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()
