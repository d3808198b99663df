"""`/api/v1/events` and `/api/v1/audit`: the timeline of events, and the audit log, which proves who did what."""

from __future__ import annotations

from typing import Final, cast, get_args

from groundcontrol.core.errors import BadRequest
from groundcontrol.core.ids import NodeId
from groundcontrol.events.catalogue import in_group, known_type
from groundcontrol.events.model import EventFilter, Severity
from groundcontrol.events.store import LogStore, OrderStore
from groundcontrol.events.views import (
    AuditCheckView,
    AuditHeadView,
    AuditPageView,
    EventsView,
    SubjectView,
    SummaryView,
    audit_view,
    event_view,
    order_views,
)
from groundcontrol.web.answer import view_of
from groundcontrol.web.request import ApiRequest, unix_time
from spider.wire.ids import is_id

MAX_SEARCH_CHARS: Final = 100
_FILTERS: Final = ("node", "severity", "type", "group", "search", "from", "to")


async def list_events(call: ApiRequest) -> EventsView:
    """A page of events, newest first. An event must match all filters."""
    limit, cursor = call.page(*_FILTERS)
    page = await call.services[LogStore].events(call.scope, limit, cursor, _node_of(call), _filter_of(call))
    wanted = {order for event in page.items if isinstance(order := event.details.get("batch"), str) and is_id(order)}
    orders = await call.services[OrderStore].orders(call.scope, wanted)
    return EventsView(events=[event_view(event) for event in page.items], orders=order_views(orders), next=page.next)


async def count_events(call: ApiRequest) -> SummaryView:
    """Numbers of events by severity, in this hour and the 23 before it. With `?node=` only those of a node."""
    return view_of(SummaryView, await call.services[LogStore].count_events(call.scope, call.services.clock.now(), _node_of(call)))


async def list_audit(call: ApiRequest) -> AuditPageView:
    """A page of the audit log, newest first."""
    limit, cursor = call.page()
    page = await call.services[LogStore].audit(call.scope, limit, cursor)
    store = call.services[OrderStore]
    ids = dict.fromkeys(one for row in page.items for one in _ids_in([row.target, row.detail]))
    found = await store.subjects(call.scope, ids)
    orders = await store.orders(call.scope, {one.order for one in found.values() if one.order})
    return AuditPageView(
        audit=[audit_view(row, found.get(_bare(row.target))) for row in page.items],
        orders=order_views(orders),
        subjects={one: view_of(SubjectView, found[one]) for one in ids if one in found},
        next=page.next,
    )


async def verify_audit(call: ApiRequest) -> AuditCheckView:
    """Check every row of the audit log: whether one was changed, moved or removed. It takes about ten seconds for a million rows.

    All organisations share the chain. So only admins of the instance see its heads, and what is wrong with it.
    """
    call.query()
    store = call.services[LogStore]
    fault = await store.verify_audit()
    if not call.scope.actor.instance_admin:
        hidden = None if fault is None else "the log was changed: an admin of the instance sees where"
        return AuditCheckView(fault is None, hidden, [], call.services.clock.now())
    heads = [] if fault is not None else await store.audit_heads()
    return AuditCheckView(fault is None, fault, [view_of(AuditHeadView, head) for head in heads], call.services.clock.now())


def _bare(target: str) -> str:
    """The id of a target without the prefix that some rows have, such as `node:`."""
    return target.rpartition(":")[2]


def _ids_in(value: object) -> list[str]:
    """The ids in a target or detail, in their order."""
    if isinstance(value, str):
        return [_bare(value)] if is_id(_bare(value)) else []
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for part in parts for one in _ids_in(part)]


def _node_of(call: ApiRequest) -> NodeId | None:
    node = call.request.query.get("node")
    if node is not None and not is_id(node):
        raise BadRequest("the parameter node is not an id")
    return NodeId(node) if node else None


def _filter_of(call: ApiRequest) -> EventFilter | None:
    query = call.request.query
    severities = _some(query.get("severity", ""))
    if not all(severity in get_args(Severity) for severity in severities):
        raise BadRequest(f"the parameter severity names some of {', '.join(get_args(Severity))}")
    search = query.get("search", "")
    if len(search) > MAX_SEARCH_CHARS:
        raise BadRequest(f"the parameter search has at most {MAX_SEARCH_CHARS} characters")
    types = tuple(known_type(kind).name for kind in _some(query.get("type", "")))
    if group := query.get("group", ""):
        members = tuple(row.name for row in in_group(group))
        types = tuple(kind for kind in types if kind in members) or ("",) if types else members
    only = EventFilter(
        cast("tuple[Severity, ...]", severities), types, search, *(unix_time(query.get(name), name, 0.0) for name in ("from", "to"))
    )
    return None if only == EventFilter() else only


def _some(listed: str) -> tuple[str, ...]:
    return tuple(filter(None, listed.split(",")))
