"""Interfaces that the nodes slice uses and that later slices implement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.core.tables import SubjectTable
from groundcontrol.nodes.model import Health, Node, UnitLines
from groundcontrol.nodes.processes import ProcessReading
from groundcontrol.nodes.summary import SummaryFragment


class Presence(Protocol):
    """Which nodes are connected."""

    def online(self, node: NodeId) -> bool: ...

    def reconnecting(self, node: NodeId) -> bool:
        """Whether the node was connected before the hub restarted, and may still come back."""
        ...

    def last_seen(self, node: Node) -> float | None:
        """Unix seconds; None: never."""
        ...

    def skew(self, node: NodeId) -> float | None:
        """Seconds by which the node's clock is ahead; None: unknown."""
        ...


class NewestValues(Protocol):
    """The newest values of nodes."""

    def latest(self, node: NodeId) -> dict[str, tuple[float | None, float]]:
        """Series -> the newest value and its time in Unix seconds."""
        ...

    def summary(self, node: NodeId, *, as_json: bool = False) -> Collection[SummaryFragment]:
        """The values of a node that lists show, a fragment for each family. New rows change the collection: copy it to keep it.

        Args: as_json: the caller sends the fragments as JSON.
        """
        ...


class UnitJournals(Protocol):
    """Journals of connected nodes."""

    async def read_journal(self, node: NodeId, unit: str, lines: int, level: str) -> UnitLines:
        """The last lines of a unit's journal. level: warning or all.

        Raises: NodeOffline; Unavailable: too many requests; JournalUnreadable: the node's agent is too old.
        """
        ...


class NodeHealth(Protocol):
    """The health of nodes."""

    def of(self, node: Node) -> Health: ...


class ReceivedTables(Protocol):
    """Tables of connected nodes."""

    def tables(self, node: NodeId) -> Mapping[str, SubjectTable]:
        """Subject -> the table that the node sent in its present session. Stored tables are not newer."""
        ...


class UnsavedReadings(Protocol):
    """Readings of the process history that have arrived and are not stored yet."""

    def reading(self, no: int, at: float) -> ProcessReading | None:
        """The last reading of node number `no` at or before a time in Unix seconds; None: no such reading waits to be stored."""
        ...


class AgentBundle(NamedTuple):
    """The agent that this hub installs: its version and its program."""

    version: str
    bundle: bytes
