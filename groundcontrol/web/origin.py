"""Checks that a request comes from the page itself and not from another site in the same browser."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Final

from aiohttp import hdrs, web

from groundcontrol.core.errors import CrossSite

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER: Final = "X-CSRF-Token"
_FETCH_SITE: Final = "Sec-Fetch-Site"


def check_same_origin(request: web.Request, origins: Collection[str], *, required: bool) -> None:
    """Compare `Sec-Fetch-Site` and `Origin` with the page's own origins.

    Args:   required: refuse also a request with neither header (a browser always sends at least one).
    Raises: CrossSite.
    """
    site = request.headers.getall(_FETCH_SITE, [])
    origin = request.headers.getall(hdrs.ORIGIN, [])
    if origin and (len(origin) != 1 or origin[0] not in origins):
        raise CrossSite(
            f"this page is not served from {origin[0][:200]!r}: open it under its own address, or set --server-url", origins=sorted(origins)
        )
    if site and site != ["same-origin"]:
        raise CrossSite("this request comes from another site")
    if required and not origin and not site:
        raise CrossSite("the request does not say where it comes from (Origin, Sec-Fetch-Site)")


def check_socket_origin(request: web.Request, origins: Collection[str]) -> None:
    """For the live socket opened with a cookie: the Origin must be present and exact.

    Raises: CrossSite.
    """
    check_same_origin(request, origins, required=True)
    if not request.headers.getall(hdrs.ORIGIN, []):
        raise CrossSite("the live socket wants the page's Origin")


def check_csrf(request: web.Request, expected: str) -> None:
    """Check the session's CSRF token, which no other site can read.

    Raises: CrossSite.
    """
    given = request.headers.getall(CSRF_HEADER, [])
    if len(given) != 1 or not hmac.compare_digest(given[0].encode("utf-8", "surrogateescape"), expected.encode()):
        raise CrossSite(f"the header {CSRF_HEADER} does not hold this session's token")
