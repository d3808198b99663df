"""spider.cpu and spider.rss: the real agent over TLS, beside prometheus-node-exporter scraped once a second, in the same window.

`spider.cpu` is the agent while a browser watches its node, so that each second goes out at once; `spider.cpu.unwatched` sends
packs of ten. Both run the shipped bundle under the system's own python3 with the unit's flags, at a session with a hub that does
nothing but acknowledge.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from groundcontrol.fleet.codec import CODEC
from majortom.bundle import build_bundle
from spider.collectors.linux import linux_collectors
from spider.wire import ids
from spider.wire.frames import SUBPROTOCOL, Ack, Pack, Watch, Welcome
from spider.wire.metrics import RHYTHM_S
from spider.wire.session import HubOpening, Link

EXPORTER = "prometheus-node-exporter"
SETTLE_S = 8.0
"""Both programs' start, and the agent's first look for updates, are not part of the window."""
SLICES = 6
START_LIMIT_S = 20.0


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its ended threads included, to the nanosecond (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def rss_bytes(pid: int) -> int:
    """VmRSS of proc_pid_status(5)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no memory")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


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


class BareHub:
    """Proves itself, welcomes, watches when told to, and acknowledges what comes."""

    def __init__(self, key: bytes, fleet: str) -> None:
        self._key = key
        self._fleet = fleet
        self._live: tuple[web.WebSocketResponse, Link] | None = None
        self._watching = False
        self.packs = 0
        self.joined = asyncio.Event()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One session at /ws."""
        ws = web.WebSocketResponse(protocols=(SUBPROTOCOL,), compress=False)
        await ws.prepare(request)
        opening = HubOpening(await ws.receive_bytes(), os.urandom(32), int(time.time() * 1000), self._fleet, CODEC)
        await ws.send_bytes(opening.challenge(self._key))
        link = opening.auth(await ws.receive_bytes())
        await ws.send_bytes(link.send(Welcome(1, int(time.time() * 1000), 10, -1, -1, [], [], [])))
        self._live = ws, link
        self.joined.set()
        async for frame in ws:
            message = link.receive(frame.data, time.monotonic())
            if isinstance(message, Pack):
                self.packs += 1
                await ws.send_bytes(link.send(Ack(message.stream, message.seq)))
        return ws

    async def watch(self, seconds: float) -> None:
        """Renew the lease every 5 s, as a browser on the page makes the hub do."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await self._tell(Watch(list(RHYTHM_S), 1, 15))
            await asyncio.sleep(min(5.0, left))
        await self._tell(Watch(list(RHYTHM_S), 1, 0))

    async def _tell(self, message: Watch) -> None:
        if self._live is None:
            raise RuntimeError("the agent has no session")
        ws, link = self._live
        await ws.send_bytes(link.send(message))


def agent_argv(folder: Path, url: str, pin: str, key: bytes, node: str, fleet: str) -> list[str]:
    """Write what the agent needs, and say how to start it."""
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


@contextlib.contextmanager
def started(argv: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={"PATH": os.environ["PATH"]}, cwd="/")
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.asynccontextmanager
async def hub_at(port: int, hub: BareHub, tls: ssl.SSLContext) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_get("/ws", hub.handle)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def scrape(port: int) -> None:
    """Fetch the exporter's metrics once a second until cancelled, as Prometheus would."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        while True:
            began = time.monotonic()
            with contextlib.suppress(aiohttp.ClientError):  # it is still starting
                async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    await answer.read()
            await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - began)))


async def shares(pids: list[int], seconds: float) -> list[float]:
    """Percent of one core that each process took: the median of equal slices of one window."""
    slices: list[list[float]] = [[] for _ in pids]
    for _ in range(SLICES):
        before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
        await asyncio.sleep(seconds / SLICES)
        elapsed = time.monotonic() - began
        for mine, pid, start in zip(slices, pids, before, strict=True):
            mine.append(100 * (cpu_seconds(pid) - start) / elapsed)
    return [statistics.median(mine) for mine in slices]


def line(name: str, value: float, unit: str, versus: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "value": round(value, 4), "unit": unit}
    if versus is not None:
        found |= {"versus": round(versus, 4), "ratio": round(value / versus, 3)}
    return found


async def measure(seconds: float) -> list[dict[str, Any]]:
    """Run both side by side; the exporter is left out where it is not installed."""
    exporter = shutil.which(EXPORTER)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stardust-bench-")))
        key, node, fleet = os.urandom(32), ids.new_random_id(), ids.new_random_id()
        tls, pin = certificate(folder)
        hub, port = BareHub(key, fleet), free_port()
        await stack.enter_async_context(hub_at(port, hub, tls))
        argv = agent_argv(folder, f"wss://127.0.0.1:{port}/ws", pin, key, node, fleet)
        pids = [stack.enter_context(started(argv, folder / "spider.log")).pid]
        if exporter:
            metrics = free_port()
            listen = f"--web.listen-address=127.0.0.1:{metrics}"
            pids.append(stack.enter_context(started([exporter, listen], folder / "exporter.log")).pid)
            scraping = asyncio.create_task(scrape(metrics), name="scrape")
            stack.callback(scraping.cancel)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await hub.joined.wait()
        except TimeoutError:
            raise RuntimeError(f"the agent did not come: {(folder / 'spider.log').read_text()[-2000:]}") from None
        await asyncio.sleep(SETTLE_S)
        quiet = await shares(pids, seconds)
        watching = asyncio.create_task(hub.watch(seconds + 2), name="watch")
        await asyncio.sleep(1.0)
        before = hub.packs
        watched = await shares(pids, seconds)
        await watching
        if hub.packs - before < seconds - 3:
            raise RuntimeError(f"only {hub.packs - before} packs came in {seconds:.0f} s")
        memory = [float(rss_bytes(pid)) for pid in pids]
    versus: Callable[[list[float]], float | None] = lambda found: found[1] if exporter else None  # noqa: E731
    return [
        line("spider.cpu", watched[0], "percent of a core", versus(watched)),
        line("spider.cpu.unwatched", quiet[0], "percent of a core", versus(quiet)),
        line("spider.rss", memory[0] / 1e6, "MB", memory[1] / 1e6 if exporter else None),
    ]


def spider_cpu_and_rss(seconds: float = 30.0) -> list[dict[str, Any]]:
    """Measure; takes about `2 * seconds + 12`.

    Raises: RuntimeError: the agent did not come to its hub, or did not send.
    """
    return asyncio.run(measure(seconds))


def collector_costs(rounds: int = 300) -> list[dict[str, Any]]:
    """CPU of one reading of each collector, in µs, in this interpreter."""
    lines = []
    for collector in linux_collectors():
        count = rounds // 10 if collector.blocking else rounds
        collector.read(0.0)
        began = time.process_time()
        for number in range(count):
            collector.read(float(number + 1))
        lines.append(line(f"spider.collector.{type(collector).__name__.lower()}", (time.process_time() - began) / count * 1e6, "µs", None))
        collector.close()
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each of the two windows (default: 30)")
    parser.add_argument("--collectors", action="store_true", help="what each collector costs, instead")
    given = parser.parse_args()
    for found in collector_costs() if given.collectors else spider_cpu_and_rss(given.seconds):
        print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
