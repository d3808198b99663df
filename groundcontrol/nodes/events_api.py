"""`POST events` and `POST nodes/{id}/events`: programs report events, of a node or of none."""

from __future__ import annotations

import math
from typing import Final

from groundcontrol.core.errors import BadRequest, Forbidden, TooManyRequests
from groundcontrol.core.ids import NodeId
from groundcontrol.core.text import clean
from groundcontrol.events.catalogue import known_type
from groundcontrol.events.making import AHEAD_S, checked_details, new_event
from groundcontrol.events.model import Event
from groundcontrol.events.store import LogStore
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from groundcontrol.nodes.views import EventBody, NodeEventBody, StoredEventView
from groundcontrol.web.request import ApiRequest
from spider.wire.events import EVENT_ID, MAX_MESSAGE_CHARS
from spider.wire.ids import is_id, new_time_id

MINUTE_S: Final = 60


async def post_event(call: ApiRequest, body: EventBody) -> StoredEventView:
    """Report an event. A repeated `event_id` of the same caller returns the event that was stored first."""
    if body.node_id is None:
        if call.scope.grants:
            raise Forbidden("a user who is limited to some nodes reports events of these nodes only: give node_id", action="event.write")
        return await _store(call, body, None)
    if not is_id(body.node_id):
        raise BadRequest("node_id is not an id", field="node_id")
    return await _store(call, body, await call.services[NodeStore].node(call.scope, NodeId(body.node_id)))


async def post_node_event(call: ApiRequest, body: NodeEventBody) -> StoredEventView:
    """Report an event of this node."""
    return await _store(call, body, await call.services[NodeStore].node(call.scope, call.node_id))


async def _store(call: ApiRequest, body: NodeEventBody, node: Node | None) -> StoredEventView:
    if node is not None:
        call.authorize("event.write", node)
    stored = await call.services[LogStore].add_event(_event_of(call, body, node))
    if stored is None:
        raise TooManyRequests("too many events were reported within this minute; repeat later", retry_after_s=MINUTE_S)
    return StoredEventView(stored)


def _event_of(call: ApiRequest, body: NodeEventBody, node: Node | None) -> Event:
    """Raises: BadRequest."""
    known_type(body.type, "api")
    now = call.services.clock.now()
    at = now if body.at is None else body.at
    if not math.isfinite(at) or not 0 <= at <= now + AHEAD_S:
        raise BadRequest(f"at must be a time in Unix seconds, at most {AHEAD_S:.0f} s from now", field="at")
    message = clean(body.message, MAX_MESSAGE_CHARS)
    if not message or len(body.message) > MAX_MESSAGE_CHARS:
        raise BadRequest(f"a message has 1 to {MAX_MESSAGE_CHARS} characters", field="message")
    own_id = new_time_id(now) if body.event_id is None else body.event_id
    if not EVENT_ID.match(own_id):
        raise BadRequest("an event_id has 1 to 64 letters, digits, and _ . : -", field="event_id")
    return new_event(
        body.type, at, checked_details(body.details or {}), node=None if node is None else node.id, name="" if node is None else node.name,
        org=call.scope.org, source="api", severity=body.severity, message=message, received_at=now,
        reported_as=f"{call.scope.actor.id or call.scope.actor.name}/{own_id}",
    )  # fmt: skip
