"""Agents for tests: the real Spider as a process, and a `TestAgent` that sends what the test chooses, by the real protocol code."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TypeVar

import aiohttp

from spider.root.policy import LISTED
from spider.sampling import sampler
from spider.wire.codec import pack_rows
from spider.wire.frames import SUBPROTOCOL, Message, Welcome
from spider.wire.report_messages import Identity, LogLines
from spider.wire.sample_messages import STREAM_LIVE, Ack, Layout, Pack, Row
from spider.wire.session import NodeOpening, SecureChannel
from tests.support.bundles import shipped_version
from tests.support.hub import ROOT, Enrolled, HubProcess
from tests.support.some import some

M = TypeVar("M")
SERIES = ["cpu.total", "load.1", "memory.total", "memory.used"]
BOOT = "a" * 32
_NUMBERS = itertools.count(1)


def node_name() -> str:
    """A name that no other node of this process has."""
    return f"node-{next(_NUMBERS)}"


def layout_of(family: str = "pulse", interval_s: int = 1, series: Sequence[str] = SERIES) -> Layout:
    """A layout with the name that follows from its content."""
    return sampler.layout_of(family, interval_s, series)


def pack_of(seq: int, *, at: float | None = None, rows: int = 1, stream: int = STREAM_LIVE, layout: Layout | None = None) -> Pack:
    """A pack whose rows can be told apart: `load.1` is the sequence number."""
    chosen = layout or layout_of()
    start_ms = int((time.time() if at is None else at) * 1000)
    values: list[list[int | None]] = [[1234, seq * 100, 8 << 30, seq] for _ in range(rows)]
    coding, body = pack_rows([Row(start_ms + 1000 * index, values[index][: len(chosen.series)]) for index in range(rows)])
    return Pack(stream, seq, chosen.layout, coding, body)


IDENTITY = Identity(
    "web-1", "0" * 32, "debian", "Debian GNU/Linux 12", "12", "6.1.0", "x86_64", "kvm", "AMD EPYC", 4, 8 << 30, "apt", "Etc/UTC",
    1_790_000_000_000, ["192.0.2.1"], shipped_version(), "managed", list(LISTED), "no",
)  # fmt: skip


QUESTION = LogLines("", "", 0, [], [], [], [])
"""A message that the hub answers immediately, with a `LogAck`. It acknowledges samples only every five seconds."""


class AgentClosed(Exception):
    """The hub ended the session."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class TestAgent:
    """One connection to the hub. `join` makes it a session; everything else is up to the test."""

    __test__ = False

    def __init__(self, hub: HubProcess, node: Enrolled, http: aiohttp.ClientSession, boot: str = BOOT) -> None:
        self.hub = hub
        self.node = node
        self.boot = boot
        self.known_jobs: list[str] = []
        self.features: list[str] = []
        self.host = f"127.0.0.1:{hub.port}"
        self.key = node.session_key
        self.link: SecureChannel | None = None
        self.welcome: Welcome | None = None
        self.acked = {0: -1, 1: -1}
        self._http = http
        self._ws: aiohttp.ClientWebSocketResponse | None = None

    async def connect(self) -> None:
        self._ws = await self._http.ws_connect(self.hub.ws_url, protocols=(SUBPROTOCOL,), compress=0, max_msg_size=1 << 20)

    async def join(self) -> Welcome:
        """Connect and open a session. Returns: the hub's welcome. Raises: AgentClosed: the hub refused."""
        await self.connect()
        opening = NodeOpening(
            self.node.node_id, self.node.generation, self.key, self.boot, self.host, "0.1.0", self.features, self.known_jobs, os.urandom(32)
        )
        await self.raw(opening.hello())
        answer, self.link = opening.challenge(await self.receive_raw())
        await self.raw(answer)
        self.welcome = await self.expect(Welcome)
        self.acked = {0: self.welcome.live_seq, 1: self.welcome.backfill_seq}
        return self.welcome

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        await some(self._ws).send_bytes(data)

    async def say(self, *messages: Message) -> None:
        """Send messages of this session."""
        for message in messages:
            await self.raw(some(self.link).send(message))

    async def receive_raw(self, limit_s: float = 30.0) -> bytes:
        """The next binary message.

        Raises: AgentClosed.
        """
        assert self._ws is not None
        async with asyncio.timeout(limit_s):
            message = await self._ws.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            data: bytes = message.data
            return data
        code = self._ws.close_code
        reason = message.extra if isinstance(message.extra, str) else ""
        raise AgentClosed(code, reason or "")

    async def hear(self, limit_s: float = 30.0) -> Message | None:
        """The next message; None: a heartbeat. Acknowledgements are noted."""
        message = some(self.link).receive(await self.receive_raw(limit_s), time.monotonic())
        if isinstance(message, Ack):
            self.acked[message.stream] = max(self.acked[message.stream], message.seq)
        return message

    async def expect(self, kind: type[M], limit_s: float = 30.0) -> M:
        """Wait for a message of this kind, and skip others. Raises: AgentClosed; TimeoutError."""
        async with asyncio.timeout(limit_s):
            while True:
                message = await self.hear(limit_s)
                if isinstance(message, kind):
                    return message

    async def wait_acked(self, seq: int, stream: int = STREAM_LIVE, limit_s: float = 30.0) -> None:
        """Wait until packs up to `seq` are acknowledged."""
        async with asyncio.timeout(limit_s):
            while self.acked[stream] < seq:
                await self.hear(limit_s)

    async def hear_out(self) -> AgentClosed:
        """Receive messages until the hub ends the session, and note acknowledgements. Returns: how it ended."""
        while True:
            try:
                await self.hear()
            except AgentClosed as closed:
                return closed

    async def wait_closed(self, limit_s: float = 30.0) -> AgentClosed:
        """Wait until the hub ends the session, without decoding its messages. Returns: how it ended."""
        async with asyncio.timeout(limit_s):
            while True:
                try:
                    await self.receive_raw(limit_s)
                except AgentClosed as closed:
                    return closed

    async def cut(self) -> None:
        """Drop the connection without a close frame."""
        if self._ws is not None:
            some(some(self._ws._response.connection).transport).abort()

    async def close(self) -> None:
        if self._ws is not None:
            await self._ws.close()


