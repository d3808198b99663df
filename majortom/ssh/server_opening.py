"""The opening of an SSH connection, before encryption: the server's text lines, its version and the algorithms that it offers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import asyncssh
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs

from majortom.errors import failure, one_line
from majortom.interfaces import DeployError

HOST_KEY_ALGS: Final = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256")
_KEX_WANTED: Final = (
    "mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256", "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512", "diffie-hellman-group14-sha256",
    "diffie-hellman-group-exchange-sha256",
)  # fmt: skip
CHACHA: Final = "chacha20-poly1305@openssh.com"
CIPHERS: Final = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr", CHACHA)
_MACS_WANTED: Final = (
    "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "umac-128-etm@openssh.com", "umac-64-etm@openssh.com",
    "hmac-sha2-256", "hmac-sha2-512", "umac-128@openssh.com", "umac-64@openssh.com",
)  # fmt: skip
# The defaults of OpenSSH's client without SHA-1, as far as this machine's cryptographic library supports them. ChaCha20 is last, because it
# is unsafe with servers that do not support strict key exchange.
KEX_ALGS: Final = tuple(alg for alg in _KEX_WANTED if alg.encode() in get_kex_algs())
MACS: Final = tuple(alg for alg in _MACS_WANTED if alg.encode() in get_mac_algs())
_STRICT: Final = "kex-strict-s-v00@openssh.com"

_MAX_CLEAR_BYTES: Final = 128 * 1024
"""Most bytes that are read of a server's clear text. Beyond that only the library's limits apply."""
_KEXINIT: Final = 20
_COOKIE_BYTES: Final = 16
_OTHER_PROTOCOLS: Final = re.compile(r"HTTP/|<|[1-5]\d\d[ -]|\+OK|\* |RFB |AMQP")
"""First words of other servers than SSH servers: web, mail, news, FTP, remote desktops, queues."""
_VERSIONS: Final = ("SSH-2.0-", "SSH-1.99-")
"""Supported versions of the protocol. A server with 1.99 supports 2.0 and an older version."""
_PENALTY: Final = re.compile(r"not allowed at this time", re.IGNORECASE)
"""OpenSSH's text for an address under a penalty. By default a penalty lasts at most ten minutes."""


class OfferedAlgorithms(NamedTuple):
    """The algorithms that a server offers (RFC 4253, §7.1)."""

    kex: frozenset[str]
    host_keys: frozenset[str]
    directions: tuple[tuple[frozenset[str], frozenset[str]], ...]
    """Ciphers and MACs, first from the client to the server, then from the server to the client."""


def check_offer(offer: OfferedAlgorithms, host: str, host_key_algs: Sequence[str]) -> DeployError | None:
    """Why a server's offer allows no safe connection. None: it allows one.

    Args: host_key_algs: the host key algorithms that are requested.
    """
    needed: list[tuple[str, Sequence[str], frozenset[str]]] = [
        ("key exchange method", KEX_ALGS, offer.kex),
        ("host key type", host_key_algs, offer.host_keys),
    ]
    chosen: list[str] = []
    for ciphers, macs in offer.directions:
        needed.append(("cipher", CIPHERS, ciphers))
        chosen += [cipher for cipher in CIPHERS if cipher in ciphers][:1]
        if chosen and chosen[-1].endswith("-ctr"):
            needed.append(("MAC", MACS, macs))
    for what, ours, theirs in needed:
        if theirs.isdisjoint(ours):
            offered = ", ".join(sorted(theirs - {_STRICT})) or "none"
            return failure("no_common_algorithm", "connect", host=host, what=what, offered=offered)
    if CHACHA in chosen and _STRICT not in offer.kex:
        return failure("no_strict_kex", "connect", host=host, cipher=CHACHA)
    return None


