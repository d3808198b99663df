"""Every private name of aiohttp that the hub relies on, since there is no public way. A test fails with the release that changes one."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

NAMES: Final[tuple[tuple[type, str], ...]] = (
    (web.RequestHandler, "_request_count"),
    (web.RequestHandler, "_waiter"),
    (web.StreamResponse, "_prepare_headers"),
    (web.BaseRunner, "_make_server"),
    (web.WebSocketResponse, "_cancel_heartbeat"),
)
"""Class and private name."""


class WatchedHandler(web.RequestHandler):
    """A connection that says how far its requests are."""

    __slots__ = ()

    @property
    def heads_read(self) -> int:
        """Requests whose head was read to its end."""
        return self._request_count

    @property
    def awaits_request(self) -> bool:
        """Whether no request is in work or read to the end of its head."""
        return self._waiter is not None and not self._waiter.done()


class BareResponse(web.Response):
    """A response outside of the application, whose signal would take the software's name out again."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall(hdrs.SERVER, None)


class ServerRunner(web.AppRunner):
    """Serves an application by a server that `make_server` gives."""

    def make_server(self, inner: web.Server) -> web.Server:
        """The server to use in place of aiohttp's own."""
        return inner

    async def _make_server(self) -> web.Server:
        return self.make_server(await super()._make_server())


def stop_heartbeat(socket: web.WebSocketResponse) -> None:
    """Stop the pings of a closed socket: the answer to the close has started them again, and their timers hold it for half a minute."""
    socket._cancel_heartbeat()  # noqa: SLF001
