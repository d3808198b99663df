"""`/api/v1/events`: the timeline of events, for users."""

from __future__ import annotations

from typing import Final, cast, get_args

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.events.model import EventFilter, Severity
from groundcontrol.events.store import LogStore
from groundcontrol.events.views import EventsView, event_view
from groundcontrol.web.request import ApiRequest
from spider.wire.ids import is_id

MAX_SEARCH_CHARS: Final = 100


async def list_events(call: ApiRequest) -> EventsView:
    """A page of events, newest first; `?node=` for those of one node, `?severity=`, `?type=` and `?search=` for some of them."""
    limit, cursor = call.page("node", "severity", "type", "search")
    node = call.request.query.get("node")
    if node is not None and not is_id(node):
        raise BadRequest("the parameter node is not an id")
    page = await call.services[LogStore].events(call.scope, limit, cursor, NodeId(node) if node else None, _filter_of(call))
    return EventsView(events=[event_view(event) for event in page.items], next=page.next)


def _filter_of(call: ApiRequest) -> EventFilter | None:
    query = call.request.query
    severities = tuple(filter(None, query.get("severity", "").split(",")))
    if not all(severity in get_args(Severity) for severity in severities):
        raise BadRequest(f"the parameter severity names some of {', '.join(get_args(Severity))}")
    kind, search = query.get("type", ""), query.get("search", "")
    if max(len(kind), len(search)) > MAX_SEARCH_CHARS:
        raise BadRequest(f"the parameters type and search have at most {MAX_SEARCH_CHARS} characters")
    only = EventFilter(cast("tuple[Severity, ...]", severities), kind, search)
    return None if only == EventFilter() else only
