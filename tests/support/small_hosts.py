"""Lab hosts that are small machines of their own: a quarter of a core and half a gigabyte, read from the host's cgroup and not from the machine's.

Lab hosts see /proc of the machine, whose load other work makes. Here each host sees its own, so that a test may load one of them, and only a
little of the machine. The past that a roll-out compares with is what the host showed at rest, repeated over the hours before.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Final, NamedTuple, Self

from groundcontrol.adapters.sqlite.database import CONTROL_NAME, open_database
from groundcontrol.core.ids import BootId, HubId, NodeId
from groundcontrol.nodes.model import Session
from groundcontrol.samples.model import StoredPack
from groundcontrol.samples.query import WindowBuilder
from spider.clock import SystemClock
from spider.wire.ids import new_time_id
from tests.support import lab as labs
from tests.support.eventually import wait_until
from tests.support.factories import layout_row, pack_body
from tests.support.history_rows import HOUR_MS, Rows
from tests.support.store_backend import AUDIT_KEY

CORE: Final = 0.25
"""How much of a core of the machine each host has."""
MEMORY_MB: Final = 512
EVERY_S: Final = 0.25
TICKS: Final = 100
FILE_BYTES: Final = 2048
PERIOD_US: Final = 100_000
SERIES: Final = ("cpu.total", "memory.used", "memory.total")
RESTING_S: Final = 10.0
RESTS_BELOW: Final = 0.25
REST_LIMIT_S: Final = 600.0
REST_S: Final = 60
"""How long a host has been at rest when its past is made."""
BEFORE: Final = BootId("0e" * 16)
"""The boot of the host in its past."""
STEP_MS: Final = 5000
_FOLDER: Final = "/run/lab-numbers"
_UNIT: Final = (
    f"mkdir -p {_FOLDER} /etc/systemd/system/stardust-spider.service.d; cd {_FOLDER}; truncate -s {FILE_BYTES} stat meminfo; : > diskstats;"
    f" printf '[Service]\nBindReadOnlyPaths={_FOLDER}/stat:/proc/stat {_FOLDER}/meminfo:/proc/meminfo {_FOLDER}/diskstats:/proc/diskstats\n'"
    " > /etc/systemd/system/stardust-spider.service.d/numbers.conf; systemctl daemon-reload"
)
"""The unit has its own /proc, so mounts in that of the host are not seen by the agent. The disks are the machine's, so a host has none."""


class _Seen:
    """One host: its files in /proc, and the groups of the machine that count for it."""

    def __init__(self, host: labs.Host) -> None:
        inside = Path(f"/proc/{labs.program().leader(host.name)}/root{_FOLDER}")
        self._stat, self._meminfo = (os.open(inside / name, os.O_WRONLY | os.O_CLOEXEC) for name in ("stat", "meminfo"))
        self._cpu, self._memory = _group(host, "cpuacct") / "cpuacct.usage", _group(host, "memory") / "memory.stat"
        self._at = time.monotonic()
        self._used = int(self._cpu.read_text())
        self._busy = self._idle = 0.0
        self._checked = (self._at, self._used)

    def rests(self) -> bool:
        """Whether it has done little since the last call."""
        at, used = time.monotonic(), int(self._cpu.read_text())
        (before, used_before), self._checked = self._checked, (at, used)
        return at - before < 2 * RESTING_S and (used - used_before) / 1e9 / CORE < RESTS_BELOW * (at - before)

    def write(self) -> None:
        """What the host reads now. The files keep their length, so a reader sees no half of one.

        While its set-up uses more of the machine than it has, it is simply busy.
        """
        at, used = time.monotonic(), int(self._cpu.read_text())
        passed, worked = at - self._at, (used - self._used) / 1e9 / CORE
        self._at, self._used = at, used
        self._busy += min(passed, worked)
        self._idle += max(0.0, passed - worked)
        cpu = f"{self._busy * TICKS:.0f} 0 0 {self._idle * TICKS:.0f} 0 0 0 0 0 0"
        boot = time.time() - self._busy - self._idle
        stat = f"cpu  {cpu}\ncpu0 {cpu}\nintr 0\nctxt 0\nbtime {boot:.0f}\nprocesses 0\nprocs_running 1\nprocs_blocked 0\n"
        found = dict(line.split() for line in self._memory.read_text().splitlines())
        total = MEMORY_MB << 10
        free = max(0, total - (int(found["total_rss"]) + int(found["total_shmem"])) // 1024)
        sizes = {"MemTotal": total, "MemFree": free, "MemAvailable": free}
        sizes |= dict.fromkeys(("Buffers", "Cached", "SwapCached", "SwapTotal", "SwapFree", "Shmem", "SReclaimable"), 0)
        meminfo = "".join(f"{name}: {size} kB\n" for name, size in sizes.items())
        for file, text in ((self._stat, stat), (self._meminfo, meminfo)):
            os.pwrite(file, text.encode().ljust(FILE_BYTES, b"\n"), 0)

    def close(self) -> None:
        os.close(self._stat)
        os.close(self._meminfo)


class SmallHosts:
    """Keeps what the hosts read in /proc/stat and /proc/meminfo while it is entered."""

    def __init__(self, hosts: Sequence[labs.Host]) -> None:
        self._hosts = list(hosts)
        self._seen: list[_Seen] = []
        self._done = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="small-hosts", daemon=True)

    def __enter__(self) -> Self:
        for host in self._hosts:
            host.sh(_UNIT)
            self._seen.append(_Seen(host))
            self._seen[-1].write()
        self._keeper.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._keeper.join()
        for one in self._seen:
            one.close()

    def settle(self) -> None:
        """Wait until the hosts are at rest. From then on none gets more of the machine than it has; until then its set-up is quick."""
        wait_until(
            lambda: all([one.rests() for one in self._seen]),  # noqa: C419  # each is asked at each look
            REST_LIMIT_S, what="the hosts are at rest", poll_s=RESTING_S,
        )  # fmt: skip
        for host in self._hosts:
            group = _group(host, "cpu")
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(int(PERIOD_US * CORE)))

    def _keep(self) -> None:
        while not self._done.wait(EVERY_S):
            for one in self._seen:
                one.write()


