"""Simulated hosts: their values, identity, tables and packages."""

from __future__ import annotations

import math
import os
import random
import time
from pathlib import Path

from spider.packages.plan import Planned
from spider.sampling.collectors.base import Collector
from spider.sampling.collectors.host_look import HostLook, Mounted, Units
from spider.sampling.collectors.table_reader import Reading
from spider.version import VERSION
from spider.wire.metrics import METRICS, parse_series
from spider.wire.report_messages import Identity

ROLES = ("web", "db", "cache", "queue", "build", "mail", "backup", "edge")
SYSTEMS = (("debian", "Debian GNU/Linux", "12"), ("ubuntu", "Ubuntu", "24.04"), ("rocky", "Rocky Linux", "9.4"), ("arch", "Arch Linux", ""))
GIB = 2**30
SIMULATED = frozenset(
    [
        *("cpu.total", "cpu.user", "cpu.system", "cpu.iowait", "cpu.steal", "cpu.core", "load.1", "load.5", "load.15"),
        *("memory.total", "memory.used", "memory.available", "memory.cached", "memory.buffers", "swap.total", "swap.used"),
        *("disk.read", "disk.written", "disk.busy", "network.received", "network.sent", "temperature"),
        *("filesystem.size", "filesystem.used", "filesystem.inodes_used", "cpu.throttles", "memory.oom_kills"),
        *(name for name in METRICS if name.startswith("tcp.") and METRICS[name].family == "pulse"),
    ]
)
"""The metrics for which a simulated host has a plausible value."""
HOT_PERCENT = 20.0
"""A processor this far above its usual load is throttled."""
SCARCE_SHARE = 0.75
"""With more than this share of memory in use, a jump of the load may kill a process."""


class Host:
    """A simulated host. Its name decides size, system and load, so they are the same at each start. The boot time is not."""

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
        self.throttles = self.oom_kills = 0
        self.system = dice.choice(SYSTEMS)
        self.booted_at = time.time() - dice.uniform(0.2, 200) * 86400

    def step(self) -> None:
        """Advance by one second: the load drifts, and sometimes jumps."""
        self.wander = self.wander * 0.92 + self.dice.gauss(0, 2.2) + (self.dice.uniform(10, 40) if self.dice.random() < 0.004 else 0)
        if self.wander > HOT_PERCENT:
            self.throttles += self.dice.randrange(1, 20)
            self.oom_kills += self.memory_share > SCARCE_SHARE and self.dice.random() < 0.05

    def busy(self) -> float:
        """The load of all cores together, in percent."""
        slow = 6 * math.sin(time.time() / 300 + self.phase)
        return min(100.0, max(0.3, self.load + slow + self.wander))

    def value(self, metric: str) -> float:
        """The current value of a metric of SIMULATED, in the unit of the catalogue."""
        busy = self.busy()
        share = {"cpu.total": 1.0, "cpu.user": 0.68, "cpu.system": 0.25, "cpu.iowait": 0.05, "cpu.steal": 0.0, "cpu.core": 1.0}
        if metric in share:
            return min(100.0, busy * share[metric] * (self.dice.uniform(0.6, 1.4) if metric == "cpu.core" else 1))
        used = self.memory * min(0.97, self.memory_share + busy / 2500)
        sizes = {
            "memory.total": self.memory, "memory.used": used, "memory.available": self.memory - used, "memory.cached": (self.memory - used) * 0.6,
            "memory.buffers": self.memory * 0.01, "swap.total": GIB, "swap.used": GIB * self.memory_share * 0.1,
            "filesystem.size": self.disk, "filesystem.used": self.disk * self.disk_share, "filesystem.inodes_used": 30 * self.disk_share,
            "disk.busy": busy / 3, "temperature": 38 + busy * 0.4, "cpu.throttles": self.throttles, "memory.oom_kills": self.oom_kills,
        }  # fmt: skip
        if metric in sizes:
            return sizes[metric]
        if metric.startswith("load."):
            return busy / 100 * self.cores * {"1": 1.0, "5": 0.95, "15": 0.9}[metric[5:]]
        if metric.startswith(("network.", "disk.")):
            return self.traffic * self.dice.uniform(0.4, 1.6) * (0.3 if metric in {"network.sent", "disk.read"} else 1)
        return float({"tcp.established": 40, "tcp.listen": 12}.get(metric, 2)) * self.dice.uniform(0.8, 1.2)

    def identity(self) -> Identity:
        """The host's identity, as an agent sends it. Machine id, address and a due reboot are new in each one."""
        system, title, version = self.system
        return Identity(
            self.name, os.urandom(16).hex(), system, title, version, "6.1.0-38-amd64", "x86_64", "kvm", "Simulated CPU", self.cores, int(self.memory),
            "apt" if system in {"debian", "ubuntu"} else "dnf" if system == "rocky" else "pacman", "Etc/UTC", int(self.booted_at * 1000),
            [f"192.0.2.{self.dice.randrange(1, 255)}"], VERSION, "managed", [], self.dice.choice(("no", "no", "no", "yes")),
        )  # fmt: skip


