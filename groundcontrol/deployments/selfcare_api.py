"""`/api/v1/agent-updates` and `nodes/{id}/rekey`: what keeps Spider itself up, through its live session."""

from __future__ import annotations

from groundcontrol.core.ids import NodeId
from groundcontrol.deployments.agent_updates import UpdateService
from groundcontrol.deployments.views import AgentUpdatesBody, DeploymentsView, deployment_view
from groundcontrol.jobs.model import JobRequest
from groundcontrol.jobs.service import JobService
from groundcontrol.jobs.views import JobView, job_view
from groundcontrol.nodes.store import NodeStore
from groundcontrol.web.request import ApiRequest
from spider.wire.verbs import REKEY


async def create_updates(call: ApiRequest, body: AgentUpdatesBody) -> DeploymentsView:
    """Bring nodes the Spider that this hub ships: `canaries` first, then the others, and no more after a failure."""
    found = await call.services[UpdateService].begin(
        call.scope, [NodeId(node) for node in body.nodes], min(body.canaries, len(body.nodes)), body.at_once
    )
    return DeploymentsView(deployments=[deployment_view(row) for row in found], next=None)


async def rekey_node(call: ApiRequest) -> JobView:
    """Give a node the next generation of its keys; the ones before open nothing any more once it is back with them."""
    services = call.services
    call.authorize("node.rekey", await services[NodeStore].node(call.scope, call.node_id))
    return job_view(await services[JobService].keep_up(call.scope, call.node_id, JobRequest(REKEY), call.idempotency_key()))
