"""The program of scripts/fleet: simulated servers with Spider's own link, outbox, spool, sampler, tables, inventory and jobs."""

from __future__ import annotations

import argparse
import asyncio
import configparser
import contextlib
import fcntl
import gc
import itertools
import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from groundcontrol.samples.chunks.pack_codec import unpack
from scripts.dev.organisation import name_first_organisation
from scripts.dev.state_files import write
from scripts.dev.terminal import reason_of
from scripts.simfleet.hosts import (
    ROLES,
    Host,
    SimulatedCollector,
    SimulatedLooks,
    SimulatedProcesses,
    SimulatedServices,
    SimulatedUpdates,
    install,
)
from scripts.simfleet.jobs import SimulatedLauncher
from spider.clock import Clock, SystemClock
from spider.config import Config, parse_url
from spider.hub.backoff import Backoff
from spider.hub.link import HubLink
from spider.hub.outbox import Outbox
from spider.hub.websocket import WebSocket, WebSocketError, connect
from spider.jobs.tracker import Jobs
from spider.reports.looks import Looks
from spider.reports.package_sync import PackageSync
from spider.reports.table_reporter import Tables
from spider.sampling.sampler import Sampler, phase_ms_of
from spider.selfcare.uninstall import farewell
from spider.spool.files import SpoolFolder
from spider.spool.spool import Spool
from spider.wire.certificates import read_pins
from spider.wire.errors import ProtocolError, SessionOver
from spider.wire.frames import SUBPROTOCOL, Message
from spider.wire.ids import from_text
from spider.wire.job_messages import JobEnded
from spider.wire.report_messages import LookOrder, PackagesHeld, Updates
from spider.wire.sample_messages import STREAM_LIVE, Gap, Late, Layout, Pack, Watch
from spider.wire.session import NodeOpening, SecureChannel

MAX_NODES = 2000
DIALS_PER_S = 50
"""Servers that connect in a second, unless `--over` asks for fewer."""
MAX_OVER_S = 3600.0
SPOOL_HOURS = 72
SPOOL_BYTES = 4 << 20
"""The spool of each server. Two thousand servers share a disk."""
OFFLINE_S = (20.0, 120.0)
"""The shortest and the longest time that a server stays away."""
HOSTILE_PAUSE_S = (0.5, 5.0)
GC_THRESHOLDS = (20_000, 20, 10)
"""The arguments of `gc.set_threshold`, as in the hub."""


class FleetError(Exception):
    """The fleet cannot start; the text says why."""


class FleetOptions(NamedTuple):
    """How the fleet departs from servers that connect immediately, stay connected and send valid messages."""

    churn_per_minute: float
    """Sessions that are cut each minute. Their servers reconnect immediately."""
    offline_share: float
    """The share of the servers that is away at any time and stores its samples."""
    hostile: int
    """Servers that send invalid messages."""
    come_within_s: float = 0.0
    """The time over which the servers connect."""


class Address(NamedTuple):
    """The hub's address."""

    url: str
    tls_pin: bytes | None
    """The pin of the hub's key, if no authority has signed its certificate."""


class Stamps:
    """When each pulse of the fleet was measured and when it was sent, to separate delays of the fleet from delays of the hub."""

    def __init__(self) -> None:
        self._packs: list[tuple[str, int, bytes, float]] = []

    def note(self, node: str, pack: Pack) -> None:
        """Note that this pack is sent now."""
        self._packs.append((node, pack.coding, pack.body, time.time()))

    def save(self, path: Path) -> None:
        """Write [node, Unix milliseconds of the newest row, Unix seconds of the sending] of each pack, as MessagePack."""
        path.write_bytes(
            msgspec.msgpack.encode([(node, unpack(coding, body)[-1].taken_at_ms, at) for node, coding, body, at in self._packs])
        )


