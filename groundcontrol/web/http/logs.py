"""`/api/v1/nodes/{id}/logs`: lines of a node's system log, where its owner asked for them."""

from __future__ import annotations

from groundcontrol.web import schema
from groundcontrol.web.call import Call


async def list_logs(call: Call) -> schema.LogsView:
    """A page of lines, the newest first."""
    limit, cursor = call.page()
    store = call.services.store
    node = await store.nodes.node(call.scope, call.node_id)
    page = await store.journal.lines(node.no, limit, cursor)
    lines = [schema.LogLineView(line.at_ms / 1000, line.priority, line.source, line.text, line.left_out) for line in page.items]
    return schema.LogsView(lines=lines, next=page.next)
