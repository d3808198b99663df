"""The hub's end of a node's WebSocket, without the rest of the hub."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

import aiohttp
from aiohttp import test_utils, web

from groundcontrol.agents.handshake import AgentHandshake
from groundcontrol.agents.interfaces import AgentSocket, SocketClosed
from groundcontrol.agents.socket import CLOSE_WAIT_S, handler
from spider.wire.errors import ProtocolError
from spider.wire.frames import SUBPROTOCOL
from tests.support.eventually import eventually
from tests.support.some import some

Life = Callable[[AgentSocket], Coroutine[Any, Any, None]]


class Door:
    """Accepts all clients, and runs a function on each socket."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self.seen: list[weakref.ref[AgentSocket]] = []
        self.ended: list[Exception] = []

    def reserve_slot(self, _address_key: str) -> contextlib.nullcontext[None]:
        return contextlib.nullcontext()

    async def serve(self, socket: AgentSocket, _address: str, _opening: None) -> None:
        self.seen.append(weakref.ref(socket))
        code = 4000
        try:
            await self._life(socket)
        except SocketClosed as error:
            self.ended.append(SocketClosed(error.code, str(error)))
        except ProtocolError as error:
            self.ended.append(ProtocolError(error.reason))
            code = error.close_code
        finally:
            await socket.close(code, "go")


@contextlib.asynccontextmanager
async def met(life: Life, close_wait_s: float = CLOSE_WAIT_S) -> AsyncIterator[tuple[Door, aiohttp.ClientWebSocketResponse]]:
    """A node's socket of a server that lives this life with it."""
    door = Door(life)
    app = web.Application()
    app.add_routes([web.get("/ws", handler(cast("AgentHandshake", door), (), close_wait_s))])
    async with test_utils.TestServer(app) as server, aiohttp.ClientSession() as http:
        ws = await http.ws_connect(server.make_url("/ws"), protocols=(SUBPROTOCOL,), autoping=False)
        assert ws.protocol == SUBPROTOCOL
        yield door, ws
        await ws.close()


class Ear:
    """Receives messages; one that begins with `!` has to be awaited, one that begins with `?` is invalid."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.go_on = asyncio.Event()

    async def live(self, socket: AgentSocket) -> None:
        while True:
            message = await socket.receive()
            if message.startswith(b"?"):
                raise ProtocolError("wrong")
            if message.startswith(b"!"):
                await self.go_on.wait()
            self.heard.append(message)

    async def has(self, count: int) -> None:
        await eventually(lambda: len(self.heard) == count, 60, f"heard {self.heard[:10]}")


async def raw(ws: aiohttp.ClientWebSocketResponse, data: bytes) -> None:
    """Put bytes on the wire as they are."""
    connection = some(ws._conn)
    some(connection.transport).write(data)
