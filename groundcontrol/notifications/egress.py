"""Connects to receivers of messages, and refuses addresses that messages may not reach.

The check is made on the address of the connection, after names were resolved. So DNS rebinding and unusual forms of an address do not
help. Out of reach are this machine, metadata services of clouds, and link-local and multicast addresses. Private networks are allowed:
receivers such as ntfy often run there.

With an HTTP proxy the hub does not see the address of a receiver, so the proxy decides what a name may reach. Addresses that a text gives, and
names of this machine, are refused as before.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from groundcontrol.core.addresses import is_forbidden, is_own, parse, plain
from groundcontrol.core.errors import BadRequest

Allowed = frozenset[tuple[str, int]]
"""Pairs of (address, port) that the hub's configuration allows, even on this machine."""
GetAddresses = Callable[..., list[tuple[Any, ...]]]

CONNECT_S: Final = 10.0
TOTAL_S: Final = 25.0
"""The limit of a whole request."""
MOST_URL_CHARS: Final = 2000
RESOLVER_THREADS: Final = 16
"""Names are resolved on separate threads. So a name server that does not answer cannot block the rest of the hub."""
_NAME: Final = re.compile(r"(?!-)(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?(?<!-)\Z")
"""A host name. Python raises UnicodeError instead of looking up a name with an empty label or one of more than 63 characters."""


class Detour(NamedTuple):
    """The HTTP proxy of the hub's configuration."""

    proxy: str
    direct: tuple[str, ...] = ()
    """Receivers that are reached without it: networks and domains."""

    def applies(self, host: str) -> bool:
        """Whether a receiver is reached through the proxy. Args: host: in lower case, without brackets."""
        address = parse(host)
        return not any(
            host == part or host.endswith("." + part) or (address is not None and "/" in part and address in ipaddress.ip_network(part))
            for part in self.direct
        )


class Denied(OSError):
    """Messages may not be sent to this address."""

    def __init__(self) -> None:
        super().__init__(
            "messages may not be sent to this address"
        )  # the same text for each address, since aiohttp compares the texts of several errors


def _literal(host: str) -> str | None:
    """The address that a host's text gives without a name server; None: the text is a name."""
    plain = host.lower().rstrip(".")
    if plain == "localhost" or plain.endswith(".localhost"):
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(plain))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(plain))  # such as 2130706433, 0x7f000001 and 127.1
    except OSError:
        return None


