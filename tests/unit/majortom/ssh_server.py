"""A real SSH server in this process, which counts who tries to log in."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import asyncssh


class Watcher(asyncssh.SSHServer):
    """Remembers every authentication packet."""

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
        return password == "right"


@contextlib.asynccontextmanager
async def serving(*keys: asyncssh.SSHKey, **options: object) -> AsyncIterator[tuple[int, list[str]]]:
    """Listen on a free port of 127.0.0.1; gives the port and what was tried."""
    seen: list[str] = []
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: Watcher(seen), server_host_keys=list(keys), allow_scp=False, sftp_factory=None,
        **options,
    )  # fmt: skip
    try:
        yield server.get_port(), seen
    finally:
        server.close()
        await server.wait_closed()


class Bastion(Watcher):
    """A jump host: it lets in who has the right password, runs nothing, and passes connections on."""

    def connection_requested(self, dest_host: str, dest_port: int, _orig_host: str, _orig_port: int) -> bool:
        self._seen.append(f"through to {dest_host} {dest_port}")
        return dest_host != "closed.example"


@contextlib.asynccontextmanager
async def jumping(key: asyncssh.SSHKey) -> AsyncIterator[tuple[int, list[str]]]:
    """A jump host on a free port of 127.0.0.1; gives the port and what was tried."""
    seen: list[str] = []
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: Bastion(seen), server_host_keys=[key], allow_scp=False, sftp_factory=None
    )
    try:
        yield server.get_port(), seen
    finally:
        server.close()
        await server.wait_closed()
