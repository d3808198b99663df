"""HTTP connections of the hub: size limits, timeouts, the budget for unread answers, and the hub's own answer to invalid HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Protocol, cast

from aiohttp import StreamReader, hdrs, web
from aiohttp.http_exceptions import LineTooLong

from groundcontrol.access.addresses import Network, rate_limit_key
from groundcontrol.core.errors import BadRequest, HeadersTooLarge, HubError, TooLarge
from groundcontrol.web.aiohttp_private import BareResponse, ServerRunner, WatchedHandler
from groundcontrol.web.client_address import is_one_of
from groundcontrol.web.errors import problem_response
from groundcontrol.web.headers import HeaderWriter
from groundcontrol.web.limits import WebLimits
from spider.logs import event

MAX_UNREAD_BYTES: Final = 32 << 20
"""The most data that all clients together may leave unread: room for four of the longest answers, of 7 MB each. A byte may be in memory
twice: in the body of its answer, and in the copy of head and body that is being sent."""


class BufferedConnection(Protocol):
    """A connection with data that its client has not read yet."""

    @property
    def account(self) -> str:
        """The key of the account: a user, or an address of an unknown client."""
        ...

    @property
    def unread_bytes(self) -> int: ...
    def drop_slow_reader(self) -> None: ...


class SendBudget:
    """The connections with unread data, except WebSockets, in the order in which they were added."""

    def __init__(self, most_bytes: int = MAX_UNREAD_BYTES) -> None:
        self.most_bytes = most_bytes
        self._holders: dict[BufferedConnection, None] = {}

    def add(self, connection: BufferedConnection) -> None:
        """Add a connection. While there is too much unread data, the account with the most of it loses its oldest connection. The last
        connection stays."""
        self._holders[connection] = None
        sizes = {holder: holder.unread_bytes for holder in self._holders}
        while len(sizes) > 1 and sum(sizes.values()) > self.most_bytes:
            by_account: Counter[str] = Counter()
            for holder, size in sizes.items():
                by_account[holder.account] += size
            [(account, _)] = by_account.most_common(1)
            dropped = next(holder for holder in sizes if holder.account == account)
            del sizes[dropped], self._holders[dropped]
            dropped.drop_slow_reader()

    def remove(self, connection: BufferedConnection) -> None:
        """Remove a connection whose data was read, or that ended."""
        self._holders.pop(connection, None)


MAX_LINE_BYTES: Final = 8190
MAX_HEADER_BYTES: Final = 32 * 1024
"""Size limit of one header. Browsers send the cookies of all servers on a host name, and another server may have set many."""
MAX_HEADERS: Final = 100
TOO_MANY_HEADERS: Final = "Too many headers received"
"""The library's text for this error, which has no class of its own."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""The most bytes of an incomplete request head, which stays in memory. This limit also holds for a head that arrives during the answer to
an earlier request."""
MAX_SILENT: Final = 512
"""The most connections on which no request has arrived yet. One more ends the oldest of them, so that silent clients keep nobody out."""
MAX_IDLE: Final = 512
"""The most connections that wait for their next request. One more ends the oldest of them; clients expect that servers do this."""
MAX_IDLE_OF_AN_ADDRESS: Final = 32
"""The same limit for one address; a browser opens six connections. A configured proxy and the local socket have only the total limit."""
MAX_BODIES: Final = 512
"""The most requests whose body is still arriving. One more ends the oldest of the address that has the most."""
MAX_BODIES_OF_AN_ADDRESS: Final = 32
"""The same limit for one address; a browser sends six at the same time. A configured proxy has only the total limit."""
KEEPALIVE_S: Final = 75.0
LINGER_S: Final = 2.0
"""How long the hub still receives the rest of a request body after its answer. Then the connection ends."""

log = logging.getLogger(__name__)

_Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class ConnectionTable:
    """Every connection, oldest first. A WebSocket is one long request, so it is neither silent nor idle."""

    def __init__(self, proxies: Sequence[Network], limits: WebLimits) -> None:
        self._proxies = proxies
        self.limits = limits
        self._silent: dict[_Connection, None] = {}
        """Connections that have not sent a request yet."""
        self._all: dict[_Connection, None] = {}
        self._by_address: dict[str, dict[_Connection, None]] = {}
        """Result of `key_of` -> the connections with it."""
        self._bodies: dict[_Connection, None] = {}
        """Connections whose request is still arriving, oldest first."""
        self.send_budget = SendBudget()
        self.slow_readers = 0
        """Number of connections that were dropped because they did not read their data."""

    def key_of(self, transport: asyncio.BaseTransport) -> str:
        """The key under which connections are counted: the client's address or network; empty: a configured proxy, or the local socket."""
        peer = transport.get_extra_info("peername")
        host = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        return "" if not host or is_one_of(host, self._proxies) else rate_limit_key(host)

    def add(self, connection: _Connection) -> None:
        """Add a connection. Over a limit, drop the oldest silent or idle connection."""
        self._silent[connection] = self._all[connection] = None
        of_address = self._by_address.setdefault(connection.key, {})
        of_address[connection] = None
        if len(self._silent) > MAX_SILENT:
            next(iter(self._silent)).drop_if_silent()
        if connection.key and len(of_address) > MAX_IDLE_OF_AN_ADDRESS:
            _drop_idle(of_address, MAX_IDLE_OF_AN_ADDRESS)
        if len(self._all) > MAX_IDLE:
            _drop_idle(self._all, MAX_IDLE)

    def begin_body(self, connection: _Connection) -> None:
        """Count a request whose body is arriving. Over a limit, end the oldest one of the address that has the most."""
        self._bodies.pop(connection, None)
        self._bodies[connection] = None
        of_address = Counter(one.key for one in self._bodies) if len(self._bodies) > MAX_BODIES_OF_AN_ADDRESS else Counter[str]()
        crowded = connection.key if connection.key and of_address[connection.key] > MAX_BODIES_OF_AN_ADDRESS else None
        if crowded is None and len(self._bodies) > MAX_BODIES:
            [(crowded, _)] = of_address.most_common(1)
        if crowded is not None:
            dropped = next(one for one in self._bodies if one.key == crowded)
            self.end_body(dropped)
            dropped.drop()

    def end_body(self, connection: _Connection) -> None:
        """The body of a request is complete, or its connection ends."""
        self._bodies.pop(connection, None)

    def count_as_not_silent(self, connection: _Connection) -> None:
        """Do not count this connection as silent any more, since it has sent a request or ends."""
        self._silent.pop(connection, None)

    def remove(self, connection: _Connection) -> None:
        """Remove a connection that ends."""
        self._silent.pop(connection, None)
        self._bodies.pop(connection, None)
        self._all.pop(connection, None)
        of_address = self._by_address.get(connection.key)
        if of_address is not None:
            of_address.pop(connection, None)
            if not of_address:
                del self._by_address[connection.key]


