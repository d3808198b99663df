"""An SSH server in a thread of its own, for tests that do not run in a loop: it lets in whoever knows the word, and hangs at the first command."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

import asyncssh

from tests.support.ports import free_port
from tests.unit.majortom.ssh_server import Watcher

LIMIT_S = 30
PASSWORD = "right"  # what Watcher takes


class Doorkeeper(Watcher):
    """Knows who is inside, so that they can be shown out."""

    def __init__(self, inside: set[asyncssh.SSHServerConnection], seen: list[str]) -> None:
        super().__init__(seen)
        self._inside = inside

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._inside.add(conn)


class SshEnd:
    """`port` on 127.0.0.1, the same over all its host keys."""

    def __init__(self) -> None:
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh end")
        self._server: asyncssh.SSHAcceptor | None = None
        self._inside: set[asyncssh.SSHServerConnection] = set()
        self._seen: list[str] = []

    @property
    def knocks(self) -> int:
        """How often somebody tried to prove who they are."""
        return sum(not one.startswith("begin ") for one in self._seen)

    def __enter__(self) -> Self:
        self._thread.start()
        self.another_key()
        return self

    def __exit__(self, *_error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(LIMIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)
        self._loop.close()

    def another_key(self) -> None:
        """From now on it shows a new host key."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(LIMIT_S)

    async def _listen(self) -> None:
        await self._close()
        key = await asyncio.to_thread(asyncssh.generate_private_key, "ssh-ed25519")
        self._server = await asyncssh.listen(
            "127.0.0.1", self.port, reuse_address=True, server_factory=lambda: Doorkeeper(self._inside, self._seen), server_host_keys=[key], allow_scp=False,
            sftp_factory=None, process_factory=self._hang,
        )  # fmt: skip
        self.port = self._server.get_port()

    async def _close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        await self._server.wait_closed()
        self._server = None
        while self._inside:
            conn = self._inside.pop()
            conn.abort()
            await conn.wait_closed()

    async def _hang(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """Takes a command and never answers, until the other side goes."""
        await process.stdin.read()
        process.exit(1)
