"""HTTP as the hub speaks it: sizes, patience, and our own answer to what is no HTTP at all."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiohttp import hdrs, web

from groundcontrol.errors import BadRequest, HubError, TooLarge
from groundcontrol.web.errors import problem_response
from groundcontrol.web.headers import HeaderWriter
from spider.logs import event

MAX_LINE_BYTES: Final = 8190
MAX_HEADERS: Final = 100
HEADERS_TIMEOUT_S: Final = 10.0
"""For the first request of a connection to be there; afterwards the keep-alive limit holds."""
MAX_SILENT: Final = 512
"""Connections that have not asked for anything yet; with one more the oldest of them goes, so that silence keeps nobody out."""
KEEPALIVE_S: Final = 75.0
LINGER_S: Final = 2.0

log = logging.getLogger(__name__)


class _Bare(web.Response):
    """An answer outside of the application, where nobody takes the software's name out again."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall(hdrs.SERVER, None)


class _Connection(web.RequestHandler):
    __slots__ = ("_deadline", "_fresh", "_headers_of")

    def __init__(self, headers: HeaderWriter, fresh: dict[_Connection, None], manager: web.Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._headers_of = headers
        self._fresh = fresh
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = asyncio.get_running_loop().call_later(HEADERS_TIMEOUT_S, self.drop_silent)
        self._fresh[self] = None
        if len(self._fresh) > MAX_SILENT:
            self._make_room()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._fresh.pop(self, None)
        super().connection_lost(exc)

    @property
    def silent(self) -> bool:
        """Whether it has not asked for anything yet."""
        return self._request_count == 0

    def drop_silent(self) -> None:
        """End a connection that still has not asked for anything."""
        self._fresh.pop(self, None)
        if self.silent and self.transport is not None:
            self.transport.abort()

    def _make_room(self) -> None:
        """Pass over those that have asked meanwhile, then drop the oldest that has not."""
        for one in [one for one in self._fresh if not one.silent]:
            del self._fresh[one]
        if len(self._fresh) > MAX_SILENT:
            next(iter(self._fresh)).drop_silent()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # aiohttp's own words, not ours
    ) -> web.StreamResponse:
        """What never reached the application: it answers like everything else, and says nothing of the inside."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        error: HubError
        if status == 413:
            error = TooLarge("the request is larger than allowed")
        elif status < 500:
            error = BadRequest("this is not a request that the hub understands")
        else:
            event(log, "request_crashed", logging.ERROR, error=repr(exc))
            error = HubError("outside of any handler")
        response = problem_response(error, _Bare)
        self._headers_of.write(response)
        response.force_close()
        return response


class _Server(web.Server):
    def __init__(self, headers: HeaderWriter, inner: web.Server, **kwargs: Any) -> None:
        super().__init__(inner.request_handler, request_factory=inner.request_factory, **kwargs)
        self._headers = headers
        self._fresh: dict[_Connection, None] = {}
        """Connections of the last seconds that may not have asked for anything, oldest first."""
        self._options = kwargs

    def __call__(self) -> web.RequestHandler:
        return _Connection(self._headers, self._fresh, self, loop=asyncio.get_running_loop(), **self._options)


class HubRunner(web.AppRunner):
    """Runs the application with the hub's limits. A request body is never inflated: that would happen before anybody logged in."""

    def __init__(self, app: web.Application, headers: HeaderWriter) -> None:
        super().__init__(
            app,
            handle_signals=False,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE_S,
            lingering_time=LINGER_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
        )
        self._header_writer = headers

    async def _make_server(self) -> web.Server:
        return _Server(self._header_writer, await super()._make_server(), **self._kwargs)
