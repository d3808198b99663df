"""`/api/v1/jobs` and `nodes/{id}/jobs`: package jobs and their output."""

from __future__ import annotations

import logging
from typing import Final

import msgspec
from aiohttp import web

from groundcontrol.domain.ids import NodeId
from groundcontrol.errors import BadRequest, HubError
from groundcontrol.web import schema, views
from groundcontrol.web.call import Call, whole_number
from spider.logs import event
from spider.wire.ids import is_id

MAX_OFFSET: Final = 10**18 - 1

log = logging.getLogger(__name__)


async def create_job(call: Call, body: schema.JobBody) -> schema.JobView:
    """Ask a node to do something with its packages."""
    services = call.services
    call.authorize("job.create", await services.store.nodes.node(call.scope, call.node_id))
    if body.reboot:
        services.auth.require_step_up(call.caller)
    job = await services.jobs.submit(call.scope, call.node_id, body.action, _packages(body), body.reboot, call.idempotency_key())
    return views.job_view(job)


async def list_jobs(call: Call) -> schema.JobsView:
    """A page of jobs, newest first; `?node=` for those of one node."""
    limit, cursor = call.page("node")
    node = call.request.query.get("node")
    if node is not None and not is_id(node):
        raise BadRequest("the parameter node is not an id")
    page = await call.services.store.jobs.jobs(call.scope, limit, cursor, NodeId(node) if node else None)
    return schema.JobsView(jobs=[views.job_view(job) for job in page.items], next=page.next)


async def get_job(call: Call) -> schema.JobView:
    """One job."""
    call.query()
    return views.job_view(await call.services.store.jobs.job(call.scope, call.job_id))


async def cancel_job(call: Call) -> schema.JobView:
    """Stop a job where that is still safe."""
    services = call.services
    call.authorize("job.cancel", await services.store.jobs.job(call.scope, call.job_id))
    return views.job_view(await services.jobs.cancel(call.scope, call.job_id))


async def job_output(call: Call) -> web.StreamResponse:
    """The bytes as they were printed, from `?offset=` to the end that is held now."""
    offset = whole_number(call.query("offset").get("offset"), "offset", 0, MAX_OFFSET, 0)
    job = await call.services.store.jobs.job(call.scope, call.job_id)
    size = max(0, job.output_bytes - offset)
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="job-{job.id}.log"'})
    response.content_type = "text/plain"
    response.content_length = size
    await response.prepare(call.request)
    left = size
    try:
        if size:
            async for chunk in call.services.store.jobs.output(call.scope, job.id, offset, size):
                await response.write(chunk[:left])
                left -= len(chunk[:left])
    except HubError as exc:
        event(log, "output_cut", logging.WARNING, job=job.id, code=exc.code)
    if left and call.request.transport is not None:
        call.request.transport.abort()  # a short answer must not look like a whole one
    return response


def _packages(body: schema.JobBody) -> tuple[str, ...]:
    """Which packages. An empty list would mean nothing, or all: it is refused."""
    if body.packages is msgspec.UNSET:
        return ()
    if not body.packages:
        raise BadRequest("packages names at least one package; leave it out for all", field="packages")
    return tuple(dict.fromkeys(body.packages))
