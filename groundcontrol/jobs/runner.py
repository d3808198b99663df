"""Jobs on their way to the node and back. Every poke may be lost: a sweep stands behind it. Nothing is started twice by this:
the launcher's record on the node decides, so that sending an order again is always safe."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.bus.base import Bus, Changed, JobOutputArrived, JobPoke, Topic
from groundcontrol.domain.ids import EventId, JobId
from groundcontrol.domain.jobs import TERMINAL, Job, JobError, JobEvidence, JobState, may_move
from groundcontrol.domain.log import Event, Severity
from groundcontrol.domain.nodes import Session
from groundcontrol.domain.scope import SYSTEM, Actor
from groundcontrol.errors import Conflict, Fenced, HubError, NotFound, StoreBusy, StoreDown, StoreFull, StoreReadOnly
from groundcontrol.fleet.registry import Registry
from groundcontrol.fleet.session import AgentSession, JobMessage, WantedJobs
from groundcontrol.jobs.evidence import CLOCK, MAX_OUTPUT_BYTES, RETRY, read_ended, read_progress, refusal
from groundcontrol.jobs.inbox import MAX_JOBS, Inbox
from groundcontrol.store.base import AuditEntry, Store
from spider.clock import Clock
from spider.logs import event
from spider.wire.errors import ProtocolError
from spider.wire.frames import CLOSE_CLONE, CLOSE_PROTOCOL, JobAck, JobAnswer, JobDone, JobEnded, JobOutput, JobProgress, JobStart
from spider.wire.frames import MAX_OUTPUT_BYTES as CHUNK_BYTES
from spider.wire.ids import is_id, new_time_id
from spider.wire.orders import MAX_LIFE_S, Order, seal_order
from spider.wire.proof import node_keys

log = logging.getLogger(__name__)

SWEEP_S: Final = (1.0, 2.0)
POKES: Final = 1024
PROGRESS_EVERY_S: Final = 0.5
RETRY_EVERY_S: Final = 5.0
UNANSWERED_S: Final = 60.0
"""After its time is up, a job that was handed over and never answered is given this much longer."""
SHORT_LIMIT: Final = 3
"""A job that is said to have ended this often without all of its output is taken as it is."""
STORE_RETRY_S: Final = 1.0
CLOSE_INTERNAL: Final = 1011


class _Again(NamedTuple):
    """A job that the node could not take yet."""

    at: float
    why: str
    answer: str
    skew_s: float


class JobRunner:
    """The way of every job of this hub's nodes; a `fleet.session.JobSink`."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, registry: Registry, fleet_key: bytes) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._registry = registry
        self._fleet_key = fleet_key
        self._inboxes: dict[AgentSession, Inbox] = {}
        self._group: asyncio.TaskGroup | None = None
        self._again: dict[JobId, _Again] = {}
        self._short: Counter[JobId] = Counter()
        """How often a job was said to have ended while output was missing."""
        self.output_bytes = 0
        self.ended = 0

    async def run(self) -> None:
        """Dispatch, sweep and work off what the nodes say; until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._follow_pokes(), name="job pokes")
            group.create_task(self._sweep(), name="job sweep")

    # -- towards the node ------------------------------------------------------------------------

    async def _follow_pokes(self) -> None:
        async with self._bus.subscribe(Topic("job_poke"), limit=POKES, policy="ordered") as told:
            async for message in told:
                await self._survive(self._take(message.jobs if isinstance(message, JobPoke) else None))

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(random.uniform(*SWEEP_S))
            await self._survive(self._take(None))
            await self._survive(self._send_again())
            await self._survive(self._expire())

    async def _survive(self, work: object) -> None:
        """Await something that the next sweep makes good when the database is away."""
        try:
            await work  # type: ignore[misc]  # always a coroutine of this class
        except HubError as exc:
            event(log, "jobs_store_failed", logging.WARNING, error=exc.code)

    async def _take(self, ids: Sequence[JobId] | None) -> None:
        sessions = self._registry.sessions()
        if sessions:
            for job, session in await self._store.jobs.take(ids, sessions, self._clock.now()):
                self._bus.publish(Changed("job", job.id, job.version))
                agent = self._registry.agent(session.node)
                if agent is not None and agent.session.epoch == session.epoch:
                    await self._send(agent, job)

    async def _send(self, agent: AgentSession, job: Job, skew_s: float = 0.0) -> None:
        issued = int(self._clock.now() + skew_s)
        expires = min(issued + MAX_LIFE_S, int(job.not_after + skew_s))
        if expires <= issued:
            return
        generation = agent.hello.generation
        args = {"packages": list(job.packages)} if job.packages else {}
        order = Order(job.node_id, generation, job.id, job.action, args, issued, expires)
        frame = seal_order(node_keys(self._fleet_key, job.node_id, generation).launch, order)
        event(log, "job_sent", job=job.id, node=job.node_id, action=job.action)
        await agent.tell(JobStart(job.id, frame))

    async def _send_again(self) -> None:
        now = self._clock.monotonic()
        for job_id, again in list(self._again.items()):
            if again.at > now:
                continue
            try:
                job = await self._store.jobs.job(SYSTEM, job_id)
            except NotFound:
                del self._again[job_id]  # its node was removed
                continue
            if job.state != "dispatched":
                del self._again[job_id]
                continue
            self._again[job_id] = again._replace(at=now + RETRY_EVERY_S)
            agent = self._registry.agent(job.node_id)
            if agent is not None:
                await self._send(agent, job, again.skew_s)

    async def _expire(self) -> None:
        now = self._clock.now()
        for job in await self._store.jobs.overdue(now):
            again = self._again.get(job.id)
            if job.state == "queued":
                await self._close(
                    job, "expired", JobError("job.expired", "the node was not connected, or busy, for 10 minutes: nothing was done")
                )
            elif again is not None:
                del self._again[job.id]
                await self._close(job, "expired", refusal(again.answer, again.why))
            elif now > job.not_after + UNANSWERED_S:
                told = "the job was handed to the node, which never answered; whether it ran is not known"
                await self._close(job, "unknown", JobError("job.no_answer", told))

    async def _close(self, job: Job, state: JobState, error: JobError) -> None:
        try:
            job = await self._store.jobs.advance(job.id, state, SYSTEM, JobEvidence(ended_at=self._clock.now(), error=error))
        except (Conflict, NotFound):
            return  # it has moved meanwhile, or is gone with its node
        await self._tell_ended(job)

    # -- the sink of the sessions ----------------------------------------------------------------

    async def wanted(self, session: Session, known: Sequence[str]) -> WantedJobs:
        """What a node hears in its welcome about the jobs that it still keeps."""
        ids = [JobId(job) for job in known]
        if not ids:
            return WantedJobs((), (), ())
        held = await self._store.jobs.held(ids, session.node)
        return WantedJobs(list(held), list(held.values()), await self._store.jobs.finished(ids, session.node))

    async def joined(self, agent: AgentSession) -> None:
        """A node is back: hand over again what it never saw, and name what it has lost."""
        known = set(agent.hello.known_jobs)
        for job in await self._store.jobs.undispatched(agent.session):
            if job.id not in known:
                await self._send(agent, job)
        for job in await self._store.jobs.open_jobs(agent.node.id):
            if job.state in ("accepted", "running") and job.id not in known:
                await self._close(
                    job, "unknown", JobError("job.lost", "the node no longer knows this job; whether it was done is not known")
                )
        await self._take(None)

    async def heard(self, agent: AgentSession, message: JobMessage) -> None:
        """Take a message; waits while this agent has too many in work."""
        inbox = self._inboxes.get(agent)
        if inbox is None:
            if self._group is None or agent.over:
                return
            inbox = self._inboxes[agent] = Inbox()
            self._group.create_task(self._work(agent, inbox), name=f"jobs of {agent.node.id}")
        await inbox.put(message)

    def left(self, agent: AgentSession) -> None:
        inbox = self._inboxes.pop(agent, None)
        if inbox is not None:
            inbox.close()

    # -- from the node ---------------------------------------------------------------------------

    async def _work(self, agent: AgentSession, inbox: Inbox) -> None:
        while not inbox.done:
            message = await inbox.get(PROGRESS_EVERY_S if inbox.progress else None)
            try:
                if message is not None:
                    await self._insist(agent, inbox, message)
                if inbox.progress and not isinstance(message, JobOutput):
                    await self._write_progress(agent, inbox)
            except Fenced:
                await agent.end(CLOSE_CLONE, "a newer session of this node took over")
            except ProtocolError as exc:
                await agent.end(exc.close_code, exc.reason)
            except Conflict as exc:  # output or an end of a job that was never handed over, or was closed without it
                event(log, "job_message_refused", logging.WARNING, node=agent.node.id, why=str(exc))
                await agent.end(CLOSE_PROTOCOL, "a job that cannot be there")
            except HubError as exc:
                event(log, "job_message_dropped", logging.WARNING, node=agent.node.id, error=exc.code)
            except Exception:  # the boundary: a fault of ours with one node's job leaves the others alone
                event(log, "job_message_failed", logging.ERROR, node=agent.node.id, exc_info=True)
                await agent.end(CLOSE_INTERNAL, "internal")

    async def _insist(self, agent: AgentSession, inbox: Inbox, message: JobMessage) -> None:
        """Apply a message, again and again while the database is full or away: what was not stored is not acknowledged."""
        while True:
            try:
                await self._apply(agent, inbox, message)
            except (StoreFull, StoreReadOnly, StoreBusy, StoreDown) as exc:
                if agent.over:
                    return
                event(log, "job_store_failed", logging.WARNING, node=agent.node.id, error=exc.code)
                await self._clock.sleep(STORE_RETRY_S)
                continue
            return

    async def _apply(self, agent: AgentSession, inbox: Inbox, message: JobMessage) -> None:
        if agent.over or not await self._is_own(agent, inbox, message.job):
            return
        match message:
            case JobOutput():
                await self._output(agent, inbox, message)
            case JobAnswer():
                await self._answer(agent, message)
            case JobEnded():
                inbox.progress.pop(message.job, None)
                await self._ended(agent, inbox, message)
            case JobProgress():
                inbox.progress[message.job] = message

    async def _is_own(self, agent: AgentSession, inbox: Inbox, job_id: str) -> bool:
        if job_id in inbox.own:
            return True
        if is_id(job_id) and len(inbox.own) < MAX_JOBS:
            try:
                job = await self._store.jobs.job(SYSTEM, JobId(job_id))
            except NotFound:
                pass
            else:
                if job.node_id == agent.node.id:
                    inbox.own.add(job_id)
                    return True
        event(log, "job_not_of_this_node", logging.WARNING, node=agent.node.id)
        actor = Actor("node", agent.node.id, f"node:{agent.node.id}", "viewer", agent.address)
        await self._store.log.add_audit(AuditEntry(actor, "job.evidence", f"job:{job_id[:26]}", "refused"), self._clock.now())
        raise ProtocolError("a job that is not of this node")

    async def _output(self, agent: AgentSession, inbox: Inbox, message: JobOutput) -> None:
        if message.offset < 0 or message.offset + len(message.data) > MAX_OUTPUT_BYTES:
            raise ProtocolError("output beyond what a job may print")
        job_id = JobId(message.job)
        await self._begin(agent, inbox, job_id)
        end = await self._store.jobs.append_output(job_id, message.offset, message.data, agent.session)
        if end < message.offset:
            raise ProtocolError("output with a hole before it")  # the next session goes on from what is held
        agent.post(JobAck(job_id, end))
        await agent.flush()
        start = max(message.offset, inbox.ends.get(job_id, 0))
        inbox.ends[job_id] = end
        self.output_bytes += max(0, end - start)
        for at in range(start, end, CHUNK_BYTES):
            piece = message.data[at - message.offset : min(at + CHUNK_BYTES, end) - message.offset]
            self._bus.publish(JobOutputArrived(job_id, at, piece))

    async def _begin(self, agent: AgentSession, inbox: Inbox, job_id: JobId) -> None:
        """The first sign of life of a job."""
        if job_id in inbox.begun:
            return
        self._again.pop(job_id, None)
        job = await self._store.jobs.job(SYSTEM, job_id)
        if job.state in ("dispatched", "accepted"):
            job = await self._store.jobs.advance(job_id, "running", agent.session, JobEvidence(started_at=self._clock.now()))
            self._bus.publish(Changed("job", job.id, job.version))
        inbox.begun.add(job_id)
        inbox.ends.setdefault(job_id, job.output_bytes)

    async def _write_progress(self, agent: AgentSession, inbox: Inbox) -> None:
        waiting, inbox.progress = inbox.progress, {}
        for message in waiting.values():
            if agent.over or not await self._is_own(agent, inbox, message.job):
                continue
            job_id = JobId(message.job)
            await self._begin(agent, inbox, job_id)
            try:
                job = await self._store.jobs.advance(job_id, "running", agent.session, read_progress(message))
            except Conflict:
                continue  # it has ended meanwhile
            self._bus.publish(Changed("job", job.id, job.version))

    async def _answer(self, agent: AgentSession, message: JobAnswer) -> None:
        job_id = JobId(message.job)
        job = await self._store.jobs.job(SYSTEM, job_id)
        if job.state != "dispatched":
            return
        if message.answer == "accepted":
            self._again.pop(job_id, None)
            job = await self._store.jobs.advance(job_id, "accepted", agent.session, JobEvidence())
            self._bus.publish(Changed("job", job.id, job.version))
            return
        again = self._again.get(job_id)
        why = "unreachable" if message.answer == "unreachable" else message.why
        event(log, "job_refused", logging.WARNING, job=job_id, node=agent.node.id, answer=message.answer[:20], why=why[:80])
        now = self._clock.monotonic()
        if why in RETRY:
            self._again[job_id] = _Again(now + RETRY_EVERY_S, why, message.answer, again.skew_s if again else 0.0)
        elif why in CLOCK and (again is None or again.why not in CLOCK):
            skew_s = message.clock_ms / 1000 - self._clock.now()
            event(log, "node_clock_differs", logging.WARNING, node=agent.node.id, skew_s=round(skew_s, 1))
            self._again[job_id] = _Again(now + RETRY_EVERY_S, why, message.answer, skew_s)
            await self._send(agent, job, skew_s)
        else:
            self._again.pop(job_id, None)
            evidence = JobEvidence(ended_at=self._clock.now(), error=refusal(message.answer, why))
            job = await self._store.jobs.advance(job_id, "unknown" if why == "replay" else "failed", agent.session, evidence)
            await self._tell_ended(job)

    async def _ended(self, agent: AgentSession, inbox: Inbox, message: JobEnded) -> None:
        job_id = JobId(message.job)
        job = await self._store.jobs.job(SYSTEM, job_id)
        if job.state in TERMINAL and not may_move(job.state, message.state):
            await agent.tell(JobDone(job_id))  # said again because our answer was lost
            return
        if job.output_bytes < message.output_bytes and self._short[job_id] < SHORT_LIMIT:
            self._short[job_id] += 1
            raise ProtocolError("a job ended before its output was sent")  # the next session goes on from what is held
        digest = hashlib.sha256()
        held = 0
        async for part in self._store.jobs.output(SYSTEM, job_id, 0):
            digest.update(part)
            held += len(part)
        verdict = read_ended(message, job, held, digest.hexdigest(), self._clock.now())
        try:
            job = await self._store.jobs.advance(job_id, verdict.state, agent.session, verdict.evidence)
        except Conflict:
            if job.state not in TERMINAL:
                raise
        else:
            await self._tell_ended(job)
        for memory in (inbox.own, inbox.begun):
            memory.discard(job_id)
        inbox.ends.pop(job_id, None)
        self._short.pop(job_id, None)
        self._again.pop(job_id, None)
        await agent.tell(JobDone(job_id))

    async def _tell_ended(self, job: Job) -> None:
        self.ended += 1
        self._bus.publish(Changed("job", job.id, job.version))
        event(log, "job_ended", job=job.id, node=job.node_id, action=job.action, state=job.state, exit_code=job.exit_code)
        severity: Severity = "info" if job.state == "succeeded" else "error" if job.state == "failed" else "warning"
        node = await self._store.nodes.find_node(job.node_id)
        at = self._clock.now()
        details: dict[str, object] = {"job": job.id, "action": job.action, "changes": len(job.changes)}
        if job.error is not None:
            details["error"] = job.error.code
        message = f"{job.action} on {node.name if node is not None else 'a removed node'}: {job.state}"
        told = Event(EventId(new_time_id(at)), job.org, f"job.{job.state}", severity, "agent", at, job.node_id, message, details)
        await self._store.log.add_event(told)
        self._bus.publish(Changed("event", told.id, 1))
