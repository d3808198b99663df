"""The hub's checked configuration, and the addresses derived from it. `config_reader.py` reads it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from groundcontrol.access.addresses import Network
from groundcontrol.access.model import TotpRule
from groundcontrol.lan import LOOPBACK_NAMES
from groundcontrol.samples.model import Retention

ListenAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LOOPBACK: Final[Mapping[int, ListenAddress]] = {4: ipaddress.IPv4Address("127.0.0.1"), 6: ipaddress.IPv6Address("::1")}
ANY_ADDRESS: Final = ipaddress.IPv4Address(0)


class Secret:
    """A secret text that does not print itself: `repr` and `str` are `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


@dataclass(frozen=True)
class Config:
    """The checked configuration of the hub."""

    port: int
    bind: str
    data_dir: Path
    control_db: Path
    allow_volatile: bool
    """Whether the data folder may be in memory."""
    agent_bundle: Path | None
    server_url: str | None
    """The URL at which nodes reach the hub; None: nodes on this machine only, without TLS."""
    tls_pin: str | None
    """64 hex digits, or several such separated by commas; None: nodes trust the authority that signed the certificate."""
    log_format: str
    trusted_proxies: tuple[Network, ...]
    jobs_at_once: int
    """Concurrent jobs of batches."""
    pack_seconds: int
    """Seconds of samples that a node sends together while no page shows it."""
    admin_user: str
    require_totp: TotpRule
    """The minimum rule; the page's settings may require more."""
    retention: Retention
    """Default retention of samples, until an admin changes it."""
    admin_pass: Secret | None
    """None: the default password, which must be changed at the first log-in."""
    metrics_token: Secret | None
    secret: Secret
    notify_allow: frozenset[tuple[str, int]] = frozenset()
    """Pairs of (address, port) on this machine that channels may reach."""
    notify_proxy: str | None = None
    """The HTTP proxy for messages and the heartbeat; None: they are sent without one."""
    notify_direct: tuple[str, ...] = ()
    """Receivers that are reached without the proxy: networks, and domains in lower case."""
    locations: tuple[tuple[str, str], ...] = ()
    """Pairs of (pattern of node names in lower case, location)."""
    heartbeat_url: Secret | None = None
    """The URL that the hub requests every minute while it can alert."""
    lan: tuple[str, ...] | None = None
    """The addresses of a hub that terminates TLS itself; empty: not known yet (`with_lan`); None: the hub does not terminate TLS."""

    def on_port(self, port: int) -> Config:
        """The same configuration with the port that the system chose for port 0."""
        made = replace(self, port=port)
        return made.with_lan(self.lan) if self.lan else made

    def with_lan(self, addresses: tuple[str, ...], tls_pin: str | None = None) -> Config:
        """The same configuration with the addresses and the pin of the hub's own certificate; nodes dial the first address."""
        both = self.bind == str(ANY_ADDRESS) and any(":" in address for address in addresses)
        made = replace(self, lan=addresses, bind="::" if both else self.bind, tls_pin=tls_pin or self.tls_pin)
        return replace(made, server_url=made.node_urls[0])

    @property
    def loopback_only(self) -> bool:
        """Whether only this machine can reach the hub's port."""
        return ipaddress.ip_address(self.bind).is_loopback

    @property
    def local_host(self) -> str:
        """The host in a URL by which this machine reaches the hub's port."""
        address = ipaddress.ip_address(self.bind)
        if address.is_unspecified:
            address = _LOOPBACK[address.version]
        return f"[{address}]" if address.version == 6 else str(address)

    @property
    def local_node_url(self) -> str | None:
        """The URL of this hub for a node on this machine, without a proxy. None: ws:// is not allowed for the address that the hub
        listens on."""
        if self.lan is not None:
            bind = ipaddress.ip_address(self.bind)
            return f"wss://{_join('127.0.0.1' if bind.is_unspecified else str(bind), self.port, 443)}/ws"
        return f"ws://{self._on_port(self.local_host)}/ws" if is_loopback_name(self.local_host.strip("[]")) else None

    @property
    def node_url(self) -> str:
        """The URL of this hub for nodes."""
        return self.server_url or f"ws://{self._on_port(self.local_host)}/ws"

    @property
    def node_urls(self) -> list[str]:
        """Every URL of this hub for nodes, the preferred one first."""
        return [f"wss://{_join(address, self.port, 443)}/ws" for address in self.lan or ()] or [self.node_url]

    def node_url_at(self, host: str) -> str:
        """The node URL with the host that a node has dialled; the preferred node URL if no URL has this host."""
        return next((url for url in self.node_urls if authority_of(url)[1] == host), self.node_url)

    def address_for(self, host: str) -> str | None:
        """The address that the hub tells a node to dial. None: the node dialled its own machine, or this hub does not terminate TLS itself.

        Args: host: the host and port that the node has dialled.
        """
        return self.lan[0] if self.lan and host in (authority_of(url)[1] for url in self.node_urls) else None

    @property
    def origin(self) -> str:
        """The web origin for links. Without a server URL it names localhost and not 127.0.0.1: a log-in at one is not valid at the other."""
        return max(self.origins) if self.server_url is None else _origin(self.server_url)

    @property
    def direct(self) -> bool:
        """Whether clients connect without a proxy, so that the peer address is the client's address."""
        return not self.secure or self.lan is not None

    @property
    def signed(self) -> bool:
        """Whether browsers use TLS with a certificate that they trust without a question."""
        return self.secure and self.lan is None

    @property
    def origins(self) -> frozenset[str]:
        """The web origins of the page; no other origin may use a cookie."""
        if self.server_url is None:
            here = {self.local_host, "localhost"} if self.local_host in ("127.0.0.1", "[::1]") else {self.local_host}
            return frozenset(f"http://{self._on_port(name)}" for name in here)
        names = () if self.lan is None else (*self.lan, *LOOPBACK_NAMES)
        return frozenset({_origin(self.server_url), *(f"https://{_join(name, self.port, 443)}" for name in names)})

    @property
    def agent_hosts(self) -> frozenset[str]:
        """The hosts that a node may have dialled. Another host means that somebody relays the connection, and the hub refuses it."""
        if self.server_url is None:  # a tunnel may end at any name of the node's own machine
            return frozenset(self._on_port(name) for name in {self.local_host, "localhost", "127.0.0.1", "[::1]"})
        if self.lan is not None:
            return frozenset(_join(name, self.port, 443) for name in (*self.lan, *LOOPBACK_NAMES))
        local = () if self.local_node_url is None else (self._on_port(self.local_host),)
        return frozenset({authority_of(self.server_url)[1], *local})

    def _on_port(self, name: str) -> str:
        return name if self.port == 80 else f"{name}:{self.port}"

    @property
    def secure(self) -> bool:
        """Whether browsers use TLS."""
        return self.server_url is not None and self.server_url.startswith("wss://")


def is_loopback_name(host: str) -> bool:
    """Whether a host name or address always means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def authority_of(url: str) -> tuple[str, str]:
    """Scheme and authority of a WebSocket URL, without the scheme's default port."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "wss" else 80
    return parts.scheme, _join((parts.hostname or "").lower(), parts.port or default, default)


def _join(host: str, port: int, default: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == default else f"{name}:{port}"


def _origin(url: str) -> str:
    scheme, authority = authority_of(url)
    return f"{'https' if scheme == 'wss' else 'http'}://{authority}"
