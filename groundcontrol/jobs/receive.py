"""Receives the job messages of agents: each is stored, then acknowledged and published. A repeated message changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from groundcontrol.agents.interfaces import JobMessage, WantedJobs
from groundcontrol.agents.session import AgentSession
from groundcontrol.core import failpoints
from groundcontrol.core.bus import Bus, Changed, JobOutputArrived
from groundcontrol.core.errors import Conflict, Fenced, HubError, NotFound, StoreBusy, StoreDown, StoreFull, StoreReadOnly
from groundcontrol.core.ids import JobId
from groundcontrol.core.scope import SYSTEM, node_actor
from groundcontrol.events.refusals import Refusals
from groundcontrol.jobs.dispatch import KEYS_CHANGE_S, JobDispatcher, NotAccepted
from groundcontrol.jobs.inbox import MAX_JOBS, Inbox
from groundcontrol.jobs.model import (
    START_LIMIT_S,
    TERMINAL,
    Job,
    JobError,
    JobEvidence,
    JobFilter,
    JobRequest,
    JobState,
    NewJob,
    StopAnswer,
    may_move,
)
from groundcontrol.jobs.plan_messages import read_plan, read_report
from groundcontrol.jobs.verdict import CLOCK, KEYS_CHANGE, MAX_OUTPUT_BYTES, NEVER_BEGUN, RETRY, read_ended, read_progress, refusal
from groundcontrol.nodes.model import Session
from groundcontrol.stores import Store
from spider.clock import Clock
from spider.logs import event
from spider.wire.errors import ProtocolError
from spider.wire.frames import CLOSE_CLONE, CLOSE_PROTOCOL, JobAck, JobAnswer, JobDone, JobEnded, JobOutput, JobPlan, JobProgress, JobReport
from spider.wire.frames import MAX_OUTPUT_BYTES as CHUNK_BYTES
from spider.wire.ids import is_id, new_time_id
from spider.wire.verbs import REBOOT, REKEY

log = logging.getLogger(__name__)

PROGRESS_EVERY_S: Final = 0.5
SHORT_LIMIT: Final = 3
"""After this many reported ends with missing output, the end is stored with the output that there is."""
STORE_RETRY_S: Final = 1.0
_PASSING: Final = (StoreFull, StoreReadOnly, StoreBusy, StoreDown)
CLOSE_INTERNAL: Final = 1011


class Receiver:
    """Processes the messages of each node in order. An error of one node does not affect the others. An `agents.interfaces.JobSink`."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, dispatch: JobDispatcher, refusals: Refusals) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._dispatch = dispatch
        self._refusals = refusals
        self._short: Counter[JobId] = Counter()
        """Job -> how often its end was reported while output was missing."""
        self.output_bytes = 0
        """Bytes of output committed since the start of the hub."""
        self._inboxes: dict[AgentSession, Inbox] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Dispatch jobs and process the agents' messages, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._dispatch.run(), name="job dispatch")

    async def wanted(self, session: Session, known: Sequence[str]) -> WantedJobs:
        """What the welcome says of the jobs in the node's hello: stored output, and which are complete."""
        ids = [JobId(job) for job in known]
        # Also jobs that are open here and missing in the hello: the node may have reported their end before a restore of this hub.
        ids += [
            job.id for job in await self._store.jobs.open_jobs(session.node) if job.state in ("accepted", "running") and job.id not in ids
        ]
        if not ids:
            return WantedJobs((), (), ())
        held = await self._store.jobs.held(ids, session.node)
        return WantedJobs(list(held), list(held.values()), await self._store.jobs.finished(ids, session.node))

    async def joined(self, agent: AgentSession) -> None:
        """Have the dispatcher send again what a reconnected node never received."""
        await self._dispatch.joined(agent)

    async def heard(self, agent: AgentSession, message: JobMessage) -> None:
        """Queue a message; waits while this agent has too many in the queue."""
        inbox = self._inboxes.get(agent)
        if inbox is None:
            if self._group is None or agent.over:
                return
            inbox = self._inboxes[agent] = Inbox()
            self._group.create_task(self.work(agent, inbox), name=f"jobs of {agent.node.id}")
        await inbox.put(message)

    def left(self, agent: AgentSession) -> None:
        """Close the inbox of an ended session. Its queued messages are still processed."""
        inbox = self._inboxes.pop(agent, None)
        if inbox is not None:
            inbox.close()

    async def work(self, agent: AgentSession, inbox: Inbox) -> None:
        """Apply the messages of one session until it is over. Progress is written at least every PROGRESS_EVERY_S, even during a stream of output."""
        due_at = 0.0
        while not inbox.done:
            message = await inbox.get(PROGRESS_EVERY_S if inbox.progress else None)
            try:
                if message is not None:
                    await self._insist(agent, partial(self._apply, agent, inbox, message))
                if inbox.progress and (not isinstance(message, JobOutput) or self._clock.monotonic() >= due_at):
                    due_at = self._clock.monotonic() + PROGRESS_EVERY_S
                    await self._insist(agent, partial(self._write_progress, agent, inbox))
            except Fenced:
                await agent.end(CLOSE_CLONE, "a newer session of this node took over")
            except ProtocolError as exc:
                await agent.end(exc.close_code, exc.reason)
            except Conflict as exc:  # output or an end of a job that was never sent, or that the hub closed
                if await self._refuse(agent, "impossible", message.job if message else ""):
                    event(log, "job_message_refused", logging.WARNING, node=agent.node.id, why=str(exc))
                await agent.end(CLOSE_PROTOCOL, "a job that cannot be there")
            except HubError as exc:
                if await self._refuse(agent, exc.code, message.job if message else ""):
                    event(log, "job_message_dropped", logging.WARNING, node=agent.node.id, error=exc.code)
            except Exception:  # the boundary: a bug that one node's message hits must not affect other nodes
                event(log, "job_message_failed", logging.ERROR, node=agent.node.id, exc_info=True)
                await agent.end(CLOSE_INTERNAL, "internal")

    async def _insist(self, agent: AgentSession, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat `work` while the database is full or unavailable. Nothing is acknowledged before it is stored."""
        while True:
            try:
                await work()
            except _PASSING as exc:
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
            case JobPlan():
                await self._plan(agent, inbox, message)
            case JobReport():
                await self._report(agent, inbox, message)
            case JobEnded():
                if message.job in inbox.progress:
                    await self._write_progress(agent, inbox)  # the last phase, and the answer to a stop request
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
        if await self._refuse(agent, "not_of_this_node", job_id):
            event(log, "job_not_of_this_node", logging.WARNING, node=agent.node.id)
        raise ProtocolError("a job that is not of this node")

    async def _refuse(self, agent: AgentSession, why: str, job_id: str) -> bool:
        """Record a refused message. Returns: whether to log it (repeats are not logged)."""
        return await self._refusals.note(node_actor(agent.node.id, agent.address), "job.evidence", why, target=f"job:{job_id[:26]}")

    async def _output(self, agent: AgentSession, inbox: Inbox, message: JobOutput) -> None:
        if message.offset < 0 or message.offset + len(message.data) > MAX_OUTPUT_BYTES:
            raise ProtocolError("output beyond what a job may print")
        job_id = JobId(message.job)
        await self._begin(agent, inbox, job_id)
        failpoints.reach("job.output.pre")
        end = await self._store.jobs.append_output(job_id, message.offset, message.data, agent.session)
        failpoints.reach("job.output.post")
        if end < message.offset:
            raise ProtocolError("output with a hole before it")  # the next session resumes at the stored offset
        start = max(message.offset, inbox.ends.get(job_id, 0))
        inbox.ends[job_id] = end
        self.output_bytes += max(0, end - start)
        for at in range(start, end, CHUNK_BYTES):
            piece = message.data[at - message.offset : min(at + CHUNK_BYTES, end) - message.offset]
            self._bus.publish(JobOutputArrived(job_id, at, piece))
        agent.post(JobAck(job_id, end))
        await agent.flush()
        failpoints.reach("job.output.acked")

    async def _begin(self, agent: AgentSession, inbox: Inbox, job_id: JobId) -> None:
        """Move a job to `running` at the first message that it produces."""
        if job_id in inbox.begun:
            return
        self._dispatch.settled(job_id)
        job = await self._store.jobs.job(SYSTEM, job_id)
        if job.state in ("dispatched", "accepted"):
            failpoints.reach("job.begin.pre")
            job = await self._store.jobs.advance(job_id, "running", agent.session, JobEvidence(started_at=self._clock.now()))
            failpoints.reach("job.begin.post")
            self._bus.publish(Changed("job", job.id, job.version))
        inbox.begun.add(job_id)
        inbox.ends.setdefault(job_id, job.output_bytes)

    async def _write_progress(self, agent: AgentSession, inbox: Inbox) -> None:
        """Store the queued progress. It stays queued while the database is full or unavailable; after any other error it is dropped."""
        for message in list(inbox.progress.values()):
            try:
                await self._progress(agent, inbox, message)
            except _PASSING:
                raise
            except Exception:
                inbox.forget(message)
                raise
            inbox.forget(message)

    async def _progress(self, agent: AgentSession, inbox: Inbox, message: JobProgress) -> None:
        if agent.over or not await self._is_own(agent, inbox, message.job):
            return
        job_id = JobId(message.job)
        await self._begin(agent, inbox, job_id)
        before = await self._store.jobs.job(SYSTEM, job_id)
        try:
            job = await self._store.jobs.advance(job_id, "running", agent.session, read_progress(message, before, self._clock.now()))
        except Conflict:
            return  # the job has ended meanwhile
        self._bus.publish(Changed("job", job.id, job.version))

    async def _plan(self, agent: AgentSession, inbox: Inbox, message: JobPlan) -> None:
        part = read_plan(message)
        job_id = JobId(message.job)
        await self._begin(agent, inbox, job_id)
        before = await self._store.jobs.job(SYSTEM, job_id)
        if before.state in TERMINAL and before.plan_digest is not None:
            return  # a repeat, since the hub's answer to the end was lost
        failpoints.reach("job.plan.pre")
        job = await self._store.jobs.save_plan(job_id, part, agent.session)
        failpoints.reach("job.plan.post")
        self._bus.publish(Changed("job", job.id, job.version))

    async def _report(self, agent: AgentSession, inbox: Inbox, message: JobReport) -> None:
        report = read_report(message)
        job_id = JobId(message.job)
        await self._begin(agent, inbox, job_id)
        before = await self._store.jobs.job(SYSTEM, job_id)
        if before.state in TERMINAL and before.has_report:
            return
        failpoints.reach("job.report.pre")
        job = await self._store.jobs.save_report(job_id, report, agent.session)
        failpoints.reach("job.report.post")
        self._bus.publish(Changed("job", job.id, job.version))
        node = await self._store.nodes.find_node(job.node_id)
        if node is not None:
            self._bus.publish(Changed("node", node.id, node.version))

    async def _answer(self, agent: AgentSession, message: JobAnswer) -> None:
        job_id = JobId(message.job)
        job = await self._store.jobs.job(SYSTEM, job_id)
        why = "unreachable" if message.answer == "unreachable" else message.why
        if why == "bad-mac" and await self._changes_keys(job):
            why = KEYS_CHANGE
        if why not in NEVER_BEGUN:
            self._dispatch.answered(job_id)
        if job.state != "dispatched":
            if job.state not in TERMINAL and job.stop is not None and message.answer != "accepted":
                await self._stop_refused(agent, job, message, why)
            return
        if message.answer == "accepted":
            self._dispatch.settled(job_id)
            failpoints.reach("job.accept.pre")
            job = await self._store.jobs.advance(job_id, "accepted", agent.session, JobEvidence())
            failpoints.reach("job.accept.post")
            self._bus.publish(Changed("job", job.id, job.version))
            return
        before = self._dispatch.refused(job_id)
        if self._refusals.first_line("job_refused", job_id):
            event(log, "job_refused", logging.WARNING, job=job_id, node=agent.node.id, answer=message.answer[:20], why=why[:80])
        if job.stop is not None and self._dispatch.never_started(job_id, why) and job_id not in agent.hello.known_jobs:
            await self._refused_for_good(agent, job, "cancelled", None)  # the job never ran, so it is not sent again
        elif why in RETRY:
            self._dispatch.send_later(job_id, NotAccepted(why, message.answer, before.skew_s if before else 0.0))
        elif why in CLOCK and (before is None or before.why not in CLOCK):
            skew_s = message.clock_ms / 1000 - self._clock.now()
            if self._refusals.first_line("node_clock_differs", agent.node.id):
                event(log, "node_clock_differs", logging.WARNING, node=agent.node.id, skew_s=round(skew_s, 1))
            self._dispatch.send_later(job_id, NotAccepted(why, message.answer, skew_s))
            if before is None:  # only once: a node that varies its reason must not make the hub send faster
                await self._dispatch.send(agent, job, skew_s)
        else:
            await self._refused_for_good(agent, job, "unknown" if why == "replay" else "failed", refusal(message.answer, why))

    async def _changes_keys(self, job: Job) -> bool:
        """Whether the node replaces its keys, or did so within KEYS_CHANGE_S. Read from the store, so a restart of the hub changes nothing."""
        since = self._clock.now() - KEYS_CHANGE_S
        newest = (await self._store.jobs.jobs(SYSTEM, 2, None, job.node_id, JobFilter((), REKEY))).items
        return any(
            one.state in ("accepted", "running") or (one.id != job.id and one.ended_at is not None and one.ended_at > since)
            for one in newest
        )

    async def _refused_for_good(self, agent: AgentSession, job: Job, state: JobState, error: JobError | None) -> None:
        self._dispatch.settled(job.id)
        evidence = JobEvidence(ended_at=self._clock.now(), error=error)
        job = await self._store.jobs.advance(job.id, state, agent.session, evidence)
        await self._dispatch.tell_ended(job)
        await self._dispatch.follow_on(agent.session, job)

    async def _stop_refused(self, agent: AgentSession, job: Job, message: JobAnswer, why: str) -> None:
        """Handle a stop order that the launcher refused. It is sent again if the reason is temporary, or a clock difference."""
        if why in RETRY:
            return
        if why in CLOCK and self._dispatch.stop_by_clock(job.id, message.clock_ms / 1000 - self._clock.now()):
            return
        answer = StopAnswer("too_late", f"the node cannot stop it: {refusal(message.answer, why).message}")
        job = await self._store.jobs.advance(job.id, job.state, agent.session, JobEvidence(stop=answer))
        self._bus.publish(Changed("job", job.id, job.version))

    async def _ended(self, agent: AgentSession, inbox: Inbox, message: JobEnded) -> None:
        job_id = JobId(message.job)
        job = await self._store.jobs.job(SYSTEM, job_id)
        if job.state in TERMINAL and not may_move(job.state, message.state):
            await agent.tell(JobDone(job_id))  # a repeat, since the hub's answer was lost
            return
        if job.output_bytes < message.output_bytes and self._short[job_id] < SHORT_LIMIT:
            self._short[job_id] += 1
            raise ProtocolError("a job ended before its output was sent")  # the next session resumes at the stored offset
        held, digest = await self._store.jobs.output_digest(job_id)
        verdict = read_ended(message, job, held, digest, self._clock.now())
        follow = await self._reboot_after(job) if job.reboot and verdict.state == "succeeded" else None
        failpoints.reach("job.end.pre")
        try:
            job = await self._store.jobs.advance(job_id, verdict.state, agent.session, verdict.evidence, follow)
            failpoints.reach("job.end.post")
        except Conflict:
            if job.state not in TERMINAL:
                raise
        else:
            await self._dispatch.tell_ended(job)
        if job.action == REKEY and verdict.state == "succeeded":
            self._dispatch.keys_changed(agent.session, job_id)
        for memory in (inbox.own, inbox.begun):
            memory.discard(job_id)
        inbox.ends.pop(job_id, None)
        self._short.pop(job_id, None)
        self._dispatch.settled(job_id)
        await agent.tell(JobDone(job_id))
        failpoints.reach("job.end.told")
        await self._dispatch.follow_on(agent.session, job)

    async def _reboot_after(self, job: Job) -> NewJob | None:
        """The reboot job that was requested with `job`; None if the node reports that no reboot is due."""
        report = await self._store.jobs.report(SYSTEM, job.id)
        if report is not None and report.reboot == "no":
            return None
        now = self._clock.now()
        return NewJob(JobId(new_time_id(now)), job.node_id, JobRequest(REBOOT), now, now + START_LIMIT_S)
