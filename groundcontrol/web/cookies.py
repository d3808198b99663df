"""The cookies of a log-in: the access token, the refresh token, and the mark of a known browser."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from groundcontrol.access.access_tokens import LIFETIME_S
from groundcontrol.access.sessions import ABSOLUTE_S
from groundcontrol.access.trusted_browsers import KNOWN_S

REFRESH_PATH: Final = "/api/v1/auth/refresh"
LOGIN_PATH: Final = "/api/v1/auth/login"
HUB_CHARS: Final = 8


class Cookies:
    """Names and attributes, by whether browsers come by TLS. Without it the names differ, so that a downgrade shows.

    By TLS each is `__Host-`: no neighbour under the same domain, and nobody on a connection without TLS, can put one of their own in its
    place, which a prefix that allows a path would let them. Browsers want the path `/` for that. Without TLS there is no such prefix; there the
    two that only one call reads are sent to that call alone, since other servers of the machine share its cookies, whatever their ports. A
    second hub may be one of them, so the names hold the hub.
    """

    def __init__(self, hub: str, *, secure: bool) -> None:
        """`hub`: names the installation and stays over restarts."""
        self._secure = secure
        self.access_name = "__Host-stardust" if secure else f"stardust-plain-{hub[:HUB_CHARS]}"
        self.refresh_name = f"{self.access_name}-refresh"
        self.device_name = f"{self.access_name}-device"
        self._refresh_path = "/" if secure else REFRESH_PATH
        self._login_path = "/" if secure else LOGIN_PATH

    def access(self, request: web.Request) -> str | None:
        return request.cookies.get(self.access_name)

    def refresh(self, request: web.Request) -> str | None:
        return request.cookies.get(self.refresh_name)

    def device(self, request: web.Request) -> str:
        return request.cookies.get(self.device_name, "")

    def set(self, response: web.StreamResponse, access: str, refresh: str, device: str = "") -> None:
        """Hand them out; what is empty leaves what the browser has."""
        self._set(response, self.access_name, access, "/", LIFETIME_S)
        if refresh:
            self._set(response, self.refresh_name, refresh, self._refresh_path, int(ABSOLUTE_S))
        if device:
            self._set(response, self.device_name, device, self._login_path, int(KNOWN_S))

    def clear(self, response: web.StreamResponse) -> None:
        """For the end of a session; the browser stays known."""
        self._set(response, self.access_name, "", "/", 0)
        self._set(response, self.refresh_name, "", self._refresh_path, 0)

    def _set(self, response: web.StreamResponse, name: str, value: str, path: str, max_age: int) -> None:
        response.set_cookie(name, value, path=path, max_age=max_age, secure=self._secure, httponly=True, samesite="Strict")
