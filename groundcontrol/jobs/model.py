"""Domain types of jobs and batches, and the allowed transitions of a job's state."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.core.errors import Conflict
from groundcontrol.core.ids import BatchId, JobId, NodeId
from groundcontrol.core.text import clean
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event
from spider.wire.arg_kinds import ArgKind
from spider.wire.events import MAX_DETAIL_CHARS
from spider.wire.verbs import VERBS

JobState = Literal[
    "queued", "dispatched", "accepted", "running",
    "succeeded", "failed", "cancelled", "interrupted", "expired", "unknown",
]  # fmt: skip
JobPhase = Literal["refresh", "plan", "waiting_lock", "download", "commit", "triggers", "check"]
StopState = Literal["asked", "now", "after_package", "too_late"]

START_LIMIT_S: Final = 600.0
"""How long after its creation a job may still start. An offline node can reconnect within it."""

OPEN: Final = frozenset({"dispatched", "accepted", "running"})
"""States of a job that was sent to its node and has not ended. A node has at most one such job in each lane."""
TERMINAL: Final = frozenset({"succeeded", "failed", "cancelled", "interrupted", "expired", "unknown"})
TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    "queued": frozenset({"dispatched", "cancelled", "expired", "failed"}),
    "dispatched": frozenset({"accepted", "running", "succeeded", "failed", "cancelled", "interrupted", "expired", "unknown"}),
    "accepted": frozenset({"running", "succeeded", "failed", "cancelled", "interrupted", "unknown"}),
    "running": frozenset({"succeeded", "failed", "cancelled", "interrupted", "unknown"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "expired": frozenset(),
    "interrupted": frozenset({"succeeded", "failed", "cancelled"}),
    "unknown": frozenset({"succeeded", "failed", "cancelled"}),
}
"""`interrupted` and `unknown` may change once to the real outcome, when late evidence arrives."""


def may_move(before: str, after: str) -> bool:
    """Whether a job in state `before` may become `after`."""
    return after in TRANSITIONS[before]


class Change(NamedTuple):
    """One package before and after; empty = not installed."""

    package: str
    before: str
    after: str


class JobError(NamedTuple):
    code: str
    message: str


class Stop(NamedTuple):
    """A request to stop a job."""

    state: StopState
    """`asked`: no answer yet. The node's answer: the job stops immediately (`now`), after the current package, or no longer (`too_late`)."""
    why: str
    by: str
    at: float
    force: bool = False
    """Kill the process that the job hangs in, such as a package's script. Work may stay half done. Only after a stop request."""


class StopAnswer(NamedTuple):
    """A node's answer to a stop request."""

    state: StopState
    why: str
    final: bool = True
    """Whether it also answers a request with `force`. A node repeats its answer to the plain request, which leaves the other to be sent."""


class JobRequest(NamedTuple):
    """The action that a node is asked to do, with its arguments."""

    action: str
    """A verb of the catalogue."""
    args: tuple[str, ...] = ()
    """What the action is asked to do it to: names of `kind`."""
    for_action: str | None = None
    """For the action `plan`: the action that is planned."""
    plan: str | None = None
    """Digest of the plan that the user confirmed. If the node's present plan differs, the node does nothing."""
    reboot: bool = False
    timeout_s: int = 0
    """Time limit of a named action; 0: that of the node."""

    @property
    def kind(self) -> ArgKind | None:
        """What `args` name; None: this action takes no names, or this release does not know it."""
        verb = VERBS.get(self.for_action or self.action)
        return None if verb is None else verb.kind

    def named(self) -> dict[str, object]:
        """What `args` name, as in orders: the name of their kind -> the names, or the one name. Empty: nothing."""
        if self.kind is None or not self.args:
            return {}
        return {self.kind.name: self.args[0] if self.kind.single else list(self.args)}

    def details(self) -> dict[str, object]:
        """The request in an entry of the audit log."""
        fields = self._asdict()
        del fields["args"]
        if not self.timeout_s:
            del fields["timeout_s"]
        return {**fields, **self.named()}


class Job(NamedTuple):
    id: JobId
    org: int
    node_id: NodeId
    action: str
    args: tuple[str, ...]
    reboot: bool
    state: JobState
    phase: JobPhase | None
    progress_percent: int | None
    exit_code: int | None
    output_bytes: int
    """Bytes of output that the hub stores."""
    output_sha256: str | None
    """SHA-256 of the stored output, once the job has ended."""
    created_by: str
    created_at: float
    not_after: float
    """The job is not started after this time."""
    started_at: float | None
    ended_at: float | None
    changes: tuple[Change, ...]
    error: JobError | None
    """Why the job failed; for a running job: its present problem (job.orphaned, job.overdue)."""
    version: int
    for_action: str | None = None
    plan: str | None = None
    """Digest of the confirmed plan, from the job request."""
    plan_digest: str | None = None
    """Digest of the plan that the node sent, once all its parts are stored."""
    has_report: bool = False
    lost: bool = False
    """Whether a service, port, mount or unit was missing after this reboot."""
    package: str = ""
    """The package that the node works on now."""
    note: str = ""
    """The node's note on its progress, such as which process holds the package lock."""
    last_output_at: float | None = None
    lost_bytes: int = 0
    """Bytes that were printed and not stored: they were above the limit, or the node's disk was full."""
    stop: Stop | None = None
    batch_id: BatchId | None = None
    follows: JobId | None = None
    """The job that this one follows: an upgrade, followed by its reboot."""
    timeout_s: int = 0
    """Time limit of a named action; 0: that of the node."""

    @property
    def request(self) -> JobRequest:
        return JobRequest(self.action, self.args, self.for_action, self.plan, self.reboot, self.timeout_s)


