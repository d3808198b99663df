"""What a node shows: the runs of looks of its agent, with what the hub knows of it by its session, samples and tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from groundcontrol.agents.registry import Registry
from groundcontrol.core.ids import NodeId
from groundcontrol.core.steady_clock import JumpWatch
from groundcontrol.core.tables import SubjectTable
from groundcontrol.nodes.interfaces import NewestValues, Presence, ReceivedTables
from groundcontrol.nodes.looks import LookRun, LooksState, LookWish, ReceivedLooks
from groundcontrol.rollouts.gates import Look, Run
from spider.clock import Clock

_MOUNTED: Final = re.compile(r"filesystem\.used\{mount=(.+)\}\Z")


DISK_BUSY: Final = "disk.busy{"
MOST_DISKS: Final = 16
OF_SERVICES: Final = ("service.cpu{", "service.memory{", "container.cpu{", "container.memory{")
MOST_SERVICES: Final = 180


STEP_S: Final = 1.0
"""A change of the hub's clock that counts as set. Both of its clocks are slewed alike."""
STEPPED_S: Final = 86_400.0
"""So long after that, no node's clock is compared with what it was. A roll-out rarely lasts longer."""


class HostState(NamedTuple):
    """What the hub knows of a connected node without looks."""

    heard_to: float
    """The time of its newest sample, by its own clock."""
    boot: str
    broken_packages: tuple[str, ...] | None
    clock_s: float | None
    """How far its clock is from the hub's; None: not measured, or the hub's own clock was set."""
    full_percent: Mapping[str, float]
    disks: tuple[str, ...] = ()
    """The series of its disks: how long each was busy."""
    services: tuple[str, ...] = ()
    """The series of CPU and memory of its services and containers."""


class Looks:
    """The source of looks."""

    def __init__(
        self, registry: Registry, tables: ReceivedTables, newest: NewestValues, presence: Presence, looks: ReceivedLooks, clock: Clock
    ) -> None:
        self._registry = registry
        self._tables = tables
        self._newest = newest
        self._presence = presence
        self._looks = looks
        self._steady = JumpWatch(clock, STEPPED_S, STEP_S)

    def host(self, node: NodeId) -> HostState | None:
        """None: it is not connected, or has sent no sample yet."""
        session = self._registry.current(node)
        latest = self._newest.latest(node)
        if session is None or not latest:
            return None
        return HostState(
            max(at for _, at in latest.values()),
            session.boot,
            _broken(self._tables.tables(node).get("package_faults")),
            self._presence.skew(node) if self._steady.is_steady() else None,  # it would seem that the clock of each node had moved
            dict(_full(latest)),
            tuple(sorted(name for name in latest if name.startswith(DISK_BUSY))[:MOST_DISKS]),
            tuple(sorted(name for name in latest if name.startswith(OF_SERVICES))[:MOST_SERVICES]),
        )

    async def keep(self, wanted: Mapping[NodeId, LookWish]) -> None:
        """Have exactly these nodes looked at."""
        await self._looks.keep(wanted)

    def state(self, node: NodeId) -> LooksState:
        return self._looks.state(node)

    def runs(self, node: NodeId, order: str, since: float = 0.0) -> list[Run]:
        """The looks since a time of the node's clock. What the hub knows besides is part of the newest one."""
        found = [Run(_look(run), count, run.to_at) for run in self._looks.runs(node, order) if (count := run.since(since))]
        host = self.host(node)
        if found and host is not None:
            newest = found[-1].look._replace(boot=host.boot, broken_packages=host.broken_packages, clock_s=host.clock_s)
            found[-1] = found[-1]._replace(look=newest)
        return found

    def coverage(self, node: NodeId, order: str, start: float, end: float) -> float:
        """The share of a time, by the clock of the node, in which it was looked at."""
        if end - start < GAP_S:
            return 1.0
        spans = ((max(run.from_at, start), min(run.to_at + GAP_S, end)) for run in self._looks.runs(node, order))
        return min(1.0, sum(max(0.0, until - begin) for begin, until in spans) / (end - start))


GAP_S: Final = 15.0
"""Looks are up to so far apart: a look stands for the time after it."""


def _look(run: LookRun) -> Look:
    full = None if run.mounts is None else {mount: float(percent) for mount, percent in run.mounts.items() if percent is not None}
    return Look(
        at=run.from_at,
        failed_units=run.failed,
        restarting_units=run.restarting,
        running_units=run.active,
        restarts=None if run.restarts is None else dict(run.restarts),
        ports=run.ports,
        mounts=None if run.mounts is None else tuple(sorted(run.mounts)),
        full_percent=full,
        read_only=run.read_only,
        oom_kills=run.oom_kills,
        probes=dict(run.probes),
        absent=tuple(sorted(run.absent)),
    )


def _broken(table: SubjectTable | None) -> tuple[str, ...] | None:
    """None: the node has not sent the table, or could not read it."""
    if table is None or table.total < 0 or "package" not in table.columns:
        return None
    names = table.cells[table.columns.index("package") :: len(table.columns)]
    return tuple(sorted({str(name) for name in names if name}))


def _full(latest: Mapping[str, tuple[float | None, float]]) -> Sequence[tuple[str, float]]:
    found = []
    for name, (used, _) in latest.items():
        match = _MOUNTED.match(name)
        free = latest.get(f"filesystem.free{{mount={match[1]}}}", (None, 0.0))[0] if match else None
        if match and used is not None and free is not None and used + free > 0:
            found.append((match[1], 100.0 * used / (used + free)))
    return found
