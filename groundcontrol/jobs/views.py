"""Request and response bodies of jobs and batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from groundcontrol.core.verbs import JOBS, PLANNED
from groundcontrol.jobs.model import Batch, Job
from groundcontrol.jobs.plans import Plan, Report
from groundcontrol.web.answer import Answer, Body, view_of

if TYPE_CHECKING:  # a type checker cannot read the catalogue; what decodes a request can
    JobVerb = str
    PlannedVerb = str
else:
    JobVerb = Literal[JOBS]
    PlannedVerb = Literal[PLANNED]


class JobBody(Body, rename={"for_": "for"}):
    action: JobVerb
    packages: list[str] | msgspec.UnsetType = msgspec.UNSET
    """install, remove, hold and unhold want them; upgrade takes them, without them it is all. Null and an empty list are refused."""
    for_: PlannedVerb | msgspec.UnsetType = msgspec.UNSET
    """Of `plan`: what it is made for."""
    plan: str | msgspec.UnsetType = msgspec.UNSET
    """Digest of the plan that was seen: if the node's own differs by now, the job ends with job.plan_changed before it begins."""
    reboot: bool = False
    """After an upgrade that succeeded, where the node does not say that none is due."""


class BatchBody(JobBody, rename={"for_": "for"}, kw_only=True):
    nodes: list[str]
    """Ids, 1 to 1000."""
    plans_of: str | msgspec.UnsetType = msgspec.UNSET
    """Id of a bulk job that planned the same: each node is bound to the plan that it told there. One that told none gets no job."""


class CancelBody(Body):
    force: bool = False
    """Of one that was asked to stop before and goes on: end what it hangs in, such as a package's script. Work stays half done then: repair it."""


class ChangeView(Answer, rename={"before": "from", "after": "to"}):
    package: str
    before: str
    """Empty = newly installed."""
    after: str
    """Empty = removed."""


class JobErrorView(Answer):
    code: str
    message: str


class StopView(Answer):
    state: Literal["asked", "now", "after_package", "too_late"]
    """asked: the node has not answered yet. The rest is its answer: it ends at once, after the package it is at, or not any more."""
    why: str
    by: str
    at: float
    force: bool
    """What it hangs in is to be ended."""


class JobView(Answer, rename={"for_": "for"}):
    id: str
    node_id: str
    action: str
    packages: list[str]
    for_: str | None
    plan: str | None
    """Digest of the plan that it is bound to."""
    reboot: bool
    state: Literal[
        "queued", "dispatched", "accepted", "running",
        "succeeded", "failed", "cancelled", "interrupted", "expired", "unknown",
    ]  # fmt: skip
    phase: Literal["refresh", "plan", "waiting_lock", "download", "commit", "triggers", "check"] | None
    progress_percent: int | None
    package: str
    """The one that it is at."""
    note: str
    """What the node says about where it stands, such as who holds the lock."""
    exit_code: int | None
    output_bytes: int
    """Held."""
    output_total_bytes: int
    """Printed: more than what is held where there was no room for all of it."""
    output_sha256: str | None
    last_output_at: float | None
    plan_digest: str | None
    """Of the plan at `/plan`; null: there is none, or not all of it yet."""
    has_report: bool
    """Something is at `/report`."""
    stop: StopView | None
    batch_id: str | None
    follows: str | None
    """The job that asked for this one."""
    created_by: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    changes: list[ChangeView]
    error: JobErrorView | None
    """Of a job that goes on: what is wrong with it (job.orphaned, job.overdue)."""
    version: int
    """Grows with each change: of two views the one with the higher number is the newer, whichever came first."""


class JobsView(Answer):
    jobs: list[JobView]
    next: str | None


class PlanStepView(Answer, rename={"before": "from", "after": "to"}):
    package: str
    before: str
    """Empty = new."""
    after: str
    """Empty = removed."""
    security: Literal["yes", "no", "unknown"]
    repository: str


class KeptView(Answer):
    package: str
    version: str
    """The one that it does not get."""
    reason: Literal["held", "phased", "pinned", "needs_new", "needs_removal", "unresolvable", "other"]


class PlanCountsView(Answer):
    upgrades: int
    new: int
    removals: int
    security: int
    kept: int


