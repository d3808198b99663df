"""Reads the events that a node reports. Everything in them is hostile until it is checked here."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from groundcontrol.agents.validation import LATEST_MS
from groundcontrol.core.errors import BadRequest, EventUnknown
from groundcontrol.core.text import clean
from groundcontrol.events.catalogue import known_type
from groundcontrol.events.making import AHEAD_S, checked_details, new_event
from groundcontrol.events.model import Event
from groundcontrol.nodes.model import Node
from spider.logs import event
from spider.wire.errors import ProtocolError
from spider.wire.events import EVENT_ID, MAX_DETAILS_BYTES, MAX_EVENTS, MAX_MESSAGE_CHARS, MEASURED
from spider.wire.report_messages import Events

log = logging.getLogger(__name__)

_details: Final = msgspec.json.Decoder(dict[str, str | int])


def read_events(message: Events, node: Node, skew_s: float, now: float) -> list[Event]:
    """The events of a frame. An event of a type that this hub does not accept is left out, and the node forgets it too.

    Args:   skew_s: seconds by which the node's clock is ahead.
    Raises: ProtocolError: the frame breaks the limits of `spider/wire/events.py`.
    """
    lists = (message.types, message.at_ms, message.messages, message.details)
    if len(message.ids) > MAX_EVENTS or any(len(one) != len(message.ids) for one in lists):
        raise ProtocolError("events that do not match")
    return [made for parts in zip(message.ids, *lists, strict=True) if (made := _read(node, skew_s, now, *parts)) is not None]


def _read(node: Node, skew_s: float, now: float, id_: str, kind: str, at_ms: int, text: str, details: str) -> Event | None:
    if not EVENT_ID.match(id_) or not 0 <= at_ms <= LATEST_MS or len(text) > MAX_MESSAGE_CHARS or len(details.encode()) > MAX_DETAILS_BYTES:
        raise ProtocolError("an event beyond the limits")
    try:
        facts = checked_details(_details.decode(details) if details else {})
        known_type(kind, "agent")
        if kind in MEASURED:
            facts = {name: facts[name] for name in MEASURED[kind] if name in facts}
        return new_event(
            kind, min(max(at_ms / 1000 - skew_s, 0.0), now + AHEAD_S), facts, node=node.id, name=node.name, org=node.org, source="agent",
            message="" if kind in MEASURED else clean(text, MAX_MESSAGE_CHARS), received_at=now, reported_as=f"{node.id}/{id_}",
        )  # fmt: skip
    except EventUnknown as exc:
        event(log, "event_refused", logging.DEBUG, node=node.id, type=clean(kind, 64), why=exc.message)
        return None
    except (BadRequest, msgspec.MsgspecError, ValueError) as exc:
        raise ProtocolError("an event with wrong details") from exc
