"""Request and response bodies of jobs and batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from groundcontrol.core.verbs import JOBS, PLANNED
from groundcontrol.jobs.coded_text import coded_text
from groundcontrol.jobs.model import Batch, Job, JobRequest
from groundcontrol.jobs.plans import Plan, Report
from groundcontrol.web.answer import Answer, Body, view_of
from spider.wire.arg_kinds import ARG_KINDS

if TYPE_CHECKING:  # a type checker cannot read the catalogue; what decodes a request can
    JobVerb = str
    PlannedVerb = str
else:
    JobVerb = Literal[JOBS]
    PlannedVerb = Literal[PLANNED]


class NamesBody(Body):
    """What a job is asked to do its action to: a field for each row of `ARG_KINDS`."""

    packages: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Required by install, remove, hold and unhold. An upgrade without them covers all packages. Null and an empty list are invalid."""
    units: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Required by the actions `unit-…`, and only for them: full names of services, sockets or timers of systemd, such as `nginx.service`."""
    container: str | msgspec.UnsetType = msgspec.UNSET
    """Required by the action `container-restart`, and only for it: the name of a container of Docker or Podman."""
    named_action: str | msgspec.UnsetType = msgspec.UNSET
    """Required by the action `action-run`, and only for it: the name of one of the owner's own actions, as `policy.actions` lists them."""


class NamesView(Answer):
    """As in `NamesBody`; the fields of other kinds are empty."""

    packages: list[str]
    units: list[str]
    container: str | None
    named_action: str | None


class JobBody(NamesBody, rename={"for_": "for"}, kw_only=True):
    action: JobVerb
    for_: PlannedVerb | msgspec.UnsetType = msgspec.UNSET
    """The action that `plan` simulates."""
    plan: str | msgspec.UnsetType = msgspec.UNSET
    """Digest of the approved plan. If the node's plan differs now, the job ends with job.plan_changed before any change."""
    reboot: bool = False
    """Whether to reboot after the upgrade, unless the node reports that none is due. After one that failed in part: only if one is due, and never
    while packages are broken or what starts the server is not up to date; the error then says so."""
    override_freeze: str = ""
    """Why this job may change a node in spite of a freeze, 1 to 200 characters. Only an admin may, with a password check; the audit log has it."""


class BatchBody(JobBody, rename={"for_": "for"}, kw_only=True):
    nodes: list[str]
    """Ids of nodes, 1 to 1000."""
    plans_of: str | msgspec.UnsetType = msgspec.UNSET
    """Id of a batch that planned the same action. Each job is bound to its node's plan in that batch. A node without a plan gets no job."""


class CancelBody(Body):
    force: bool = False
    """Kill the process that delays an earlier stop, such as a maintainer script. Packages may remain half-configured; `repair` helps."""


class ChangeView(Answer, rename={"before": "from", "after": "to"}):
    package: str
    before: str
    """Empty = newly installed."""
    after: str
    """Empty = removed."""


class MarkView(Answer):
    """A piece of output."""

    at_ms: int
    """When the node read it, in Unix milliseconds by its own clock."""
    offset: int
    """Of its first byte."""


class JobMarksView(Answer):
    marks: list[MarkView]
    next_offset: int | None
    """From where to read on; null: these are all."""


class JobErrorView(Answer):
    code: str
    message: str


class CodedTextView(Answer):
    """A sentence of a node's agent. docs/errors.md lists the codes."""

    code: str
    template: str
    """The English text, with `{name}` where a fact belongs."""
    facts: dict[str, str]


class StopView(Answer):
    state: Literal["asked", "now", "after_package", "too_late"]
    """`asked`: the node has not answered yet. Else its answer: the job stops now, after the current package, or can no longer stop."""
    why: str
    by: str
    at: float
    force: bool
    """Whether a hanging script may be killed."""
    why_coded: CodedTextView | None
    """`why` as a code and its facts. null: it has none."""


class JobView(NamesView, rename={"for_": "for"}):
    id: str
    node_id: str
    action: str
    for_: str | None
    plan: str | None
    """Digest of the approved plan; null: none."""
    reboot: bool
    state: Literal[
        "queued", "dispatched", "accepted", "running",
        "succeeded", "failed", "cancelled", "interrupted", "expired", "unknown",
    ]  # fmt: skip
    phase: Literal["refresh", "plan", "waiting_lock", "download", "commit", "triggers", "check"] | None
    progress_percent: int | None
    package: str
    """The current package."""
    note: str
    """The node's remark on the progress, such as the holder of the lock."""
    note_coded: CodedTextView | None
    """`note` as a code and its facts. null: it has none."""
    exit_code: int | None
    output_bytes: int
    """Bytes of output that the hub stores."""
    output_total_bytes: int
    """Bytes that the job printed. More than `output_bytes` if some could not be stored."""
    output_sha256: str | None
    last_output_at: float | None
    plan_digest: str | None
    """Digest of the plan at `/plan`. null: there is no complete plan."""
    has_report: bool
    """Whether a report exists at `/report`."""
    lost: bool
    """Whether the server came back from this reboot without something that ran, listened or was mounted before it."""
    stop: StopView | None
    batch_id: str | None
    follows: str | None
    """The job that this one follows."""
    created_by: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    changes: list[ChangeView]
    error: JobErrorView | None
    """Why the job failed; for a running job: its present problem (job.orphaned, job.overdue)."""
    version: int
    """Grows with each change: the view with the higher number is newer."""


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
    """The available version that is not installed."""
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
    """Whether all parts have arrived."""
    counts: PlanCountsView
    steps: list[PlanStepView]
    kept: list[KeptView]
    download_bytes: int | None
    installed_bytes: int | None
    """Change of the used disk space; negative = it is freed."""
    reboot: Literal["yes", "no", "unknown"]
    """Whether the plan makes a reboot due."""
    reboot_why: str
    reboot_why_coded: CodedTextView | None
    """`reboot_why` as a code and its facts. null: it has none."""
    restarts: list[str]
    """Running services that will probably restart."""


