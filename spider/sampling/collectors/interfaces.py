"""The `interfaces` table: network interfaces and their addresses."""

import os
import socket
import sys
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from spider.files import read_text
from spider.sampling.collectors.netlink import NETLINK_ROUTE, Netlink, parse_attributes
from spider.sampling.collectors.table_reader import Reading
from spider.wire.text import plain

_RTM_GETLINK, _RTM_GETADDR = 18, 22
_ADDRESS, _IFNAME, _MTU, _MASTER, _OPERSTATE, _LINKINFO = 1, 3, 4, 10, 16, 18
_INFO_KIND = 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_STATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
"""Operational states. Source: RFC 2863 as in include/uapi/linux/if.h."""
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_LOOPBACK = 772
_ENDS = frozenset({"veth", "tun"})
"""Types of interfaces that are made for a container or a virtual machine (a tap has the type tun). As members of a bridge they have no row of
their own; the row of the bridge has the number of all its members."""


class NetworkLink(NamedTuple):
    """One interface."""

    number: int
    """The kernel's index of the interface."""
    name: str
    kind: str
    """physical, loopback, or the kernel's word for its type."""
    mac: str
    state: str
    mtu: int
    master: int
    """Index of the interface that it is enslaved to; 0 = none."""


def parse_links(messages: Iterable[Tuple[bytes, int, int]]) -> List[NetworkLink]:
    """Parse the messages of an RTM_GETLINK dump.

    Raises: ValueError: a message is malformed.
    Source: rtnetlink(7), include/uapi/linux/if_link.h.
    """
    links: List[NetworkLink] = []
    for data, start, end in messages:
        if end - start < 16:
            raise ValueError("a link message is too short")
        hardware = int.from_bytes(data[start + 2 : start + 4], sys.byteorder)
        index = int.from_bytes(data[start + 4 : start + 8], sys.byteorder)
        flags = int.from_bytes(data[start + 8 : start + 12], sys.byteorder)
        attributes = dict(parse_attributes(data, start + 16, end))
        info = attributes.get(_LINKINFO, b"")
        kind = plain(dict(parse_attributes(info, 0, len(info))).get(_INFO_KIND, b"").rstrip(b"\0"), 32)
        if not kind:
            kind = "loopback" if hardware == _LOOPBACK else "physical"
        number = attributes.get(_OPERSTATE, b"\0")[0]
        state = _STATES[number] if number < len(_STATES) else "unknown"
        if state == "unknown" and flags & _IFF_UP:  # some drivers never set a state (loopback, tun)
            state = "up" if flags & _IFF_RUNNING else "down"
        links.append(
            NetworkLink(
                index,
                plain(attributes.get(_IFNAME, b"").rstrip(b"\0"), 32),
                kind,
                attributes.get(_ADDRESS, b"").hex(":") if hardware != _LOOPBACK else "",
                state,
                int.from_bytes(attributes.get(_MTU, b""), sys.byteorder),
                int.from_bytes(attributes.get(_MASTER, b""), sys.byteorder),
            )
        )
    return links


def parse_prefixes(messages: Iterable[Tuple[bytes, int, int]]) -> Dict[int, List[str]]:
    """Parse the messages of an RTM_GETADDR dump.

    Returns: addresses with their prefix length, by interface index, in the kernel's order.
    Raises:  ValueError: a message is malformed.
    """
    found: Dict[int, List[str]] = {}
    for data, start, end in messages:
        if end - start < 8:
            raise ValueError("an address message is too short")
        family, prefix = data[start], data[start + 1]
        index = int.from_bytes(data[start + 4 : start + 8], sys.byteorder)
        size = {int(socket.AF_INET): 4, int(socket.AF_INET6): 16}.get(family)
        attributes = dict(parse_attributes(data, start + 8, end))
        raw = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS, b"")
        if size is not None and len(raw) == size:
            found.setdefault(index, []).append(f"{socket.inet_ntop(family, raw)}/{prefix}")
    return found


def speed_of(sys_root: str, name: str) -> Optional[int]:
    """The speed of an interface in bits per second. None: the card does not provide it, or has no link.

    Source: Documentation/ABI/testing/sysfs-class-net: megabits per second, -1 = unknown.
    """
    text = read_text(f"{sys_root}/class/net/{name}/speed", 32)
    return int(text) * 1_000_000 if text.isdecimal() and 0 < int(text) < 100_000_000 else None


class Interfaces:
    """The `interfaces` table."""

    subject = "interfaces"

    def __init__(self, sys_root: str = "/sys", netlink: Optional[Netlink] = None) -> None:
        self._sys = sys_root
        self._netlink = netlink or Netlink(NETLINK_ROUTE)

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002 - only rates need the time
        """Query the kernel for links and addresses."""
        try:
            links = parse_links(self._netlink.dump(_RTM_GETLINK, bytes(16)))
            prefixes = parse_prefixes(self._netlink.dump(_RTM_GETADDR, bytes(8)))
        finally:
            self._netlink.close()
        bridges = {link.number: 0 for link in links if link.kind == "bridge"}
        shown: List[NetworkLink] = []
        for link in links:
            if link.master in bridges:
                bridges[link.master] += 1
                if link.kind in _ENDS:
                    continue
            shown.append(link)
        rows = [
            (
                link.name,
                link.kind,
                link.mac or None,
                link.state,
                speed_of(self._sys, link.name) if os.sep not in link.name else None,
                link.mtu,
                ", ".join(prefixes.get(link.number, []))[:2000],
                bridges.get(link.number),
            )
            for link in shown
        ]
        return Reading([*rows], len(rows))
