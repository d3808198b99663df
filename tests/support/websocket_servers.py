"""WebSocket servers of two libraries, and one that answers with the bytes that a test gives it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp.web
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from spider.config import Url, parse_url
from spider.hub.websocket import WebSocket, connect
from spider.wire import rfc6455
from spider.wire.frames import MAX_FRAME_BYTES, SUBPROTOCOL

AGENT = "stardust-spider/test"


def at(port: int, secure: bool = False, path: str = "/ws") -> Url:
    return parse_url(f"{'wss' if secure else 'ws'}://127.0.0.1:{port}{path}")


async def echo(connection: ServerConnection) -> None:
    """Gives back what comes; some messages are orders to the server itself."""
    async for data in connection:
        assert isinstance(data, bytes)
        if data == b"close":
            await connection.close(4410, "8000")
        elif data == b"ping":
            await (await connection.ping())
            await connection.send(b"ponged")
        elif data == b"pieces":
            await connection.send([b"a" * 70_000, b"", b"b" * 70_000])
        elif data == b"text":
            await connection.send("text")
        elif data == b"huge":
            await connection.send(bytes(MAX_FRAME_BYTES + 1))
        else:
            await connection.send(data)


@contextlib.asynccontextmanager
async def websockets_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async with serve(
        echo, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=MAX_FRAME_BYTES * 4, ssl=tls, compression="deflate"
    ) as server:
        yield server.sockets[0].getsockname()[1]


async def aiohttp_echo(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
    socket = aiohttp.web.WebSocketResponse(protocols=[SUBPROTOCOL], max_msg_size=MAX_FRAME_BYTES * 4, timeout=2.0)
    await socket.prepare(request)
    async for message in socket:
        if message.data == b"close":
            await socket.close(code=4410, message=b"8000")
        elif message.data == b"ping":
            await socket.ping(b"are you there")
            await socket.send_bytes(b"ponged")
        elif message.data == b"pieces":
            await socket.send_frame(b"a" * 70_000, aiohttp.WSMsgType.BINARY)
            await socket.send_bytes(b"b" * 70_000)
        elif message.data == b"text":
            await socket.send_str("text")
        elif message.data == b"huge":
            await socket.send_bytes(bytes(MAX_FRAME_BYTES + 1))
        else:
            await socket.send_bytes(message.data)
    return socket


@contextlib.asynccontextmanager
async def aiohttp_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    app = aiohttp.web.Application()
    app.router.add_get("/ws", aiohttp_echo)
    runner = aiohttp.web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


SERVERS = pytest.mark.parametrize("server", [websockets_server, aiohttp_server])
Server = Callable[..., contextlib.AbstractAsyncContextManager[int]]


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[WebSocket]:
    socket = await connect(at(port), SUBPROTOCOL, AGENT)
    try:
        yield socket
    finally:
        await socket.close()


Answer = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_server(answer: Answer) -> AsyncIterator[int]:
    """A TCP server that reads the request's head and then does what it wants."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await answer(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def saying(text: bytes) -> Answer:
    async def answer(head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
        writer.write(text.replace(b"@", rfc6455.accept_for(key).encode()))
        await writer.drain()

    return answer


SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Accept: @\r\nSec-WebSocket-Protocol: stardust.v1\r\n\r\n"
)