class ConfigFileView(Answer):
    path: str
    diff: str
    """The difference from the file in use. Empty = not readable, or not text."""


class ReportView(Answer):
    job_id: str
    reboot: Literal["yes", "no", "unknown"]
    reboot_why: str
    reboot_why_coded: CodedTextView | None
    """`reboot_why` as a code and its facts. null: it has none."""
    services: list[str]
    """Units that still run replaced code."""
    config_files: list[ConfigFileView]
    """New configuration files that the package manager saved beside the files in use."""
    failed_units: list[str]
    """Units that failed since the job began."""
    notes: list[str]
    notes_coded: list[CodedTextView | None]
    """Parallel to `notes`: each as a code and its facts. null: it has none."""


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
    output_bytes: int
    """Stored bytes of output."""
    lost: bool
    """As in a job."""
    planned: bool
    """Whether a complete plan of this job is stored. It may be read before the job ends."""


class BatchSummaryView(NamesView, rename={"for_": "for"}):
    id: str
    action: str
    for_: str | None
    plan: str | None
    reboot: bool
    state: Literal["running", "done"]
    counts: dict[str, int]
    """State -> number of jobs."""
    refused: list[RefusedView]
    created_by: str
    created_at: float
    ended_at: float | None
    plans_of: str | None
    """The bulk job whose plans its jobs carry out. A chosen node that has no job here stands there."""


class JobsView(Answer):
    jobs: list[JobView]
    next: str | None
    batches: list[BatchSummaryView]
    """With `?folded=true`, the batches that these jobs belong to; else empty."""


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
    """The new and changed jobs of the topic, and the ids of jobs that left it."""

    jobs: list[JobView]
    gone: list[str]


def job_view(job: Job) -> JobView:
    return view_of(
        JobView,
        job,
        for_=job.for_action,
        output_total_bytes=job.output_bytes + job.lost_bytes,
        note_coded=_coded(job.note),
        stop=_stop(job),
        changes=[ChangeView(*change) for change in job.changes],
        error=_job_error(job),
        **_names(job.request),
    )


def _names(request: JobRequest) -> dict[str, Any]:
    """The fields of `NamesView`."""
    named = request.named()
    return {kind.name: named.get(kind.name, None if kind.single else []) for kind in ARG_KINDS}


def _stop(job: Job) -> StopView | None:
    return None if job.stop is None else StopView(*job.stop, why_coded=_coded(job.stop.why))


def _coded(text: str) -> CodedTextView | None:
    found = coded_text(text)
    return None if found is None else CodedTextView(*found)


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
        reboot_why_coded=_coded(plan.head.reboot_why),
        **plan.head._asdict(),
    )


def report_view(job_id: str, report: Report) -> ReportView:
    return view_of(
        ReportView,
        report,
        job_id=job_id,
        config_files=[ConfigFileView(*file) for file in report.config_files],
        reboot_why_coded=_coded(report.reboot_why),
        notes_coded=[_coded(note) for note in report.notes],
    )


def batch_summary(batch: Batch) -> BatchSummaryView:
    return BatchSummaryView(**_batch(batch))


def batch_view(batch: Batch, jobs: Iterable[Job]) -> BatchView:
    return BatchView(**_batch(batch), jobs=[_batch_job(job) for job in jobs])


def _batch(batch: Batch) -> dict[str, Any]:
    request = batch.request
    return {
        "id": batch.id,
        "action": request.action,
        **_names(request),
        "for_": request.for_action,
        "plan": request.plan,
        "reboot": request.reboot,
        "state": "running" if batch.ended_at is None else "done",
        "counts": batch.counts,
        "refused": [RefusedView(*refused) for refused in batch.refused],
        "created_by": batch.created_by,
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
        "plans_of": batch.plans_of,
    }


def _batch_job(job: Job) -> BatchJobView:
    planned = job.plan_digest is not None
    return view_of(BatchJobView, job, changes=len(job.changes), stop=_stop(job), error=_job_error(job), planned=planned)
