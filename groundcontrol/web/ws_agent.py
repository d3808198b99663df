"""`/ws`: the socket under an agent's session. A browser can never open it: every one sends Origin."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import WebSocketError, WSMsgType, hdrs, web

from groundcontrol.config import Network
from groundcontrol.errors import BadRequest, CrossSite
from groundcontrol.fleet.door import AgentDoor
from groundcontrol.fleet.session import SocketClosed
from groundcontrol.web.letting_go import let_go
from groundcontrol.web.peer import address_of
from spider.wire.errors import ProtocolError
from spider.wire.frames import CLOSE_GOING_AWAY, MAX_FRAME_BYTES, SUBPROTOCOL

CLOSE_WAIT_S: Final = 2.0
"""How long a peer has to answer a close."""
MAX_CONTROLS: Final = 64
"""Pings, and pongs that nobody asked for, between two messages; more is a flood."""
_ABNORMAL: Final = 1006


def handler(door: AgentDoor, trusted: Sequence[Network]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of `GET /ws`.

    It raises CrossSite: the request has an Origin; BadRequest: no WebSocket, or not our subprotocol; Unavailable: too many at once.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        if hdrs.ORIGIN in request.headers:
            raise CrossSite("this address is for nodes, not for browsers")
        ws = web.WebSocketResponse(
            timeout=CLOSE_WAIT_S,
            autoping=False,
            compress=False,
            max_msg_size=MAX_FRAME_BYTES + 1,
            protocols=(SUBPROTOCOL,),
            decode_text=False,
        )
        offered = ws.can_prepare(request)
        if not offered.ok or offered.protocol != SUBPROTOCOL:
            raise BadRequest(f"this address takes WebSocket connections with the subprotocol {SUBPROTOCOL} only")
        address = address_of(request, trusted) or "local"
        with door.admit(address) as place:
            await ws.prepare(request)
            await door.serve(_Socket(ws, request), address, place)
        return ws

    return handle


class _Socket:
    """An `AgentSocket` over aiohttp."""

    def __init__(self, ws: web.WebSocketResponse, request: web.Request) -> None:
        self._ws = ws
        self._transport = request.transport
        self._controls = 0
        self._pong = asyncio.Event()
        self._closing = asyncio.Lock()
        self._reader = asyncio.current_task()
        """Who alone calls `receive`, and whether it waits there."""
        self._reading = False
        self._gone: asyncio.Event | None = None
        """Set once nobody waits in `receive`; made by a close that found somebody there."""

    async def receive(self) -> bytes:
        while True:
            self._reading = True
            try:
                message = await self._ws.receive()
            except asyncio.CancelledError:
                if self._gone is None or self._reader is None or self._reader.uncancel() > 0:
                    raise
                raise SocketClosed(_ABNORMAL, "closed here") from None
            finally:
                self._reading = False
                if self._gone is not None:
                    self._gone.set()
            kind = message.type
            if kind is WSMsgType.BINARY:
                self._controls = 0
                data: bytes = message.data
                return data
            if kind in (WSMsgType.PING, WSMsgType.PONG):
                await self._control(kind, message.data)
            elif kind is WSMsgType.TEXT:
                raise ProtocolError("a text message")
            elif kind is WSMsgType.ERROR and isinstance(message.data, WebSocketError):
                raise SocketClosed(message.data.code, "not WebSocket, or too big")
            else:
                raise SocketClosed(self._ws.close_code or _ABNORMAL)

    async def _leave(self) -> None:
        """Send away who waits in `receive`: aiohttp would cut the connection at once to wake it, and what the peer has sent
        meanwhile, unread, makes that a reset, which overtakes the close frame."""
        if self._reading and self._reader is not None and self._reader is not asyncio.current_task():
            self._gone = asyncio.Event()
            self._reader.cancel()
            await self._gone.wait()

    async def _control(self, kind: WSMsgType, data: bytes) -> None:
        if kind is WSMsgType.PONG and not self._pong.is_set():
            self._pong.set()  # asked for by a probe; a clone that comes and comes is not to be the end of the session that answers
            return
        self._controls += 1
        if self._controls > MAX_CONTROLS:
            raise ProtocolError("a flood of pings")
        if kind is WSMsgType.PING and self.backlog < MAX_FRAME_BYTES:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._ws.pong(data)

    async def send(self, data: bytes) -> None:
        try:
            await self._ws.send_bytes(data)
        except (ConnectionError, RuntimeError) as exc:  # aiohttp raises RuntimeError on a socket that is being closed
            raise SocketClosed(self._ws.close_code or _ABNORMAL) from exc

    async def probe(self, timeout_s: float) -> bool:
        self._pong.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._ws.ping()
                await self._pong.wait()
        except (TimeoutError, ConnectionError, RuntimeError):
            return False
        return True

    async def close(self, code: int, reason: str) -> None:
        if not 1000 <= code < 5000 or code in (1005, _ABNORMAL):
            code = CLOSE_GOING_AWAY
        async with self._closing:  # the connection ends with its handler: who comes second waits until the peer has heard the first
            with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
                async with asyncio.timeout(CLOSE_WAIT_S + 1):
                    await self._leave()
                    await self._ws.close(code=code, message=reason.encode()[:120])
            let_go(self._ws)

    @property
    def backlog(self) -> int:
        transport = self._transport
        if transport is None or transport.is_closing():
            return 0
        return transport.get_write_buffer_size()
