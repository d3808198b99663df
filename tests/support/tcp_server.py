"""A TCP server on a free port of loopback, whose connections end with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.support.background import cancelled

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, set[asyncio.Task[None]]], Awaitable[None]]
"""Serves one connection. Tasks that it adds to the set are cancelled at the end."""


@contextlib.asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """The port of the server, until `with` ends."""
    tasks: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(lambda reader, writer: serve(reader, writer, tasks), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await cancelled(*tasks)
        await asyncio.sleep(0)  # aborted transports close their sockets in the next turn of the loop