def _drop_idle(connections: Iterable[_Connection], limit: int) -> None:
    """Drop the oldest idle connections, so that fewer than `limit` idle ones remain."""
    idle = [one for one in connections if one.idle]
    for one in idle[: max(0, len(idle) + 1 - limit)]:
        one.drop_if_idle()


class _Connection(WatchedHandler):
    __slots__ = (
        "_body",
        "_deadline",
        "_head_bytes",
        "_header_writer",
        "_table",
        "_unread_timer",
        "answer_bytes",
        "key",
        "user",
        "websocket",
    )

    def __init__(self, headers: HeaderWriter, table: ConnectionTable, manager: web.Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._header_writer = headers
        self._table = table
        self._deadline: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        """Received bytes of an incomplete request head."""
        self._body: StreamReader | None = None
        """The body of the newest request. Until its end, received data belongs to it."""
        self.websocket = False
        self.key = ""
        self.user = ""
        """The user of the current request."""
        self.answer_bytes = 0
        """The length of the body that is being written, if the answer is a `web.Response` with bytes; else 0."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.key = self._table.key_of(transport)
        self._deadline = asyncio.get_running_loop().call_later(self._table.limits.headers_s, self.drop_if_silent)
        self._table.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._cancel_deadline()
        self._stop_counting_unread()
        self._table.remove(self)
        super().connection_lost(exc)

    def set_parser(self, parser: Any, data_received_cb: Callable[[], None] | None = None) -> None:
        """Set the parser of all later bytes. aiohttp calls this when a WebSocket is open."""
        self.websocket = True
        super().set_parser(parser, data_received_cb)

    def data_received(self, data: bytes) -> None:
        if self.websocket:
            super().data_received(data)
            return
        idle, before = self.idle, self.heads_read
        is_head = not self.upgrading and (self._body is None or self._body.is_eof())
        super().data_received(data)
        if self.heads_read > before:
            self._head_bytes = 0
            self._body = self.newest_body
            self._cancel_deadline()
            self._table.count_as_not_silent(self)
            if self._body is not None and not self._body.is_eof() and not self.upgrading:
                self._table.begin_body(self)
            return
        if self._body is not None and self._body.is_eof():
            self._table.end_body(self)
        if is_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and self.transport is not None:
                self.transport.abort()
        if idle and self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(self._table.limits.headers_s, self.drop_if_idle)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.transport is not None:
            self._unread_timer = asyncio.get_running_loop().call_later(self._table.limits.unread_s, self.drop_slow_reader)
            if not self.websocket:  # a WebSocket's sender has a limit of its own
                self._table.send_budget.add(self)

    def resume_writing(self) -> None:
        self._stop_counting_unread()
        super().resume_writing()

    @property
    def account(self) -> str:
        """The user or address to which the unread data is charged."""
        return self.user or self.key

    @property
    def unread_bytes(self) -> int:
        """Bytes in memory that the client has not read yet. The body of a `web.Response` counts whole until all of it is written."""
        waiting = 0 if self.transport is None else cast("asyncio.WriteTransport", self.transport).get_write_buffer_size()
        return max(waiting, self.answer_bytes)

    @property
    def silent(self) -> bool:
        """Whether the client has not sent a request yet."""
        return self.heads_read == 0

    @property
    def idle(self) -> bool:
        """Whether the last request is answered and no other has arrived."""
        return self.heads_read > 0 and self.awaits_request

    def drop_if_silent(self) -> None:
        """End the connection if it still has not sent a request."""
        self._table.count_as_not_silent(self)
        if self.silent and self.transport is not None:
            self.transport.abort()

    def drop_if_idle(self) -> None:
        """End the connection if it waits for its next request."""
        if self.idle:
            self._table.remove(self)
            self.force_close()

    def drop(self) -> None:
        """End the connection in the next loop iteration, since its transport may be in use."""
        if self.transport is not None:
            asyncio.get_running_loop().call_soon(self.transport.abort)

    def drop_slow_reader(self) -> None:
        """End the connection, whose client reads too slowly. It ends in the next loop iteration, since its transport may be writing."""
        if self.transport is not None:
            self._table.slow_readers += 1
            self._stop_counting_unread()
            asyncio.get_running_loop().call_soon(self.transport.abort)

    def _stop_counting_unread(self) -> None:
        self._table.send_budget.remove(self)
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write an answer, then free its body. Without this, aiohttp holds the body until the next request of the connection."""
        if not isinstance(resp, web.Response):
            return await super().finish_response(request, resp, start_time)
        self.answer_bytes = len(resp.body) if isinstance(resp.body, bytes) else 0
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            resp.body = None
            self.answer_bytes = 0

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # the hub has its own texts
    ) -> web.StreamResponse:
        """Answer a request that never reached the application, in the usual form and without internal details.

        Raises: ConnectionError: part of another answer is sent already.
        """
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        error: HubError
        if status == 413:
            error = TooLarge("the request is larger than allowed")
        elif isinstance(exc, LineTooLong) and exc.args[1] == MAX_HEADER_BYTES:
            error = HeadersTooLarge(
                f"a header of this request has more than {MAX_HEADER_BYTES} bytes. If it is Cookie: other servers on this host name have set"
                " many cookies; delete them in the browser, or give the hub a host name of its own",
                limit_bytes=MAX_HEADER_BYTES,
            )
        elif exc is not None and str(exc).endswith(TOO_MANY_HEADERS):
            error = HeadersTooLarge(f"this request has more than {MAX_HEADERS} headers", limit=MAX_HEADERS)
        elif isinstance(exc, LineTooLong):
            error = BadRequest(f"the first line of this request has more than {MAX_LINE_BYTES} bytes")
        elif status < 500:
            error = BadRequest("this is not a request that the hub understands")
        else:
            event(log, "request_crashed", logging.ERROR, error=repr(exc))
            error = HubError("outside of any handler")
        response = problem_response(error, BareResponse)
        self._header_writer.write(response)
        response.force_close()
        return response


