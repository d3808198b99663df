"""Job messages of agents: a bounded queue for each session, and the recorder that stores output, progress, plans and reports."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from groundcontrol.agents.interfaces import JobMessage
from groundcontrol.agents.retry_writer import TRANSIENT_ERRORS
from groundcontrol.agents.session import AgentSession
from groundcontrol.core import failpoints
from groundcontrol.core.bus import Bus, Changed, JobOutputArrived
from groundcontrol.core.errors import Conflict, NotFound, StoreDown
from groundcontrol.core.ids import JobId
from groundcontrol.core.scope import hub_scope, node_actor
from groundcontrol.core.stores import Stores
from groundcontrol.events.refusals import Refusals
from groundcontrol.jobs.messages import MAX_OUTPUT_BYTES, read_plan, read_progress, read_report
from groundcontrol.jobs.model import TERMINAL, Job, JobUpdate
from groundcontrol.jobs.store import JobStore
from groundcontrol.nodes.store import NodeStore
from spider.clock import Clock
from spider.logs import event
from spider.wire.errors import ProtocolError
from spider.wire.ids import is_id
from spider.wire.job_messages import MAX_OUTPUT_BYTES as CHUNK_BYTES
from spider.wire.job_messages import JobAck, JobEnded, JobOutput, JobPlan, JobProgress, JobReport

log = logging.getLogger(__name__)

MAX_WAITING: Final = 64
"""Most messages in the queue. 64 output messages are 2 MiB, twice what a node may send before an acknowledgement."""
LARGE_WEIGHT: Final = 16
"""A plan, a report or an end counts as this many messages: each may hold thousands of texts."""
_LARGE: Final = (JobPlan, JobReport, JobEnded)
JOIN_BYTES: Final = 128 * 1024
"""Bytes of output that are written in one transaction."""
MAX_JOBS: Final = 2048
LATEST_MS: Final = 10**13
"""A time of a node beyond this (the year 2286) is none."""
"""Most jobs of a session whose owner or progress is remembered."""
PASSING_ERRORS: Final = (*TRANSIENT_ERRORS, StoreDown)
"""Errors of the database after which the same command may succeed."""


class Inbox:
    """The queue of one session. It merges adjacent output, and keeps only the newest progress of each job."""

    def __init__(self) -> None:
        self._messages: deque[JobMessage] = deque()
        self._weight = 0
        """The number of messages in the queue, large ones counted as LARGE_WEIGHT."""
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False
        self.progress: dict[str, JobProgress] = {}
        """Job -> its newest progress that is not stored yet."""
        self.own: set[str] = set()
        """Jobs known to belong to this node."""
        self.begun: set[str] = set()
        """Jobs known to be running or ended."""
        self.stored_bytes: dict[str, int] = {}
        """Job -> length of its stored output."""

    async def put(self, message: JobMessage) -> None:
        """Queue a message. Waits while the queue is full."""
        while self._weight >= MAX_WAITING and not self._closed:
            self._room.clear()
            await self._room.wait()
        if isinstance(message, JobProgress) and len(self.progress) < MAX_JOBS:
            self.progress[message.job] = message
        else:
            self._messages.append(message)
            self._weight += _weight(message)
        self._arrived.set()

    def close(self) -> None:
        """End the session's input. `get` still gives the queued messages, but no longer waits, nor does `put`."""
        self._closed = True
        self._arrived.set()
        self._room.set()

    async def get(self, timeout_s: float | None) -> JobMessage | None:
        """The next message, merged with the output that directly follows it.

        None: the time is up, only progress has arrived, or the inbox is closed.
        """
        if not self._messages and not self._closed:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
        if not self._messages:
            return None
        message = self._pop()
        if isinstance(message, JobOutput):
            message = self._joined(message)
        self._room.set()
        return message

    def forget(self, written: JobProgress) -> None:
        """Drop a stored progress. A newer progress of the same job stays."""
        if self.progress.get(written.job) is written:
            del self.progress[written.job]

    @property
    def done(self) -> bool:
        """Whether the inbox is closed and empty."""
        return self._closed and not self._messages

    def _pop(self) -> JobMessage:
        message = self._messages.popleft()
        self._weight -= _weight(message)
        return message

    def _joined(self, first: JobOutput) -> JobOutput:
        parts, end, size = [first.data], first.offset + len(first.data), len(first.data)
        while self._messages and size < JOIN_BYTES:
            follower = self._messages[0]
            if not isinstance(follower, JobOutput) or follower.job != first.job or follower.offset != end:
                break
            self._pop()
            parts.append(follower.data)
            end += len(follower.data)
            size += len(follower.data)
        return first if len(parts) == 1 else first._replace(data=b"".join(parts))


def _weight(message: JobMessage) -> int:
    return LARGE_WEIGHT if isinstance(message, _LARGE) else 1


