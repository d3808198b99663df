"""The policy for addresses to which the hub connects by a user's order: servers of a fleet, and receivers of messages.

Addresses are compared as values, never as texts: `::ffff:a00:1` and `10.0.0.1` are one machine.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle
        "fd00:ec2::254", "fd00:ec2::23",  # Amazon
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
    )
)  # fmt: skip
"""Addresses of cloud metadata services, which give out credentials. The link-local 169.254.169.254 is forbidden anyway."""
_CARRIES_IPV4: Final = tuple(ipaddress.IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
"""IPv6 networks in which the last 32 bits are an IPv4 address: compatible, translated, NAT64."""
_FORBIDDEN: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "240.0.0.0/4",
        "64:ff9b:1::/48",  # local NAT64: each network chooses the position of the inner address
        "2001::/32",  # Teredo
        "fec0::/10",
    )
)
_PORT: Final = 9


def parse(text: str) -> Address | None:
    """Parse an address, also with a zone (`fe80::1%eth0`), which is dropped. None: the text is no address."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_address(host: str) -> bool:
    """Whether this is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)  # also with a zone, which only IPv6 has
    except ValueError:
        return False
    return True


def plain(text: str) -> str:
    """The one spelling of an address; an IPv4 address in IPv6 form becomes IPv4. A text that is no address stays."""
    address = parse(text)
    return text if address is None else str(getattr(address, "ipv4_mapped", None) or address)


def reached_by(text: str) -> list[Address]:
    """The addresses that a packet to this address may reach: itself, and IPv4 addresses inside it. Empty: the text is no address."""
    address = parse(text)
    if address is None:
        return []
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    inner = [address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _CARRIES_IPV4) and int(address) > 1:  # `::` and `::1` carry no IPv4 address
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return [address, *(one for one in inner if one is not None)]


def is_forbidden(text: str) -> bool:
    """Whether no connection goes to this address: unspecified, multicast, link-local, broadcast, cloud metadata, or no address at all."""
    found = reached_by(text)
    return not found or any(
        one.is_unspecified or one.is_multicast or one.is_link_local or one in METADATA or any(one in net for net in _FORBIDDEN if net.version == one.version)
        for one in found
    )  # fmt: skip


def is_loopback(text: str) -> bool:
    """Whether a connection to this address may reach this machine's loopback."""
    return any(one.is_loopback for one in reached_by(text))


def is_own(text: str) -> bool:
    """Whether a connection to this address may reach this machine. The kernel is asked from which address it would send. No packet is sent."""
    return any(one.is_loopback or _source_of(one) == one for one in reached_by(text))


def _source_of(address: Address) -> Address | None:
    with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect((str(address), _PORT))
        except OSError:
            return None  # there is no route to the address
        return parse(probe.getsockname()[0])
