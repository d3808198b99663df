"""Answers that take long: who is shut out meanwhile gets no more of them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator

import msgpack
import pytest

from groundcontrol.domain.history import LayoutRow, StoredPack
from groundcontrol.domain.ids import BootId, HubId
from groundcontrol.domain.scope import Grants
from groundcontrol.web.call import AGAIN_S
from groundcontrol.web.routes import ROOT
from spider.wire.frames import CODING_PLAIN
from tests.support.inprocess_hub import ADMIN, Client, TestHub
from tests.support.printing_node import Printing

PIECE = b"x" * 65_536
PIECES = 400
ROWS = 1000
"""More than the buffers between a hub and a reader that takes nothing."""


@contextlib.asynccontextmanager
async def slow_reader(hub: TestHub, client: Client, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """Somebody who has asked, and takes what comes in small bites."""
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
    assert client.user is not None
    await hub.store.people.edit_user(ADMIN, client.user.id, role=None, disabled=None, grants=Grants((), ("none",)))


async def rest_of(reader: asyncio.StreamReader) -> int:
    """How many more bytes come, until the end or the cut."""
    size = 0
    with contextlib.suppress(ConnectionResetError):
        while taken := await asyncio.wait_for(reader.read(1 << 20), 30):
            size += len(taken)
    return size


@pytest.mark.holds("SAFETY-37", "S-22")
@pytest.mark.parametrize("end", ["nothing", "session", "account", "nodes"])
async def test_output_that_is_read_slowly_ends_with_the_right_to_it(hub: TestHub, end: str) -> None:
    """A reader that was let in once could take its time."""
    printing = await Printing.start(hub)
    for _ in range(PIECES):
        await printing.print(PIECE, told=False)
    await hub.logged_in()
    client = await hub.logged_in("viewer", cookie=False)
    assert client.user is not None
    assert client.login is not None

    async with slow_reader(hub, client, f"jobs/{printing.job.id}/output") as reader:
        if end == "session":
            await hub.store.users.revoke_session(ADMIN, client.login.id)
        elif end == "account":
            await hub.store.people.edit_user(ADMIN, client.user.id, role=None, disabled=True, grants=None)
        elif end == "nodes":
            await limit_to_no_node(hub, client)
        hub.clock.shift += AGAIN_S + 0.1
        size = await rest_of(reader)

    whole = len(PIECE) * PIECES
    assert size >= whole if end == "nothing" else size < whole


@pytest.mark.holds("SAFETY-37", "S-22")
@pytest.mark.parametrize("end", ["nothing", "session", "nodes"])
async def test_an_export_that_is_read_slowly_ends_with_the_right_to_it(hub: TestHub, end: str) -> None:
    """The same of a node's history."""
    node = await hub.node()
    session = await hub.store.sessions.claim(node.id, BootId("0" * 32), HubId(hub.services.hub_id))
    await hub.store.metrics.marks(session)
    series = tuple(f"disk.read{{device={'d' * 40}{number}}}" for number in range(300))
    layout = hashlib.sha256(repr(series).encode()).digest()[:16]
    await hub.store.metrics.save_layout(session, LayoutRow(layout, "pulse", 1, series))
    for seq in range(ROWS):
        at = (int(hub.clock.now()) - 2 * ROWS + seq) * 1000
        body = msgpack.packb([msgpack.packb([at, [seq] * len(series)])])
        await hub.store.metrics.append([StoredPack(session, 0, seq, layout, at, at, CODING_PLAIN, body)])
    client = await hub.logged_in("viewer", cookie=False)
    assert client.user is not None
    assert client.login is not None

    async with slow_reader(hub, client, f"nodes/{node.id}/export") as reader:
        if end == "session":
            await hub.store.users.revoke_session(ADMIN, client.login.id)
        elif end == "nodes":
            await limit_to_no_node(hub, client)
        hub.clock.shift += AGAIN_S + 0.1
        size = await rest_of(reader)

    whole = ROWS * len(series) * 40
    assert size > whole if end == "nothing" else size < whole