def _group(host: labs.Host, controller: str) -> Path:
    """The control group of a host. Raises: AssertionError: this machine has no such hierarchy (cgroup v1)."""
    program = labs.program()
    found = [Path(where, program.CGROUP, host.name) for where, name in program.cgroup_mounts() if name == controller]
    assert found, f"this machine has no cgroup v1 hierarchy {controller}"
    return found[0]


class Rest(NamedTuple):
    """What a host shows at rest, in percent."""

    cpu: float
    memory: float


def give_past(folder: Path, nodes: Sequence[str], hours: int = 2) -> list[Rest]:
    """Repeat what each node showed in the last minute over the hours before it was deployed. The hub must not run.

    Returns: what they showed.
    """
    return asyncio.run(_give_past(folder, nodes, hours))


async def _give_past(folder: Path, nodes: Sequence[str], hours: int) -> list[Rest]:
    sessions = {node: _last_session(folder, node) for node in nodes}
    database = await open_database(folder, clock=SystemClock())
    try:
        store = await database.store(audit_key=AUDIT_KEY, chain=new_time_id())
        found = []
        for node in nodes:
            session = sessions[node]
            newest = max(row.taken_at_ms for _, row in (await store.metrics.latest(session.no)).values())
            window = WindowBuilder(SERIES, newest / 1000 - REST_S, newest / 1000, REST_S // 2)
            await store.metrics.window(session.no, window)
            shown = {name: median(one for one in each.avg if one is not None) for name, each in window.finish().series.items()}
            pieces = store.metrics.read(session.no, newest / 1000 - 3600, newest / 1000, ["pulse"])
            first = min([row.taken_at_ms async for _, rows in pieces for row in rows])
            layout = layout_row("pulse", SERIES)
            cpu, used, total = (shown[name] for name in SERIES)
            # a little up and down, as each machine has
            past: Rows = [
                (at, [round(100 * cpu) + at // STEP_MS % 3 * 50, round(used), round(total)])
                for at in range(first - hours * HOUR_MS, first - 1000, STEP_MS)
            ]
            await store.metrics.begin_session(session)
            await store.metrics.save_schema(session, layout)
            pack = StoredPack(session, 0, 0, layout.schema_id, past[0][0], past[-1][0], 1, pack_body(past))
            await store.metrics.append([pack])
            found.append(Rest(cpu, 100 * used / total))
        return found
    finally:
        await database.close()


def _last_session(folder: Path, node: str) -> Session:
    """The session that a node had last, as if its host had been started before that."""
    with closing(sqlite3.connect(folder / CONTROL_NAME)) as database:
        sql = "SELECT node.no, epoch, hub, org FROM node_session JOIN node ON node.no = node_session.node WHERE node.id = ?"
        no, epoch, hub, org = database.execute(sql, (node,)).fetchone()
    return Session(NodeId(node), no, epoch, HubId(hub), BEFORE, org)
