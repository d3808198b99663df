"""A client that reads a long response slowly."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from groundcontrol.core.scope import Grants
from groundcontrol.web.routes import ROOT
from tests.support.inprocess_hub import ADMIN, Client, TestHub

PIECE = b"x" * 65_536
PIECES = 200
"""More than the buffers between a hub and a reader that takes nothing."""


@contextlib.asynccontextmanager
async def slow_reader(hub: TestHub, client: Client, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """A client that has sent a request, and reads the response in small pieces."""
    conn = socket.socket()
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    conn.setblocking(False)
    url = hub.url("/")
    await asyncio.get_running_loop().sock_connect(conn, (url.host, url.port))
    reader, writer = await asyncio.open_connection(sock=conn, limit=4096)
    writer.write(f"GET {ROOT}/{path} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {client.bearer}\r\nConnection: close\r\n\r\n".encode())
    try:
        assert b" 200 OK" in await reader.readline()
        yield reader
    finally:
        writer.transport.abort()


async def limit_to_no_node(hub: TestHub, client: Client) -> None:
    await hub.store.user_admin.edit_user(ADMIN, client.user.id, role=None, disabled=None, grants=Grants((), ("none",)))


async def rest_of(reader: asyncio.StreamReader) -> int:
    """How many more bytes come, until the end or the cut."""
    size = 0
    with contextlib.suppress(ConnectionResetError):
        while taken := await asyncio.wait_for(reader.read(1 << 20), 30):
            size += len(taken)
    return size
