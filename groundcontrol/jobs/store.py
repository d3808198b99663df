"""Jobs, alone and many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from groundcontrol.core.ids import BatchId, JobId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.jobs.model import Batch, Job, JobEvidence, JobFilter, JobState, NewBatch, NewJob
from groundcontrol.jobs.plans import Plan, PlanPart, Report
from groundcontrol.nodes.model import Session

CURRENT_MOST: Final = 2000


class ClaimedJob(NamedTuple):
    job: Job
    session: Session


class JobStore(Protocol):
    async def create_job(self, scope: Scope, job: NewJob, idempotency_key: str | None) -> Job:
        """The same (actor, key) gives the first job; IdempotencyMismatch if it asked for something else."""
        ...

    async def job(self, scope: Scope, job: JobId) -> Job: ...
    async def jobs(
        self, scope: Scope, limit: int, cursor: str | None = None, node: NodeId | None = None, only: JobFilter | None = None
    ) -> Page[Job]:
        """What was ordered last comes first, whatever the clock showed; so do `current` and `batches`."""
        ...

    async def current(self, scope: Scope, newest: int, also: Sequence[JobId] = ()) -> Sequence[Job]:
        """The newest ones, all that are not over (`CURRENT_MOST` of them), and of `also` those that there are; newest first."""
        ...

    async def take(self, ids: Sequence[JobId] | None, sessions: Sequence[Session], now: float, at_once: int = 1000) -> Sequence[ClaimedJob]:
        """queued -> dispatched where the session is current and the node has no other open job; each id is won once.

        Args: at_once: of batches, so many jobs at most are open on nodes of this hub; others wait.
        """
        ...

    async def withdraw(self, now: float) -> Sequence[Job]:
        """Close queued jobs that their orderer could not order now: disabled, of a lesser role, without that node, a token that is over.

        `take` hands none of them over, in the transaction in which it looks.
        """
        ...

    async def undispatched(self, session: Session) -> Sequence[Job]:
        """Jobs that were dispatched to this node and have not been accepted yet."""
        ...

    async def open_jobs(self, node: NodeId) -> Sequence[Job]:
        """Those that are dispatched, accepted or running."""
        ...

    async def held(self, ids: Sequence[JobId], node: NodeId) -> Mapping[JobId, int]:
        """How many bytes of output are held of each of these jobs that is of this node and not yet held completely."""
        ...

    async def finished(self, ids: Sequence[JobId], node: NodeId) -> Sequence[JobId]:
        """Which of these are completely held (terminal, output whole), or are not of this node at all."""
        ...

    async def any_open(self) -> bool:
        """Whether there is a job that is not over: a fleet mostly has none, and then there is nothing to be looked after."""
        ...

    async def overdue(self, now: float) -> Sequence[Job]:
        """Queued or dispatched jobs whose `not_after` has passed."""
        ...

    async def stopping(self) -> Sequence[Job]:
        """Open jobs that somebody wants to stop, which their nodes have not answered to."""
        ...

    async def stop_job(self, scope: Scope, job: JobId, *, force: bool = False) -> Job:
        """queued -> cancelled; where it is open, note once that it should stop, and once that force may be used.

        Conflict: it is over, but not cancelled.
        """
        ...

    async def advance(self, job: JobId, to: JobState, by: Session | Scope, evidence: JobEvidence, follow: NewJob | None = None) -> Job:
        """Move along `jobs.model.TRANSITIONS`. The same state again only updates the evidence. Conflict: not allowed.

        Args: follow: a job that is made with the move, in the name of who had ordered this one.
        """
        ...

    async def save_plan(self, job: JobId, part: PlanPart, by: Session) -> Job:
        """Keep a part of its plan; one of another plan replaces all parts before. Conflict: it never ran, or the plan is beyond measure."""
        ...

    async def plan(self, scope: Scope, job: JobId) -> Plan | None: ...
    async def save_report(self, job: JobId, report: Report, by: Session) -> Job:
        """Keep what it left; whether the node needs a reboot follows, where the report knows."""
        ...

    async def report(self, scope: Scope, job: JobId) -> Report | None: ...

    async def append_output(self, job: JobId, offset: int, data: bytes, by: Session) -> int:
        """Take what lies beyond the end held; returns the new end (= what to acknowledge). A hole returns the old end."""
        ...

    async def output_digest(self, job: JobId) -> tuple[int, str]:
        """How many bytes are held, and their SHA-256 in hex."""
        ...

    def output(self, scope: Scope, job: JobId, offset: int, limit: int | None = None) -> AsyncIterator[bytes]: ...
    async def expire(self, before: float) -> int:
        """Forget some jobs that are over and were made before then. Returns how many; call again until 0."""
        ...


class BatchStore(Protocol):
    """One request for many nodes."""

    async def create_batch(self, scope: Scope, batch: NewBatch, idempotency_key: str | None) -> Batch:
        """The batch with all its jobs. The same (actor, key) gives the first one; IdempotencyMismatch if it asked for something else."""
        ...

    async def batch(self, scope: Scope, batch: BatchId) -> Batch:
        """With what the caller may see of it. NotFound: that is nothing."""
        ...

    async def batches(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Batch]: ...
    async def jobs_of(self, scope: Scope, batch: BatchId) -> Sequence[Job]:
        """Those on nodes that the caller may see."""
        ...

    async def stop_batch(self, scope: Scope, batch: BatchId) -> Sequence[Job]:
        """`stop_job` for each that is not over, of those that the caller may see; returns these."""
        ...
