"""The real agent at a hub that only acknowledges and counts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import ssl
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from groundcontrol.agents.codec import CODEC
from majortom.build.bundle import build_bundle
from scripts.benches.measure import started
from spider.wire import ids
from spider.wire.frames import SUBPROTOCOL, Message, Welcome
from spider.wire.metrics import INTERVAL_S
from spider.wire.report_messages import InstalledPackages, PackagesHeld, Table, Updates
from spider.wire.sample_messages import Ack, Layout, Pack, Watch
from spider.wire.session import HubOpening, SecureChannel
from spider.wire.tables import SUBJECTS
from tests.support.ports import free_port

START_LIMIT_S = 20.0
LOOK_LIMIT_S = 90.0
"""After this time, the measurement starts even if the package manager has not answered."""
HEADER_BYTES = 52
"""The headers of a segment: IPv4, and TCP with time stamps."""
_BYTES_AT, _SEGMENTS_AT = 120, 136
"""bytes_acked, bytes_received and segs_out, segs_in in struct tcp_info (linux/tcp.h)."""


def certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A self-signed certificate for 127.0.0.1, and the pin of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now - timedelta(hours=1), now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "hub.pem"
    path.touch(0o600)
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return context, hashlib.sha256(public).hexdigest()


class Traffic(NamedTuple):
    """Bytes that both ends sent since the session began."""

    octets: int
    """Bytes at IP level, with TLS, TCP and IP."""
    frames: Counter[str]
    """Bytes of the agent's messages by kind, and of tables by subject."""


class BareHub:
    """A hub without a store: it proves its key, sends a welcome, watches while `watch` runs, and acknowledges every pack."""

    def __init__(self, key: bytes, fleet: str, pack_s: int) -> None:
        self._key = key
        self._fleet = fleet
        self._pack_s = pack_s
        self._live: tuple[web.WebSocketResponse, SecureChannel] | None = None
        self._frames: Counter[str] = Counter()
        self.packs = 0
        self.layouts: dict[bytes, Layout] = {}
        self.alone: list[tuple[int, Pack]] = []
        """Bytes and message of each pulse pack that arrived while `watch` ran."""
        self.watching = False
        self.joined = asyncio.Event()
        self.looked = asyncio.Event()
        """Set when the agent has reported updates. A separate program of the agent looks for them, once an hour."""

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one session at /ws."""
        ws = web.WebSocketResponse(protocols=(SUBPROTOCOL,), compress=False)
        await ws.prepare(request)
        opening = HubOpening(await ws.receive_bytes(), os.urandom(32), int(time.time() * 1000), self._fleet, CODEC)
        await ws.send_bytes(opening.challenge(self._key))
        link = opening.auth(await ws.receive_bytes())
        await ws.send_bytes(link.send(Welcome(1, int(time.time() * 1000), self._pack_s, -1, -1, [], [], [])))
        self._live = ws, link
        self.joined.set()
        await ws.send_bytes(link.send(PackagesHeld("")))
        beating = asyncio.create_task(self._beat(ws, link), name="heartbeat")
        try:
            await self._serve(ws, link)
        finally:
            beating.cancel()
        return ws

    async def _beat(self, ws: web.WebSocketResponse, link: SecureChannel) -> None:
        """Send heartbeats, as the real hub does while it sends nothing else."""
        while True:
            await asyncio.sleep(1.0)
            beat = link.due(time.monotonic(), int(time.time() * 1000))
            if beat is not None:
                await ws.send_bytes(beat)

    async def _serve(self, ws: web.WebSocketResponse, link: SecureChannel) -> None:
        async for frame in ws:
            message = link.receive(frame.data, time.monotonic())
            if message is None:
                continue
            self._count(message, len(frame.data))
            if isinstance(message, Pack):
                await ws.send_bytes(link.send(Ack(message.stream, message.seq)))
            elif isinstance(message, Updates):
                self.looked.set()
            elif isinstance(message, InstalledPackages):
                await ws.send_bytes(link.send(PackagesHeld(message.digest)))

    def _count(self, message: Message, size: int) -> None:
        kind = f"table {message.subject}" if isinstance(message, Table) else type(message).__name__
        self._frames[kind] += size
        if isinstance(message, Layout):
            self.layouts[message.layout] = message
        elif isinstance(message, Pack):
            self.packs += 1
            if self.watching and self.layouts[message.layout].family == "pulse":
                self.alone.append((size, message))

    def traffic(self) -> Traffic:
        """The traffic so far, from the kernel's tcp_info. Raises: RuntimeError: there is no session."""
        if self._live is None:
            raise RuntimeError("the agent has no session")
        sock = self._live[0].get_extra_info("socket")
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
        sent, received = struct.unpack_from("=QQ", info, _BYTES_AT)
        segments = sum(struct.unpack_from("=II", info, _SEGMENTS_AT))
        return Traffic(sent + received + HEADER_BYTES * segments, self._frames.copy())

    async def watch(self, seconds: float) -> None:
        """Watch the node for this time. Renew the lease every 5 s, as a hub does for a page; tables come at their watched intervals."""
        end = time.monotonic() + seconds
        self.watching = True
        try:
            while (left := end - time.monotonic()) > 0:
                await self._send_watches(15)
                await asyncio.sleep(min(5.0, left))
            await self._send_watches(0)
        finally:
            self.watching = False

    async def _send_watches(self, lease_s: int) -> None:
        if self._live is None:
            raise RuntimeError("the agent has no session")
        ws, link = self._live
        await ws.send_bytes(link.send(Watch(list(INTERVAL_S), 1, lease_s)))
        for subject in SUBJECTS:
            await ws.send_bytes(link.send(Watch([subject.name], subject.watched_s, lease_s)))


