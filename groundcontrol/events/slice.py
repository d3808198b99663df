"""The declarations of the events slice: routes and topics of events and the audit log."""

from __future__ import annotations

from typing import Final

from groundcontrol.events import api as events_api
from groundcontrol.events.feed import events_feed
from groundcontrol.events.store import LogStore
from groundcontrol.events.views import AuditPageView, EventsView, SummaryView
from groundcontrol.web.declare import Expiry, LiveTopic, Slice
from groundcontrol.web.routes import CURSOR, LIMIT, NODE, Parameter, Route

REFUSAL_RETENTION_S: Final = 90 * 86_400.0
"""How long refusals are stored. The audit log keeps the summary of each minute for ever."""

ROUTES: Final = (
    Route(
        "GET", "/events", "event.read", events_api.list_events, EventsView, cost="scan",
        query=(
            LIMIT, CURSOR, NODE, Parameter("severity", "only these, with commas between"),
            Parameter("type", "only these types, with commas between"), Parameter("group", "only types of this group"),
            Parameter("from", "only those that happened then or later, in Unix seconds"), Parameter("to", "only those that happened before then"),
            Parameter("search", "only messages that contain this"),
        ),
    ),
    Route("GET", "/events/summary", "event.read", events_api.count_events, SummaryView, query=(NODE,)),
    Route("GET", "/audit", "audit.read", events_api.list_audit, AuditPageView, query=(LIMIT, CURSOR), cost="page"),
)  # fmt: skip

SLICE: Final = Slice(
    "events",
    ROUTES,
    topics=(LiveTopic("events", "event.read", "page", feed=events_feed),),
    expires=(
        Expiry("events", 0.0, lambda stores, now: stores[LogStore].expire_events(now)),  # each severity has a time of its own
        Expiry("refusals", REFUSAL_RETENTION_S, lambda stores, before: stores[LogStore].expire_refusals(before)),
    ),
)