@contextlib.asynccontextmanager
async def agents(hub: HubProcess, *nodes: Enrolled) -> AsyncIterator[list[TestAgent]]:
    """One agent for each node, not connected yet. All are closed at the end."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        made = [TestAgent(hub, node, http) for node in nodes]
        try:
            yield made
        finally:
            for agent in made:
                await agent.close()


class SpiderProcess:
    """The real Spider, run from its sources. It watches the machine of the tests, without its package manager."""

    def __init__(
        self, folder: Path, hub: HubProcess, node: Enrolled, *, policy: str = "managed", boot: str = BOOT,
        url: str = "", tls_pin: str = "", program: str = "spider_program",
    ) -> None:  # fmt: skip
        """Args: boot: empty: what the kernel says. program: the module of `tests.support` that runs it. url: the hub's address for it, if not that of the hub's socket. tls_pin: SHA-256 of the key of the hub's certificate, as hex."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.launcher = folder / "launcher.sock"
        self.jobs = folder / "jobs"
        self.jobs.mkdir(exist_ok=True)
        (folder / "state").mkdir(exist_ok=True)
        self._write("session.key", node.session_key, 0o600)
        conf = (
            f"[hub]\nurl = {url or hub.ws_url}\nfleet = {node.fleet_id}\n" + (f"tls_pin = {tls_pin}\n" if tls_pin else "") + "\n"
            f"[node]\nid = {node.node_id}\ngeneration = {node.generation}\nname = {node.name}\n"
        )
        self._write("spider.conf", conf.encode(), 0o644)
        self._write("policy.conf", f"[policy]\nversion = 1\nmode = {policy}\n".encode(), 0o644)
        self._boot, self._program = boot, program
        self.process: subprocess.Popen[bytes] | None = None

    def _write(self, name: str, data: bytes, mode: int) -> None:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(mode)

    def launch(self) -> None:
        where = {name: str(self.folder / name) for name in ("spider.conf", "session.key", "policy.conf", "state", "jobs", "launcher.sock")}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-B", "-m", f"tests.support.{self._program}", "--config", where["spider.conf"], "--key", where["session.key"],
                    "--policy", where["policy.conf"], "--state", where["state"], "--jobs", where["jobs"], "--launcher", where["launcher.sock"],
                ],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **({"STARDUST_BOOT": self._boot} if self._boot else {})},
            )  # fmt: skip

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def slay(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
