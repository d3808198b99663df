"""Rules for the addresses of servers."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

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
_CARRIES_IPV4: Final = tuple(ipaddress.IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"))
"""IPv6 networks in which the last 32 bits are an IPv4 address: compatible, translated, NAT64, local NAT64."""


def _with_embedded(address: str) -> list[_Address]:
    """An address, and the IPv4 addresses inside it that a packet may reach."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if any(ip in network for network in _CARRIES_IPV4) and int(ip) > 1:  # `::` and `::1` carry no IPv4 address
        inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return [ip, *(embedded for embedded in inner if embedded is not None)]


def forbidden_address(address: str) -> str | None:
    """Why this address cannot be a server of a fleet: unspecified, multicast, link-local, cloud metadata, broadcast. None: it can."""
    for ip in _with_embedded(address):
        if ip.is_unspecified or ip.is_multicast or ip.is_link_local or ip in METADATA or str(ip) == "255.255.255.255":
            return "this kind of address names no server"
    return None


def is_address(host: str) -> bool:
    """Whether this is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)  # also with a zone, which only IPv6 has
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether an IP address is a loopback address of this machine."""
    return any(ip.is_loopback for ip in _with_embedded(address))


def is_own(address: str) -> bool:
    """Whether an IP address belongs to this machine."""
    if is_loopback(address):
        return True
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
