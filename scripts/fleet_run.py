"""Simulated servers: Spider's own link, outbox, sampler and job desk, fed by hosts that do not exist."""

from __future__ import annotations

import asyncio
import configparser
import json
import math
import os
import random
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from spider.clock import SystemClock
from spider.config import Config, parse_url
from spider.jobs import Jobs
from spider.link import HubLink
from spider.outbox import Outbox
from spider.sampler import Sampler
from spider.version import VERSION
from spider.wire.frames import Identity, Message, Updates
from spider.wire.metrics import METRICS, parse_series

MAX_NODES = 2000
DIALS_PER_S = 50
ROLES = ("web", "db", "cache", "queue", "build", "mail", "backup", "edge")
SYSTEMS = (("debian", "Debian GNU/Linux", "12"), ("ubuntu", "Ubuntu", "24.04"), ("rocky", "Rocky Linux", "9.4"), ("arch", "Arch Linux", ""))
GIB = 2**30


class FleetError(Exception):
    """The fleet cannot start; the text says why."""


class Host:
    """A server that does not exist, the same one at each start."""

    def __init__(self, name: str) -> None:
        dice = random.Random(name)
        self.name = name
        self.dice = dice
        self.cores = dice.choice((1, 2, 4, 8, 16))
        self.memory = dice.choice((1, 2, 4, 8, 16, 64)) * GIB
        self.disk = dice.choice((20, 40, 80, 500)) * 1e9
        self.load = dice.uniform(2, 45)
        self.memory_share = dice.uniform(0.2, 0.85)
        self.disk_share = dice.uniform(0.1, 0.93)
        self.traffic = 10 ** dice.uniform(3.5, 7.5)
        self.phase = dice.uniform(0, 6.28)
        self.wander = 0.0
        self.system = dice.choice(SYSTEMS)
        self.booted_at = time.time() - dice.uniform(0.2, 200) * 86400

    def step(self) -> None:
        """One second passes: the load wanders, and now and then it leaps."""
        self.wander = self.wander * 0.92 + self.dice.gauss(0, 2.2) + (self.dice.uniform(10, 40) if self.dice.random() < 0.004 else 0)

    def busy(self) -> float:
        """Percent of all cores in use."""
        slow = 6 * math.sin(time.time() / 300 + self.phase)
        return min(100.0, max(0.3, self.load + slow + self.wander))

    def value(self, metric: str) -> float:
        """What it would measure now."""
        busy = self.busy()
        share = {"cpu.total": 1.0, "cpu.user": 0.68, "cpu.system": 0.25, "cpu.iowait": 0.05, "cpu.steal": 0.0, "cpu.core": 1.0}
        if metric in share:
            return min(100.0, busy * share[metric] * (self.dice.uniform(0.6, 1.4) if metric == "cpu.core" else 1))
        used = self.memory * min(0.97, self.memory_share + busy / 2500)
        sizes = {
            "memory.total": self.memory, "memory.used": used, "memory.available": self.memory - used, "memory.cached": (self.memory - used) * 0.6,
            "memory.buffers": self.memory * 0.01, "swap.total": GIB, "swap.used": GIB * self.memory_share * 0.1,
            "filesystem.size": self.disk, "filesystem.used": self.disk * self.disk_share, "filesystem.inodes_used": 30 * self.disk_share,
            "disk.busy": busy / 3, "temperature": 38 + busy * 0.4,
        }  # fmt: skip
        if metric in sizes:
            return sizes[metric]
        if metric.startswith("load."):
            return busy / 100 * self.cores * {"1": 1.0, "5": 0.95, "15": 0.9}[metric[5:]]
        if metric.startswith(("network.", "disk.")):
            return self.traffic * self.dice.uniform(0.4, 1.6) * (0.3 if metric in {"network.sent", "disk.read"} else 1)
        return float({"tcp.established": 40, "tcp.listen": 12}.get(metric, 2)) * self.dice.uniform(0.8, 1.2)

    def identity(self) -> Identity:
        """What it says of itself."""
        system, title, version = self.system
        return Identity(
            self.name, os.urandom(16).hex(), system, title, version, "6.1.0-38-amd64", "x86_64", "kvm", "Simulated CPU", self.cores, int(self.memory),
            "apt" if system in {"debian", "ubuntu"} else "dnf" if system == "rocky" else "pacman", "Etc/UTC", int(self.booted_at * 1000),
            [f"192.0.2.{self.dice.randrange(1, 255)}"], VERSION, "monitor", [], self.dice.choice(("no", "no", "no", "yes")),
        )  # fmt: skip


