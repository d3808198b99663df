"""Makes events by the catalogue. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.scope import DEFAULT_ORG
from groundcontrol.core.text import clean
from groundcontrol.events.catalogue import custom_name, known_type, words
from groundcontrol.events.model import Event, EventSource, Severity
from spider.wire.events import CUSTOM, DETAIL_NAME, MAX_DETAIL_CHARS, MAX_DETAILS, MEASURED
from spider.wire.ids import new_time_id

MAX_MESSAGE_CHARS: Final = 1000
"""The limit is low since a browser receives many events in one snapshot."""
MAX_OBJECT_CHARS: Final = 200
AHEAD_S: Final = 5.0
"""How far the time of a report may be ahead of the hub's clock."""
_NUMBER_LIMIT: Final = 1 << 53
"""JavaScript represents smaller integers exactly."""
RETRO_S: Final = 120.0
"""An event that is reported later than this is marked as `retro`."""


def new_event(
    kind: str,
    at: float,
    details: dict[str, object] | None = None,
    *,
    org: int,
    node: NodeId | None = None,
    name: str = "",
    source: EventSource = "hub",
    severity: Severity | None = None,
    message: str = "",
    received_at: float | None = None,
    reported_as: str = "",
) -> Event:
    """An event of the catalogue, ready for `record_event`.

    Args:   at: Unix seconds. name: the name of the node. Events of the hub store it in their details, since nodes are renamed and removed.
            severity: None: that of the type. message: empty: the text of the type. received_at: None: `at`.
            reported_as: as in `Event`.
    Raises: EventUnknown: the catalogue has no such type, or a custom event has no name.
    """
    row = known_type(kind)
    facts = dict(details or {})
    thing = custom_name(facts) if kind == CUSTOM else "/".join(_words(facts[key]) for key in row.key if facts.get(key) not in (None, ""))
    if source == "hub" and name:
        facts.setdefault("name", name)
    received = at if received_at is None else received_at
    return Event(
        EventId(new_time_id(received)), org, kind, severity or row.severity, source, at, node,
        clean(message or words(row, facts, name), MAX_MESSAGE_CHARS), facts, clean(thing, MAX_OBJECT_CHARS), received, 1, at,
        received - at > RETRO_S, row.window_s, reported_as,
    )  # fmt: skip


def hub_event(kind: str, at: float, details: dict[str, object]) -> Event:
    """An event about the hub itself, in the first organisation, which stays."""
    return new_event(kind, at, details, org=DEFAULT_ORG)


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def checked_details(given: Mapping[str, object]) -> dict[str, object]:
    """Check the details of a report, which are short texts and numbers. Control characters are removed.

    Raises: BadRequest.
    """
    if len(given) > MAX_DETAILS:
        raise BadRequest(f"an event has at most {MAX_DETAILS} details", field="details")
    details: dict[str, object] = {}
    for name, value in given.items():
        if not DETAIL_NAME.match(name):
            raise BadRequest("the name of a detail is of a-z, 0-9 and _, with at most 32 characters", field="details")
        if isinstance(value, str) and len(value) <= MAX_DETAIL_CHARS:
            details[name] = clean(value, MAX_DETAIL_CHARS)
        elif isinstance(value, (int, float)) and abs(value) < _NUMBER_LIMIT:
            details[name] = value
        else:
            raise BadRequest(f"a detail is a text of at most {MAX_DETAIL_CHARS} characters, or a number", field="details")
    return details


def same_as(event: Event) -> str:
    """A text that is the same for equal events of a node and type. For reports of programs it depends on their whole content."""
    if event.source == "hub" or event.type in MEASURED:
        return event.object
    content = json.dumps([event.severity, event.message, event.details], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]
