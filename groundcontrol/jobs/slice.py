"""Declares the routes, topics and services of jobs and batches."""

from __future__ import annotations

from typing import Final

from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import JobSink
from groundcontrol.config import Config
from groundcontrol.jobs import api as jobs_api
from groundcontrol.jobs.api import Outputs
from groundcontrol.jobs.feed import JobsFeed, JobStream, find_job
from groundcontrol.jobs.freezes import Freezes
from groundcontrol.jobs.orders import OrderSender
from groundcontrol.jobs.service import JobService
from groundcontrol.jobs.store import JobStore
from groundcontrol.jobs.tracker import JobTracker
from groundcontrol.nodes.interfaces import AgentBundle
from groundcontrol.vault import Vault
from groundcontrol.web.declare import KEEP_S, Expiry, LiveTopic, Slice
from groundcontrol.web.routes import CURSOR, LIMIT, NODE, Parameter, Route
from groundcontrol.web.services import Services, provide

ROUTES: Final = (
    Route("POST", "/nodes/{id}/jobs", "job.create", jobs_api.create_job, status=202, keyed=True),
    Route("POST", "/jobs", "job.create", jobs_api.create_batch, status=202, keyed=True, cost="many"),
    Route(
        "GET", "/jobs", "job.read", jobs_api.list_jobs, cost="scan",
        query=(
            LIMIT, CURSOR, NODE, Parameter("state", "only jobs in these states, with commas between; incomplete: reboots after which something was missing"), Parameter("action", "only jobs of this action"),
            Parameter("by", "only jobs of this user or token"), Parameter("search", "only jobs with this text in node, package, action or user"),
            Parameter("plans", "false: without plans"), Parameter("folded", "true: one job of each batch, and the batches"),
        ),
    ),
    Route("GET", "/jobs/{id}", "job.read", jobs_api.get_job),
    Route(
        "GET", "/jobs/{id}/output", "job.read", jobs_api.job_output, cost="history",
        query=(Parameter("offset", "the first byte (0)", "integer"),), answers=("text/plain",),
    ),
    Route(
        "GET", "/jobs/{id}/marks", "job.read", jobs_api.job_marks, cost="page",
        query=(Parameter("offset", "the first byte (0)", "integer"),),
    ),
    Route("GET", "/jobs/{id}/plan", "job.read", jobs_api.job_plan, cost="page"),
    Route("GET", "/jobs/{id}/report", "job.read", jobs_api.job_report, cost="page"),
    Route("POST", "/jobs/{id}/cancel", "job.cancel", jobs_api.cancel_job),
    Route("GET", "/batches", "job.read", jobs_api.list_batches, query=(LIMIT, CURSOR), cost="page"),
    Route("GET", "/batches/{id}", "job.read", jobs_api.get_batch, cost="scan"),
    Route("POST", "/batches/{id}/cancel", "job.cancel", jobs_api.cancel_batch, cost="many"),
)  # fmt: skip


def _tracker(services: Services) -> JobTracker:
    registry = services[Registry]
    orders = OrderSender(services.clock, registry, services[Vault].fleet_key, services[AgentBundle].bundle)
    return JobTracker(services, services.bus, services.clock, registry, services.refusals, orders, services[Config].jobs_at_once)


SLICE: Final = Slice(
    "jobs",
    ROUTES,
    topics=(
        LiveTopic("jobs", "job.read", "fleet", "job", feed=JobsFeed),
        LiveTopic("job", "job.read", "small", "job", find=find_job, stream=JobStream),
    ),
    provides=(
        provide(Outputs)(lambda _: Outputs()),
        provide(JobTracker)(_tracker),
        provide(JobSink)(lambda services: services[JobTracker]),
        provide(JobService)(
            lambda services: JobService(services, services.bus, services.clock, services[Config].jobs_at_once, services[Freezes])
        ),
    ),
    tasks=(JobTracker,),
    expires=(Expiry("jobs", KEEP_S, lambda stores, before: stores[JobStore].expire(before)),),
)