class SimulatedCollector:
    """All series of one family of a made-up host."""

    counts = False
    blocking = False

    def __init__(self, host: Host, family: str) -> None:
        self.family = family
        self._host = host
        self._series: list[str] = []
        labels = {
            "core": [str(core) for core in range(host.cores)],
            "device": ["sda"],
            "interface": ["eth0"],
            "mount": ["/"],
            "sensor": ["package"],
        }
        for metric in METRICS.values():
            if metric.family == family:
                names = [f"{metric.name}{{{label}={value}}}" for label in metric.labels for value in labels[label]]
                self._series += names or [metric.name]
        self._metrics = [parse_series(name)[0] for name in self._series]

    def series(self) -> list[str]:
        return self._series

    def read(self, now: float) -> list[int | None]:
        del now
        if self.family == "pulse":
            self._host.step()
        return [round(self._host.value(metric.name) * metric.scale) for metric in self._metrics]

    def close(self) -> None:
        return


async def simulate(node: dict[str, str | int], url: str, state: Path) -> None:
    """One server's whole life."""
    host = Host(str(node["name"]))
    clock = SystemClock()
    config = Config(
        url=parse_url(url), fleet=str(node["fleet_id"]), tls_pin=None, node=str(node["node_id"]), generation=int(node["generation"]), name=host.name,
        boot=os.urandom(16).hex(), policy_path=str(state / "policy.conf"), state_dir=str(state), jobs_dir=str(state / "no-jobs"),
        launcher_path=str(state / "no-launcher.sock"), key=bytes.fromhex(str(node["session_key"])),
    )  # fmt: skip
    outbox = Outbox(clock)
    facts: asyncio.Queue[Message] = asyncio.Queue(maxsize=4)

    async def send(message: Message) -> None:
        await link.send(message)

    def joined() -> None:
        while not facts.empty():
            facts.get_nowait()
        total = host.dice.choice((0, 0, 2, 7, 23))
        facts.put_nowait(host.identity())
        facts.put_nowait(Updates(total, total // 4, int(time.time() * 1000)))

    async def tell() -> None:
        while True:
            message = await facts.get()
            try:
                await link.send(message)
            except ConnectionError:  # the next session begins with all of them
                continue

    jobs = Jobs(
        config.jobs_dir, config.launcher_path, clock, send, boot=config.boot, policy_path=config.policy_path, policy_owner=os.geteuid()
    )
    link = HubLink(config, outbox, jobs, clock)
    link.on_joined(joined)
    sampler = Sampler([SimulatedCollector(host, "pulse"), SimulatedCollector(host, "breathe")], clock, outbox.add)
    async with asyncio.TaskGroup() as group:
        for part in (link.run(), sampler.run(), jobs.run(), tell()):
            group.create_task(part, name=host.name)


def hub_url(state: Path) -> str:
    """Where the hub of this start listens: what its own Spider was told."""
    conf = configparser.ConfigParser(interpolation=None)
    if not conf.read(state / "spider.conf"):
        raise FleetError("scripts/run has not finished its start; try again")
    return conf["hub"]["url"]


async def enrol(state: Path, count: int) -> tuple[list[dict[str, str | int]], str]:
    """Make what is missing of `count` simulated nodes; their keys stay in the state folder."""
    book = state / "fleet.json"
    known: list[dict[str, str | int]] = json.loads(book.read_text()) if book.exists() else []
    socket = state / "control.sock"
    if not socket.exists():
        raise FleetError("no hub is running in this checkout; start it with scripts/run")
    connector = aiohttp.UnixConnector(str(socket))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120)) as http:
        names = [f"{ROLES[n % len(ROLES)]}-{n // len(ROLES) + 1:02}" for n in range(len(known), count)]
        if names:
            async with http.post("http://hub/api/v1/local/enrol", json={"names": names, "simulated": True}) as answer:
                text = await answer.text()
                if answer.status >= 300:
                    raise FleetError(f"the hub refused: {text[:300]}")
            enrolled = json.loads(text)
            known += [{key: node[key] for key in ("node_id", "name", "generation", "fleet_id", "session_key")} for node in enrolled["nodes"]]  # fmt: skip
            book.touch(mode=0o600)
            book.write_text(json.dumps(known))
        async with http.get("http://hub/api/v1/nodes?limit=1") as answer:
            answer.raise_for_status()
    return known[:count], hub_url(state)


async def run(state: Path, count: int) -> None:
    """Enrol, connect a few at a time, wait for the end."""
    nodes, url = await enrol(state, count)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    pid = state / "fleet.pid"
    pid.write_text(f"{os.getpid()}\n")
    tasks: list[asyncio.Task[None]] = []
    try:
        for node in nodes:
            tasks.append(asyncio.create_task(simulate(node, url, state), name=str(node["name"])))
            await asyncio.sleep(1 / DIALS_PER_S)
            if stop.is_set():
                break
        print(f"{len(tasks)} simulated servers against {urlsplit(url).netloc}; Ctrl-C ends them", flush=True)
        waiting = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        pid.unlink(missing_ok=True)


def main() -> int:
    """Entry point of scripts/fleet."""
    state, text = Path(sys.argv[1]), sys.argv[2]
    if not text.isdigit() or not 0 < int(text) <= MAX_NODES:
        print(f"scripts/fleet: give a number from 1 to {MAX_NODES}", file=sys.stderr)
        return 2
    try:
        asyncio.run(run(state, int(text)))
    except FleetError as exc:
        print(f"scripts/fleet: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
