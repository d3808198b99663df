"""The cookies of a log-in: the access token for every path, the refresh token for one, and the mark of a known browser for another."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from groundcontrol.auth.devices import KNOWN_S
from groundcontrol.auth.sessions import ABSOLUTE_S
from groundcontrol.auth.tokens import LIFETIME_S

REFRESH_PATH: Final = "/api/v1/auth/refresh"
LOGIN_PATH: Final = "/api/v1/auth/login"


class Cookies:
    """Names and attributes, by whether browsers come by TLS. Without it the names differ, so that a downgrade shows."""

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure
        self.access_name = "__Host-stardust" if secure else "stardust-plain"
        self.refresh_name = "__Secure-stardust-refresh" if secure else "stardust-plain-refresh"
        self.device_name = "__Secure-stardust-device" if secure else "stardust-plain-device"

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
            self._set(response, self.refresh_name, refresh, REFRESH_PATH, int(ABSOLUTE_S))

        if device:
            self._set(response, self.device_name, device, LOGIN_PATH, int(KNOWN_S))

    def clear(self, response: web.StreamResponse) -> None:
        """For the end of a session; the browser stays known."""
        self._set(response, self.access_name, "", "/", 0)
        self._set(response, self.refresh_name, "", REFRESH_PATH, 0)

    def _set(self, response: web.StreamResponse, name: str, value: str, path: str, max_age: int) -> None:
        response.set_cookie(name, value, path=path, max_age=max_age, secure=self._secure, httponly=True, samesite="Strict")
