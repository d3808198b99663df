"""A small hub for tests: recorded messages and faults on demand, behind a real WebSocket server with the real opening, or without one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import NamedTuple, TypeVar

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from groundcontrol.agents import codec
from spider.config import Config, parse_url
from spider.hub.link import NotConnected
from spider.wire import ids, proof
from spider.wire.errors import ProtocolError
from spider.wire.frames import HUB_ADDRESS, SUBPROTOCOL, HubAddress, Message, Welcome
from spider.wire.job_messages import MAX_OUTPUT_BYTES, JobAck, JobDone, JobEnded, JobOutput, JobReport
from spider.wire.sample_messages import STREAM_BACKFILL, STREAM_LATE, STREAM_LIVE, Ack, Gap, Late, Layout, Pack, Row
from spider.wire.session import Hello, HubOpening, SecureChannel
from tests.support.invariants import Hole, Sample
from tests.support.ports import free_port

FLEET_KEY = b"f" * 32
BOOT = "0123456789abcdef" * 2
M = TypeVar("M")


class Taken(NamedTuple):
    """The content of a pack that came for the first time."""

    stream: int
    family: str
    rows: list[Row]


class ScriptedHub:
    """A hub that knows one node. Its lists have everything that it received.

    It takes samples and one job's output as docs/wire.md says: by a WebSocket while `running`, or without one by `send` or `hear`.
    """

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
        self.output = b""
        self.ack_output = self.confirm_end = True
        self.away = False
        """Without a socket: have no session with the node."""
        self.in_vain = 0
        """Messages that it sent all the same."""
        self.answer: Callable[[Message], Awaitable[None]] | None = None
        """Without a socket: takes what the hub answers."""
        self.jobs: dict[str, int] = {}
        self.forget_jobs: list[str] = []
        self.attempts: list[float] = []
        self.hellos: list[Hello] = []
        self.raw: list[bytes] = []
        self.heard: list[Message] = []
        self.packs: list[Taken] = []
        self.holes: list[Hole] = []
        self._epoch = 0
        self._boots: dict[str, dict[int, int]] = {}
        """Boot of the node -> its streams -> the newest pack of each."""
        self._boot = ""
        self._ends: dict[int, dict[int, int]] = {}
        """Session -> the newest pack of each stream at its end."""
        self._journals: dict[bytes, set[int]] = {}
        """Journal of late messages -> those that came."""
        self._late_seq = -1
        self._layouts: dict[bytes, Layout] = {}
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

    def of(self, kind: type[M]) -> list[M]:
        """The messages of a kind that it received."""
        return [message for message in self.heard if isinstance(message, kind)]

    async def until(self, condition: Callable[[], object], limit_s: float = 60.0) -> None:
        """Wait until the condition holds, and test it at each message, attempt and end of a session. Raises: TimeoutError."""
        async with asyncio.timeout(limit_s):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def tell(self, message: Message) -> None:
        """Send a message in the present session."""
        connection, link = self.sessions[-1]
        await connection.send(link.send(message))

    async def send(self, message: Message) -> None:
        """Take a message from a part of Spider without a socket. Raises: NotConnected: the hub is `away`."""
        try:
            if self.away:
                self.in_vain += 1
                raise NotConnected("away")
            answer = self.hear(message)
            if answer is not None and self.answer is not None:
                await self.answer(answer)
        finally:
            self.news.set()

    async def cut(self) -> None:
        """Cut the present connection without a close frame."""
        self.sessions[-1][0].transport.abort()

    def values(self, streams: Iterable[int] = (STREAM_LIVE, STREAM_BACKFILL)) -> list[int | None]:
        """The first value of every stored row, by time."""
        rows = [row for pack in self.packs if pack.stream in streams for row in pack.rows]
        return [row.values[0] for row in sorted(rows, key=lambda row: row.taken_at_ms)]

    @property
    def samples(self) -> list[Sample]:
        return [Sample(pack.family, row.taken_at_ms, row.values[0]) for pack in self.packs for row in pack.rows]

    def welcome(self, boot: str) -> Welcome:
        """Begin a session of the node's `boot`."""
        if self._boot:
            self._ends[self._epoch] = dict(self._boots[self._boot])
        self._epoch += 1
        self._boot, self._late_seq = boot, -1
        self._layouts.clear()
        marks = self._boots.setdefault(boot, {STREAM_LIVE: -1, STREAM_BACKFILL: -1})
        return Welcome(
            self._epoch, int(time.time() * 1000), 10, marks[STREAM_LIVE], marks[STREAM_BACKFILL],
            list(self.jobs), list(self.jobs.values()), self.forget_jobs,
        )  # fmt: skip

    def hear(self, message: Message) -> Message | None:
        """Take a message of the present session. Returns: the answer."""
        self.heard.append(message)
        match message:
            case Layout():
                self._layouts[message.layout] = message
            case Pack():
                return self._hear_pack(message)
            case Late() | Gap():
                return self._hear_late(message)
            case JobOutput():
                assert message.offset == len(self.output), "a hole in the output"
                assert len(message.data) <= MAX_OUTPUT_BYTES, "too much at once"
                self.output += message.data
                return JobAck(message.job, len(self.output)) if self.ack_output else None
            case JobEnded():
                assert message.state == "interrupted" or self.of(JobReport), "the end came before the report"
                return JobDone(message.job) if self.confirm_end else None
        return None

    def _hear_pack(self, pack: Pack) -> Ack | None:
        marks = self._boots[self._boot]
        if pack.seq > marks[pack.stream]:
            assert pack.seq == marks[pack.stream] + 1, "a hole in a stream"
            marks[pack.stream] = pack.seq
            self._take(pack, pack.stream)
        return None if self.keep_ack(pack) else Ack(pack.stream, marks[pack.stream])

    def _hear_late(self, late: Late | Gap) -> Ack:
        assert late.seq == self._late_seq + 1, "late messages are out of order"
        self._late_seq = late.seq
        known = self._journals.setdefault(late.journal, set())
        came_through = late.sent_epoch and late.sent_seq <= self._ends.get(late.sent_epoch, {}).get(late.sent_stream, -1)
        if late.number not in known and not came_through:
            if isinstance(late, Gap):
                self.holes.append(Hole(late.family, late.first_ms, late.last_ms, late.rows))
            else:
                self._take(late, STREAM_LATE)
        known.add(late.number)
        return Ack(STREAM_LATE, self._late_seq)

    def _take(self, pack: Pack | Late, stream: int) -> None:
        self.packs.append(Taken(stream, self._layouts[pack.layout].family, codec.decode_rows(pack.coding, pack.body)))

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
        await connection.send(link.send(self.welcome(opening.hello.boot)))
        if self.names and HUB_ADDRESS in opening.hello.features:
            await connection.send(link.send(HubAddress(self.names)))
        self.sessions.append((connection, link))
        self.news.set()
        while True:
            message = link.receive(await self._receive(connection), time.monotonic())
            if message is None or self.silent:
                continue
            answer = self.hear(message)
            if isinstance(message, Pack) and self.cut_after(message):
                connection.transport.abort()
            elif answer is not None:
                await connection.send(link.send(answer))
            self.news.set()


def other_hub_key() -> bytes:
    """A key that no node has."""
    return os.urandom(32)
