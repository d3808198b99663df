"""Parses network addresses, and tells private and loopback ones from others."""

from __future__ import annotations

import functools
import ipaddress
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10")
)
_MAX_CHARS: Final = 64
_CACHED_ADDRESSES: Final = 4096


def parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse an address; an IPv4 address in IPv6 form becomes IPv4. None: the text is no address."""
    return _parse(text) if len(text) <= _MAX_CHARS else None


@functools.lru_cache(_CACHED_ADDRESSES)
def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def is_private(text: str) -> bool:
    """Whether an address belongs to this machine or to a local network; False if the text is no address."""
    address = parse(text)
    return address is not None and any(address.version == network.version and address in network for network in _PRIVATE)


def is_loopback(text: str) -> bool:
    """Whether an address is a loopback address; False if the text is no address."""
    address = parse(text)
    return address is not None and address.is_loopback


def rate_limit_key(text: str) -> str:
    """The key by which attempts from an address are counted; `unknown` if the text is no address.

    It is the address itself, or the /64 network of an IPv6 address, since one customer gets a whole /64.
    """
    address = parse(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address) if address is not None else "unknown"