def agent_argv(folder: Path, url: str, pin: str, key: bytes, node: str, fleet: str) -> list[str]:
    """Write the agent's files. Returns: the command that starts it."""
    (folder / "spider.pyz").write_bytes(build_bundle())
    (folder / "spider.conf").write_text(
        f"[hub]\nurl = {url}\nfleet = {fleet}\ntls_pin = {pin}\n\n[node]\nid = {node}\ngeneration = 1\nname = bench\n"
    )
    (folder / "policy.conf").write_text("[policy]\nversion = 1\nmode = monitor\n")
    (folder / "session.key").touch(0o600)
    (folder / "session.key").write_bytes(key)
    for name in ("state", "jobs"):
        (folder / name).mkdir(mode=0o700)
    paths = {
        "config": "spider.conf",
        "key": "session.key",
        "policy": "policy.conf",
        "state": "state",
        "jobs": "jobs",
        "launcher": "none.sock",
    }
    flags = [word for flag, name in paths.items() for word in (f"--{flag}", str(folder / name))]
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    return [python, "-I", "-B", str(folder / "spider.pyz"), *flags]


class Agent(NamedTuple):
    """A running agent."""

    pid: int
    hub: BareHub
    session_s: float
    """Seconds from its start to its session."""

    async def settled(self) -> None:
        """Wait until the agent has looked for updates, for at most LOOK_LIMIT_S."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_LIMIT_S):
                await self.hub.looked.wait()


def memory_settings() -> dict[str, str]:
    """The settings of glibc's malloc in Spider's unit, as environment variables."""
    unit = (resources.files("majortom") / "remote/units/stardust-spider.service").read_text()
    found = next(line for line in unit.splitlines() if line.startswith("Environment=MALLOC_"))
    return dict(word.split("=", 1) for word in found.removeprefix("Environment=").split())


@contextlib.asynccontextmanager
async def agent(pack_s: int = 10) -> AsyncIterator[Agent]:
    """The shipped bundle under the system's own python3 with the unit's flags, in a session over TLS.

    Raises: RuntimeError: it opened no session within START_LIMIT_S.
    """
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stardust-bench-")))
        key, node, fleet = os.urandom(32), ids.new_random_id(), ids.new_random_id()
        tls, pin = certificate(folder)
        hub, port = BareHub(key, fleet, pack_s), free_port()
        app = web.Application()
        app.router.add_get("/ws", hub.handle)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        argv = agent_argv(folder, f"wss://127.0.0.1:{port}/ws", pin, key, node, fleet)
        began = time.monotonic()
        process = stack.enter_context(started(argv, folder / "spider.log", memory_settings()))
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await hub.joined.wait()
        except TimeoutError:
            raise RuntimeError(f"the agent opened no session: {(folder / 'spider.log').read_text()[-2000:]}") from None
        yield Agent(process.pid, hub, time.monotonic() - began)
