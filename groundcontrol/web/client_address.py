"""The address of a request's client. The hub takes it from a header only if a trusted proxy sent the header."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from aiohttp import hdrs, web

from groundcontrol.access.addresses import Network, parse

ClientAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_HOPS: Final = 32
FORWARDING: Final = (hdrs.X_FORWARDED_FOR, hdrs.FORWARDED, "X-Real-IP", hdrs.VIA)
"""Headers that proxies set. The hub takes the address of a client only from the first; all of them can make it unsure (`Client.sure`)."""


class Client(NamedTuple):
    """The origin of a request, as far as it is known."""

    address: str
    """The address for limits and the audit log; empty through the local socket."""
    sure: bool
    """Whether the address is certainly the client's own. False: it may be that of a proxy, and then the client is unknown."""


def client_of_peer(peer: str, headers: Mapping[str, Sequence[str]], trusted: Sequence[Network], *, direct: bool) -> Client:
    """The client of a connection, which may come through trusted proxies.

    Its address is `peer`, unless that is a trusted proxy. Then the entries of X-Forwarded-For are read from right to left. The first entry that
    is no trusted proxy is the client. If there is none, it is the last entry that was read. Reading ends at an entry that is no address, and
    after MAX_HOPS entries.

    Nobody has verified the entries further left. If there are any, the address may be that of an unknown proxy, and `sure` is False.

    Args: peer: the address of the other end of the connection; empty: the local socket.
          headers: all received values of each header in FORWARDING, in order. A header that was not received is not in it.
          direct: whether clients may connect without a proxy.
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


def client_of_request(request: web.BaseRequest, trusted: Sequence[Network], *, direct: bool) -> Client:
    """The client that sent a request; see `client_of_peer`."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    host = peer[0] if isinstance(peer, tuple) and peer else ""
    sent = {name: found for name in FORWARDING if (found := request.headers.getall(name, []))}
    return client_of_peer(str(host), sent, trusted, direct=direct)


def address_of_request(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """The address of the client that sent a request; empty through the local socket."""
    return client_of_request(request, trusted, direct=False).address


def is_one_of(peer: str, networks: Sequence[Network]) -> bool:
    """Whether the other end of a connection is in one of these networks. False through the local socket, where `peer` is empty."""
    address = parse(peer)
    return address is not None and _is_one_of(address, networks)


def _headers_agree(address: ClientAddress, headers: Mapping[str, Sequence[str]], trusted: Sequence[Network]) -> bool:
    """Whether there is no Forwarded header, and each X-Real-IP is this address or that of a trusted proxy.

    Otherwise a trusted proxy may have passed on the headers of an unknown proxy.
    """
    real = [parse(_bare(value.strip())) for value in headers.get("X-Real-IP", ())]
    return not headers.get(hdrs.FORWARDED) and all(one is not None and (one == address or _is_one_of(one, trusted)) for one in real)


def _is_one_of(address: ClientAddress, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _bare(hop: str) -> str:
    """The address in an entry such as `1.2.3.4:5`, `[::1]:5` or `::1`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
