"""Events of deployments and of nodes that come and go by them: one line each, whatever people and servers have put into it."""

from __future__ import annotations

from typing import Final

from groundcontrol.core.bus import Bus, Changed
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.events.model import Event, Severity
from groundcontrol.stores import Store
from majortom.errors import one_line
from spider.wire.ids import new_time_id

MAX_MESSAGE_CHARS: Final = 1000
"""Several of them go to every page at once."""


async def write_event(
    store: Store, bus: Bus, org: int, kind: str, severity: Severity, at: float, node: NodeId | None, text: str, details: dict[str, object]
) -> None:
    """Keep an event, and tell who looks.

    Args:   text: its message, as it came; what does not belong into a line is left out.
    Raises: StoreError.
    """
    message = one_line(text, MAX_MESSAGE_CHARS)
    written = Event(EventId(new_time_id(at)), org, kind, severity, "hub", at, node, message, details)
    await store.log.add_event(written)
    bus.publish(Changed("event", written.id, 1))