class StampedOutbox(Outbox):
    """Spider's outbox, which notes each live pulse that it gives out."""

    def __init__(self, clock: Clock, spool: Spool, node: str, stamps: Stamps) -> None:
        super().__init__(clock, spool)
        self._node = node
        self._stamps = stamps
        self._pulses: set[bytes] = set()

    def take(self) -> Layout | Pack | Late | Gap | None:
        message = super().take()
        if isinstance(message, Layout) and message.family == "pulse":
            self._pulses.add(message.layout)
        elif isinstance(message, Pack) and message.stream == STREAM_LIVE and message.layout in self._pulses:
            self._stamps.note(self._node, message)
        return message


class Server:
    """One simulated server with all its parts."""

    def __init__(self, node: dict[str, str | int], hub: Address, state: Path, sockets: Path, stamps: Stamps | None = None) -> None:
        self.host = Host(str(node["name"]))
        clock = SystemClock()
        folder = state / "fleet" / str(node["node_id"])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = state / "fleet" / ("root-" + self.host.system[0])
        if not root.exists():
            install(self.host, root)
        policy = state / "fleet/policy.conf"
        if not policy.exists():  # a separate one: the policy of this machine's Spider allows monitoring only
            policy.write_text("[policy]\nversion = 1\nmode = managed\n")
        boot = os.urandom(16).hex()
        self.config = Config(
            url=parse_url(hub.url), fleet=str(node["fleet_id"]), tls_pin=hub.tls_pin, node=str(node["node_id"]), generation=int(node["generation"]),
            name=self.host.name, boot=boot, policy_path=str(policy), state_dir=str(folder), jobs_dir=str(folder / "jobs"),
            launcher_path=str(sockets / str(node["node_id"])), key=bytes.fromhex(str(node["session_key"])),
        )  # fmt: skip
        config = self.config
        self._spool = Spool(SpoolFolder(config.state_dir, from_text(config.node)), clock, SPOOL_HOURS * 3600.0, SPOOL_BYTES)
        outbox = Outbox(clock, self._spool) if stamps is None else StampedOutbox(clock, self._spool, config.node, stamps)
        self._newer = SimulatedUpdates(self.host)
        self._launcher = SimulatedLauncher(
            Path(config.launcher_path),
            folder / "jobs",
            bytes.fromhex(str(node["launch_key"])),
            config.node,
            config.generation,
            boot,
            self._newer.planned,
        )
        self._jobs = Jobs(
            config.jobs_dir, config.launcher_path, clock, self._send, boot=boot, policy_path=config.policy_path, policy_owner=os.geteuid(),
            processes=self._launcher.processes,
        )  # fmt: skip
        self._link = HubLink(config, outbox, self._jobs, clock, Backoff())
        self._facts: asyncio.Queue[Message] = asyncio.Queue(maxsize=4)
        self._link.on_joined(self._joined)
        self._inventory = PackageSync(self._link.send, str(root))
        self._link.on_joined(self._inventory.joined)
        self._link.on_message(PackagesHeld, self._inventory.acknowledge)
        self._tables = Tables([SimulatedProcesses(self.host), SimulatedServices(), self._newer], clock, self._link.send)
        self._link.on_joined(self._tables.joined)
        self._link.on_message(Watch, self._tables.watch)
        self._looks = Looks(config.policy_path, os.geteuid(), clock, self._link.send, SimulatedLooks(self.host, folder / "broken").look)
        self._link.on_joined(self._looks.joined)
        self._link.on_message(LookOrder, self._looks.order)
        collectors = [SimulatedCollector(self.host, family) for family in ("pulse", "breathe")]
        self._sampler = Sampler(collectors, clock, outbox.add, phase_ms_of(from_text(config.node)))
        self._linking: asyncio.Task[None] | None = None
        self._away_s = 0.0
        self.away = False
        """Whether the server is without a network."""

    async def run(self) -> None:
        """Run all parts until cancelled, or until an order removes the agent. Then tell this to the hub, as root does on a server."""
        parts = (self._sampler, self._jobs, self._inventory, self._tables, self._looks, self._spool, self._launcher)
        async with asyncio.TaskGroup() as group:
            works = [*(part.run() for part in parts), self._send_facts(), self._keep_linked()]
            tasks = [group.create_task(work, name=self.host.name) for work in works]
            await self._launcher.uninstalled.wait()
            for task in tasks:
                task.cancel()
        self.away = True
        with contextlib.suppress(OSError, WebSocketError, ProtocolError, TimeoutError):  # the removal then ends at its time limit
            await farewell(self.config, "removed by an order of the hub", "", [])

    def cut(self) -> None:
        """Cut the session without a close; the link dials again."""
        if self._linking is not None:
            self._linking.cancel()

    def go_away(self, seconds: float) -> None:
        """Stay without a network for this time; samples wait in memory and in the spool."""
        self._away_s, self.away = seconds, True
        self.cut()

    async def _keep_linked(self) -> None:
        while True:
            away_s, self._away_s = self._away_s, 0.0
            await asyncio.sleep(away_s)
            self.away = False
            self._linking = asyncio.create_task(self._link.run(), name=self.host.name)
            try:
                await asyncio.wait({self._linking})
            finally:
                self._linking.cancel()
            if not self._linking.cancelled():
                self._linking.result()

    async def _send(self, message: Message) -> None:
        await self._link.send(message)
        if isinstance(message, JobEnded):  # as Spider does, which looks at its packages again
            self._tables.read_now([SimulatedUpdates.subject])

    def _joined(self) -> None:
        while not self._facts.empty():
            self._facts.get_nowait()
        self._facts.put_nowait(self.host.identity())
        self._facts.put_nowait(Updates(self._newer.total, self._newer.security, int(time.time() * 1000)))

    async def _send_facts(self) -> None:
        while True:
            message = await self._facts.get()
            with contextlib.suppress(ConnectionError):  # the next session sends all facts again
                await self._link.send(message)


