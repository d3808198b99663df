"""The addresses of this host."""

import socket
import sys
from typing import Iterable, List, Tuple

from spider.sampling.collectors.netlink import NETLINK_ROUTE, Netlink, parse_attributes

MAX_ADDRESSES = 64

_RTM_GETADDR = 22
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_FLEETING = 0x01 | 0x08 | 0x20 | 0x40
"""Flags of addresses to skip, IPv6 only: temporary (privacy), failed, deprecated, tentative."""
_SCOPE_LINK = 253


def parse_addresses(messages: Iterable[Tuple[bytes, int, int]]) -> List[str]:
    """Parse the messages of an RTM_GETADDR dump.

    Returns: IPv4, then IPv6 addresses, in the order of the interfaces, without loopback, link-local and short-lived IPv6 addresses.
    Raises:  ValueError: a message is malformed.
    Source:  rtnetlink(7); IFA_LOCAL is the host's end of a point-to-point link, IFA_ADDRESS the other end.
    """
    found: List[Tuple[bool, int, int, str]] = []
    for data, start, end in messages:
        if end - start < 8:
            raise ValueError("an address message is too short")
        family, flags, scope = data[start], data[start + 2], data[start + 3]
        interface = int.from_bytes(data[start + 4 : start + 8], sys.byteorder)
        size = {int(socket.AF_INET): 4, int(socket.AF_INET6): 16}.get(family)
        if size is None or scope >= _SCOPE_LINK:
            continue
        attributes = dict(parse_attributes(data, start + 8, end))
        raw = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS, b"")
        if len(raw) != size:
            raise ValueError("an address has the wrong length")
        flags |= int.from_bytes(attributes.get(_IFA_FLAGS, b"")[:4], sys.byteorder)
        if size == 16 and flags & _FLEETING:
            continue
        if size == 4 and (raw[0] == 127 or raw[:2] == b"\xa9\xfe"):
            continue
        found.append((size == 16, interface, len(found), socket.inet_ntop(family, raw)))
    return list(dict.fromkeys(text for *_, text in sorted(found)))[:MAX_ADDRESSES]


def read_addresses() -> List[str]:
    """Query the kernel for this host's addresses. Empty: the query failed."""
    netlink = Netlink(NETLINK_ROUTE)
    try:
        return parse_addresses(netlink.dump(_RTM_GETADDR, bytes(8)))
    except (OSError, ValueError):
        return []
    finally:
        netlink.close()