class SimulatedCollector(Collector):
    """All series of one family of a simulated host."""

    def __init__(self, host: Host, family: str) -> None:
        super().__init__()
        self.family = family
        self._host = host
        labels = {
            "core": [str(core) for core in range(host.cores)],
            "device": ["sda"],
            "interface": ["eth0"],
            "mount": ["/"],
            "sensor": ["package"],
        }
        for metric in METRICS.values():
            if metric.family == family and metric.name in SIMULATED:
                names = [f"{metric.name}{{{label}={value}}}" for label in metric.labels for value in labels[label]]
                self._series += names or [metric.name]
        self._metrics = [parse_series(name)[0] for name in self._series]

    def read(self, now: float) -> list[int | None]:
        del now
        if self.family == "pulse":
            self._host.step()
        return [round(self._host.value(metric.name) * metric.scale) for metric in self._metrics]


class SimulatedProcesses:
    """The table of processes of a simulated host."""

    subject = "processes"

    def __init__(self, host: Host) -> None:
        self._host = host
        self._names = [
            ("systemd", "root"),
            ("sshd", "root"),
            ("nginx", "www-data"),
            ("postgres", "postgres"),
            ("python3", "app"),
            ("redis-server", "redis"),
        ]

    def read(self, now: float) -> Reading:
        del now
        started_at_ms = int(self._host.booted_at * 1000)
        busy, rows = self._host.busy(), []
        for rank, (name, user) in enumerate(self._names):
            cpu = round(busy * 100 / 2**rank)
            memory = int(self._host.memory * self._host.memory_share / 2 ** (rank + 1))
            rows.append(
                (rank + 1, started_at_ms, name, user, "sleeping", 1 + rank, cpu, memory, None, None, f"/usr/bin/{name} --simulated")
            )
        return Reading([tuple(row) for row in rows], 90 + self._host.cores * 12)


class SimulatedLooks:
    """What a roll-out's looks see of a simulated host. Units whose names stand in the file `broken`, one a line, have failed."""

    def __init__(self, host: Host, broken: Path) -> None:
        self._host = host
        self._broken = broken

    def look(self, now: float) -> HostLook:
        del now
        failed = sorted(self._broken.read_text().split()) if self._broken.exists() else []
        active = [name for name in ("cron.service", "nginx.service", "ssh.service") if name not in failed]
        ports = [port for port in ("tcp 22 ssh.service", "tcp 80 nginx.service") if port.rpartition(" ")[2] in active]
        return HostLook(
            Units(failed, [], active, {}), ports, {"/": Mounted(round(100 * self._host.disk_share), False)}, self._host.oom_kills, []
        )


NEWER = tuple(
    (f"{stem}{end}", f"{major}.{minor}", stem in {"openssl", "openssh-", "linux-image-", "sudo"})
    for major, (stem, ends) in enumerate((
        ("openssl", ("", "-provider")), ("libssl", ("3", "-dev")), ("openssh-", ("client", "server")), ("linux-image-", ("amd64", "cloud")),
        ("sudo", ("",)), ("curl", ("", "-doc")), ("libcurl", ("4", "4-dev")), ("nginx", ("", "-common", "-core")), ("python3.", ("11", "11-minimal")),
        ("vim", ("", "-common", "-runtime")), ("git", ("", "-man")), ("tzdata", ("",)), ("systemd", ("", "-sysv")), ("perl", ("", "-base")),
    ), 1)
    for minor, end in enumerate(ends, 4)
)  # fmt: skip
"""Name, version and whether it is a security update: the updates of simulated hosts."""


class SimulatedUpdates:
    """The table of available updates of a simulated host."""

    subject = "updates"

    def __init__(self, host: Host) -> None:
        dice = random.Random(host.name + " updates")
        total = dice.choice((0, 0, 2, 7, 23))
        chosen = dice.sample(NEWER, total)
        self.security = sum(1 for _, _, security in chosen if security)
        where = host.system[0]
        self.planned = sorted(
            Planned(
                name, f"{version}.0-1", f"{version}.{dice.choice((1, 1, 1, 2))}-1", "yes" if security else "no",
                f"{where}-security" if security else where,
            )
            for name, version, security in chosen
        )  # fmt: skip
        self.total = total

    def read(self, now: float) -> Reading:
        del now
        return Reading([tuple(one) for one in self.planned], self.total)


class SimulatedServices:
    """The table of failed services of a simulated host: there are none."""

    subject = "services"

    def read(self, now: float) -> Reading:
        del now
        return Reading([], 0)


def install(host: Host, root: Path) -> None:
    """Write the package database of a simulated host below `root`, in apk's format, which is the simplest."""
    database = root / "lib/apk/db/installed"
    database.parent.mkdir(parents=True, exist_ok=True)
    dice = random.Random(host.system[0])
    names = [f"lib{stem}{number}" for stem in ("ssl", "crypto", "z", "xml", "curl", "gcc", "perl", "python") for number in range(60)]
    database.write_text("".join(f"P:{name}\nV:{dice.randrange(9)}.{dice.randrange(20)}.{dice.randrange(9)}-1\n\n" for name in names))