class Hostile:
    """A server with a valid key that sends invalid messages."""

    def __init__(self, node: dict[str, str | int], hub: Address) -> None:
        self.name = str(node["name"])
        self._node = node
        self._url, self._pin = parse_url(hub.url), hub.tls_pin
        self._dice = random.Random(self.name)

    async def run(self) -> None:
        """Connect, send invalid messages until the hub disconnects, and connect again; until cancelled."""
        while True:
            with contextlib.suppress(OSError, WebSocketError, ProtocolError, SessionOver, TimeoutError):
                socket = await connect(self._url, SUBPROTOCOL, "stardust-fleet/hostile", self._pin)
                try:
                    async with asyncio.timeout(20):
                        await self._misbehave(socket)
                finally:
                    await socket.close(1000, "")
            await asyncio.sleep(self._dice.uniform(*HOSTILE_PAUSE_S))

    async def _misbehave(self, socket: WebSocket) -> None:
        if self._dice.random() < 0.2:
            await socket.send(os.urandom(self._dice.randrange(1, 5000)))
            await socket.receive()
            return
        node = self._node
        opening = NodeOpening(
            str(node["node_id"]), int(node["generation"]), bytes.fromhex(str(node["session_key"])), os.urandom(16).hex(),
            self._url.authority, "0.0.0", (), [], os.urandom(32),
        )  # fmt: skip
        await socket.send(opening.hello())
        answer, link = opening.challenge(await socket.receive())
        await socket.send(answer)
        link.receive(await socket.receive(), 0.0)
        while True:
            await socket.send(self._nonsense(link))
            await asyncio.sleep(self._dice.choice((0.0, 0.0, 0.01, 0.5)))

    def _nonsense(self, link: SecureChannel) -> bytes:
        raw = os.urandom(self._dice.choice((0, 1, 40, 1000, 60_000)))
        good = link.send(Updates(self._dice.randrange(-5, 5), 1, 0))
        return self._dice.choice((raw, good, good[:-1], good + b"x"))


def hub_address(state: Path) -> Address:
    """The hub's address, from the settings of this machine's Spider.

    Raises: FleetError: `scripts/run` has not started a hub, or has not finished its start.
    """
    conf = configparser.ConfigParser(interpolation=None)
    if not conf.read(state / "agent/spider.conf"):
        raise FleetError(
            f"{state / 'agent/spider.conf'} does not exist: scripts/run writes it at the end of its start. Start the hub with scripts/run,"
            " and wait for the end of its start"
        )
    pins = conf["hub"].get("tls_pin")
    return Address(conf["hub"]["url"], read_pins(pins) if pins else None)


