"""TLS in the hub itself: idle connections do not block others, and plain HTTP is redirected to the page's address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.own_certificate import FILE, private_key, server_context, stored_or_issued
from groundcontrol.web.tls_listener import TlsListener

KEY = private_key(bytes(32))
LIMIT_S = 30.0


class Echo(asyncio.Protocol):
    """Answers with what it got."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


@contextlib.asynccontextmanager
async def listening(folder: Path, *, most: int = 4, handshake_s: float = 60.0) -> AsyncIterator[int]:
    """The port of a listener."""
    certificate, _ = stored_or_issued(folder, KEY, ("10.0.0.5",), 1_795_000_000.0)
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    listener = TlsListener(sock, server_context(certificate, KEY), Echo, "https://10.0.0.5:8933", 16, most=most, handshake_s=handshake_s)
    async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
        group.create_task(listener.run())
        await listener.start()
        yield sock.getsockname()[1]
        await listener.stop()


async def echoed(folder: Path, port: int) -> bytes:
    """What comes back over TLS, with the certificate checked."""
    context = ssl.create_default_context(cafile=str(folder / FILE))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    writer.write(b"hello")
    try:
        return await reader.readexactly(5)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.holds("S-28")
async def test_silent_connections_do_not_block_others(tmp_path: Path) -> None:
    async with listening(tmp_path) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        assert await echoed(tmp_path, port) == b"hello"
        assert await silent[0][0].read() == b""  # the oldest was dropped
        for _, writer in silent:
            writer.close()


async def test_a_handshake_has_a_time_limit(tmp_path: Path) -> None:
    async with listening(tmp_path, handshake_s=0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x00\x05junk!", b"\x16" + bytes(300)])
async def test_invalid_bytes_close_only_their_own_connection(tmp_path: Path, junk: bytes) -> None:
    async with listening(tmp_path, handshake_s=LIMIT_S) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(junk)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        assert await echoed(tmp_path, port) == b"hello"


async def test_a_browser_without_tls_is_redirected_to_the_https_page(tmp_path: Path) -> None:
    async with listening(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 307 ")
    assert b"\r\nLocation: https://10.0.0.5:8933/\r\n" in answer
