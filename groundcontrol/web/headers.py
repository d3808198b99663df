"""The security headers of every answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs, web

_OFF: Final = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "clipboard-read",
    "display-capture", "encrypted-media", "fullscreen", "gamepad", "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts",
    "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "screen-wake-lock", "serial",
    "storage-access", "usb", "window-management", "xr-spatial-tracking",
)  # fmt: skip


def security_headers(origins: Iterable[str], *, secure: bool) -> dict[str, str]:
    """The headers, name -> value.

    Args: origins: the origins of the page; it may connect only to them and their live sockets.
          secure: whether browsers use TLS with a certificate that they trust without a question. With another certificate, HSTS would
                  not let users continue.
    """
    # browsers report an IPv6 address in this list as an error; 'self' covers it
    sockets = "".join(sorted(f" ws{origin.removeprefix('http')}" for origin in origins if "[" not in origin))
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        f"connect-src 'self'{sockets}",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    headers = {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _OFF),
    }
    if secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


class HeaderWriter:
    """Sets the headers as the last change to an answer before it is sent."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    async def __call__(self, _request: web.BaseRequest, response: web.StreamResponse) -> None:
        self.write(response)

    def write(self, response: web.StreamResponse) -> None:
        """Set the headers. The answer keeps its own Cache-Control and loses the name of the server software."""
        response.headers.update(self._headers)
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
        response.headers.popall(hdrs.SERVER, None)
