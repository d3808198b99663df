"""Makes events by the catalogue. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.scope import DEFAULT_ORG
from groundcontrol.core.text import clean
from groundcontrol.events.catalogue import custom_name, known_type, words
from groundcontrol.events.model import Event, EventSource, Severity
from spider.wire.events import CUSTOM, MEASURED
from spider.wire.ids import new_time_id

MAX_MESSAGE_CHARS: Final = 1000
"""The limit of a message, since each browser receives several events together."""
MAX_OBJECT_CHARS: Final = 200
RETRO_S: Final = 120.0
"""An event that arrives later than this is history."""


def new_event(
    kind: str,
    at: float,
    details: dict[str, object] | None = None,
    *,
    node: NodeId | None = None,
    name: str = "",
    org: int = DEFAULT_ORG,
    source: EventSource = "hub",
    severity: Severity | None = None,
    message: str = "",
    received_at: float | None = None,
    reported_as: str = "",
) -> Event:
    """An event of the catalogue, ready for `record_event`.

    Args:   at: Unix seconds. name: the name of the node; hub events keep it in their details, since nodes are renamed and removed.
            message: empty: the words of the catalogue.
    Raises: EventUnknown: the catalogue has no such type.
    """
    row = known_type(kind)
    facts = dict(details or {})
    thing = custom_name(facts) if kind == CUSTOM else "/".join(str(facts[key]) for key in row.key if facts.get(key) not in (None, ""))
    if source == "hub" and name:
        facts.setdefault("name", name)
    received = at if received_at is None else received_at
    return Event(
        EventId(new_time_id(received)), org, kind, severity or row.severity, source, at, node,
        clean(message or words(row, facts, name), MAX_MESSAGE_CHARS), facts, clean(thing, MAX_OBJECT_CHARS), received, 1, at,
        received - at > RETRO_S, row.window_s, reported_as,
    )  # fmt: skip


def same_as(event: Event) -> str:
    """What equal events have in common beside node and type: the object, and for reports of programs all that they say."""
    if event.source == "hub" or event.type in MEASURED:
        return event.object
    said = json.dumps([event.severity, event.message, event.details], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:32]