class ServerOpening:
    """The clear part of one connection, and any error in it.

    Args: host_key_algs: the host key algorithms that are requested.
    """

    def __init__(self, host: str, port: int, host_key_algs: Sequence[str]) -> None:
        self._host = host
        self._port = port
        self._algs = host_key_algs
        self._clear: bytearray | None = bytearray()
        self.offer: OfferedAlgorithms | None = None
        self.version = ""
        """The server's version line; empty: the server has not identified itself as an SSH server."""
        self.line = ""
        """The last text line before the version line, or the first one that looks like another protocol."""
        self.error: DeployError | None = None

    def feed(self, data: bytes) -> None:
        """Read arriving data before the library does."""
        if self._clear is None:
            return
        self._clear += data
        if len(self._clear) > _MAX_CLEAR_BYTES:
            self._clear = None
            return
        while not self.version and b"\n" in self._clear:
            line, _, rest = self._clear.partition(b"\n")
            self._clear = bytearray(rest)
            text = line.decode(errors="replace")
            if text.startswith("SSH-"):
                self.version = one_line(text)
            elif text.strip():
                self.line = self.line if _is_foreign(self.line) else text
        if self.version:
            self._read_packets(self._clear)

    def _read_packets(self, clear: bytearray) -> None:
        while len(clear) > 5:
            end = 4 + int.from_bytes(clear[:4])
            if end > _MAX_CLEAR_BYTES:
                self._clear = None
                return
            if len(clear) < end:
                return
            if clear[5] == _KEXINIT:
                self._clear = None
                self.offer = _offer(bytes(clear[6 : end - clear[4]]))
                self.error = None if self.offer is None else check_offer(self.offer, self._host, self._algs)
                return
            del clear[:end]

    @property
    def is_foreign(self) -> bool:
        """Whether the server uses another protocol than SSH."""
        return not self.version and _is_foreign(self.line or bytes(self._clear or b"").decode(errors="replace"))

    def refusal(self, step: Any, why: str = "") -> DeployError:
        """Why a connection ended or stalled before it was established.

        Args: why: the library's error text.
        """
        if self.error is not None:
            return self.error
        if self.is_foreign:
            return failure("not_ssh", step, host=self._host, port=self._port)
        if self.version and not self.version.startswith(_VERSIONS):
            return failure("no_common_algorithm", step, host=self._host, what="version of the protocol", offered=self.version)
        why = why if self.version else self.line or "before it said that it is one"
        when = "ten minutes" if _PENALTY.search(why) else "a minute"
        return failure("ssh_refused", step, host=self._host, why=why or "without a reason", when=when)


def _is_foreign(text: str) -> bool:
    return bool(_OTHER_PROTOCOLS.match(text)) or not text[:1].isprintable() or any(char in text for char in "\0\ufffd")


def _offer(body: bytes) -> OfferedAlgorithms | None:
    """Parse a KEXINIT message without its message number. None: it is invalid."""
    lists: list[frozenset[str]] = []
    at = _COOKIE_BYTES
    for _ in range(6):
        size = int.from_bytes(body[at : at + 4])
        if len(body) < at + 4 + size:
            return None
        lists.append(frozenset(body[at + 4 : at + 4 + size].decode(errors="replace").split(",")) - {""})
        at += 4 + size
    return OfferedAlgorithms(lists[0], lists[1], ((lists[2], lists[4]), (lists[3], lists[5])))


class WatchedTunnel:
    """A tunnel for asyncssh. It makes the connection, with or without a jump host, and feeds its clear part to a `ServerOpening`."""

    def __init__(self, opening: ServerOpening, tunnel: asyncssh.SSHClientConnection | None) -> None:
        self._opening = opening
        self._tunnel = tunnel

    def close(self) -> None:
        """Part of the interface; asyncssh calls it for tunnels that it has opened itself."""

    async def wait_closed(self) -> None:
        """As `close`."""

    async def create_connection(self, session_factory: Any, remote_host: str, remote_port: int) -> tuple[Any, Any]:
        def make() -> Any:
            return _WatchingProtocol(session_factory(), self._opening)

        connect: Any = asyncio.get_running_loop().create_connection if self._tunnel is None else self._tunnel.create_connection
        transport, protocol = await connect(make, remote_host, remote_port)
        return transport, protocol.connection


class _WatchingProtocol(asyncio.Protocol):
    """Passes all events to the library's connection. It aborts the connection if the opening has an error."""

    def __init__(self, connection: asyncssh.SSHClientConnection, opening: ServerOpening) -> None:
        self.connection = connection
        self._opening = opening
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.connection.connection_made(transport)

    def session_started(self) -> None:
        self.connection.session_started()

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        self._opening.feed(data)
        if self._opening.error is not None:
            self._transport.abort()
        else:
            self.connection.data_received(data, datatype)

    def eof_received(self) -> None:
        self.connection.eof_received()

    def pause_writing(self) -> None:
        self.connection.pause_writing()

    def resume_writing(self) -> None:
        self.connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.connection_lost(exc)
