"""Every private name of aiohttp that the hub uses, since no public name exists. A test fails if a release changes one of them."""

from __future__ import annotations

from typing import Final

from aiohttp import StreamReader, hdrs, web

NAMES: Final[tuple[tuple[type, str], ...]] = (
    (web.RequestHandler, "_request_count"),
    (web.RequestHandler, "_waiter"),
    (web.RequestHandler, "_messages"),
    (web.RequestHandler, "_upgraded"),
    (web.StreamResponse, "_prepare_headers"),
    (web.BaseRunner, "_make_server"),
    (web.WebSocketResponse, "_cancel_heartbeat"),
)
"""Class and private attribute."""


class WatchedHandler(web.RequestHandler):
    """A connection that reports the state of its requests."""

    __slots__ = ()

    @property
    def heads_read(self) -> int:
        """Number of requests whose head is complete."""
        return self._request_count

    @property
    def awaits_request(self) -> bool:
        """Whether no request is being handled, and none has a complete head."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def newest_body(self) -> StreamReader | None:
        """The body of the newest request. Call this right after its head was read, before its handler starts."""
        return self._messages[-1][1] if self._messages else None

    @property
    def upgrading(self) -> bool:
        """Whether the newest request asks for another protocol. Until its handler accepts that, the library holds further data, bounded."""
        return self._upgraded


class BareResponse(web.Response):
    """A response outside of the application. It removes the header Server itself. From other responses a signal of the application removes
    it."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall(hdrs.SERVER, None)


class ServerRunner(web.AppRunner):
    """Runs an application on the server that `make_server` returns."""

    def make_server(self, inner: web.Server) -> web.Server:
        """The server to use in place of aiohttp's own."""
        return inner

    async def _make_server(self) -> web.Server:
        return self.make_server(await super()._make_server())


def stop_heartbeat(socket: web.WebSocketResponse) -> None:
    """Stop the pings of a closed socket. The browser's answer to the close frame has restarted them. Without this, their timers hold the
    socket in memory for half a minute."""
    socket._cancel_heartbeat()  # noqa: SLF001
