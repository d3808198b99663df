"""`/api/v1/nodes/{id}/logs`: lines of a node's system log, if its owner has enabled them."""

from __future__ import annotations

from groundcontrol.nodes.store import JournalStore, NodeStore
from groundcontrol.nodes.views import LogLineView, LogsView
from groundcontrol.web.request import ApiRequest


async def list_logs(call: ApiRequest) -> LogsView:
    """A page of lines, the newest first."""
    limit, cursor = call.page()
    node = await call.services[NodeStore].node(call.scope, call.node_id)
    page = await call.services[JournalStore].lines(node.no, limit, cursor)
    lines = [LogLineView(line.at_ms / 1000, line.priority, line.source, line.text, line.left_out) for line in page.items]
    return LogsView(lines=lines, next=page.next)
