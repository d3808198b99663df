"""What the nodes say of their jobs: stored first, then acknowledged and told. What is said twice changes nothing."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from groundcontrol.bus.base import Bus, Changed, JobOutputArrived
from groundcontrol.domain.ids import JobId
from groundcontrol.domain.jobs import TERMINAL, JobEvidence, may_move
from groundcontrol.domain.nodes import Session
from groundcontrol.domain.scope import SYSTEM, Actor
from groundcontrol.errors import Conflict, Fenced, HubError, NotFound, StoreBusy, StoreDown, StoreFull, StoreReadOnly
from groundcontrol.fleet.session import AgentSession, JobMessage, WantedJobs
from groundcontrol.jobs.dispatch import Dispatch, Refusal
from groundcontrol.jobs.evidence import CLOCK, MAX_OUTPUT_BYTES, RETRY, read_ended, read_progress, refusal
from groundcontrol.jobs.inbox import MAX_JOBS, Inbox
from groundcontrol.store.base import AuditEntry, Store
from spider.clock import Clock
from spider.logs import event
from spider.wire.errors import ProtocolError
from spider.wire.frames import CLOSE_CLONE, CLOSE_PROTOCOL, JobAck, JobAnswer, JobDone, JobEnded, JobOutput, JobProgress
from spider.wire.frames import MAX_OUTPUT_BYTES as CHUNK_BYTES
from spider.wire.ids import is_id

log = logging.getLogger(__name__)

PROGRESS_EVERY_S: Final = 0.5
SHORT_LIMIT: Final = 3
"""A job that is said to have ended this often without all of its output is taken as it is."""
STORE_RETRY_S: Final = 1.0
CLOSE_INTERNAL: Final = 1011


class Receiver:
    """Works off what each node says, in its order; one node's trouble is its own."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, dispatch: Dispatch) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._dispatch = dispatch
        self._short: Counter[JobId] = Counter()
        """How often a job was said to have ended while output was missing."""
        self.output_bytes = 0

    async def wanted(self, session: Session, known: Sequence[str]) -> WantedJobs:
        """What a node hears in its welcome about the jobs that it still keeps."""
        ids = [JobId(job) for job in known]
        if not ids:
            return WantedJobs((), (), ())
        held = await self._store.jobs.held(ids, session.node)
        return WantedJobs(list(held), list(held.values()), await self._store.jobs.finished(ids, session.node))

    async def work(self, agent: AgentSession, inbox: Inbox) -> None:
        """Apply the messages of one session, until it is over."""
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
        self._dispatch.settled(job_id)
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
            self._dispatch.settled(job_id)
            job = await self._store.jobs.advance(job_id, "accepted", agent.session, JobEvidence())
            self._bus.publish(Changed("job", job.id, job.version))
            return
        before = self._dispatch.refused(job_id)
        why = "unreachable" if message.answer == "unreachable" else message.why
        event(log, "job_refused", logging.WARNING, job=job_id, node=agent.node.id, answer=message.answer[:20], why=why[:80])
        if why in RETRY:
            self._dispatch.send_later(job_id, Refusal(why, message.answer, before.skew_s if before else 0.0))
        elif why in CLOCK and (before is None or before.why not in CLOCK):
            skew_s = message.clock_ms / 1000 - self._clock.now()
            event(log, "node_clock_differs", logging.WARNING, node=agent.node.id, skew_s=round(skew_s, 1))
            self._dispatch.send_later(job_id, Refusal(why, message.answer, skew_s))
            await self._dispatch.send(agent, job, skew_s)
        else:
            self._dispatch.settled(job_id)
            evidence = JobEvidence(ended_at=self._clock.now(), error=refusal(message.answer, why))
            job = await self._store.jobs.advance(job_id, "unknown" if why == "replay" else "failed", agent.session, evidence)
            await self._dispatch.tell_ended(job)
            await self._dispatch.follow_on(agent.session)

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
            await self._dispatch.tell_ended(job)
        for memory in (inbox.own, inbox.begun):
            memory.discard(job_id)
        inbox.ends.pop(job_id, None)
        self._short.pop(job_id, None)
        self._dispatch.settled(job_id)
        await agent.tell(JobDone(job_id))
        await self._dispatch.follow_on(agent.session)
