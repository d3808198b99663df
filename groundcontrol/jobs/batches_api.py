"""`POST /api/v1/jobs` and `/api/v1/batches`: one request for many nodes."""

from __future__ import annotations

import msgspec

from groundcontrol.core.errors import NotFound
from groundcontrol.core.ids import BatchId, NodeId
from groundcontrol.jobs.api import check_step_up, wish_of
from groundcontrol.jobs.model import Batch
from groundcontrol.jobs.service import JobService
from groundcontrol.jobs.store import BatchStore
from groundcontrol.jobs.views import BatchBody, BatchesView, BatchView, batch_summary, batch_view
from groundcontrol.web.request import ApiRequest
from spider.wire.ids import is_id


async def create_batch(call: ApiRequest, body: BatchBody) -> BatchView:
    """Ask many nodes for the same; those that cannot are named in `refused`."""
    services = call.services
    wish = wish_of(body)
    nodes = [NodeId(node) for node in body.nodes]
    check_step_up(call, wish, nodes)
    return await _whole(call, await services[JobService].submit_many(call.scope, nodes, wish, call.idempotency_key(), _plans_of(body)))


async def list_batches(call: ApiRequest) -> BatchesView:
    """A page of them, newest first."""
    limit, cursor = call.page()
    page = await call.services[BatchStore].batches(call.scope, limit, cursor)
    return BatchesView(batches=[batch_summary(batch) for batch in page.items], next=page.next)


async def get_batch(call: ApiRequest) -> BatchView:
    """How far it is, with the job of each node."""
    call.query()
    return await _whole(call, await call.services[BatchStore].batch(call.scope, call.batch_id))


async def cancel_batch(call: ApiRequest) -> BatchView:
    """Take back what waits, and stop the rest as far as the phase of each allows."""
    services = call.services
    call.authorize("job.cancel", await services[BatchStore].batch(call.scope, call.batch_id))
    return await _whole(call, await services[JobService].cancel_many(call.scope, call.batch_id))


def _plans_of(body: BatchBody) -> BatchId | None:
    if body.plans_of is msgspec.UNSET:
        return None
    if not is_id(body.plans_of):
        raise NotFound("there is no batch of this id")
    return BatchId(body.plans_of)


async def _whole(call: ApiRequest, batch: Batch) -> BatchView:
    jobs = await call.services[BatchStore].jobs_of(call.scope, BatchId(batch.id))
    return batch_view(batch, jobs)
