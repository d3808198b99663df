"""What the handlers of samples need from a slice above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from groundcontrol.nodes.model import Node
from groundcontrol.samples.model import Damage


class DamageReports(Protocol):
    """Reports stored samples that cannot be read."""

    async def tell(self, node: Node, found: Sequence[Damage]) -> None:
        """Report what was not reported since the hub started; never raises because of the store."""
        ...
