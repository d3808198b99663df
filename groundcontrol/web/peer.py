"""Where a request comes from. Headers count only from proxies that were named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import hdrs, web

from groundcontrol.auth.addresses import parse
from groundcontrol.config import Network

MAX_HOPS: Final = 32


def client_address(peer: str, forwarded_for: Iterable[str], trusted: Sequence[Network]) -> str:
    """The address that limits and the audit log go by.

    Args:    peer: the other end of the connection; forwarded_for: every `X-Forwarded-For` header, in order.
    Returns: `peer`, or behind trusted proxies the right-most entry that is none of them; what stands further left is hearsay.
    """
    address = parse(peer)
    if address is None:
        return ""
    hops = [hop for header in forwarded_for for hop in header.split(",")]
    for hop in reversed(hops[-MAX_HOPS:]):
        if not any(address.version == network.version and address in network for network in trusted):
            break
        named = parse(_bare(hop.strip()))
        if named is None:
            break
        address = named
    return str(address)


def address_of(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """`client_address` of a request; empty through the local socket."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    host = peer[0] if isinstance(peer, tuple) and peer else ""
    return client_address(str(host), request.headers.getall(hdrs.X_FORWARDED_FOR, []), trusted)


def _bare(hop: str) -> str:
    """An entry without its port: `1.2.3.4:5`, `[::1]:5`, `::1`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