def effect_of_stop(job: Job, *, force: bool) -> Literal["cancel", "request", "nothing"]:
    """The effect of a stop request: a queued job is cancelled; an open one gets the request once, and `force` once.

    Raises: Conflict: the job has ended, and not by a cancellation.
    """
    if job.state == "queued":
        return "cancel"
    if job.state in OPEN:
        return "request" if job.stop is None or (force and not job.stop.force) else "nothing"
    if job.state != "cancelled":
        raise Conflict(f"job {job.id} is {job.state} already", state=job.state)
    return "nothing"


def never_ran(state: JobState, started_at: float | None) -> bool:
    """Whether the job never ran, so that its node cannot have output of it."""
    return state in ("queued", "expired") or (state == "cancelled" and started_at is None)


def holds_all(stored_bytes: int, total_bytes: int | None) -> bool:
    """Whether the hub stores all output that the node has. `total_bytes`: of the node; None: not known."""
    return total_bytes is None or stored_bytes >= total_bytes


def is_finished(state: JobState, stored_bytes: int, total_bytes: int | None) -> bool:
    """Whether the node may delete the job. While the end is uncertain, the node keeps its record."""
    if state in ("interrupted", "unknown") and total_bytes is None:
        return False
    return state in TERMINAL and holds_all(stored_bytes, total_bytes)


class JobFilter(NamedTuple):
    """A filter for lists of jobs. An empty field does not filter."""

    states: tuple[JobState | Literal["incomplete"], ...] = ()
    """`incomplete`: succeeded reboots after which something was missing."""
    action: str = ""
    by: str = ""
    """Name of the user or token that created the job."""
    search: str = ""
    """A part of the node's name, of a package, of the action or of `created_by`; case does not matter."""
    plans: bool = True
    """Whether plans are included."""
    folded: bool = False
    """For each batch, only the newest job that passes the other conditions."""
    changed_between: tuple[float, float] | None = None
    """Only jobs that ended between these times (Unix seconds) and changed packages."""


class NewJob(NamedTuple):
    id: JobId
    node_id: NodeId
    request: JobRequest
    created_at: float
    not_after: float
    override: str = ""
    """The freeze that an admin overrides by this job, with the reason; empty: none. It is in the audit log alone."""

    def audited(self) -> dict[str, object]:
        """What the audit log keeps of its creation."""
        override = {"freeze_overridden": self.override} if self.override else {}
        return {"node": self.node_id, **self.request.details(), **override}


class JobUpdate(NamedTuple):
    """Fields that a transition updates. `None` leaves the stored value."""

    phase: JobPhase | None = None
    progress_percent: int | None = None
    exit_code: int | None = None
    output_bytes: int | None = None
    output_sha256: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    changes: tuple[Change, ...] | None = None
    error: JobError | None = None
    package: str | None = None
    note: str | None = None
    last_output_at: float | None = None
    lost_bytes: int | None = None
    stop: StopAnswer | None = None
    """Ignored if the job has no stop request."""


class RefusedNode(NamedTuple):
    """A node of a batch for which no job was made."""

    node_id: NodeId
    code: str
    message: str


class NewBatch(NamedTuple):
    id: BatchId
    request: JobRequest
    nodes: tuple[NodeId, ...]
    """The requested nodes, each once. Together with `request` they distinguish a repeated request from a different one."""
    jobs: tuple[NewJob, ...]
    refused: tuple[RefusedNode, ...]
    created_at: float
    plans_of: BatchId | None = None
    """The batch whose plans these jobs are bound to."""


class Batch(NamedTuple):
    """One request for many nodes."""

    id: BatchId
    org: int
    request: JobRequest
    refused: tuple[RefusedNode, ...]
    created_by: str
    created_at: float
    counts: dict[str, int]
    """State -> number of jobs."""
    ended_at: float | None
    """When the last job ended; None: some jobs are still open."""
    plans_of: BatchId | None = None
    """The batch whose plans its jobs carry out."""


def job_event(job: Job, name: str, at: float) -> Event | None:
    """The event of a job that has just got its present state; None: that state has none. `name`: the name of its node."""
    if job.state not in TERMINAL and job.state != "running":
        return None
    details: dict[str, object] = {"job": job.id, "action": job.action, "changes": len(job.changes)}
    if job.args:
        details["args"] = clean(", ".join(job.args), MAX_DETAIL_CHARS)
    if job.batch_id is not None:
        details["batch"] = job.batch_id
    if job.error is not None:
        details["error"] = job.error.code
    state: str = "started" if job.state == "running" else job.state
    if job.state == "succeeded" and job.lost:
        state = "incomplete"
    return new_event(f"job_{state}", at, details, node=job.node_id, name=name, org=job.org)
