"""The live socket of a hub, for commands that show changes as they come. It needs aiohttp and an event loop (docs/live.md)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
import msgspec

from groundcontrol.cli.remote import RemoteTransport
from groundcontrol.cli.transport import TIMEOUT_S, SocketTransport, Transport
from groundcontrol.data_dir import short_path

MAX_BYTES: Final = 64 << 20
"""A snapshot of a whole fleet is one message."""
_PATH: Final = "/api/v1/live"


class LiveSocket:
    """An open live socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def subscribe(self, topic: str) -> None:
        """Follow a topic from its snapshot on."""
        await self._socket.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": topic}]))

    async def unsubscribe(self, topic: str) -> None:
        """Stop following a topic."""
        await self._socket.send_bytes(msgspec.msgpack.encode(["unsubscribe", {"topic": topic}]))

    async def messages(self) -> AsyncIterator[tuple[str, Any]]:
        """Kind and body of each message, until the hub closes the socket."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                kind, body = msgspec.msgpack.decode(message.data)
                yield kind, body


@contextlib.asynccontextmanager
async def connected(transport: Transport, headers: Mapping[str, str]) -> AsyncIterator[LiveSocket]:
    """Connect to the live socket.

    Raises: ConnectionError: the hub refuses, or goes.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            if isinstance(transport, RemoteTransport):
                session = transport.session
            else:
                assert isinstance(transport, SocketTransport)
                name = stack.enter_context(short_path(transport.path))
                session = await stack.enter_async_context(aiohttp.ClientSession("http://hub", connector=aiohttp.UnixConnector(name)))
            opening = session.ws_connect(_PATH, headers=headers, max_msg_size=MAX_BYTES, heartbeat=TIMEOUT_S)
            async with asyncio.timeout(TIMEOUT_S):
                socket = await opening
        except aiohttp.ClientError as exc:
            raise ConnectionError(str(exc) or type(exc).__name__) from exc
        try:
            yield LiveSocket(socket)
        except aiohttp.ClientError as exc:
            raise ConnectionError(str(exc) or type(exc).__name__) from exc
        finally:
            await socket.close()