class JobRecorder:
    """Stores output, progress, plans and reports of running jobs, then publishes them. Only output is acknowledged."""

    def __init__(self, store: Stores, bus: Bus, clock: Clock, refusals: Refusals, taken: Callable[[JobId], None]) -> None:
        """Args: taken: called when a message shows that the node has taken the job."""
        self._store = store
        self._bus = bus
        self._clock = clock
        self._refusals = refusals
        self._taken = taken
        self.output_bytes = 0
        """Bytes of output committed since the start of the hub."""

    async def check_own(self, agent: AgentSession, inbox: Inbox, job_id: str) -> None:
        """Check that the job belongs to the agent's node. Raises: ProtocolError: it does not; StoreError."""
        if job_id in inbox.own:
            return
        if is_id(job_id) and len(inbox.own) < MAX_JOBS:
            try:
                job = await self._store[JobStore].job(hub_scope(agent.node.org), JobId(job_id))
            except NotFound:
                pass
            else:
                if job.node_id == agent.node.id:
                    inbox.own.add(job_id)
                    return
        if await self.note_refusal(agent, "not_of_this_node", job_id):
            event(log, "job_not_of_this_node", logging.WARNING, node=agent.node.id)
        raise ProtocolError("a job that is not of this node")

    async def note_refusal(self, agent: AgentSession, why: str, job_id: str) -> bool:
        """Record a refused message. Returns: True for the first such refusal of this minute; the caller then logs it."""
        return await self._refusals.note(node_actor(agent.node.id, agent.address), "job.evidence", why, target=f"job:{job_id[:26]}")

    async def _begin(self, agent: AgentSession, inbox: Inbox, job_id: JobId) -> Job:
        """Read the job. If this is its first message, set its state to `running`."""
        self._taken(job_id)
        job = await self._store[JobStore].job(hub_scope(agent.node.org), job_id)
        if job.state in ("dispatched", "accepted"):
            failpoints.hit("job.begin.pre")
            job = await self._store[JobStore].advance(job_id, "running", agent.session, JobUpdate(started_at=self._clock.now()))
            failpoints.hit("job.begin.post")
            self._changed(job)
        inbox.begun.add(job_id)
        inbox.stored_bytes.setdefault(job_id, job.output_bytes)
        return job

    async def output(self, agent: AgentSession, inbox: Inbox, message: JobOutput) -> None:
        if message.offset < 0 or message.offset + len(message.data) > MAX_OUTPUT_BYTES:
            raise ProtocolError("output beyond what a job may print")
        job_id = JobId(message.job)
        if job_id not in inbox.begun:
            await self._begin(agent, inbox, job_id)
        failpoints.hit("job.output.pre")
        at_ms = message.at_ms if 0 < message.at_ms < LATEST_MS else None
        end = await self._store[JobStore].append_output(job_id, message.offset, message.data, agent.session, at_ms)
        failpoints.hit("job.output.post")
        if end < message.offset:
            raise ProtocolError("output with a gap before it")  # the next session resumes at the stored offset
        start = max(message.offset, inbox.stored_bytes.get(job_id, 0))
        inbox.stored_bytes[job_id] = end
        self.output_bytes += max(0, end - start)
        for at in range(start, end, CHUNK_BYTES):
            piece = message.data[at - message.offset : min(at + CHUNK_BYTES, end) - message.offset]
            self._bus.publish(JobOutputArrived(job_id, at, piece))
        agent.post(JobAck(job_id, end))
        await agent.flush()
        failpoints.hit("job.output.acked")

    async def write_progress(self, agent: AgentSession, inbox: Inbox) -> None:
        """Store the queued progress. It stays queued while the database is full or unavailable. After any other error it is dropped."""
        for message in list(inbox.progress.values()):
            try:
                await self._progress(agent, inbox, message)
            except PASSING_ERRORS:
                raise
            except Exception:
                inbox.forget(message)
                raise
            inbox.forget(message)

    async def _progress(self, agent: AgentSession, inbox: Inbox, message: JobProgress) -> None:
        if agent.over:
            return
        await self.check_own(agent, inbox, message.job)
        job_id = JobId(message.job)
        before = await self._begin(agent, inbox, job_id)
        try:
            job = await self._store[JobStore].advance(job_id, "running", agent.session, read_progress(message, before, self._clock.now()))
        except Conflict:
            return  # the job has ended meanwhile
        self._changed(job)

    async def plan(self, agent: AgentSession, inbox: Inbox, message: JobPlan) -> None:
        part = read_plan(message)
        job_id = JobId(message.job)
        before = await self._begin(agent, inbox, job_id)
        if before.state in TERMINAL and before.plan_digest is not None:
            return  # The plan is stored already. The node repeats it, because it did not get the hub's answer to the end.
        failpoints.hit("job.plan.pre")
        job = await self._store[JobStore].save_plan(job_id, part, agent.session)
        failpoints.hit("job.plan.post")
        self._changed(job)

    async def report(self, agent: AgentSession, inbox: Inbox, message: JobReport) -> None:
        report = read_report(message)
        job_id = JobId(message.job)
        before = await self._begin(agent, inbox, job_id)
        if before.state in TERMINAL and before.has_report:
            return  # a repeat, as in `plan`
        failpoints.hit("job.report.pre")
        job = await self._store[JobStore].save_report(job_id, report, agent.session)
        failpoints.hit("job.report.post")
        self._changed(job)
        node = await self._store[NodeStore].find_node(job.node_id)
        if node is not None:
            self._bus.publish(Changed("node", node.id, node.version, node.org))

    def _changed(self, job: Job) -> None:
        self._bus.publish(Changed("job", job.id, job.version, job.org))
