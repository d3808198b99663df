"""The store interface of silent nodes and of the hub's own absences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from groundcontrol.alerts.silence import Absence, KnownNode, Stage


class SilenceStore(Protocol):
    """A start of the hub notes the absence before it, in the transaction that forgets the hubs before."""

    async def absences(self) -> Sequence[Absence]:
        """In the order of the starts of hubs."""
        ...

    async def known_nodes(self) -> Sequence[KnownNode]:
        """The nodes that have had a session; without those that wait for approval."""
        ...

    async def save_stage(self, node: KnownNode, stage: Stage, silence_s: float) -> bool:
        """Record that a silence has reached a stage, with its event. Returns: False: it is recorded, or the node has a newer session."""
        ...

    async def save_recovery(self, node: KnownNode) -> bool:
        """Record that a node has a session after its stage, with its event. Returns: False: it is recorded, or it has none."""
        ...
