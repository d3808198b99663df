"""Stored samples that cannot be read any more: an event for each place, by whoever meets it first."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from groundcontrol.bus.base import Bus, Changed
from groundcontrol.domain.history import Damage
from groundcontrol.domain.ids import EventId
from groundcontrol.domain.log import Event
from groundcontrol.domain.nodes import Node
from groundcontrol.errors import HubError
from groundcontrol.store.base import Store
from spider.clock import Clock
from spider.logs import event
from spider.wire.ids import new_time_id

log = logging.getLogger(__name__)

MOST_TOLD: Final = 1024
"""Of a disk that fails all over the doctor tells more than a thousand events."""


class Damages:
    """What this process has told of."""

    def __init__(self, store: Store, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._told: set[tuple[int, Damage]] = set()

    async def tell(self, node: Node, found: Sequence[Damage]) -> None:
        """Tell of what nobody was told of since the hub has started; never raises because of the store."""
        new = [one for one in found if (node.no, one) not in self._told]
        for one in new[: MOST_TOLD - len(self._told)]:
            self._told.add((node.no, one))
            event(log, "history_damaged", logging.ERROR, node=node.id, **one._asdict())
            at = self._clock.now()
            since, until = (time.strftime("%Y-%m-%d %H:%M", time.gmtime(edge)) for edge in (one.start, one.end))
            text = (
                f"something that {node.name} measured between {since} and {until} UTC cannot be read any more: stardust doctor tells more"
            )
            told = Event(
                EventId(new_time_id(at)), node.org, "node.history_damaged", "error", "hub", at, node.id, text, dict(one._asdict()),
            )  # fmt: skip
            try:
                await self._store.log.add_event(told)
            except HubError as exc:
                event(log, "event_lost", logging.WARNING, type=told.type, node=node.id, error=exc.code)
                continue
            self._bus.publish(Changed("event", told.id, 1))
