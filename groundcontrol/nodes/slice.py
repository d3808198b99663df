"""The declarations of the nodes slice: routes and topics of nodes, their tables, packages and log lines."""

from __future__ import annotations

from typing import Final

from groundcontrol.nodes import api as nodes_api
from groundcontrol.nodes import events_api, journal_api
from groundcontrol.nodes.feed import FleetFeed, NodeFeed, find_node
from groundcontrol.nodes.journal_api import JournalReads
from groundcontrol.nodes.processes import KEEP_S
from groundcontrol.nodes.store import ProcessHistoryStore
from groundcontrol.web.declare import Expiry, LiveTopic, Slice
from groundcontrol.web.routes import CURSOR, LIMIT, Parameter, Route
from groundcontrol.web.services import provide

ROUTES: Final = (
    Route(
        "GET", "/nodes", "node.read", nodes_api.list_nodes, cost="fleet",
        query=(LIMIT, CURSOR, Parameter("metrics", "series for `latest`, separated by commas; a bare name stands for all its labels")),
    ),
    Route("GET", "/nodes/{id}", "node.read", nodes_api.get_node),
    Route("PATCH", "/nodes/{id}", "node.edit", nodes_api.edit_node),
    Route(
        "GET", "/nodes/{id}/tables", "node.read", nodes_api.get_tables, cost="page",
        query=(Parameter("subject", "only this table: processes, services, interfaces …"),),
    ),
    Route(
        "GET", "/nodes/{id}/processes", "node.read", nodes_api.get_processes,
        query=(Parameter("at", "Unix seconds; the present time by default", "integer"),),
    ),
    Route(
        "GET", "/nodes/{id}/packages", "node.read", nodes_api.list_packages, cost="page",
        query=(LIMIT, CURSOR, Parameter("search", "only names that contain this")),
    ),
    Route(
        "GET", "/updates", "node.read", nodes_api.list_updates, cost="fleet",
        query=(
            LIMIT, CURSOR, Parameter("search", "only packages whose name contains this"),
            Parameter("security", "only security updates", "boolean"),
        ),
    ),
    Route(
        "GET", "/updates/nodes", "node.read", nodes_api.list_nodes_of_update, cost="fleet",
        query=(LIMIT, CURSOR, Parameter("package", "the name of the package", required=True)),
    ),
    Route("POST", "/events", "event.write", events_api.post_event, status=202, cost="page"),
    Route("POST", "/nodes/{id}/events", "event.write", events_api.post_node_event, status=202, cost="page"),
    Route("POST", "/nodes/{id}/journal", "journal.read", journal_api.read_journal),
    Route("GET", "/nodes/{id}/logs", "node.read", nodes_api.list_logs, query=(LIMIT, CURSOR), cost="page"),
)  # fmt: skip

SLICE: Final = Slice(
    "nodes",
    ROUTES,
    topics=(
        LiveTopic("fleet", "node.read", "fleet", "node", feed=FleetFeed),
        LiveTopic("node", "node.read", "page", "node", find=find_node, feed=NodeFeed),
    ),
    provides=(provide(JournalReads)(lambda _: JournalReads()),),
    expires=(Expiry("process_readings", KEEP_S, lambda stores, before: stores[ProcessHistoryStore].expire_readings(before)),),
)
