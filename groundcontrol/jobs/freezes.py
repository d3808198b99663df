"""The interface by which a later slice says which nodes must not be changed now."""

from __future__ import annotations

from typing import Protocol

from groundcontrol.nodes.model import Node


class Freezes(Protocol):
    """Freezes of nodes."""

    async def frozen(self, node: Node) -> str:
        """The name of the freeze that covers a node now; empty: none does."""
        ...
