"""Network addresses as the log-in rules see them."""

from __future__ import annotations

import functools
import ipaddress
from typing import Final

_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10")
)


_LONGEST: Final = 64
_REMEMBERED: Final = 4096


def parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; one of IPv4 that is written as IPv6 becomes IPv4. None: it is none."""
    return _parse(text) if len(text) <= _LONGEST else None


@functools.lru_cache(_REMEMBERED)
def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def is_private(text: str) -> bool:
    """Whether an address is of this machine or of a local network; an unknown one is not."""
    address = parse(text)
    return address is not None and any(address.version == network.version and address in network for network in _PRIVATE)


def is_loopback(text: str) -> bool:
    """Whether an address is of this machine alone."""
    address = parse(text)
    return address is not None and address.is_loopback


def rate_limit_key(text: str) -> str:
    """What limits count by: the address, or for IPv6 its /64, since that is what one customer gets."""
    address = parse(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address) if address is not None else "unknown"