def check_url(text: str, *, field: str = "url") -> str:
    """Check the form of a URL to which messages are posted. Returns: the URL.

    Raises: BadRequest: it is not a plain http or https URL.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadRequest(f"{field} is not a URL", field=field) from None
    if len(text) > MOST_URL_CHARS or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise BadRequest(f"{field} may have at most {MOST_URL_CHARS} visible ASCII characters", field=field)
    if parts.scheme not in ("http", "https"):
        raise BadRequest(f"{field} must begin with https:// or http://", field=field)
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise BadRequest(f"{field} may not contain a user name or password", field=field)
    if port == 0 or parts.fragment or not is_host(parts.hostname or ""):
        raise BadRequest(f"{field} must name a host, and have no part behind #", field=field)
    return text


def is_host(name: str) -> bool:
    """Whether a text is the name or address of a host. `Egress.check` decides later whether messages may be sent to it."""
    if _NAME.match(name.lower()):
        return True
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


class Egress:
    """Makes the connections of all channels."""

    def __init__(
        self,
        allowed: Allowed = frozenset(),
        tls: ssl.SSLContext | None = None,
        getaddrinfo: GetAddresses = socket.getaddrinfo,
        detour: Detour | None = None,
    ) -> None:
        """Args: allowed: addresses that are not refused. tls: None: the authorities of the system. detour: None: requests use no proxy."""
        self.allowed = allowed
        self._tls = tls
        self._getaddrinfo = getaddrinfo
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")
        self._session: aiohttp.ClientSession | None = None
        self._detour = detour
        self._detoured: aiohttp.ClientSession | None = None

    @property
    def tls(self) -> ssl.SSLContext:
        """The TLS settings. They are made for the first message: to read the system's authorities takes a quarter of a hub's start."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def check(self, address: str, port: int) -> None:
        """Raises: Denied: no message may be sent to this address and port, or the text is no address."""
        if (plain(address), port) in self.allowed:
            return
        if is_forbidden(address) or is_own(address):
            raise Denied

    def check_receiver(self, host: str, port: int, field: str) -> None:
        """Check a receiver whose text is an address, in any form that the system accepts, or `localhost`.

        Other names pass. They are checked when a message is sent, since their addresses may change.

        Raises: BadRequest: no message may be sent to it.
        """
        address = _literal(host)
        if address is None:
            return
        try:
            self.check(address, port)
        except Denied:
            raise BadRequest(
                f"{field}: no message may go to {host}: name a receiver on another machine"
                + (
                    f"; for one on this machine the owner of the hub sets STARDUST_NOTIFY_ALLOW={address}:{port}"
                    if is_own(address) and not is_forbidden(address)
                    else ""
                ),
                field=field,
            ) from None

    def http(self, url: str) -> aiohttp.ClientSession:
        """The session for requests to a URL, without cookies and DNS cache. Callers must pass `allow_redirects=False`.

        Raises: Denied: the URL goes through the proxy, and its host is an address or name that no message may reach. ValueError: it is no URL.
        """
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower().rstrip("."), parts.port or (443 if parts.scheme == "https" else 80)
        address = _literal(host)
        if self._detour is None or not self._detour.applies(host) or (plain(address or ""), port) in self.allowed:
            self._session = self._session or self._open(self._socket, None)
            return self._session
        if host in (socket.gethostname().lower(), "ip6-localhost", "ip6-loopback"):
            raise Denied
        if address is not None:
            self.check(address, port)
        self._detoured = self._detoured or self._open(_unchecked_socket, self._detour.proxy)
        return self._detoured

    def _open(self, make_socket: Callable[[Any], socket.socket], proxy: str | None) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self.resolve), socket_factory=make_socket, ssl=self.tls, use_dns_cache=False, limit=32, force_close=True
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False, proxy=proxy,
            timeout=aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S), headers={"User-Agent": "stardust"},
        )  # fmt: skip

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket without TLS, for protocols other than HTTP.

        Raises: OSError: no address answers; Denied: the last address is refused, and no other one answers; TimeoutError.
        """
        loop = asyncio.get_running_loop()
        failed: OSError = OSError("the name has no address")
        async with asyncio.timeout(CONNECT_S):
            for family, kind, protocol, _, address in await self.resolve(host, port):
                try:
                    made = self._socket((family, kind, protocol, "", address))
                except OSError as exc:
                    failed = exc
                    continue
                try:
                    await loop.sock_connect(made, address)
                except OSError as exc:
                    made.close()
                    failed = exc
                except BaseException:
                    made.close()
                    raise
                else:
                    return made
        raise failed

    async def resolve(self, host: str, port: int, family: int = socket.AF_UNSPEC) -> list[tuple[Any, ...]]:
        """As `socket.getaddrinfo`, on the threads of this object. Raises: OSError; UnicodeError: `is_host` is false for the name."""
        look = self._getaddrinfo
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: look(host, port, family, socket.SOCK_STREAM))

    async def run(self) -> None:
        """Stay open until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connections. Waiting look-ups of names are cancelled."""
        for session in (self._session, self._detoured):
            if session is not None:
                await session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _socket(self, info: Sequence[Any]) -> socket.socket:
        """Check an address, and make a socket for it that is not connected yet. Raises: Denied, OSError."""
        address = info[4]
        self.check(str(address[0]), int(address[1]))
        return _unchecked_socket(info)


def _unchecked_socket(info: Sequence[Any]) -> socket.socket:
    """A socket that is not connected yet. Every connection of a session with a proxy goes to the proxy, which the owner of the hub named."""
    made = socket.socket(*info[:3])
    made.setblocking(False)
    os.set_inheritable(made.fileno(), False)
    return made


class _Resolver(AbstractResolver):
    def __init__(self, resolve: Callable[..., Any]) -> None:
        self._resolve = resolve

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=int(address[1]), family=family, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            for family, _, protocol, _, address in await self._resolve(host, port, family)
        ]

    async def close(self) -> None:
        """Nothing is open."""
