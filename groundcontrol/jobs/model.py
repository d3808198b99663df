"""Jobs: what they are, what may be asked for, and how their states may move."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.core.ids import BatchId, JobId, NodeId

JobState = Literal[
    "queued", "dispatched", "accepted", "running",
    "succeeded", "failed", "cancelled", "interrupted", "expired", "unknown",
]  # fmt: skip
JobPhase = Literal["refresh", "plan", "waiting_lock", "download", "commit", "triggers", "check"]
StopState = Literal["asked", "now", "after_package", "too_late"]

START_LIMIT_S: Final = 600.0
"""A job that has not begun after this is not begun any more; a node that is offline may come back within it."""

OPEN: Final = frozenset({"dispatched", "accepted", "running"})
"""Somewhere between hub and node: a node has at most one such job."""
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
"""`interrupted` and `unknown` may turn into the truth once, on late evidence."""


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
    """Somebody wants a job to stop."""

    state: StopState
    """asked: the node has not answered yet. The rest is its answer: it ends at once, after the package that it is at, or not any more."""
    why: str
    by: str
    at: float
    force: bool = False
    """It was asked to stop before and did not end: end what it hangs in, such as a package's script, whatever that leaves."""


class StopAnswer(NamedTuple):
    """What a node said to that."""

    state: StopState
    why: str


class JobRequest(NamedTuple):
    """What a node is asked to do."""

    action: str
    """A verb of the catalogue."""
    packages: tuple[str, ...] = ()
    for_action: str | None = None
    """Of a plan: what it is made for."""
    plan: str | None = None
    """Digest of the plan that somebody saw: if the node's own differs by now, nothing is done."""
    reboot: bool = False


class Job(NamedTuple):
    id: JobId
    org: int
    node_id: NodeId
    action: str
    packages: tuple[str, ...]
    reboot: bool
    state: JobState
    phase: JobPhase | None
    progress_percent: int | None
    exit_code: int | None
    output_bytes: int
    """Held by the hub."""
    output_sha256: str | None
    """Of everything held, once the job has ended."""
    created_by: str
    created_at: float
    not_after: float
    """Not started later than this."""
    started_at: float | None
    ended_at: float | None
    changes: tuple[Change, ...]
    error: JobError | None
    """While it goes on: what is wrong with it (job.orphaned, job.overdue)."""
    version: int
    for_action: str | None = None
    plan: str | None = None
    """Of the wish."""
    plan_digest: str | None = None
    """Of the plan that the node told, once all of it is held."""
    has_report: bool = False
    package: str = ""
    """The one it is at."""
    note: str = ""
    """What the node says about where it stands, such as who holds the lock."""
    last_output_at: float | None = None
    lost_bytes: int = 0
    """Output beyond the cap or without room on the node's disk: printed, and held nowhere."""
    stop: Stop | None = None
    batch_id: BatchId | None = None
    follows: JobId | None = None
    """The job that asked for this one."""

    @property
    def wish(self) -> JobRequest:
        return JobRequest(self.action, self.packages, self.for_action, self.plan, self.reboot)


class JobFilter(NamedTuple):
    """Which jobs of a list; what is empty asks for nothing."""

    states: tuple[JobState, ...] = ()
    action: str = ""
    by: str = ""
    """Name of who asked for it."""


class NewJob(NamedTuple):
    id: JobId
    node_id: NodeId
    wish: JobRequest
    created_at: float
    not_after: float


class JobEvidence(NamedTuple):
    """What is known of a job at a transition; `None` leaves what the row has."""

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
    """Counts only where a stop was asked for."""


class RefusedNode(NamedTuple):
    """A node of a batch for which no job was made."""

    node_id: NodeId
    code: str
    message: str


class NewBatch(NamedTuple):
    id: BatchId
    wish: JobRequest
    nodes: tuple[NodeId, ...]
    """As asked for, each once: with the wish they tell a repeat from another request."""
    jobs: tuple[NewJob, ...]
    refused: tuple[RefusedNode, ...]
    created_at: float
    plans_of: BatchId | None = None
    """The order whose plans these jobs are bound to."""


class Batch(NamedTuple):
    """One request for many nodes."""

    id: BatchId
    org: int
    wish: JobRequest
    refused: tuple[RefusedNode, ...]
    created_by: str
    created_at: float
    counts: dict[str, int]
    """State -> how many of its jobs are in it."""
    ended_at: float | None
    """When the last of its jobs ended; None: some go on."""