async def enrol(state: Path, count: int) -> tuple[list[dict[str, str | int]], Address]:
    """Enrol simulated nodes until there are `count` of them, and store their keys in the state folder. Names of other nodes are skipped.

    Returns: `count` simulated nodes, and the hub's address.
    Raises: FleetError: no hub runs, or it refuses. The hub makes all of the missing nodes or none.
    """
    book = state / "fleet.json"
    written: list[dict[str, str | int]] = json.loads(book.read_text()) if book.exists() else []
    socket = state / "control.sock"
    if not socket.exists():
        raise FleetError("no hub is running in this checkout; start it with scripts/run")
    connector = aiohttp.UnixConnector(str(socket))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120)) as http:
        await name_first_organisation(http)
        enrolled = await _nodes(http)
        known = [node for node in written if node["node_id"] in enrolled]
        names, skipped = new_names(
            count - len(known), {str(node["name"]) for node in known}, {name.casefold() for name in enrolled.values()}
        )
        if skipped:
            print(f"other nodes of this hub are called {', '.join(skipped)}; the fleet skips these names", file=sys.stderr)
        if names:
            async with http.post("http://hub/api/v1/local/enrol", json={"names": names, "simulated": True}) as answer:
                text = await answer.text()
                if answer.status >= 300:
                    raise FleetError(f"the hub refused: {text[:300]}")
            wanted = ("node_id", "name", "generation", "fleet_id", "session_key", "launch_key")
            known += [{key: node[key] for key in wanted} for node in json.loads(text)["nodes"]]
        if known != written:
            write(book, json.dumps(known))
    return known[:count], hub_address(state)


def new_names(missing: int, own: Collection[str], taken: Collection[str]) -> tuple[list[str], list[str]]:
    """Returns: this many unused names, and the names that were skipped because another node has them.

    Args: own: names of the fleet. taken: names of all nodes, case-folded.
    """
    names: list[str] = []
    skipped: list[str] = []
    for n in itertools.count():
        if len(names) >= missing:
            break
        name = f"{ROLES[n % len(ROLES)]}-{n // len(ROLES) + 1:02}"
        if name not in own:
            (skipped if name in taken else names).append(name)
    return names, skipped


async def _nodes(http: aiohttp.ClientSession) -> dict[str, str]:
    """Id -> name of each node of the hub. Raises: FleetError: the hub refuses."""
    found: dict[str, str] = {}
    query = {"limit": "500"}
    while True:
        async with http.get("http://hub/api/v1/nodes", params=query) as answer:
            if answer.status >= 300:
                raise FleetError(f"the hub refused: {(await answer.text())[:300]}")
            page = json.loads(await answer.text())
        found |= {node["id"]: node["name"] for node in page["nodes"]}
        if not page["next"]:
            return found
        query["cursor"] = page["next"]


async def stir(servers: list[Server], options: FleetOptions) -> None:
    """Each second, cut sessions and take servers offline at the rates of the options; until cancelled."""
    dice = random.Random()
    while True:
        await asyncio.sleep(1.0)
        online = [server for server in servers if not server.away]
        for _ in range(_random_count(dice, options.churn_per_minute / 60) if online else 0):
            dice.choice(online).cut()
        for server in dice.sample(online, min(len(online), _random_count(dice, len(online) * leaving(options.offline_share)))):
            server.go_away(dice.uniform(*OFFLINE_S))


def leaving(share: float) -> float:
    """The part of the online servers that must leave each second so that this share of all servers is away."""
    return share / (1 - share) / (sum(OFFLINE_S) / 2)


def _random_count(dice: random.Random, rate: float) -> int:
    """A whole number whose mean is the rate."""
    return int(rate) + (dice.random() < rate % 1)


