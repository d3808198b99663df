"""Real SSH servers in this process, which record each login attempt."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any, Self

import asyncssh

from majortom.interfaces import HostKey, StepName
from tests.support.ports import free_port

LIMIT_S = 60
PASSWORD = "right"
"""The password that servers accept."""


class Watcher(asyncssh.SSHServer):
    """Records every authentication attempt. Accepts the right password, and no key."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def begin_auth(self, username: str) -> bool:
        self._seen.append(f"begin {username}")
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._seen.append(f"key {username} {key.get_fingerprint()}")
        return False

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._seen.append(f"password {username}")
        return password == PASSWORD


@contextlib.asynccontextmanager
async def serving(*keys: asyncssh.SSHKey, kind: type[Watcher] = Watcher, **options: object) -> AsyncIterator[tuple[int, list[str]]]:
    """Listen on a free port of 127.0.0.1. Gives the port, and the list of attempts, which grows."""
    seen: list[str] = []
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: kind(seen), server_host_keys=list(keys), allow_scp=False, sftp_factory=None,
        **options,
    )  # fmt: skip
    try:
        yield server.get_port(), seen
    finally:
        server.close()
        await server.wait_closed()


class Impatient(Watcher):
    """Hangs up at the first failure, as an sshd with `MaxAuthTries 1` does."""

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        raise asyncssh.ProtocolError("Too many authentication failures")

    def validate_password(self, username: str, password: str) -> bool:
        raise asyncssh.ProtocolError("Too many authentication failures")


class Barring(Watcher):
    """Sends a banner with the reason when the key or password is given, and ends the connection, as an sshd with PAM does."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._probed = False

    def begin_auth(self, username: str) -> bool:
        self._connection.send_auth_banner("For authorized use only.\n")
        return super().begin_auth(username)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        if self._probed:
            self._bar()
        self._probed = True
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._bar()
        return False

    def _bar(self) -> None:
        self._connection.send_auth_banner("Down for work.\n")
        self._connection.abort()


class Closed(Watcher):
    """Offers no method that the hub supports: neither keys nor passwords."""

    def public_key_auth_supported(self) -> bool:
        return False

    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return False

    def host_based_auth_supported(self) -> bool:
        return True


class Bastion(Watcher):
    """A jump host: it accepts the right password, runs nothing, and forwards connections, except to closed.example."""

    def connection_requested(self, dest_host: str, dest_port: int, _orig_host: str, _orig_port: int) -> bool:
        self._seen.append(f"through to {dest_host} {dest_port}")
        return dest_host != "closed.example"


@contextlib.asynccontextmanager
async def jumping(key: asyncssh.SSHKey) -> AsyncIterator[tuple[int, list[str]]]:
    """A jump host on a free port of 127.0.0.1. Gives the port, and the list of attempts and forwarded connections, which grows."""
    seen: list[str] = []
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: Bastion(seen), server_host_keys=[key], allow_scp=False, sftp_factory=None
    )
    try:
        yield server.get_port(), seen
    finally:
        server.close()
        await server.wait_closed()


class Doorkeeper(Watcher):
    """Tracks connected clients, so that they can be disconnected."""

    def __init__(self, inside: set[asyncssh.SSHServerConnection], seen: list[str]) -> None:
        super().__init__(seen)
        self._inside = inside

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._inside.add(conn)


class SshServerThread:
    """A server on `port` of 127.0.0.1 in a thread of its own, for tests without an event loop.

    It hangs at the first command, or with `os_release` runs commands on this machine (as root), as if that text were its /etc/os-release.
    """

    def __init__(self, os_release: str = "") -> None:
        self._os_release = os_release
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh server")
        self._server: asyncssh.SSHAcceptor | None = None
        self._inside: set[asyncssh.SSHServerConnection] = set()
        self._seen: list[str] = []

    @property
    def knocks(self) -> int:
        """The number of authentication attempts."""
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
        """Disconnect all clients, and show a new host key from now on."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(LIMIT_S)

    async def _listen(self) -> None:
        await self._close()
        key = await asyncio.to_thread(asyncssh.generate_private_key, "ssh-ed25519")
        self._server = await asyncssh.listen(
            "127.0.0.1", self.port, reuse_address=True, server_factory=lambda: Doorkeeper(self._inside, self._seen), server_host_keys=[key], allow_scp=False,
            sftp_factory=None, process_factory=self._run if self._os_release else self._hang, encoding=None if self._os_release else "utf-8",
        )  # fmt: skip
        self.port = self._server.get_port()

    async def _close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        await self._server.wait_closed()
        self._server = None
        await asyncio.sleep(0.05)  # a connection that was accepted just now is not in the set yet
        while self._inside:
            conn = self._inside.pop()
            conn.abort()
            await conn.wait_closed()

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        own = 'printf %s "$0" >/dev/shm/os-release && mount --bind /dev/shm/os-release /etc/os-release && exec sh -c "$1"'
        argv = ("unshare", "--mount", "sh", "-c", f"mount -t tmpfs none /dev/shm && {own}", self._os_release, process.command or "sh")
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
        assert child.stdin and child.stdout  # noqa: PT018  # for the type checker

        async def pump(source: Any, sink: Any) -> None:
            with contextlib.suppress(OSError):  # the program may end before its input
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
                sink.write_eof()

        feeding = asyncio.create_task(pump(process.stdin, child.stdin))
        await asyncio.gather(pump(child.stdout, process.stdout), pump(child.stderr, process.stderr))
        status = await child.wait()
        feeding.cancel()
        process.exit(status)

    async def _hang(self, process: asyncssh.SSHServerProcess[str]) -> None:
        """Accept a command, and do not answer before the client ends its input."""
        await process.stdin.read()
        process.exit(1)


class Person:
    """Records the shown host keys, and confirms them if `trusts`."""

    def __init__(self, *, trusts: bool = True) -> None:
        self.trusts = trusts
        self.shown: list[HostKey] = []

    async def started(self, step: StepName) -> None: ...
    async def detail(self, step: StepName, text: str) -> None: ...
    async def done(self, step: StepName, detail: str = "") -> None: ...
    async def confirm_host_key(self, key: HostKey) -> bool:
        self.shown.append(key)
        return self.trusts


def no_limit(*, on: bool) -> None:
    """No time limit."""
