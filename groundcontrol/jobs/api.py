"""`/api/v1/jobs` and `nodes/{id}/jobs`: jobs of nodes, their plans, reports and output, and batches of jobs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection
from typing import Final, cast

import msgspec
from aiohttp import web

from groundcontrol.core.errors import BadRequest, Forbidden, HubError, NotFound
from groundcontrol.core.ids import BatchId, NodeId
from groundcontrol.core.text import checked_reason
from groundcontrol.core.verbs import HUB_VERBS
from groundcontrol.jobs.model import TRANSITIONS, Batch, Job, JobFilter, JobRequest, JobState
from groundcontrol.jobs.service import JobService
from groundcontrol.jobs.store import BatchStore, JobStore
from groundcontrol.jobs.views import (
    BatchBody,
    BatchesView,
    BatchSummaryView,
    BatchView,
    CancelBody,
    JobBody,
    JobMarksView,
    JobsView,
    JobView,
    MarkView,
    PlanView,
    ReportView,
    batch_summary,
    batch_view,
    job_view,
    plan_view,
    report_view,
)
from groundcontrol.nodes.store import NodeStore
from groundcontrol.web.costs import SlotLimiter
from groundcontrol.web.request import ApiRequest, StreamAuthorizer, whole_number
from spider.logs import event
from spider.wire.arg_kinds import ARG_KINDS
from spider.wire.ids import is_id
from spider.wire.verbs import READONLY, REBOOT, VERBS

MAX_OFFSET: Final = 10**18 - 1
_FILTERS: Final = ("state", "action", "by", "search", "plans", "folded")
MAX_BY_CHARS: Final = 100
MOST_MARKS: Final = 10_000
MAX_SEARCH_CHARS: Final = 100
MAX_OUTPUTS: Final = 16
"""Outputs that are sent at the same time. Each holds up to 1 MiB until its client has read it."""
MAX_OUTPUTS_OF_A_USER: Final = 4
SHORT_OUTPUT_BYTES: Final = 65_536
"""An answer up to this size takes no slot of the output limit. It costs little memory, and a client that polls by offset asks often."""

log = logging.getLogger(__name__)


class Outputs(SlotLimiter):
    """Outputs of jobs that are being sent."""

    def __init__(self) -> None:
        super().__init__("outputs of jobs", MAX_OUTPUTS, MAX_OUTPUTS_OF_A_USER)


async def create_job(call: ApiRequest, body: JobBody) -> JobView:
    """Create a job on a node: for its packages, units or a container, or a reboot."""
    services = call.services
    call.authorize("job.create", await services[NodeStore].node(call.scope, call.node_id))
    request = to_job_request(body)
    check_step_up(call, request, [call.node_id])
    override = _override(call, body)
    return job_view(await services[JobService].submit(call.scope, call.node_id, request, call.idempotency_key(), override))


async def list_jobs(call: ApiRequest) -> JobsView:
    """A page of jobs, newest first. `?node=`, `?state=`, `?action=`, `?by=` and `?search=` select some of them.

    `?plans=false` leaves plans out. `?folded=true` gives one job for each batch, and the batches.
    """
    limit, cursor = call.page("node", *_FILTERS)
    node = call.request.query.get("node")
    if node is not None and not is_id(node):
        raise BadRequest("the parameter node is not an id")
    only = _filter_of(call)
    page = await call.services[JobStore].jobs(call.scope, limit, cursor, NodeId(node) if node else None, only)
    batches = await _batches_of(call, page.items) if only is not None and only.folded else []
    return JobsView(jobs=[job_view(job) for job in page.items], next=page.next, batches=batches)


async def _batches_of(call: ApiRequest, jobs: Collection[Job]) -> list[BatchSummaryView]:
    found = []
    for batch in dict.fromkeys(job.batch_id for job in jobs if job.batch_id is not None):
        with contextlib.suppress(NotFound):  # deleted since the page was read
            found.append(batch_summary(await call.services[BatchStore].batch(call.scope, batch)))
    return found


def _filter_of(call: ApiRequest) -> JobFilter | None:
    """The filter in the query; `?state=` may name several states, separated by commas.

    Raises: BadRequest.
    """
    query = call.request.query
    states = tuple(filter(None, query.get("state", "").split(",")))
    if not all(state in (*TRANSITIONS, "incomplete") for state in states):
        raise BadRequest(f"the parameter state names some of {', '.join(TRANSITIONS)}, incomplete")
    action, by = query.get("action", ""), query.get("by", "")
    if action and action not in VERBS:
        raise BadRequest(f"the parameter action is one of {', '.join(VERBS)}")
    if len(by) > MAX_BY_CHARS:
        raise BadRequest(f"the parameter by has at most {MAX_BY_CHARS} characters")
    search, plans, folded = query.get("search", ""), query.get("plans", "true"), query.get("folded", "false")
    if len(search) > MAX_SEARCH_CHARS:
        raise BadRequest(f"the parameter search has at most {MAX_SEARCH_CHARS} characters")
    for name, value in (("plans", plans), ("folded", folded)):
        if value not in ("true", "false"):
            raise BadRequest(f"the parameter {name} is true or false")
    only = JobFilter(cast("tuple[JobState, ...]", states), action, by, search, plans == "true", folded == "true")
    return None if only == JobFilter() else only


async def get_job(call: ApiRequest) -> JobView:
    """One job."""
    call.query()
    return job_view(await call.services[JobStore].job(call.scope, call.job_id))


async def cancel_job(call: ApiRequest, body: CancelBody | None) -> JobView:
    """Cancel a queued job, or stop an open one as far as its phase allows. `stop` in the answer says how far."""
    services = call.services
    call.authorize("job.cancel", await services[JobStore].job(call.scope, call.job_id))
    force = body is not None and body.force
    if force:
        services.auth.require_step_up(call.caller)
    return job_view(await services[JobService].cancel(call.scope, call.job_id, force=force))


async def job_plan(call: ApiRequest) -> PlanView:
    """The plan of a job: the changes that it makes, or would make."""
    call.query()
    plan = await call.services[JobStore].plan(call.scope, call.job_id)
    if plan is None:
        raise NotFound("this job has no plan, or not yet")
    return plan_view(call.job_id, plan)


async def job_report(call: ApiRequest) -> ReportView:
    """The report of a job: the follow-up work that it left."""
    call.query()
    report = await call.services[JobStore].report(call.scope, call.job_id)
    if report is None:
        raise NotFound("this job has no report, or not yet")
    return report_view(call.job_id, report)


async def job_output(call: ApiRequest) -> web.StreamResponse:
    """The output of a job as it was printed, from byte `?offset=` to the end that the hub has stored."""
    offset = whole_number(call.query("offset").get("offset"), "offset", 0, MAX_OFFSET, 0)
    job = await call.services[JobStore].job(call.scope, call.job_id)
    size = max(0, job.output_bytes - offset)
    with contextlib.nullcontext() if size <= SHORT_OUTPUT_BYTES else call.services[Outputs].take(call.user_id):
        return await _send_output(call, job, offset, size)


async def job_marks(call: ApiRequest) -> JobMarksView:
    """When each piece of a job's output was printed, from byte `?offset=` on: for a replay beside the charts of the node."""
    offset = whole_number(call.query("offset").get("offset"), "offset", 0, MAX_OFFSET, 0)
    found = list(await call.services[JobStore].output_marks(call.scope, call.job_id, offset, MOST_MARKS + 1))
    return JobMarksView(
        marks=[MarkView(*one) for one in found[:MOST_MARKS]], next_offset=found[MOST_MARKS][1] if len(found) > MOST_MARKS else None
    )


