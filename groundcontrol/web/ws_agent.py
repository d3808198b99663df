"""`/ws`: the socket under an agent's session. A browser can never open it: every one sends Origin.

aiohttp answers the handshake; from then on it hands the bytes of the connection to `_Socket`, which reads the frames itself and gives
each message to the session in the same turn of the loop. A pack each second of each node is most of what a hub does: through a queue
and a task of its own it would cost a quarter more, and who says nothing else is read in rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from groundcontrol.auth.addresses import limit_key
from groundcontrol.config import Network
from groundcontrol.errors import BadRequest, CrossSite
from groundcontrol.fleet.door import AgentDoor
from groundcontrol.fleet.ports import Hear, SocketClosed
from groundcontrol.fleet.together import Together
from groundcontrol.web.letting_go import forget
from groundcontrol.web.peer import address_of
from groundcontrol.web.rounds import ROUND_S, Rounds
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
    Violation,
    accept_for,
    build_frame,
    close_payload,
    mask,
    read_close,
)

CLOSE_WAIT_S: Final = 2.0
"""How long a peer has to answer a close."""
MAX_CONTROLS: Final = 64
"""Pings, and pongs that nobody asked for, between two messages; more is a flood."""
READ_AHEAD_BYTES: Final = 64 * 1024
"""Messages that wait while the session is busy with one; with more of them nothing is read."""
MESSAGE_BYTES: Final = 64
"""What a message that waits takes besides what it says: without it empty ones could wait without end."""
MAX_UNHEARD: Final = 4096
"""Messages that a node may still have on its way when its session is over; who sends more is not waited for."""
AT_ONCE: Final = 64
"""Messages of one node that are heard without a pause; then others are."""
ROUND_BYTES: Final = 16 * 1024
"""What is read of a node in one round; who says more is read by the loop again."""
DRAIN_BYTES: Final = 64 * 1024
"""Unsent bytes of a socket from which on a sender waits."""
_ONE_BINARY: Final = 0x80 | OP_BINARY


def handler(
    door: AgentDoor, trusted: Sequence[Network], close_wait_s: float = CLOSE_WAIT_S
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of `GET /ws`.

    It raises CrossSite: the request has an Origin; BadRequest: no WebSocket, or not our subprotocol; Unavailable: too many at once.
    """

    together, rounds = Together(), Rounds()

    async def handle(request: web.Request) -> web.StreamResponse:
        if hdrs.ORIGIN in request.headers:
            raise CrossSite("this address is for nodes, not for browsers")
        offered = web.WebSocketResponse(protocols=(SUBPROTOCOL,)).can_prepare(request)
        if not offered.ok or offered.protocol != SUBPROTOCOL:
            raise BadRequest(f"this address takes WebSocket connections with the subprotocol {SUBPROTOCOL} only")
        address = address_of(request, trusted) or "local"
        with door.admit(limit_key(address)) as opening:
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
            socket = _Socket(transport, writer, together, rounds, close_wait_s)
            request.protocol.set_parser(cast("Any", socket))  # as aiohttp's own WebSocketReader is
            transport.set_protocol(_Straight(socket, request.protocol))
            socket.hold()
            await door.serve(socket, address, opening)
        return switched

    return handle


class _Straight(asyncio.Protocol):
    """Bytes go straight to the socket, past the HTTP server; all else that the transport tells goes to that, as before."""

    def __init__(self, socket: _Socket, below: asyncio.Protocol) -> None:
        self._socket = socket
        self._below = below

    def data_received(self, data: bytes) -> None:
        self._socket.feed_data(data)

    def eof_received(self) -> bool | None:
        return self._below.eof_received()

    def pause_writing(self) -> None:
        self._below.pause_writing()

    def resume_writing(self) -> None:
        self._below.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._socket.leave_rounds()
        self._below.connection_lost(exc)


def _whole(data: bytes) -> bytes | None:
    """The message, where what was read is exactly one short binary frame: nearly always. None: let the reader of frames see."""
    if len(data) < 6 or data[0] != _ONE_BINARY:
        return None
    size, at = data[1] ^ 0x80, 2
    if size == 126:
        size, at = data[2] << 8 | data[3], 4
        if size < 126:
            return None
    elif size > 126:
        return None
    return mask(data[at + 4 :], data[at : at + 4]) if len(data) == at + 4 + size else None


