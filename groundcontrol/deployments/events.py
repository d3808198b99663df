"""Writes events of deployments, and of nodes that they add or remove. Texts of users and servers are reduced to one line."""

from __future__ import annotations

from typing import Final

from groundcontrol.core.bus import Bus, Changed
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.stores import Stores
from groundcontrol.events.model import Event, Severity
from groundcontrol.events.store import LogStore
from majortom.errors import one_line
from spider.wire.ids import new_time_id

MAX_MESSAGE_CHARS: Final = 1000
"""The limit of a message, since each browser receives several events together."""


async def write_event(
    store: Stores, bus: Bus, org: int, kind: str, severity: Severity, at: float, node: NodeId | None, text: str, details: dict[str, object]
) -> None:
    """Store an event and publish it.

    Args:   text: its raw message; line breaks and control characters are removed.
    Raises: StoreError.
    """
    message = one_line(text, MAX_MESSAGE_CHARS)
    written = Event(EventId(new_time_id(at)), org, kind, severity, "hub", at, node, message, details)
    await store[LogStore].add_event(written)
    bus.publish(Changed("event", written.id, 1))
