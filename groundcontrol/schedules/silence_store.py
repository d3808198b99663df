"""The store interface of silent nodes and of the hub's own absences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from groundcontrol.schedules.silence import Absence, KnownNode, Stage


class SilenceStore(Protocol):
    """A start of the hub stores the absence before it, in the transaction that removes earlier hubs."""

    async def absences(self) -> Sequence[Absence]:
        """The stored absences, oldest first."""
        ...

    async def known_nodes(self) -> Sequence[KnownNode]:
        """The approved nodes that have had a session."""
        ...

    async def save_stage(self, node: KnownNode, stage: Stage, silence_s: float) -> bool:
        """Record with an event that a silence has reached a stage. Returns: False: it was already recorded, or the node has a newer session."""
        ...

    async def save_recovery(self, node: KnownNode) -> bool:
        """Record with an event that a node has a session after a stage. Returns: False: it was already recorded, or there is no such session."""
        ...