def _none(_message: bytes) -> float:
    return 0.0


class _Socket:
    """An `AgentSocket`, and what aiohttp gives the bytes of its connection to."""

    def __init__(
        self, transport: asyncio.Transport, writer: AbstractStreamWriter, together: Together, rounds: Rounds, close_wait_s: float
    ) -> None:
        self._transport = transport
        self._descriptor: int = transport.get_extra_info("socket").fileno()
        self._writer = writer
        self._together = together
        self._rounds = rounds
        self._close_wait_s = close_wait_s
        self._in_rounds = False
        """Whether it is read in rounds, and not by the loop."""
        self._frames = FrameReader(MAX_FRAME_BYTES, masked=True)
        self._between = True
        """Whether no frame is begun and no message is in pieces."""
        self._hear: Hear | None = None
        """Who takes a message at once; None while nobody listens, or the last one is still in work."""
        self._patience: Callable[[bytes], float] = _none
        self._work: Coroutine[Any, Any, None] | None = None
        """What the last message asked for."""
        self._messages: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._wake: asyncio.Future[None] | None = None
        self._over: Exception | None = None
        """Why nothing more comes."""
        self._controls = self._unheard = 0
        self._pong = asyncio.Event()
        self._close_sent = False
        self._heard_out = asyncio.Event()
        """The peer has said its last."""
        self._closing = asyncio.Lock()

    # -- what aiohttp calls ----------------------------------------------------------------------

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take what was read. Returns: as aiohttp wants it, that the connection goes on and all was taken."""
        if self._hear is not None and self._between and (message := _whole(data)) is not None:
            self._take(message)
        elif not self._heard_out.is_set():
            self._read(data)
        return False, b""

    def feed_eof(self) -> None:
        """The connection is over."""
        self._heard_out.set()
        self._end(SocketClosed(CODE_ABNORMAL))

    def _read(self, data: bytes) -> None:
        self._frames.feed(data)
        heard = 0
        try:
            while (frame := self._frames.next()) is not None:
                if frame.opcode == OP_BINARY:
                    heard += 1
                    if heard == AT_ONCE:
                        self._give_way()
                    self._take(frame.data)
                elif frame.opcode == OP_CLOSE:
                    code, _reason = read_close(frame.data)
                    self._heard_out.set()
                    self._say_close(CODE_NORMAL if code == CODE_NO_STATUS else code, "")
                    self._end(SocketClosed(code))
                    return
                else:
                    self._control(frame.opcode, frame.data)
        except Violation as broken:
            self._heard_out.set()  # what follows cannot be told apart
            text = broken.code == CODE_UNSUPPORTED
            self._end(ProtocolError("a text message") if text else SocketClosed(broken.code, "not WebSocket, or too big"))
        except ProtocolError as error:
            if self._over is not None:
                self._heard_out.set()  # who floods an end waits for it in vain
            self._end(error)
        self._between = self._frames.between

    def _control(self, opcode: int, data: bytes) -> None:
        if opcode == OP_PONG and not self._pong.is_set():
            self._pong.set()  # asked for by a probe; a clone that comes and comes is not to be the end of the session that answers
            return
        self._controls += 1
        if self._controls > MAX_CONTROLS:
            raise ProtocolError("a flood of pings")
        if opcode == OP_PING and self.backlog < MAX_FRAME_BYTES and not self._close_sent:
            self._transport.write(build_frame(OP_PONG, data, masked=False))

    # -- messages --------------------------------------------------------------------------------

    def _take(self, message: bytes) -> None:
        """Give a message to who listens, or keep it."""
        self._controls = 0
        if self._over is not None:
            self._unheard += 1
            if self._unheard > MAX_UNHEARD:
                raise ProtocolError("it goes on and on")
            return
        wait_s = 0.0 if self._hear is None else self._patience(message)
        if not 0.0 < wait_s <= ROUND_S:
            self.leave_rounds()
        elif self._in_rounds:
            wait_s = 0.0  # it has waited
        else:
            self._join_rounds()
        if wait_s:
            if not self._messages:
                self._together.add(self._hear_waiting, wait_s)
            self._keep(message)
            if self._waiting_bytes > READ_AHEAD_BYTES // 2:
                self._hear_waiting()
            return
        self._hear_waiting()
        if self._hear is None:
            self._keep(message)
            self._rouse()
        else:
            self._give(self._hear, message)

    def _join_rounds(self) -> None:
        if self._paused or self._transport.is_closing():
            return
        self._rounds.add(self._descriptor, self._read_round)
        self._transport.pause_reading()
        self._in_rounds = True

    def leave_rounds(self) -> None:
        """Be read by the loop, as soon as there is something and not too much waits."""
        if self._in_rounds:
            self._in_rounds = False
            self._rounds.remove(self._descriptor, self._read_round)
            if not (self._paused or self._transport.is_closing()):
                self._transport.resume_reading()

    def _read_round(self) -> None:
        try:
            data = os.read(self._descriptor, ROUND_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not 0 < len(data) < ROUND_BYTES:  # the end is for the loop to see
            self.leave_rounds()
        if data:
            self.feed_data(data)

    def _keep(self, message: bytes) -> None:
        self._messages.append(message)
        self._waiting_bytes += len(message) + MESSAGE_BYTES
        if self._waiting_bytes > READ_AHEAD_BYTES and not self._paused:
            self._paused = True
            self.leave_rounds()
            self._transport.pause_reading()

    def _hear_waiting(self) -> None:
        while self._messages and self._hear is not None:
            self._give(self._hear, self._next())

    def _give(self, hear: Hear, message: bytes) -> None:
        try:
            work = hear(message)
        except Exception as error:  # raised again where the session runs, which knows what each means
            self._messages.clear()
            self._end(error)
            return
        if work is not None:
            self._work = work
            self._give_way()

    def _give_way(self) -> None:
        """Leave the next messages to who runs `each`."""
        self._hear = None
        self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _something(self) -> None:
        """Wait until there is something to do."""
        self._wake = asyncio.get_running_loop().create_future()
        try:
            await self._wake
        finally:
            self._wake = None

    def _next(self) -> bytes:
        message = self._messages.popleft()
        self._waiting_bytes -= len(message) + MESSAGE_BYTES
        if self._paused and self._waiting_bytes <= READ_AHEAD_BYTES // 2:
            self._resume()
        return message

    def hold(self) -> None:
        """Read nothing while too much waits: aiohttp, which held back what came before its own end, has just let go of the reins."""
        if self._paused and not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume(self) -> None:
        self._paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def receive(self) -> bytes:
        while not self._messages:
            if self._over is not None:
                raise self._over
            await self._something()
        return self._next()

    async def each(self, hear: Hear, patience: Callable[[bytes], float]) -> None:
        self._patience = patience
        heard = 0
        try:
            while True:
                if self._work is not None:
                    work, self._work = self._work, None
                    await work
                elif self._messages:
                    self._work = hear(self._next())
                    heard += 1
                    if heard % AT_ONCE == 0:
                        await asyncio.sleep(0)
                elif self._over is not None:
                    raise self._over
                else:
                    self._hear = hear
                    await self._something()
                    self._hear = None
        finally:
            self._hear, self._patience = None, _none  # they lead to the session, and that to its socket
            if self._work is not None:
                self._work.close()

    def _end(self, why: Exception) -> None:
        """Nothing more comes; whoever waits for a message learns why once those that came before are heard."""
        if self._over is None:
            self._over = why
        self.leave_rounds()
        self._give_way()

    # -- telling ---------------------------------------------------------------------------------

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

    def _say_close(self, code: int, reason: str) -> None:
        if not self._close_sent and not self._transport.is_closing():
            self._transport.write(build_frame(OP_CLOSE, close_payload(code, reason), masked=False))
        self._close_sent = True

    async def close(self, code: int, reason: str, *, linger: bool = True) -> None:
        if not 1000 <= code < 5000 or code in (CODE_NO_STATUS, CODE_ABNORMAL):
            code = CLOSE_GOING_AWAY
        self._messages.clear()
        self._end(SocketClosed(CODE_ABNORMAL, "closed here"))
        self._say_close(code, reason)
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
        forget(self._over)

    @property
    def backlog(self) -> int:
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()