async def _send_output(call: ApiRequest, job: Job, offset: int, size: int) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="job-{job.id}.log"'})
    response.content_type = "text/plain"
    response.content_length = size
    await response.prepare(call.request)
    left = size
    allowed = StreamAuthorizer(call, "job.read", lambda scope: call.services[JobStore].job(scope, job.id))
    try:
        if size:
            async for chunk in call.services[JobStore].output(call.scope, job.id, offset, size):
                await allowed.check()
                await response.write(chunk[:left])
                left -= len(chunk[:left])
    except HubError as exc:
        event(log, "output_cut", logging.WARNING, job=job.id, code=exc.code)
    if left and call.request.transport is not None:
        call.request.transport.abort()  # a client must not take a truncated answer for a complete one
    return response


def to_job_request(body: JobBody) -> JobRequest:
    """The job request in a body. An empty list of names is refused: it could mean none or all.

    Raises: BadRequest.
    """
    request = JobRequest(
        action=body.action,
        for_action=None if body.for_ is msgspec.UNSET else body.for_,
        plan=None if body.plan is msgspec.UNSET else body.plan,
        reboot=body.reboot,
    )
    for kind in ARG_KINDS:
        value: list[str] | str | msgspec.UnsetType = getattr(body, kind.name)
        if value is msgspec.UNSET:
            continue
        if request.kind is None or kind.name != request.kind.name:
            raise BadRequest(f"{body.action} takes no {kind.name}: leave this field out", field=kind.name)
        names = (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))
        if not names and VERBS[body.action].optional:
            raise BadRequest(f"{kind.name} names at least one {kind.noun}; leave it out for all", field=kind.name)
        request = request._replace(args=names)
    return request


