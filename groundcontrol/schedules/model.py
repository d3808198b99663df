"""Values of schedules and alerts: which nodes are meant, and how bad it is."""

from __future__ import annotations

from typing import Literal, NamedTuple, NewType

from groundcontrol.core.ids import NodeId

MaintenanceId = NewType("MaintenanceId", str)
Level = Literal["warning", "critical"]


class Selector(NamedTuple):
    """Selects all nodes, or nodes by tags and ids. A node needs one of the tags. An empty selector selects none."""

    all: bool = False
    tags: tuple[str, ...] = ()
    nodes: tuple[NodeId, ...] = ()

    def selects(self, node: NodeId, tags: tuple[str, ...]) -> bool:
        return self.all or node in self.nodes or any(tag in tags for tag in self.tags)
