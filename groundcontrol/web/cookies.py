"""The cookies of a log-in, and the checks that a request with cookies comes from the page, not from another site."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Final

from aiohttp import hdrs, web

from groundcontrol.access.access_tokens import LIFETIME_S
from groundcontrol.access.sessions import ABSOLUTE_S
from groundcontrol.access.trusted_browsers import KNOWN_S
from groundcontrol.core.errors import CrossSite

REFRESH_PATH: Final = "/api/v1/auth/refresh"
LOGIN_PATH: Final = "/api/v1/auth/login"
SSO_PATH: Final = "/api/v1/auth/oidc/finish"
SSO_LIFETIME_S: Final = 600
"""How long a log-in through a provider may take."""
HUB_CHARS: Final = 8


class Cookies:
    """Names and attributes of the cookies, with and without TLS. The names differ, so a hub with TLS accepts no cookie that was set without
    TLS.

    With TLS each name starts with `__Host-`. Only this host can set such a cookie, and only over TLS. Browsers require the path `/` for it.

    Without TLS, a browser sends a host's cookies to servers on all ports of the host. So the other cookies each have the path of the one call
    that reads them. Another server on the host may be a second hub, so the names contain an id of the hub.
    """

    def __init__(self, hub: str, *, secure: bool) -> None:
        """`hub`: an id of the installation, the same after every restart."""
        self._secure = secure
        self.access_name = "__Host-stardust" if secure else f"stardust-plain-{hub[:HUB_CHARS]}"
        self.refresh_name = f"{self.access_name}-refresh"
        self.device_name = f"{self.access_name}-device"
        self.sso_name = f"{self.access_name}-sso"
        self._refresh_path = "/" if secure else REFRESH_PATH
        self._login_path = "/" if secure else LOGIN_PATH
        self._sso_path = "/" if secure else SSO_PATH

    def access(self, request: web.Request) -> str | None:
        return request.cookies.get(self.access_name)

    def refresh(self, request: web.Request) -> str | None:
        return request.cookies.get(self.refresh_name)

    def device(self, request: web.Request) -> str:
        return request.cookies.get(self.device_name, "")

    def sso_binder(self, request: web.Request) -> str:
        return request.cookies.get(self.sso_name, "")

    def bind_sso(self, response: web.StreamResponse, binder: str) -> None:
        """Set the cookie without which nobody can finish the log-in that this browser begins."""
        self._set(response, self.sso_name, binder, self._sso_path, SSO_LIFETIME_S)

    def set(self, response: web.StreamResponse, access: str, refresh: str, device: str = "") -> None:
        """Set the cookies. An empty `refresh` or `device` leaves that cookie of the browser unchanged."""
        self._set(response, self.access_name, access, "/", LIFETIME_S)
        if refresh:
            self._set(response, self.refresh_name, refresh, self._refresh_path, int(ABSOLUTE_S))
        if device:
            self._set(response, self.device_name, device, self._login_path, int(KNOWN_S))

    def clear(self, response: web.StreamResponse) -> None:
        """Delete the session's cookies; the browser stays trusted."""
        self._set(response, self.access_name, "", "/", 0)
        self._set(response, self.refresh_name, "", self._refresh_path, 0)

    def _set(self, response: web.StreamResponse, name: str, value: str, path: str, max_age: int) -> None:
        response.set_cookie(name, value, path=path, max_age=max_age, secure=self._secure, httponly=True, samesite="Strict")


SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER: Final = "X-CSRF-Token"
_FETCH_SITE: Final = "Sec-Fetch-Site"


def check_same_origin(request: web.Request, origins: Collection[str], *, required: bool) -> None:
    """Check that `Sec-Fetch-Site` and `Origin` are those of the page, if the request has these headers.

    Args:   required: also refuse a request that has neither header (a browser always sends at least one).
    Raises: CrossSite.
    """
    site = request.headers.getall(_FETCH_SITE, [])
    origin = request.headers.getall(hdrs.ORIGIN, [])
    if origin and (len(origin) != 1 or origin[0] not in origins):
        raise CrossSite(
            f"{origin[0][:200]!r} is not an address of this hub's page: open the page under the hub's address, or correct that address"
            " (--lan or --server-url)",
            origins=sorted(origins),
        )
    if site and site != ["same-origin"]:
        raise CrossSite("this request comes from another site")
    if required and not origin and not site:
        raise CrossSite("the request does not say where it comes from (Origin, Sec-Fetch-Site)")


def check_socket_origin(request: web.Request, origins: Collection[str]) -> None:
    """Check a live socket that is opened with a cookie: `Origin` must be present and exact.

    Raises: CrossSite.
    """
    check_same_origin(request, origins, required=True)
    if not request.headers.getall(hdrs.ORIGIN, []):
        raise CrossSite("the live socket needs the page's Origin")


def check_csrf(request: web.Request, expected: str) -> None:
    """Check the session's CSRF token, which no other site can read.

    Raises: CrossSite.
    """
    given = request.headers.getall(CSRF_HEADER, [])
    if len(given) != 1 or not hmac.compare_digest(given[0].encode("utf-8", "surrogateescape"), expected.encode()):
        raise CrossSite(f"the header {CSRF_HEADER} does not have this session's token")
