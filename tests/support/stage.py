"""A reproducible fleet with content for every screen of the page and an example of every state.

The hub is the real one; its nodes are simulated (`tests/support/played.py`). With `frozen_hub` and `Stage(frozen=True)` the wall clocks of the
hub and its nodes stand at FROZEN_AT. The page is then static once its own clock is stopped at the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import aiohttp

from spider.reports.package_sync import digest_of, messages
from spider.root.policy import LATER, LISTED
from spider.wire.codec import pack_rows
from spider.wire.frames import JOURNAL, LOOKS, Heartbeat, Message
from spider.wire.job_messages import JobAnswer, JobOutput, JobPlan, JobProgress, JobReport, JobStart
from spider.wire.metrics import parse_series
from spider.wire.orders import SignedOrder
from spider.wire.report_messages import Identity, JournalAnswer, JournalRequest, LogLines, PackagesHeld, Table, Updates
from spider.wire.sample_messages import STREAM_LIVE, Layout, Pack, Row
from spider.wire.tables import BY_NAME
from tests.support.agent import AgentClosed, TestAgent, layout_of
from tests.support.bundles import bundle_of, shipped_version
from tests.support.hub import Enrolled, HubProcess
from tests.support.job_messages import ended
from tests.support.played import PlayedNodes
from tests.support.wire import open_order

FROZEN_AT = 1_789_646_400
"""The wall time of a frozen stage: 2026-09-17 12:00:00 UTC, a Thursday."""
FROZEN_VERSION = "0.1.0"
"""The version of the agents of a frozen stage."""
GIB = 2**30
PAST_S = 900
"""The length of the history that a node sends when it first connects."""
QUIET_S = 90
"""How long a quiet node has measured nothing."""
PACK_ROWS = 300
KEPT_PACKS = 600
"""A node remembers the last second of this many packs, because a killed hub may come back without the newest ones."""
LIMIT_S = 60.0
CALM_S = 3.0
"""How often nodes send if no test waits for their next value. Values become old only later."""


class Star(NamedTuple):
    """A simulated node."""

    name: str
    tags: tuple[str, ...]
    system: tuple[str, str, str, str] = ("debian", "Debian GNU/Linux", "12", "apt")
    cores: int = 4
    memory: int = 8 * GIB
    cpu: float = 20.0
    used: float = 0.4
    disk: float = 0.35
    traffic: float = 2e5
    heat: float | None = 46.0
    sensors: tuple[str, ...] = ("Package id 0",)
    updates: tuple[int, int] = (0, 0)
    up_days: float = 12.0
    mood: str = "well"
    """well; quiet: connected, but measures nothing more; gone: its session has ended; new: never connected; watched: its policy allows
    monitoring only."""
    reboot: str = "no"
    failed: tuple[str, ...] = ()
    """Its failed units of systemd."""


UBUNTU, ROCKY, ARCH = ("ubuntu", "Ubuntu", "24.04", "apt"), ("rocky", "Rocky Linux", "9.4", "dnf"), ("arch", "Arch Linux", "", "pacman")
STARS = (
    Star("web-01", ("prod", "web"), cpu=34, used=0.52, traffic=6.1e6, updates=(7, 2), up_days=41),
    Star("web-02", ("prod", "web"), cpu=31, used=0.49, traffic=5.7e6, updates=(7, 2), up_days=41),
    Star("web-03", ("prod", "web"), cpu=97, used=0.91, traffic=9.4e6, updates=(4, 0), heat=86, up_days=41),
    Star(
        "db-01", ("prod", "database"), cores=16, memory=64 * GIB, cpu=22, used=0.78, disk=0.93, traffic=2.2e6, updates=(12, 3), up_days=188
    ),
    Star("db-02", ("prod", "database"), cores=16, memory=64 * GIB, cpu=11, used=0.74, disk=0.71, traffic=1.1e6, up_days=188),
    Star("cache-01", ("prod",), system=UBUNTU, cores=8, memory=16 * GIB, cpu=8, used=0.66, traffic=3.3e6, heat=None),
    Star("queue-01", ("prod",), system=ROCKY, cpu=14, used=0.38, disk=0.44, updates=(3, 0)),
    Star("build-01", ("ci",), system=ARCH, cores=32, memory=64 * GIB, cpu=71, used=0.55, disk=0.61, heat=72, updates=(23, 0), up_days=3),
    Star("build-02", ("ci",), system=ARCH, cores=32, memory=64 * GIB, cpu=64, used=0.51, disk=0.58, mood="quiet"),
    Star(
        "mail-01",
        ("office",),
        cpu=4,
        used=0.33,
        disk=0.52,
        traffic=4e4,
        updates=(2, 1),
        reboot="yes",
        failed=("certbot.service",),
        up_days=230,
    ),
    Star(
        "edge-ams",
        ("edge",),
        sensors=("coretemp Core 0", "coretemp Core 1", "coretemp Package id 0", "nvme Composite (nvme0n1)"),
        cores=2,
        memory=2 * GIB,
        cpu=18,
        used=0.41,
        traffic=8.8e6,
        updates=(9, 1),
    ),
    Star("edge-hel", ("edge",), cores=2, memory=2 * GIB, cpu=16, used=0.4, traffic=7.9e6, mood="watched"),
    Star("backup-hel", ("office",), cores=2, memory=4 * GIB, cpu=2, used=0.2, disk=0.88, traffic=9e3, mood="gone"),
    Star("lab-07", (), mood="new"),
)
BY_STAR = {star.name: star for star in STARS}

PULSE = (
    "cpu.total", "cpu.user", "cpu.system", "cpu.iowait", "cpu.steal", "load.1", "load.5", "load.15", "memory.total", "memory.used",
    "memory.available", "memory.cached", "memory.buffers", "swap.total", "swap.used", "tcp.established", "tcp.listen", "tcp.time_wait",
)  # fmt: skip
LABELLED = (
    "disk.read{device=sda}",
    "disk.written{device=sda}",
    "disk.busy{device=sda}",
    "network.received{interface=eth0}",
    "network.sent{interface=eth0}",
)
BREATHE = ("filesystem.size{mount=/}", "filesystem.used{mount=/}", "filesystem.inodes_used{mount=/}", "system.uptime", "processes.total")

SLOW_LINE = b"Unpacking linux-image-amd64 (6.1.140-1) over (6.1.135-1) ...\r\n"
DONE_LINES = (
    b"Reading package lists... Done\r\nBuilding dependency tree... Done\r\nThe following packages will be upgraded:\r\n  curl libcurl4 openssl\r\n"
    b"Setting up openssl (3.0.17-1~deb12u2) ...\r\nSetting up libcurl4:amd64 (7.88.1-10+deb12u12) ...\r\nSetting up curl (7.88.1-10+deb12u12) ...\r\n"
    b"\x1b[32mdone\x1b[0m\r\n"
)


def series_of(star: Star) -> dict[str, list[str]]:
    """Family -> the series that this node measures."""
    cores = [f"cpu.core{{core={core}}}" for core in range(star.cores)]
    heat = [] if star.heat is None else [f"temperature{{sensor={sensor}}}" for sensor in star.sensors]
    return {"pulse": [*PULSE, *LABELLED, *cores], "breathe": [*BREATHE, *heat]}


def values(star: Star, at: int) -> dict[str, float]:
    """Metric -> its value in this second (Unix time), in the unit of the catalogue. The same second always has the same values."""
    phase = sum(map(ord, star.name)) % 60
    swing = math.sin((at + phase) / 17) + 0.6 * math.sin((at + 3 * phase) / 5.3) + (2.4 if (at + 7 * phase) % 240 < 8 else 0)
    cpu = max(0.4, min(99.6, star.cpu * (1 + 0.13 * swing)))
    used = star.memory * min(0.97, star.used + 0.004 * swing)
    disk = star.cores * 20e9
    traffic = max(0.0, star.traffic * (1 + 0.3 * swing))
    return {
        "cpu.total": cpu, "cpu.user": cpu * 0.66, "cpu.system": cpu * 0.24, "cpu.iowait": cpu * 0.08, "cpu.steal": cpu * 0.02,
        "load.1": cpu / 100 * star.cores * (1 + 0.1 * swing), "load.5": star.cpu / 100 * star.cores, "load.15": star.cpu / 104 * star.cores,
        "memory.total": star.memory, "memory.used": used, "memory.available": star.memory - used, "memory.cached": (star.memory - used) * 0.6,
        "memory.buffers": star.memory * 0.01, "swap.total": GIB, "swap.used": GIB * star.used * 0.1, "tcp.established": 40 + 6 * swing,
        "tcp.listen": 12, "tcp.time_wait": 9 + 3 * swing, "filesystem.size": disk, "filesystem.used": disk * star.disk,
        "filesystem.inodes_used": 30 * star.disk, "system.uptime": star.up_days * 86_400, "processes.total": 180 + star.cores * 9,
        "temperature": (star.heat or 0) + swing, "disk.busy": cpu / 3, "network.received": traffic, "network.sent": traffic * 0.34,
        "disk.read": traffic * 0.2, "disk.written": traffic * 0.5,
        **{f"cpu.core{{core={core}}}": max(0.0, min(100.0, cpu * (0.55 + 0.9 * ((core * 37 + at // 3) % 11) / 11))) for core in range(star.cores)},
    }  # fmt: skip


def rows_of(star: Star, layout: Layout, seconds: Iterable[int]) -> list[Row]:
    """The rows of these seconds (Unix time), as an agent sends them."""
    scales = [(name if name.startswith("cpu.core") else name.partition("{")[0], parse_series(name)[0].scale) for name in layout.series]
    rows = []
    for at in seconds:
        measured = values(star, at)
        rows.append(Row(at * 1000, [round(measured[name] * scale) for name, scale in scales]))
    return rows


def table(subject: str, at: float, *rows: tuple[str | int | None, ...], total: int | None = None) -> Table:
    """A table with all columns that its subject has in the catalogue. `at`: Unix seconds."""
    columns = [column.name for column in BY_NAME[subject].columns]
    assert all(len(row) == len(columns) for row in rows), subject
    return Table(subject, int(at * 1000), len(rows) if total is None else total, columns, [cell for row in rows for cell in row])


def tables(star: Star, at: float) -> list[Table]:
    """The tables that the tabs of a node show."""
    boot = int((at - star.up_days * 86_400) * 1000)
    busy = round(star.cpu * star.cores * 60)
    names = (
        ("postgres", "postgres"),
        ("nginx", "www-data"),
        ("python3", "app"),
        ("redis-server", "redis"),
        ("sshd", "root"),
        ("systemd", "root"),
    )
    return [
        table(
            "processes",
            at,
            *(
                (700 + 31 * place, boot + 60_000, name, user, "sleeping" if place else "running", 4 + place, busy // 2**place,
                 int(star.memory * star.used / 2 ** (place + 1)), 4096 * place, 8192 * place, f"/usr/sbin/{name} --config /etc/{name}.conf")
                for place, (name, user) in enumerate(names)
            ),
            total=96 + 4 * star.cores,
        ),
        table("services", at, *((unit, "Renew certificates", "failed", "exit-code", int((at - 7300) * 1000), None) for unit in star.failed)),
        table(
            "units", at,
            *((unit, "Renew certificates", "failed", None) for unit in star.failed),
            *((f"{unit}.service", about, "running", boot + 60_000) for unit, about in UNITS),
            ("dbus.socket", "D-Bus System Message Bus Socket", "running", boot + 30_000),
            ("apt-daily.timer", "Daily apt download activities", "waiting", boot + 40_000),
            ("emergency-backup.service", "Backup on demand", "dead", None),
        ),
        table(
            "timers", at,
            ("apt-daily.timer", "apt-daily.service", int((at + 5400) * 1000), int((at - 37_800) * 1000)),
            ("logrotate.timer", "logrotate.service", int((at + 43_200) * 1000), int((at - 43_200) * 1000)),
        ),
        table("users", at, ("ada", "pts/0", "203.0.113.9", int((at - 2640) * 1000))),
        table(
            "listening", at, ("tcp", "0.0.0.0", 22, "root", "ssh.service", 731, "sshd"), ("tcp", "0.0.0.0", 443, "root", "nginx.service", 762, "nginx"),
            ("tcp", "127.0.0.1", 5432, "postgres", "postgresql.service", 700, "postgres"),
        ),
        table(
            "interfaces", at, ("lo", "loopback", "", "unknown", None, 65_536, "127.0.0.1/8, ::1/128", None),
            ("eth0", "physical", "52:54:00:12:34:56", "up", 10_000_000_000, 1500, "192.0.2.17/24, 2001:db8::17/64", None),
        ),
        table(
            "disks", at, ("sda", "disk", "", "QEMU HARDDISK", "QM00001", star.cores * 20_000_000_000, 0, ""),
            ("sda1", "part", "sda", "", "", star.cores * 20_000_000_000 - 2**20, 0, "/"),
        ),
        table("containers", at, ("docker", "4f1c0a9be2d7", "metrics", "running", "prom/prometheus:v3", 0, 0, boot + 90_000)),
        table(
            "updates", at,
            *(((f"{name}", old, new, "yes" if place < star.updates[1] else "no", "bookworm-security" if place < star.updates[1] else "bookworm"))
              for place, (name, old, new) in enumerate(UPDATES[: star.updates[0]])),
            total=star.updates[0],
        ),
        table("held", at, ("vim", "2:9.0.1378-2", "held")),
    ]  # fmt: skip


UNITS = (("nginx", "A high performance web server"), ("postgresql", "PostgreSQL RDBMS"), ("ssh", "OpenBSD Secure Shell server"))
UPDATES = (
    ("openssl", "3.0.16-1~deb12u1", "3.0.17-1~deb12u2"), ("curl", "7.88.1-10+deb12u8", "7.88.1-10+deb12u12"),
    ("linux-image-amd64", "6.1.135-1", "6.1.140-1"), ("libcurl4", "7.88.1-10+deb12u8", "7.88.1-10+deb12u12"), ("nginx", "1.22.1-9", "1.22.1-9+deb12u1"),
    ("sudo", "1.9.13p3-1", "1.9.13p3-1+deb12u2"), ("python3.11", "3.11.2-6+deb12u5", "3.11.2-6+deb12u6"), ("bind9-host", "1:9.18.33-1", "1:9.18.37-1"),
    ("libxml2", "2.9.14+dfsg-1.3", "2.9.14+dfsg-1.4"), ("tzdata", "2025b-0", "2026a-0"), ("git", "1:2.39.5-0", "1:2.39.5-1"), ("less", "590-2", "590-2.1"),
)  # fmt: skip


def identity(star: Star, at: float, spider: str) -> Identity:
    """The identity that the node sends."""
    system, title, version, manager = star.system
    mode = "monitor" if star.mood == "watched" else "managed"
    return Identity(
        star.name, hashlib.md5(star.name.encode(), usedforsecurity=False).hexdigest(), system, title, version, "6.1.0-38-amd64", "x86_64", "kvm", "AMD EPYC 9354",
        star.cores, star.memory, manager, "Europe/Berlin", int((at - star.up_days * 86_400) * 1000), ["192.0.2.17", "2001:db8::17"], spider,
        mode, [*LISTED, *LATER] if mode == "managed" else [], star.reboot,
        policy_units="certbot.service, nginx.service, postgresql.service", policy_journal="warning", policy_containers="metrics",
    )  # fmt: skip


class Stage(PlayedNodes):
    """Simulates every node of STARS, except new ones, until the block ends. The block begins when the hub has stored all of their past."""

    def __init__(
        self,
        hub: HubProcess,
        *,
        frozen: bool = False,
        only: Iterable[str] = (),
        every_s: float = CALM_S,
        quiet_s: int = QUIET_S,
        spider: str = "",
    ) -> None:
        """Make the nodes.

        Args:
            frozen: whether the nodes' wall clock stands at FROZEN_AT; then they send only heartbeats after their past.
            only: the names of the nodes; by default all.
            every_s: how often a node sends its samples of each second.
            quiet_s: how long the quiet node has measured nothing.
            spider: the version of their agents; by default the one that the hub ships, or FROZEN_VERSION.
        """
        self._quiet_s = quiet_s
        names = tuple(only) or tuple(BY_STAR)
        enrolled = hub.enrol(*names)
        self.ids = {node.name: node.node_id for node in enrolled}
        self.token = hub.login().token
        """The token of an admin's session, which requests the jobs."""
        super().__init__(hub, [node for node in enrolled if BY_STAR[node.name].mood != "new"])
        self._told = threading.Semaphore(0)
        self._sent: dict[str, dict[int, int]] = {}
        """Node -> number of a pack -> its last second. A node is in it once the hub has stored all of its past."""
        self._hushed: set[str] = set()
        self._present = {name: asyncio.Event() for name in names}
        """Node -> an event that is cleared while the node must stay away."""
        for event in self._present.values():
            event.set()
        self._steady: dict[str, float] = {}
        self._frozen = frozen
        self._version = spider or (FROZEN_VERSION if frozen else shipped_version())
        self._every_s = every_s
        self._count = len(self._nodes)
        self.orders: list[tuple[str, SignedOrder]] = []
        for name in names:
            if tags := BY_STAR[name].tags:
                reply = hub.local("PATCH", f"/api/v1/nodes/{self.ids[name]}", {"tags": list(tags)})
                assert reply.status < 300, reply.body

    def __enter__(self) -> Self:
        super().__enter__()
        for _ in range(self._count):
            assert self._told.acquire(timeout=LIMIT_S), "a played node did not come"
        return self

    def now(self) -> float:
        """The wall time of the nodes, in Unix seconds."""
        return FROZEN_AT if self._frozen else time.time()

    def hush(self, name: str, *, on: bool = True) -> None:
        """Let a node stay connected and measure nothing (`on`), or measure again."""
        (self._hushed.add if on else self._hushed.discard)(name)

    def leave(self, name: str) -> None:
        """End the session of this node until `come_back`. It then sends the samples of the meantime."""
        self._loop.call_soon_threadsafe(self._present[name].clear)

    def come_back(self, name: str) -> None:
        """Let a node that left open a session again."""
        self._loop.call_soon_threadsafe(self._present[name].set)

    def hold_cpu(self, name: str, percent: float) -> None:
        """From now on the CPU of this node varies around this percentage."""
        self._steady[name] = percent

    async def greet(self, agent: TestAgent, node: Enrolled) -> None:
        if node.name in self._sent:
            await self._greet_again(agent, node)
            return
        star, now = BY_STAR[node.name], self.now()
        until_s = int(now) if star.mood != "quiet" else int(now) - self._quiet_s
        await agent.say(identity(star, now, self._version), Updates(*star.updates, int((now - 1260) * 1000)))
        seq = agent.acked[STREAM_LIVE] + 1
        sent = {seq - 1: until_s}
        for family, interval_s in (("breathe", 60), ("pulse", 1)):
            layout = layout_of(family, interval_s, series_of(star)[family])
            await agent.say(layout)
            seconds = [at for at in range(until_s - PAST_S, until_s + 1) if at % interval_s == 0 or at == until_s]
            # A restart of the network: half a minute in which nothing was measured.
            seconds = [at for at in seconds if not until_s - 150 < at < until_s - 115 or star.name != "db-01"]
            for start in range(0, len(seconds), PACK_ROWS):
                coding, body = pack_rows(rows_of(star, layout, seconds[start : start + PACK_ROWS]))
                await agent.say(Pack(STREAM_LIVE, seq, layout.layout, coding, body))
                seq += 1
        total, security = star.updates
        newer = [(name, old, new, "yes" if place < security else "no", "main") for place, (name, old, new) in enumerate(UPDATES[:total])]
        await agent.say(*tables(star, now), table("updates", now, *newer, total=total))
        held = {name: old for name, old, _ in UPDATES} | {"bash": "5.2.15-2+b8", "vim": "2:9.0.1378-2"}
        await agent.expect(PackagesHeld)
        await agent.say(*messages("", digest_of(held), [(name, held[name]) for name in sorted(held)]))
        lines = [
            (3, "certbot.service", "Challenge failed for domain www.example.org"),
            (4, "kernel", "TCP: request_sock_TCP: Possible SYN flooding on port 443."),
        ]
        at_ms = [int((now - 600 + 200 * place) * 1000) for place in range(len(lines))]
        await agent.say(LogLines("", "c1", 0, at_ms, [line[0] for line in lines], [line[1] for line in lines], [line[2] for line in lines]))
        await agent.wait_acked(seq - 1, limit_s=LIMIT_S)
        self._sent[node.name] = {**sent, seq - 1: until_s}
        if star.mood == "gone":
            self._present[star.name].clear()
            await agent.close()
        self._told.release()

    async def _greet_again(self, agent: TestAgent, node: Enrolled) -> None:
        """Greet the hub after a lost session, and continue after the last pack that it has stored."""
        star, sent = BY_STAR[node.name], self._sent[node.name]
        held = agent.acked[STREAM_LIVE]
        self._sent[node.name] = {held: sent.get(held, int(self.now()))}
        await agent.say(
            identity(star, self.now(), self._version),
            *(layout_of(family, interval_s, series_of(star)[family]) for family, interval_s in (("breathe", 60), ("pulse", 1))),
        )

    async def _play_one(self, agent: TestAgent, node: Enrolled) -> None:
        agent.features = [JOURNAL, LOOKS]
        ticking = asyncio.get_running_loop().create_task(self._tick(agent, BY_STAR[node.name]), name=f"ticks of {node.name}")
        try:
            while True:
                with contextlib.suppress(AgentClosed, OSError, TimeoutError, aiohttp.ClientError):
                    await super()._play_one(agent, node)
                agent.link = None
                await asyncio.sleep(0.3)
                await self._present[node.name].wait()
        finally:
            ticking.cancel()

    async def _tick(self, agent: TestAgent, star: Star) -> None:
        """Send the new rows every `every_s` seconds. A frozen, quiet or hushed node sends a heartbeat instead."""
        pulse = layout_of("pulse", 1, series_of(star)["pulse"])
        while True:
            await asyncio.sleep(self._every_s - time.time() % self._every_s)
            if agent.link is None or star.name not in self._sent:
                continue
            if not self._present[star.name].is_set():
                await agent.close()
                continue
            with contextlib.suppress(OSError, aiohttp.ClientError):  # the session ends under it, which the reader sees too
                if self._frozen or star.mood == "quiet" or star.name in self._hushed:
                    await agent.say(Heartbeat(int(self.now() * 1000)))
                else:
                    await self._go_on(agent, star, pulse)

    async def _go_on(self, agent: TestAgent, star: Star, pulse: Layout) -> None:
        """Send the rows of the seconds since the last pack."""
        sent = self._sent[star.name]
        seq = max(sent)
        seconds = range(sent[seq] + 1, int(time.time()) + 1)[:PACK_ROWS]
        if not seconds:
            return
        busy = star._replace(cpu=self._steady.get(star.name, star.cpu))
        breathe = layout_of("breathe", 60, series_of(star)["breathe"])
        for layout, due in ((breathe, [at for at in seconds if at % 60 == 0]), (pulse, seconds)):
            if not due:
                continue
            seq += 1
            coding, body = pack_rows(rows_of(busy, layout, due))
            sent[seq] = seconds[-1]
            sent.pop(seq - KEPT_PACKS, None)
            await agent.say(Pack(STREAM_LIVE, seq, layout.layout, coding, body))

    async def answer(self, agent: TestAgent, node: Enrolled, told: Message | None) -> None:
        """Answer a request for a journal or a job. A plan succeeds. Any other job stays at 62 % on edge-ams, fails on mail-01, and succeeds on
        other nodes."""
        if isinstance(told, JournalRequest):
            texts = [
                "Starting " + told.unit,
                "Challenge failed for domain www.example.org",
                told.unit + ": Failed with result 'exit-code'.",
            ]
            at_ms = [int((self.now() - 60 + place) * 1000) for place in range(len(texts))]
            await agent.say(JournalAnswer(told.request, "", "", 0, at_ms, [6, 3, 4], texts))
        if not isinstance(told, JobStart):
            return
        order = open_order(node.launch_key, told.order)
        self.orders.append((node.name, order))
        now_ms = int(self.now() * 1000)
        times: dict[str, Any] = {"started_at_ms": now_ms - 72_000, "ended_at_ms": now_ms - 4000}
        await agent.say(JobAnswer(told.job, "accepted", "", now_ms))
        if order.verb == "plan":
            await agent.say(plan(told.job), ended(told.job, b"", change_packages=[], change_from=[], change_to=[], **times))
        elif node.name == "edge-ams":
            output = (
                b"".join(
                    b"Get:%d http://mirror.example/debian bookworm/main amd64 Packages [%d kB]\r\n" % (n, 300 + 7 * n) for n in range(1, 15)
                )
                + SLOW_LINE
            )
            await agent.say(JobOutput(told.job, 0, now_ms, output), JobProgress(told.job, now_ms, "commit", 62, "linux-image-amd64", ""))
        elif node.name == "mail-01":
            output = DONE_LINES + b"\x1b[31mdpkg: error processing package exim4 (--configure)\x1b[0m\r\n"
            why = "exim4 could not be configured: its script ended with 1"
            await agent.say(JobOutput(told.job, 0, now_ms, output), report(told.job))
            await agent.say(
                ended(told.job, output, state="failed", exit_code=100, error_code="job.packages_broken", error_text=why, **times)
            )
        else:
            changes: dict[str, Any] = {"change_packages": [name for name, _, _ in UPDATES[:2]], "change_from": [old for _, old, _ in UPDATES[:2]],
                       "change_to": [new for _, _, new in UPDATES[:2]]}  # fmt: skip
            await agent.say(JobOutput(told.job, 0, now_ms, DONE_LINES), ended(told.job, DONE_LINES, **changes, **times))