def _override(call: ApiRequest, body: JobBody) -> str:
    """The reason for which a freeze does not count; empty: it counts. Raises: BadRequest, Forbidden, StepUpRequired."""
    if not body.override_freeze:
        return ""
    reason = checked_reason(body.override_freeze, "override_freeze")
    if call.scope.actor.role != "admin":
        raise Forbidden("only an admin overrides a freeze")
    call.services.auth.require_step_up(call.caller)
    return reason


def check_step_up(call: ApiRequest, request: JobRequest, nodes: Collection[NodeId]) -> None:
    """Require a recent password check for an action that removes or reboots, and for a change of many nodes.

    Raises: StepUpRequired.
    """
    if request.action == REBOOT or request.reboot or HUB_VERBS[request.action].dangerous:
        call.services.auth.require_step_up(call.caller)
    elif VERBS[request.action].policy != READONLY:
        call.services.auth.require_step_up_for_many(call.caller, nodes)


async def create_batch(call: ApiRequest, body: BatchBody) -> BatchView:
    """Create the same job on many nodes. `refused` lists the nodes that get no job, with the reason."""
    services = call.services
    request = to_job_request(body)
    nodes = [NodeId(node) for node in body.nodes]
    check_step_up(call, request, nodes)
    return await _with_jobs(
        call,
        await services[JobService].submit_many(
            call.scope, nodes, request, call.idempotency_key(), _plans_of(body), override=_override(call, body)
        ),
    )


async def list_batches(call: ApiRequest) -> BatchesView:
    """A page of batches, newest first."""
    limit, cursor = call.page()
    page = await call.services[BatchStore].batches(call.scope, limit, cursor)
    return BatchesView(batches=[batch_summary(batch) for batch in page.items], next=page.next)


async def get_batch(call: ApiRequest) -> BatchView:
    """The progress of a batch, with the job of each node."""
    call.query()
    return await _with_jobs(call, await call.services[BatchStore].batch(call.scope, call.batch_id))


async def cancel_batch(call: ApiRequest) -> BatchView:
    """Cancel the queued jobs of a batch, and stop the open jobs as far as their phases allow."""
    services = call.services
    call.authorize("job.cancel", await services[BatchStore].batch(call.scope, call.batch_id))
    return await _with_jobs(call, await services[JobService].cancel_many(call.scope, call.batch_id))


def _plans_of(body: BatchBody) -> BatchId | None:
    if body.plans_of is msgspec.UNSET:
        return None
    if not is_id(body.plans_of):
        raise NotFound("there is no batch of this id")
    return BatchId(body.plans_of)


async def _with_jobs(call: ApiRequest, batch: Batch) -> BatchView:
    jobs = await call.services[BatchStore].jobs_of(call.scope, BatchId(batch.id))
    return batch_view(batch, jobs)