class PlanView(Answer):
    job_id: str
    digest: str
    complete: bool
    """False: some of it is still on its way."""
    counts: PlanCountsView
    steps: list[PlanStepView]
    kept: list[KeptView]
    download_bytes: int | None
    installed_bytes: int | None
    """By how much the disk fills; negative = it frees room."""
    reboot: Literal["yes", "no", "unknown"]
    """Whether one is expected afterwards."""
    reboot_why: str


class ConfigFileView(Answer):
    path: str
    diff: str
    """To the one in use; empty = not readable, or no text."""


class ReportView(Answer):
    job_id: str
    reboot: Literal["yes", "no", "unknown"]
    reboot_why: str
    services: list[str]
    """Units that still run code that was replaced."""
    config_files: list[ConfigFileView]
    """Put beside the ones in use."""
    failed_units: list[str]
    """Failed since the job began."""
    notes: list[str]


class RefusedView(Answer):
    node_id: str
    code: str
    message: str


class BatchJobView(Answer):
    id: str
    node_id: str
    state: str
    phase: str | None
    progress_percent: int | None
    package: str
    changes: int
    stop: StopView | None
    started_at: float | None
    ended_at: float | None
    error: JobErrorView | None


class BatchSummaryView(Answer, rename={"for_": "for"}):
    id: str
    action: str
    packages: list[str]
    for_: str | None
    plan: str | None
    reboot: bool
    state: Literal["running", "done"]
    counts: dict[str, int]
    """State -> how many of its jobs are in it."""
    refused: list[RefusedView]
    created_by: str
    created_at: float
    ended_at: float | None


class BatchView(BatchSummaryView, rename={"for_": "for"}):
    jobs: list[BatchJobView]


class BatchesView(Answer):
    batches: list[BatchSummaryView]
    next: str | None


class JobChunk(Answer):
    output: bytes
    offset: int


class JobChange(Answer):
    job: JobView


class JobsData(Answer):
    jobs: list[JobView]
    """Newest first."""


class JobsChange(Answer):
    """Of the newest jobs those that are new or changed, and the ids of those that are not among the newest any more."""

    jobs: list[JobView]
    gone: list[str]


def job_view(job: Job) -> JobView:
    return view_of(
        JobView,
        job,
        for_=job.for_action,
        output_total_bytes=job.output_bytes + job.lost_bytes,
        stop=_stop(job),
        changes=[ChangeView(*change) for change in job.changes],
        error=_job_error(job),
    )


def _stop(job: Job) -> StopView | None:
    return None if job.stop is None else StopView(*job.stop)


def _job_error(job: Job) -> JobErrorView | None:
    return None if job.error is None else JobErrorView(*job.error)


def plan_view(job_id: str, plan: Plan) -> PlanView:
    steps = plan.steps
    return PlanView(
        job_id=job_id,
        complete=plan.complete,
        counts=PlanCountsView(
            upgrades=sum(bool(step.before and step.after) for step in steps),
            new=sum(not step.before for step in steps),
            removals=sum(not step.after for step in steps),
            security=sum(step.security == "yes" for step in steps),
            kept=len(plan.kept),
        ),
        steps=[PlanStepView(**step._asdict()) for step in steps],
        kept=[KeptView(**kept._asdict()) for kept in plan.kept],
        **plan.head._asdict(),
    )


def report_view(job_id: str, report: Report) -> ReportView:
    return view_of(ReportView, report, job_id=job_id, config_files=[ConfigFileView(*file) for file in report.config_files])


def batch_summary(batch: Batch) -> BatchSummaryView:
    return BatchSummaryView(**_batch(batch))


def batch_view(batch: Batch, jobs: Iterable[Job]) -> BatchView:
    return BatchView(**_batch(batch), jobs=[_batch_job(job) for job in jobs])


def _batch(batch: Batch) -> dict[str, Any]:
    request = batch.request
    return {
        "id": batch.id,
        "action": request.action,
        "packages": list(request.packages),
        "for_": request.for_action,
        "plan": request.plan,
        "reboot": request.reboot,
        "state": "running" if batch.ended_at is None else "done",
        "counts": batch.counts,
        "refused": [RefusedView(*refused) for refused in batch.refused],
        "created_by": batch.created_by,
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
    }


def _batch_job(job: Job) -> BatchJobView:
    return view_of(BatchJobView, job, changes=len(job.changes), stop=_stop(job), error=_job_error(job))