def plan(job: str) -> JobPlan:
    """The plan of an upgrade."""
    names, old, new = (list(column) for column in zip(*UPDATES[:7], strict=True))
    return JobPlan(
        job, 0, 1, "5e" * 32, names, old, new, ["yes", "yes", *["no"] * 5], ["bookworm-security"] * 2 + ["bookworm"] * 5, ["vim"], ["2:9.0.1378-2"], ["held"],
        48_234_112, 1_204_224, "yes", "a new kernel",
    )  # fmt: skip


def report(job: str) -> JobReport:
    """The report of a job that failed on one package."""
    diff = "--- /etc/exim4/exim4.conf\n+++ /etc/exim4/exim4.conf.dpkg-dist\n@@ -1 +1 @@\n-tls = no\n+tls = yes\n"
    return JobReport(
        job, "yes", "a new kernel", ["nginx.service", "ssh.service"], ["/etc/exim4/exim4.conf.dpkg-dist"], [diff], ["exim4.service"], []
    )


def order(hub: HubProcess, stage: Stage, name: str, action: str, state: str, **more: object) -> str:
    """Request a job and wait until it has this state. Returns: its id."""
    reply = hub.request("POST", f"/api/v1/nodes/{stage.ids[name]}/jobs", {"action": action, **more}, token=stage.token)
    assert reply.status == 202, reply.body
    job: str = reply.json["id"]
    wait_job(hub, job, state)
    return job


