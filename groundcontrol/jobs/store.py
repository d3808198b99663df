"""Store interfaces of jobs and batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from groundcontrol.core.ids import BatchId, JobId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.jobs.model import Batch, Job, JobFilter, JobState, JobUpdate, NewBatch, NewJob
from groundcontrol.jobs.plans import Plan, PlanPart, Report
from groundcontrol.nodes.model import Session

CURRENT_MOST: Final = 2000
"""Open jobs that `JobStore.current` returns at most."""


class ClaimedJob(NamedTuple):
    """A job that `JobStore.take` has moved to dispatched, and the session of its node."""

    job: Job
    session: Session


class MovedLimit(NamedTuple):
    """Another `not_after` of a job."""

    job: JobId
    before: float
    after: float


class JobStore(Protocol):
    async def create_job(self, scope: Scope, job: NewJob, idempotency_key: str | None) -> Job:
        """Create a job. A repeated (actor, key) returns the first job.

        Raises: NotFound: the caller may not see the node, or there is none; IdempotencyMismatch: the first request was different.
        """
        ...

    async def job(self, scope: Scope, job: JobId) -> Job: ...
    async def jobs(
        self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: JobFilter | None = None
    ) -> Page[Job]:
        """A page of jobs, in reverse order of creation, independent of the clock. `current` and `batches` have the same order."""
        ...

    async def current(self, scope: Scope, newest: int, also: Sequence[JobId] = ()) -> Sequence[Job]:
        """The newest jobs, all open jobs (at most `CURRENT_MOST`), and the existing jobs of `also`; newest first."""
        ...

    async def take(self, ids: Sequence[JobId] | None, sessions: Sequence[Session], now: float, at_once: int = 1000) -> Sequence[ClaimedJob]:
        """Move jobs from queued to dispatched. Each job is claimed once.

        The session must be current, and the node must have no open job of the same kind: on units and containers, or any other.
        Args: ids: None: all. at_once: how many jobs of batches of one organisation may be open on nodes of this hub; others
                stay queued.
        """
        ...

    async def cancel_unauthorized(self, now: float) -> Sequence[Job]:
        """End queued jobs as failed if their creator is no longer authorized: disabled, suspended, a lower role, no access to the node, an expired token.

        `take` claims none of them: it checks the rights in its own transaction.
        """
        ...

    async def unaccepted(self, session: Session) -> Sequence[Job]:
        """Jobs of this node in state dispatched: it has not accepted them yet. Raises: Fenced: the session is over."""
        ...

    async def last_ended(self, actions: Collection[str]) -> Sequence[Job]:
        """The newest ended job of each node that did one of these actions."""
        ...

    async def open_jobs(self, node: NodeId) -> Sequence[Job]:
        """Jobs of this node in state dispatched, accepted or running."""
        ...

    async def unfinished(self, ids: Sequence[JobId], node: NodeId) -> Mapping[JobId, int]:
        """Job -> bytes of stored output. Finished jobs (`jobs.model.is_finished`) and jobs of other nodes are left out."""
        ...

    async def any_open(self) -> bool:
        """Whether any job has not ended."""
        ...

    async def overdue(self, now: float) -> Sequence[Job]:
        """Queued or dispatched jobs whose `not_after` has passed."""
        ...

    async def waiting(self) -> Sequence[Job]:
        """All queued or dispatched jobs."""
        ...

    async def move_limits(self, moves: Sequence[MovedLimit]) -> None:
        """Change the `not_after` of those of these jobs that are queued or dispatched, and have the former one still."""
        ...

    async def stopping(self) -> Sequence[Job]:
        """Open jobs with a stop request that the node has not answered."""
        ...

    async def stop_job(self, scope: Scope, job: JobId, *, force: bool = False) -> Job:
        """Cancel a queued job. For an open job, record the stop request once, and `force` once.

        Raises: Conflict: the job has ended, and not by a cancellation.
        """
        ...

    async def advance(self, job: JobId, to: JobState, by: Session | Scope, update: JobUpdate, follow: NewJob | None = None) -> Job:
        """Change the state as `jobs.model.TRANSITIONS` allows. The same state updates the other fields; of an ended job only the empty ones.

        Args:   follow: a job to create in the same transaction, with the creator of this one.
        Raises: NotFound; Conflict: the transition is not allowed; Fenced: the session is over.
        """
        ...

    async def save_plan(self, job: JobId, part: PlanPart, by: Session) -> Job:
        """Store a part of the job's plan. A part of another plan replaces all earlier parts. Conflict: the job never ran, or the plan is too large."""
        ...

    async def plan(self, scope: Scope, job: JobId) -> Plan | None: ...
    async def save_report(self, job: JobId, report: Report, by: Session) -> Job:
        """Store the job's report. It updates whether the node needs a reboot, unless the report says unknown."""
        ...

    async def report(self, scope: Scope, job: JobId) -> Report | None: ...

    async def output_marks(self, scope: Scope, job: JobId, offset: int, most: int) -> Sequence[tuple[int, int]]:
        """(when a piece of output was printed in Unix milliseconds by the node's clock, offset of its first byte), from a byte on, in order."""
        ...

    async def append_output(self, job: JobId, offset: int, data: bytes, by: Session, at_ms: int | None = None) -> int:
        """Append the bytes after the stored end. Raises: Conflict: the job never ran.

        Returns: the new end, to acknowledge; the old end if there is a gap before `offset`.
        """
        ...

    async def output_digest(self, job: JobId) -> tuple[int, str]:
        """Number of stored bytes, and their SHA-256 in hex."""
        ...

    def output(self, scope: Scope, job: JobId, offset: int, limit: int | None = None) -> AsyncIterator[bytes]:
        """The stored output from `offset` on, at most `limit` bytes (None: all), in chunks."""
        ...

    async def expire(self, before: float) -> int:
        """Delete some ended jobs that were created before then (Unix seconds). Returns: how many; call again until 0."""
        ...


class BatchStore(Protocol):
    """Store of batches: one request for many nodes."""

    async def create_batch(self, scope: Scope, batch: NewBatch, idempotency_key: str | None) -> Batch:
        """Create the batch with all its jobs. A repeated (actor, key) returns the first batch.

        Raises: IdempotencyMismatch: the first request was different.
        """
        ...

    async def batch(self, scope: Scope, batch: BatchId) -> Batch:
        """The batch, limited to jobs that the caller may see. Raises: NotFound: there are none, and the caller has not created the batch."""
        ...

    async def batches(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Batch]: ...
    async def jobs_of(self, scope: Scope, batch: BatchId) -> Sequence[Job]:
        """The jobs of a batch on nodes that the caller may see."""
        ...

    async def stop_batch(self, scope: Scope, batch: BatchId) -> Sequence[Job]:
        """`stop_job` for each job that has not ended and that the caller may see. Returns: these jobs."""
        ...
