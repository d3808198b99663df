"""The declarations of the events slice: routes and topics of events and the audit log."""

from __future__ import annotations

from typing import Final

from groundcontrol.events import api as events_api
from groundcontrol.events.feed import EventsFeed
from groundcontrol.events.store import LogStore
from groundcontrol.web.declare import Expiry, LiveTopic, Slice
from groundcontrol.web.routes import CURSOR, LIMIT, NODE, Parameter, Route

REFUSAL_RETENTION_S: Final = 90 * 86_400.0
"""How long refusals are stored. Their sums stay in the audit log."""

ROUTES: Final = (
    Route(
        "GET", "/events", "event.read", events_api.list_events, cost="scan",
        query=(
            LIMIT, CURSOR, NODE, Parameter("severity", "only these severities, separated by commas"),
            Parameter("type", "only these types, separated by commas"), Parameter("group", "only types of this group"),
            Parameter("from", "only events of this time or later, in Unix seconds"), Parameter("to", "only events before this time, in Unix seconds"),
            Parameter("search", "only events whose message contains this text"),
        ),
    ),
    Route("GET", "/events/summary", "event.read", events_api.count_events, query=(NODE,)),
    Route("GET", "/audit", "audit.read", events_api.list_audit, query=(LIMIT, CURSOR), cost="page", whose="organisation"),
    Route("GET", "/audit/verify", "audit.read", events_api.verify_audit, cost="fleet", whose="hub"),
)  # fmt: skip

SLICE: Final = Slice(
    "events",
    ROUTES,
    topics=(LiveTopic("events", "event.read", "page", "", feed=EventsFeed),),
    expires=(
        Expiry("events", 0.0, lambda stores, now: stores[LogStore].expire_events(now)),  # the catalogue has a time for each severity
        Expiry("refusals", REFUSAL_RETENTION_S, lambda stores, before: stores[LogStore].expire_refusals(before)),
    ),
)
