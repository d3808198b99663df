"""`/api/v1/agent-updates` and `nodes/{id}/rekey`: what keeps Spider itself up, through its live session."""

from __future__ import annotations

from groundcontrol.domain.ids import NodeId
from groundcontrol.domain.jobs import Wish
from groundcontrol.web import schema, views
from groundcontrol.web.call import Call
from spider.wire.verbs import REKEY


async def create_updates(call: Call, body: schema.AgentUpdatesBody) -> schema.DeploymentsView:
    """Bring nodes the Spider that this hub ships: `canaries` first, then the others, and no more after a failure."""
    found = await call.services.updates.begin(
        call.scope, [NodeId(node) for node in body.nodes], min(body.canaries, len(body.nodes)), body.at_once
    )
    return schema.DeploymentsView(deployments=[views.deployment_view(row) for row in found], next=None)


async def rekey_node(call: Call) -> schema.JobView:
    """Give a node the next generation of its keys; the ones before open nothing any more once it is back with them."""
    services = call.services
    call.authorize("node.rekey", await services.store.nodes.node(call.scope, call.node_id))
    return views.job_view(await services.jobs.keep_up(call.scope, call.node_id, Wish(REKEY), call.idempotency_key()))
