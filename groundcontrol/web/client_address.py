"""The client address of a request. Headers count only from configured proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from aiohttp import hdrs, web

from groundcontrol.access.addresses import Network, parse

ClientAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_HOPS: Final = 32
FORWARDING: Final = (hdrs.X_FORWARDED_FOR, hdrs.FORWARDED, "X-Real-IP", hdrs.VIA)
"""Headers that proxies set. The hub reads an address only from the first header, and only if a configured proxy sent it."""


class Client(NamedTuple):
    """The origin of a request, as far as it is known."""

    address: str
    """The address for limits and the audit log; empty through the local socket."""
    sure: bool
    """Whether the address is certainly the client's own. False: it may be that of a proxy, and then the client is unknown."""


def client_of(peer: str, headers: Mapping[str, Sequence[str]], trusted: Sequence[Network], *, direct: bool) -> Client:
    """The client behind trusted proxies.

    Args:    peer: the other end of the connection.
             headers: all received values of each header in FORWARDING, in order.
             direct: clients may connect without a proxy.
    Returns: `peer`; or if that is a trusted proxy, the right-most address in X-Forwarded-For that is no trusted proxy, else the left-most.
        Nobody has verified the addresses further left: if there are any, the found one may be that of an unknown proxy (`sure` False).
    """
    address = parse(peer)
    if address is None:
        return Client("", sure=False)
    hops = [hop for header in headers.get(hdrs.X_FORWARDED_FOR, ()) for hop in header.split(",")]
    left = len(hops)
    for hop in reversed(hops[-MAX_HOPS:]):
        if not _is_one_of(address, trusted):
            break
        named = parse(_bare(hop.strip()))
        if named is None:
            break
        address = named
        left -= 1
    if str(address) == str(parse(peer)) and not _is_one_of(address, trusted):
        return Client(str(address), sure=direct and not headers)
    return Client(str(address), sure=not left and not _is_one_of(address, trusted) and _headers_agree(address, headers, trusted))


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address of `client_of`."""
    return client_of(peer, {hdrs.X_FORWARDED_FOR: forwarded_for}, trusted, direct=False).address


def client_by(request: web.BaseRequest, trusted: Sequence[Network], *, direct: bool) -> Client:
    """`client_of` of a request."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    host = peer[0] if isinstance(peer, tuple) and peer else ""
    sent = {name: found for name in FORWARDING if (found := request.headers.getall(name, []))}
    return client_of(str(host), sent, trusted, direct=direct)


def address_of(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """The address of `client_by`."""
    return client_by(request, trusted, direct=False).address


def is_one_of(peer: str, networks: Sequence[Network]) -> bool:
    """Whether an address of a connection's other end is in one of these networks."""
    address = parse(peer)
    return address is not None and _is_one_of(address, networks)


def _headers_agree(address: ClientAddress, headers: Mapping[str, Sequence[str]], trusted: Sequence[Network]) -> bool:
    """Whether no other header names another client. A configured proxy may pass on headers of an unknown proxy."""
    real = [parse(_bare(value.strip())) for value in headers.get("X-Real-IP", ())]
    return not headers.get(hdrs.FORWARDED) and all(one is not None and (one == address or _is_one_of(one, trusted)) for one in real)


def _is_one_of(address: ClientAddress, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _bare(hop: str) -> str:
    """The address of an entry such as `1.2.3.4:5`, `[::1]:5` or `::1`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