class _Server(web.Server):
    def __init__(self, headers: HeaderWriter, table: ConnectionTable, inner: web.Server, **kwargs: Any) -> None:
        super().__init__(_refuse_unknown_expect(inner.request_handler, headers), request_factory=inner.request_factory, **kwargs)
        self._headers = headers
        self._table = table
        self._options = kwargs

    def __call__(self) -> web.RequestHandler:
        return _Connection(self._headers, self._table, self, loop=asyncio.get_running_loop(), **self._options)


def charge_answer_to(request: web.BaseRequest, user: str) -> None:
    """Charge the unread part of the answer to this request to a user. `user` empty: to the client's address."""
    if isinstance(request.protocol, _Connection):
        request.protocol.user = user


def _refuse_unknown_expect(handler: _Handler, headers: HeaderWriter) -> _Handler:
    """Refuse an unknown `Expect` in the hub's own form. aiohttp's own refusal has another form and passes no middleware."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        charge_answer_to(request, "")
        expected = request.headers.getall(hdrs.EXPECT, [])
        if all(value.lower() in ("", "100-continue") for value in expected):
            return await handler(request)
        response = problem_response(BadRequest("this hub does not support the value of the header Expect"), BareResponse)
        headers.write(response)
        return response

    return handle


class HubRunner(ServerRunner):
    """Runs the application with the hub's limits. Request bodies are never decompressed, since aiohttp does that before authentication."""

    def __init__(self, app: web.Application, headers: HeaderWriter, proxies: Sequence[Network], limits: WebLimits = WebLimits()) -> None:  # noqa: B008  # immutable
        super().__init__(app, handle_signals=False)
        self._header_writer = headers
        self._table = ConnectionTable(proxies, limits)

    @property
    def slow_readers_dropped(self) -> int:
        """Number of connections that were dropped because they did not read their data."""
        return self._table.slow_readers

    def make_server(self, inner: web.Server) -> web.Server:
        """The server with the hub's own connections."""
        return _Server(
            self._header_writer,
            self._table,
            inner,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEPALIVE_S,
            lingering_time=LINGER_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
