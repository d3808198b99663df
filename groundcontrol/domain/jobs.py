"""Jobs: what they are and how their states may move."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.domain.ids import JobId, NodeId

JobState = Literal[
    "queued", "dispatched", "accepted", "running",
    "succeeded", "failed", "cancelled", "interrupted", "expired", "unknown",
]  # fmt: skip
JobPhase = Literal["refresh", "plan", "waiting_lock", "download", "commit", "triggers", "check"]
JobAction = Literal["refresh", "check", "upgrade", "full-upgrade"]
ACTIONS: Final[tuple[JobAction, ...]] = ("refresh", "check", "upgrade", "full-upgrade")

TERMINAL: Final = frozenset({"succeeded", "failed", "cancelled", "interrupted", "expired", "unknown"})
TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    "queued": frozenset({"dispatched", "cancelled", "expired", "failed"}),
    "dispatched": frozenset({"accepted", "running", "succeeded", "failed", "cancelled", "interrupted", "expired", "unknown"}),
    "accepted": frozenset({"running", "succeeded", "failed", "interrupted", "unknown"}),
    "running": frozenset({"succeeded", "failed", "interrupted", "unknown"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "expired": frozenset(),
    "interrupted": frozenset({"succeeded", "failed"}),
    "unknown": frozenset({"succeeded", "failed"}),
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


class Job(NamedTuple):
    id: JobId
    org: int
    node_id: NodeId
    action: JobAction
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
    version: int


class NewJob(NamedTuple):
    id: JobId
    node_id: NodeId
    action: JobAction
    packages: tuple[str, ...]
    reboot: bool
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
