"""How a command reaches a hub: the interface, and the hub's local socket. The socket needs neither aiohttp nor an event loop."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlencode

from groundcontrol.data_dir import short_path

TIMEOUT_S: Final = 30.0
PIECE_BYTES: Final = 64 << 10


class Answer(NamedTuple):
    status: int
    body: bytes


class Request(NamedTuple):
    method: str
    path: str
    params: Mapping[str, str]
    body: bytes | None
    """JSON; None: no body."""
    headers: Mapping[str, str]


class Transport(Protocol):
    """Sends requests. Every read of an answer has the limit `TIMEOUT_S`.

    Raises: OSError, TimeoutError, http.client.HTTPException: the hub cannot be reached, or ended the connection.
    """

    async def ask(self, request: Request) -> Answer: ...

    def pieces(self, request: Request) -> AsyncIterator[Answer]:
        """The status with each piece of the body; an answer without a body has one empty piece."""
        ...

    async def close(self) -> None: ...


class SocketTransport:
    """The hub's local socket, with a connection for each request. Its methods block and never suspend."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The path of the socket."""
        return self._path

    async def ask(self, request: Request) -> Answer:
        with self._answer(request) as answer:
            return Answer(answer.status, answer.read())

    async def pieces(self, request: Request) -> AsyncIterator[Answer]:
        with self._answer(request) as answer:
            yield Answer(answer.status, b"")
            while piece := answer.read1(PIECE_BYTES):
                yield Answer(answer.status, piece)

    async def close(self) -> None:
        """Nothing stays open between requests."""

    @contextlib.contextmanager
    def _answer(self, request: Request) -> Iterator[http.client.HTTPResponse]:
        connection = _Connection(self._path)
        try:
            path = f"{request.path}?{urlencode(request.params)}" if request.params else request.path
            connection.request(request.method, path, request.body, dict(request.headers))
            yield connection.getresponse()
        finally:
            connection.close()


class _Connection(http.client.HTTPConnection):
    """Connects to a socket in a folder of any depth."""

    def __init__(self, path: Path) -> None:
        super().__init__("hub", timeout=TIMEOUT_S)
        self._socket_path = path

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(TIMEOUT_S)
            with short_path(self._socket_path) as name:
                made.connect(name)
        except BaseException:
            made.close()
            raise
        self.sock = made