@contextlib.contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold the fleet's lock. Two fleets would be the same servers, and would end each other's sessions.

    Raises: FleetError: another fleet runs, or there is no state folder.
    """
    if not state.is_dir():
        raise FleetError("no hub is running in this checkout; start it with scripts/run")
    pid = state / "fleet.pid"
    lock = os.open(state / "fleet.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = f" (process {pid.read_text().strip()})" if pid.exists() else ""
            raise FleetError(
                f"scripts/fleet is running already in this checkout{who}; end it with Ctrl-C, or scripts/stop, which ends the hub as well"
            ) from None
        pid.unlink(missing_ok=True)
        with open(os.open(pid, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(f"{os.getpid()}\n")
        try:
            yield
        finally:
            pid.unlink(missing_ok=True)
    finally:
        os.close(lock)


async def run(state: Path, count: int, options: FleetOptions, stamps_file: Path | None = None) -> None:
    """Enrol the servers, connect them at the given rate, and run them until SIGINT or SIGTERM. Raises: FleetError."""
    nodes, hub = await enrol(state, count)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    folder = state / "fleet"
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    sockets = tempfile.TemporaryDirectory(prefix="stardust-fleet-")  # the path of a Unix socket must be short
    stamps = Stamps() if stamps_file is not None else None
    servers = [Server(node, hub, state, Path(sockets.name), stamps) for node in nodes[options.hostile :]]
    everyone: list[Server | Hostile] = [*servers, *(Hostile(node, hub) for node in nodes[: options.hostile])]
    tasks: list[asyncio.Task[None]] = []
    try:
        for server in everyone:
            tasks.append(asyncio.create_task(server.run(), name="server"))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(1 / DIALS_PER_S, options.come_within_s / len(everyone)))
                break
        if servers and (options.churn_per_minute or options.offline_share):
            tasks.append(asyncio.create_task(stir(servers, options), name="stir"))
        gc.freeze()  # a garbage collection over a thousand servers would delay all of them
        gc.set_threshold(*GC_THRESHOLDS)
        print(f"{len(everyone)} simulated servers against {urlsplit(hub.url).netloc}; Ctrl-C ends them", flush=True)
        waiting = asyncio.create_task(stop.wait(), name="stop")
        running = {waiting, *tasks}
        while waiting in running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {waiting}:
                task.result()  # None: the server was removed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if stamps is not None and stamps_file is not None:
            stamps.save(stamps_file)
        sockets.cleanup()


def parsed(argv: list[str]) -> argparse.Namespace:
    """Read the command line; exits with 2 and a message when it is wrong."""
    parser = argparse.ArgumentParser(prog="scripts/fleet", allow_abbrev=False)
    parser.add_argument("state", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("count", type=int, metavar="N", help=f"how many servers, 1 to {MAX_NODES}")
    parser.add_argument("--churn", type=float, default=0.0, metavar="PER_MINUTE", help="cut this many sessions a minute; they reconnect")
    parser.add_argument(
        "--offline", type=float, default=0.0, metavar="SHARE", help="this share of the servers (0 to 0.9) is away at any time"
    )
    parser.add_argument("--hostile", type=int, default=0, metavar="N", help="this many servers send invalid messages")
    parser.add_argument(
        "--over", type=float, default=0.0, metavar="SECONDS", help="the servers connect over this time, at most 50 a second"
    )
    parser.add_argument("--stamps", type=Path, metavar="FILE", help="at the end, write there when each pulse was measured and sent")
    options = parser.parse_args(argv)
    if not 1 <= options.count <= MAX_NODES:
        parser.error(f"give a number from 1 to {MAX_NODES}")
    if not (0 <= options.churn <= 6000 and 0 <= options.offline <= 0.9 and 0 <= options.hostile <= options.count):
        parser.error("--churn is at most 6000, --offline at most 0.9, --hostile at most N")
    if not 0 <= options.over <= MAX_OVER_S:
        parser.error(f"--over is at most {MAX_OVER_S:.0f} seconds")
    return options


def main() -> int:
    """Entry point of scripts/fleet."""
    options = parsed(sys.argv[1:])
    logging.getLogger("spider").setLevel(logging.ERROR)
    try:
        with alone(options.state):
            fleet = FleetOptions(options.churn, options.offline, options.hostile, options.over)
            asyncio.run(run(options.state, options.count, fleet, options.stamps))
    except (FleetError, OSError, aiohttp.ClientError) as exc:
        print(f"scripts/fleet: {reason_of(exc)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
