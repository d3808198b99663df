"""What the handlers of nodes need from slices above: a node's connection and the agent that this hub ships."""

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
        """Whether it was connected before the hub restarted and may still come back."""
        ...

    def last_seen(self, node: Node) -> float | None: ...

    def skew(self, node: NodeId) -> float | None:
        """How far its clock is ahead, in seconds; None: unknown."""
        ...


class NewestValues(Protocol):
    """The newest values of nodes."""

    def latest(self, node: NodeId) -> dict[str, tuple[float | None, float]]:
        """By series: the newest value and its time."""
        ...

    def summary(self, node: NodeId, *, written: bool = False) -> Collection[SummaryFragment]:
        """What a list shows of it, a fragment for each family; `written`: it will be sent as JSON. Copy it to keep it: it follows new rows."""
        ...


class UnitJournals(Protocol):
    """Journals of connected nodes."""

    async def read_journal(self, node: NodeId, unit: str, lines: int, level: str) -> UnitLines:
        """The last lines of a unit's journal. level: warning or all.

        Raises: NodeOffline, Unavailable; JournalUnreadable: the node's Spider cannot do that.
        """
        ...


class NodeHealth(Protocol):
    """What is wrong with each node."""

    def of(self, node: Node) -> Health: ...


class ReceivedTables(Protocol):
    """Tables of connected nodes."""

    def tables(self, node: NodeId) -> Mapping[str, SubjectTable]:
        """By subject, from the present session; stored tables are not newer."""
        ...


class UnsavedReadings(Protocol):
    """Readings of the process history that have arrived and are not stored yet."""

    def reading(self, no: int, at: float) -> ProcessReading | None:
        """The last one of node number `no` at or before a time; None: none waits."""
        ...


class AgentBundle(NamedTuple):
    """The agent that this hub installs: its version and its program."""

    version: str
    bundle: bytes
