"""Reports corrupt stored samples: one event for each corrupt range, however many readers find it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from groundcontrol.agents.node_events import NodeEvents
from groundcontrol.nodes.model import Node
from groundcontrol.samples.model import Damage
from spider.logs import event

log = logging.getLogger(__name__)

MOST_TOLD: Final = 1024
"""Events at most. On a failing disk, `stardust doctor` says more than a thousand events."""


class CorruptionReporter:
    """Emits the events, and remembers what this process has reported."""

    def __init__(self, events: NodeEvents) -> None:
        self._events = events
        self._told: set[tuple[int, Damage]] = set()

    async def tell(self, node: Node, found: Sequence[Damage]) -> None:
        """Emit events for ranges not reported since the hub started. A store error is never raised."""
        new = [one for one in found if (node.no, one) not in self._told]
        for one in new[: MOST_TOLD - len(self._told)]:
            self._told.add((node.no, one))
            event(log, "history_damaged", logging.ERROR, node=node.id, **one._asdict())
            await self._events.history_damaged(node, one)