def wait_job(hub: HubProcess, job: str, state: str) -> None:
    """Wait until the job has this state. A running job must also have a progress."""
    deadline = time.monotonic() + LIMIT_S
    pause = threading.Event()
    while (stands := hub.job(job))["state"] != state or (state == "running" and stands["progress_percent"] is None):
        assert time.monotonic() < deadline, stands
        pause.wait(0.1)


def play_jobs(hub: HubProcess, stage: Stage) -> dict[str, str]:
    """A job that succeeded, one that failed, one that runs, and a batch. Returns their ids by these words."""
    found = {
        "succeeded": order(hub, stage, "web-01", "upgrade", "succeeded"),
        "failed": order(hub, stage, "mail-01", "full-upgrade", "failed"),
    }
    many = [stage.ids[name] for name in ("db-02", "queue-01", "edge-hel", "cache-01")]
    reply = hub.request("POST", "/api/v1/jobs", {"action": "upgrade", "nodes": many}, token=stage.token)
    assert reply.status < 300, reply.body
    found["batch"] = reply.json["id"]
    found["running"] = order(hub, stage, "edge-ams", "full-upgrade", "running")
    return found


def wait_told_of_who_left(hub: HubProcess, stage: Stage) -> None:
    """Wait until the hub has reported the `gone` nodes offline, some seconds after its start.

    Until then a page whose clock stands still says that they left before the hub's start.
    """
    left = {stage.ids[star.name] for star in STARS if star.mood == "gone"}
    deadline = time.monotonic() + LIMIT_S
    pause = threading.Event()
    while True:
        reply = hub.request("GET", "/api/v1/events?type=node_offline", token=stage.token)
        assert reply.status == 200, reply.body
        if left == {one["node_id"] for one in reply.json["events"]}:
            return
        assert time.monotonic() < deadline, reply.json
        pause.wait(0.3)


def frozen_hub(folder: Path) -> HubProcess:
    """A hub whose wall clock is frozen, and which ships a Spider of a fixed version."""
    return HubProcess(folder, args=["--agent-bundle", str(bundle_of(folder.parent, FROZEN_VERSION))], faults=[f"frozen-clock={FROZEN_AT}"])


def staged(folder: Path) -> Iterator[tuple[HubProcess, Stage, dict[str, str]]]:
    """For a fixture: a hub with a running clock, all nodes, and the jobs."""
    with HubProcess(folder) as hub, Stage(hub) as stage:
        yield hub, stage, play_jobs(hub, stage)
