"""A small hub for tests: the real opening and codec behind a real WebSocket server, recorded packs, and faults on demand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from groundcontrol.agents import codec
from spider.config import Config, parse_url
from spider.wire import ids, proof
from spider.wire.errors import ProtocolError
from spider.wire.frames import HUB_ADDRESS, SUBPROTOCOL, HubAddress, Message, Welcome
from spider.wire.sample_messages import STREAM_BACKFILL, STREAM_LIVE, Ack, Layout, Pack, Row
from spider.wire.session import Hello, HubOpening, SecureChannel
from tests.support.ports import free_port

FLEET_KEY = b"f" * 32
BOOT = "0123456789abcdef" * 2


class ScriptedHub:
    """A hub that knows one node. Its lists have everything that it received."""

    __test__ = False

    def __init__(self) -> None:
        self.fleet = ids.new_random_id()
        self.node = ids.new_random_id()
        self.key = proof.node_keys(FLEET_KEY, self.node, 1).session
        self.answer_key: Callable[[], bytes] = lambda: self.key
        """Gives the key of the challenge. With a random key it is a hub that does not know this node."""
        self.answer_fleet = self.fleet
        self.silent = False
        """Accept the session and say nothing after the welcome."""
        self.refuse_with: tuple[int, str] | None = None
        """Close with this instead of a welcome."""
        self.http: tuple[int, dict[str, str]] | None = None
        """Status and headers of an answer instead of a WebSocket."""
        self.keep_ack: Callable[[Pack], bool] = lambda _pack: False
        """Whether the acknowledgement of this pack is lost."""
        self.cut_after: Callable[[Pack], bool] = lambda _pack: False
        """Whether the connection is cut after this pack is stored, before its acknowledgement."""
        self.jobs: dict[str, int] = {}
        self.forget_jobs: list[str] = []
        self.attempts: list[float] = []
        self.hellos: list[Hello] = []
        self.raw: list[bytes] = []
        self.heard: list[Message] = []
        self.rows: dict[tuple[int, int], list[Row]] = {}
        self.marks = {STREAM_LIVE: -1, STREAM_BACKFILL: -1}
        self.layouts: dict[bytes, Layout] = {}
        self.sessions: list[tuple[ServerConnection, SecureChannel]] = []
        self.closes: list[tuple[int, str]] = []
        self.news = asyncio.Event()
        self.host, self.port = "127.0.0.1", free_port()
        self.tls: ssl.SSLContext | None = None
        self.names = ""
        """The address that it sends to nodes which accept another address; empty: none."""

    def config(self, **changes: object) -> Config:
        """Settings of a Spider that belongs to this hub."""
        fields: dict[str, object] = {
            "url": parse_url(f"ws://127.0.0.1:{self.port}/ws"),
            "fleet": self.fleet,
            "tls_pin": None,
            "node": self.node,
            "generation": 1,
            "name": "test",
            "boot": BOOT,
            "policy_path": "/nonexistent/policy.conf",
            "state_dir": "/nonexistent",
            "jobs_dir": "/nonexistent",
            "launcher_path": "/nonexistent/launcher.sock",
            "key": self.key,
        }
        return Config(**{**fields, **changes})  # type: ignore[arg-type]  # named and typed above

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ScriptedHub]:
        """Listen, on the same port each time."""
        async with serve(
            self._serve, self.host, self.port, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, process_request=self._request,
            close_timeout=1, ssl=self.tls,
        ):  # fmt: skip
            yield self

    async def until(self, condition: Callable[[], bool], limit_s: float = 30.0) -> None:
        """Wait until the condition holds, and test it at each message, attempt and end of a session. Raises: TimeoutError."""
        async with asyncio.timeout(limit_s):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def tell(self, message: Message) -> None:
        """Send a message in the present session."""
        connection, link = self.sessions[-1]
        await connection.send(link.send(message))

    async def cut(self) -> None:
        """Cut the present connection without a close frame."""
        self.sessions[-1][0].transport.abort()

    def values(self, streams: Iterable[int] = (STREAM_LIVE, STREAM_BACKFILL)) -> list[int | None]:
        """The first value of every stored row, by time."""
        rows = [row for (stream, _seq), pack in self.rows.items() if stream in streams for row in pack]
        return [row.values[0] for row in sorted(rows, key=lambda row: row.taken_at_ms)]

    def _request(self, connection: ServerConnection, _request: Request) -> Response | None:
        self.attempts.append(time.monotonic())
        self.news.set()
        if self.http is None:
            return None
        response = connection.respond(HTTPStatus(self.http[0]), "no\n")
        for name, value in self.http[1].items():
            response.headers[name] = value
        return response

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            await self._session(connection)
        except ProtocolError as error:
            await connection.close(error.close_code, error.reason[:100])
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                self.closes.append((closed.rcvd.code, closed.rcvd.reason))
        finally:
            self.news.set()

    async def _receive(self, connection: ServerConnection) -> bytes:
        data = await connection.recv()
        assert isinstance(data, bytes)
        self.raw.append(data)
        return data

    async def _session(self, connection: ServerConnection) -> None:
        opening = HubOpening(await self._receive(connection), os.urandom(32), int(time.time() * 1000), self.answer_fleet, codec.CODEC)
        self.hellos.append(opening.hello)
        await connection.send(opening.challenge(self.answer_key()))
        link = opening.auth(await self._receive(connection))
        if self.refuse_with is not None:
            await connection.close(*self.refuse_with)
            return
        welcome = Welcome(
            len(self.hellos), int(time.time() * 1000), 10, self.marks[STREAM_LIVE], self.marks[STREAM_BACKFILL],
            list(self.jobs), list(self.jobs.values()), self.forget_jobs,
        )  # fmt: skip
        await connection.send(link.send(welcome))
        if self.names and HUB_ADDRESS in opening.hello.features:
            await connection.send(link.send(HubAddress(self.names)))
        self.sessions.append((connection, link))
        self.news.set()
        while True:
            message = link.receive(await self._receive(connection), time.monotonic())
            if message is None or self.silent:
                continue
            self.heard.append(message)
            if isinstance(message, Layout):
                self.layouts[message.layout] = message
            elif isinstance(message, Pack):
                await self._pack(connection, link, message)
            self.news.set()

    async def _pack(self, connection: ServerConnection, link: SecureChannel, pack: Pack) -> None:
        assert pack.layout in self.layouts
        if pack.seq == self.marks[pack.stream] + 1:
            self.marks[pack.stream] = pack.seq
            self.rows[pack.stream, pack.seq] = codec.decode_rows(pack.coding, pack.body)
        else:
            assert pack.seq <= self.marks[pack.stream], "a hole in a stream"
        if self.cut_after(pack):
            connection.transport.abort()
        elif not self.keep_ack(pack):
            await connection.send(link.send(Ack(pack.stream, pack.seq)))


def other_hub_key() -> bytes:
    """A key that no node has."""
    return os.urandom(32)
