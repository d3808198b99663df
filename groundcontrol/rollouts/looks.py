"""What a node shows now, for hard gates. Behind an interface, so that looks of the agent itself can take its place."""

from __future__ import annotations

import re
from typing import Final, Protocol

from groundcontrol.agents.registry import Registry
from groundcontrol.core.ids import NodeId
from groundcontrol.core.tables import SubjectTable, TableCell
from groundcontrol.nodes.interfaces import NewestValues, Presence, ReceivedTables
from groundcontrol.rollouts.gates import EPHEMERAL_PORT, Look

_MOUNTED: Final = re.compile(r"filesystem\.used\{mount=(.+)\}\Z")


class Looks(Protocol):
    """The source of looks."""

    def look(self, node: NodeId) -> Look | None:
        """What the node shows now; None: it is not connected, or has sent no sample yet."""
        ...


class TableLooks:
    """Looks made from the tables and newest samples that the node sends anyway."""

    def __init__(self, registry: Registry, tables: ReceivedTables, newest: NewestValues, presence: Presence) -> None:
        self._registry = registry
        self._tables = tables
        self._newest = newest
        self._presence = presence

    def look(self, node: NodeId) -> Look | None:
        session = self._registry.current(node)
        latest = self._newest.latest(node)
        if session is None or not latest:
            return None
        tables = self._tables.tables(node)
        services, units, listening = tables.get("services"), tables.get("units"), tables.get("listening")
        faults = _rows(tables.get("package_faults"), "package")
        return Look(
            at=max(at for _, at in latest.values()),
            boot=session.boot,
            failed_units=_names(services, "unit", "failed"),
            running_units=_names(units, "unit", "running"),
            restarts=_restarts(services),
            ports=_ports(listening),
            mounts=tuple(sorted(mount for mount, _ in _mounts(latest))),
            full_percent=dict(_full(latest)),
            broken_packages=None if faults is None else tuple(sorted({str(row[0]) for row in faults if row[0]})),
            oom_kills=latest.get("memory.oom_kills", (None, 0.0))[0],
            clock_s=self._presence.skew(node),
        )


def _rows(table: SubjectTable | None, *columns: str) -> list[tuple[TableCell, ...]] | None:
    """These columns of a table, row by row; None: the node has not sent it, could not read it, or leaves one out."""
    if table is None or table.total < 0 or not set(columns) <= set(table.columns):
        return None
    width = len(table.columns)
    places = [table.columns.index(name) for name in columns]
    return [tuple(table.cells[start + place] for place in places) for start in range(0, len(table.cells), width)]


def _names(table: SubjectTable | None, column: str, state: str) -> tuple[str, ...] | None:
    rows = _rows(table, column, "state")
    return None if rows is None else tuple(sorted({str(row[0]) for row in rows if row[1] == state}))


def _restarts(table: SubjectTable | None) -> dict[str, int] | None:
    rows = _rows(table, "unit", "restarts")
    return None if rows is None else {str(row[0]): row[1] for row in rows if isinstance(row[1], int)}


def _ports(table: SubjectTable | None) -> tuple[str, ...] | None:
    rows = _rows(table, "protocol", "port", "service", "process")
    if rows is None:
        return None
    known = {
        f"{row[0]} {row[1]} {row[2] or row[3]}"
        for row in rows
        if isinstance(row[1], int) and row[1] < EPHEMERAL_PORT and (row[2] or row[3])
    }
    return tuple(sorted(known))  # a port without an owner may belong to another network namespace: nobody is to blame for it


def _mounts(latest: dict[str, tuple[float | None, float]]) -> list[tuple[str, float]]:
    found = ((_MOUNTED.match(name), value) for name, (value, _) in latest.items())
    return [(match[1], value) for match, value in found if match is not None and value is not None]


def _full(latest: dict[str, tuple[float | None, float]]) -> list[tuple[str, float]]:
    found = []
    for mount, used in _mounts(latest):
        free = latest.get(f"filesystem.free{{mount={mount}}}", (None, 0.0))[0]
        if free is not None and used + free > 0:
            found.append((mount, 100.0 * used / (used + free)))
    return found
