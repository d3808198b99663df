"""`/api/v1/events`: what happened, for people."""

from __future__ import annotations

from groundcontrol.domain.ids import NodeId
from groundcontrol.errors import BadRequest
from groundcontrol.web import schema, views
from groundcontrol.web.call import Call
from spider.wire.ids import is_id


async def list_events(call: Call) -> schema.EventsView:
    """A page of events, newest first; `?node=` for those of one node."""
    limit, cursor = call.page("node")
    node = call.request.query.get("node")
    if node is not None and not is_id(node):
        raise BadRequest("the parameter node is not an id")
    page = await call.services.store.log.events(call.scope, limit, cursor, NodeId(node) if node else None)
    return schema.EventsView(events=[views.event_view(event) for event in page.items], next=page.next)
