"""The listener of a hub that terminates TLS itself (`--lan`).

aiohttp's own listener allows any number of unfinished handshakes, each for a minute. This listener bounds the number and the time. One
handshake too many ends the oldest one, so that silent clients keep nobody out.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from spider.logs import event

MAX_HANDSHAKES: Final = 1024
HANDSHAKE_S: Final = 10.0
CLOSE_S: Final = 2.0
"""How long a client may take to answer the hub's message that ends TLS."""
PAUSE_S: Final = 0.1
"""Pause after a failed accept, for example without free file descriptors."""
MAX_PLAIN_BYTES: Final = 4096
_TLS_HANDSHAKE: Final = b"\x16"
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_LOG_EVERY_S: Final = 60.0

log = logging.getLogger(__name__)


class TlsListener:
    """Accepts connections of one socket, and passes each to the HTTP server once its handshake is complete."""

    def __init__(
        self, listener: socket.socket, context: ssl.SSLContext, make_protocol: Callable[[], asyncio.Protocol], origin: str, backlog: int,
        *, most: int = MAX_HANDSHAKES, handshake_s: float = HANDSHAKE_S,
    ) -> None:  # fmt: skip
        """Args: make_protocol: makes the protocol of a connection. origin: the page's origin, to which clients without TLS are redirected."""
        self._listener = listener
        self._context = context
        self._make_protocol = make_protocol
        self._redirect = (
            f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {origin}/\r\nContent-Length: 0\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        ).encode()
        self._backlog = backlog
        self._most = most
        self._handshake_s = handshake_s
        self._handshakes: dict[asyncio.Task[None], None] = {}
        """Unfinished handshakes, the oldest first."""
        self._listening = asyncio.Event()
        self._accepting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. From now on clients can connect, and `run` accepts them."""
        self._listener.listen(self._backlog)
        self._listening.set()

    async def run(self) -> None:
        """Accept connections until `stop`."""
        async with asyncio.TaskGroup() as group:
            self._accepting = group.create_task(self._accept(group), name="tls-accept")

    async def stop(self) -> None:
        """Accept no further connection, and end the unfinished handshakes. Open connections continue."""
        for task in (self._accepting, *self._handshakes):
            if task is not None:
                task.cancel()
        self._listener.close()

    async def _accept(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        logged_at = -_LOG_EVERY_S
        await self._listening.wait()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as exc:
                if exc.errno in _NO_ROOM and loop.time() - logged_at >= _LOG_EVERY_S:
                    logged_at = loop.time()
                    event(log, "accept_failed", logging.ERROR, why=str(exc))
                await asyncio.sleep(PAUSE_S)
                continue
            if len(self._handshakes) >= self._most:
                oldest = next(iter(self._handshakes))
                del self._handshakes[oldest]
                oldest.cancel()
            task = group.create_task(self._open(connection), name="tls-handshake")
            self._handshakes[task] = None
            task.add_done_callback(lambda done: self._handshakes.pop(done, None))

    async def _open(self, connection: socket.socket) -> None:
        """Do one handshake. An error ends only this connection."""
        loop = asyncio.get_running_loop()
        handed_over = False
        try:
            connection.setblocking(False)
            async with asyncio.timeout(self._handshake_s):
                if not await self._begins_tls(connection):
                    return
                await loop.connect_accepted_socket(
                    self._make_protocol,
                    connection,
                    ssl=self._context,
                    ssl_handshake_timeout=self._handshake_s,
                    ssl_shutdown_timeout=CLOSE_S,
                )
                handed_over = True
        except (OSError, TimeoutError):  # ssl's errors are OSErrors
            return
        except Exception:
            event(log, "handshake_crashed", logging.ERROR, exc_info=True)
        finally:
            if not handed_over:
                connection.close()

    async def _begins_tls(self, connection: socket.socket) -> bool:
        """Whether the first byte begins a handshake. A client that sends another byte is redirected to the page's https:// address."""
        await _wait_readable(connection)
        first = connection.recv(1, socket.MSG_PEEK)
        if first and first != _TLS_HANDSHAKE:
            loop = asyncio.get_running_loop()
            await loop.sock_recv(connection, MAX_PLAIN_BYTES)  # with unread data the close would be a reset, which may overtake the answer
            await loop.sock_sendall(connection, self._redirect)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        return first == _TLS_HANDSHAKE


async def _wait_readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    loop.add_reader(connection, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(connection)
