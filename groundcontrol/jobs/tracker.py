"""Follows each job from queued to its end: sends its order, stores the node's reports, and closes jobs that no node answers.

`orders.py` seals and sends, `messages.py` decodes, `inbox.py` queues and stores. Each message is stored, then published. Output and ends are acknowledged.
A repeated message changes nothing. A `JobPoke` (a notice on the bus that jobs wait) may be lost, so a periodic sweep finds the same jobs.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from groundcontrol.agents.interfaces import JobMessage, WantedJobs
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.core import failpoints
from groundcontrol.core.bus import Bus, Changed, JobPoke, Topic
from groundcontrol.core.errors import Conflict, Fenced, HubError, NotFound
from groundcontrol.core.ids import JobId
from groundcontrol.core.scope import hub_scope
from groundcontrol.core.steady_clock import JUMP_S
from groundcontrol.core.stores import Stores
from groundcontrol.events.refusals import Refusals
from groundcontrol.jobs.inbox import PASSING_ERRORS, Inbox, JobRecorder
from groundcontrol.jobs.messages import (
    KEYS_CHANGE,
    NEVER_BEGUN,
    NOT_BACK,
    RETRY,
    JobVerdict,
    read_ended,
    refusal_error,
)
from groundcontrol.jobs.model import (
    START_LIMIT_S,
    TERMINAL,
    Job,
    JobError,
    JobFilter,
    JobRequest,
    JobState,
    JobUpdate,
    NewJob,
    StopAnswer,
    may_move,
)
from groundcontrol.jobs.orders import KEYS_CHANGE_S, NotAccepted, OrderSender
from groundcontrol.jobs.reboot_after import decide_reboot
from groundcontrol.jobs.store import JobStore, MovedLimit
from groundcontrol.nodes.model import Session
from spider.clock import Clock
from spider.logs import event
from spider.wire.errors import ProtocolError
from spider.wire.frames import CLOSE_CLONE, CLOSE_PROTOCOL
from spider.wire.ids import new_time_id
from spider.wire.job_messages import JobAnswer, JobDone, JobEnded, JobOutput, JobPlan, JobProgress, JobReport
from spider.wire.orders import CLOCK_REFUSALS
from spider.wire.verbs import REBOOT, REKEY

log = logging.getLogger(__name__)

SWEEP_S: Final = (1.0, 2.0)
"""The time between two sweeps is a random one between these."""
POKES: Final = 1024
"""Limit of the queue of `JobPoke` messages."""
REKEYS_LOOKED_AT: Final = 20
"""Queued `rekey` jobs of a cloned node that are claimed in one sweep."""
CLONED: Final = "a second machine uses the keys of this node, so nothing runs there until the node has new keys (stardust rekey)"
ABSENT: Final = "the node was not connected, or busy, until the time in which the job could start was over"
UNANSWERED_S: Final = 60.0
"""How long a sent job still waits for the node's answer after its `not_after`, also where the hub's clock was set past it."""
PROGRESS_EVERY_S: Final = 0.5
SHORT_LIMIT: Final = 3
"""After this many reported ends with missing output, the next one is stored without that output."""
STORE_RETRY_S: Final = 1.0
CLOSE_INTERNAL: Final = 1011


class JobTracker:
    """Runs the jobs on the nodes of this hub. An `agents.session.JobSink`.

    It processes the messages of each node in order. An error of one node does not affect the others.
    """

    def __init__(
        self, store: Stores, bus: Bus, clock: Clock, registry: Registry, refusals: Refusals, orders: OrderSender, at_once: int
    ) -> None:
        """Args: at_once: how many jobs of batches of an organisation may be open at the same time. A job for a single node never waits for this limit."""
        self._store = store
        self._bus = bus
        self._clock = clock
        self._registry = registry
        self._refusals = refusals
        self._orders = orders
        self.recorder = JobRecorder(store, bus, clock, refusals, orders.settled)
        self._at_once = at_once
        self._clock_looked: tuple[float, float] | None = None
        """The wall clock and the monotonic clock at the last sweep; None: there was none."""
        self._inherited: frozenset[JobId] = frozenset()
        """Jobs that waited at the first sweep. A process before this one made them, perhaps by a clock that was set before this one began."""
        self._overdue_since: dict[JobId, float] = {}
        """Job past its `not_after` -> the monotonic time of the sweep that saw it first."""
        self._inboxes: dict[AgentSession, Inbox] = {}
        self._group: asyncio.TaskGroup | None = None
        self._short: Counter[JobId] = Counter()
        """Job -> how often its end was reported while output was missing."""
        self.ended = 0
        """Jobs that reached a final state."""

    async def run(self) -> None:
        """Send jobs and process the agents' messages, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._follow_pokes(), name="job pokes")
            group.create_task(self._sweep(), name="job sweep")

    async def _follow_pokes(self) -> None:
        async with self._bus.subscribe(Topic("job_poke"), limit=POKES, policy="ordered") as messages:
            async for message in messages:
                await self._log_errors(self._take(message.jobs if isinstance(message, JobPoke) else None))
                await self._log_errors(self._stop())

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(random.uniform(*SWEEP_S))
            await self._log_errors(self._sweep_once())

    async def _sweep_once(self) -> None:
        await self._follow_clock()  # if this fails, nothing may be judged by the time
        if await self._store[JobStore].any_open():  # without open jobs, the steps would only cost queries
            for step in (self._cancel_unauthorized, self._take, self._send_again, self._stop, self._expire):
                await self._log_errors(step())

    async def _follow_clock(self) -> None:
        """Where the wall clock was set, move the limits of waiting jobs with it, so that they wait as long as was meant.

        A process that was suspended with its machine cannot tell this from a clock that was set.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        if self._clock_looked is None:
            self._inherited = frozenset(job.id for job in await self._store[JobStore].waiting())
            self._clock_looked = now, monotonic
        passed_s = monotonic - self._clock_looked[1]
        set_by_s = now - self._clock_looked[0] - passed_s
        if abs(set_by_s) > JUMP_S:
            moves = [
                MovedLimit(job.id, job.not_after, job.not_after + set_by_s)
                for job in await self._store[JobStore].waiting()
                if job.id not in self._inherited and not now - passed_s < job.created_at <= now  # made by the new time
            ]
            await self._store[JobStore].move_limits(moves)
            event(log, "job_limits_moved", jobs=len(moves), by_s=round(set_by_s))
        self._clock_looked = now, monotonic

    async def _log_errors(self, work: Awaitable[None]) -> None:
        """Await `work` and log its error: the next sweep does the same work again."""
        try:
            await work
        except HubError as exc:
            event(log, "jobs_store_failed", logging.WARNING, error=exc.code)
        except Exception:  # the boundary: a bug that one job hits must not end the hub
            event(log, "job_step_failed", logging.ERROR, exc_info=True)

    # -- queued: claim and send --------------------------------------------------------------------

    async def _cancel_unauthorized(self) -> None:
        for job in await self._store[JobStore].cancel_unauthorized(self._clock.now()):
            self._publish_ended(job)

    async def _take(self, ids: Sequence[JobId] | None = None, sessions: Sequence[Session] | None = None) -> None:
        """Claim queued jobs for connected nodes, and send them.

        A node suspected of a clone gets `rekey` alone, since only new keys lock the clone out.
        """
        some = self._registry.sessions() if sessions is None else sessions
        ready = [session for session in some if not self._orders.left_behind(session)]
        for session in [session for session in ready if self._registry.is_cloned(session.node)]:
            ready.remove(session)
            rekeys = (
                await self._store[JobStore].jobs(
                    hub_scope(session.org), REKEYS_LOOKED_AT, None, session.node, JobFilter(("queued",), REKEY)
                )
            ).items
            if rekeys:
                await self._claim([job.id for job in rekeys], [session])
        if ready:
            await self._claim(ids, ready)

    async def _claim(self, ids: Sequence[JobId] | None, sessions: Sequence[Session]) -> None:
        failpoints.hit("job.take.pre")
        claimed = await self._store[JobStore].take(ids, sessions, self._clock.now(), self._at_once)
        if claimed:
            failpoints.hit("job.take.post")
        for job, session in claimed:
            self._changed(job)
            agent = self._registry.agent(session.node)
            if agent is not None and agent.session.epoch == session.epoch:
                await self._send(agent, job)

    async def _send(self, agent: AgentSession, job: Job, skew_s: float = 0.0) -> None:
        try:
            await self._orders.start(agent, job, skew_s)
        except Conflict as exc:
            await self._close(job, "failed", JobError("job.no_next_keys", exc.message))
        except Exception:  # the boundary: a bug that one job hits must not keep the others from being sent
            event(log, "job_step_failed", logging.ERROR, exc_info=True, job=job.id)

    async def _send_again(self) -> None:
        for job_id, org, skew_s in self._orders.due():
            try:
                job = await self._store[JobStore].job(hub_scope(org), job_id)
            except NotFound:  # its node was removed
                job = None
            if job is None or job.state != "dispatched":
                self._orders.settled(job_id)
            elif (agent := self._registry.agent(job.node_id)) is not None:
                await self._send(agent, job, skew_s)

    async def _stop(self) -> None:
        """Cancel jobs that the node refused and certainly never started. Send the other nodes the stop request until they answer.

        Only the node's own messages change the state of a job that may have started.
        """
        jobs = await self._store[JobStore].stopping()
        self._orders.forget_other_stops({job.id for job in jobs})
        for job in jobs:
            refusal = self._orders.refusal(job.id)
            if job.state == "dispatched" and refusal is not None and self._orders.never_started(job.id, refusal.why):
                await self._close(job, "cancelled", None)
            else:
                await self._orders.stop(job)

    async def _expire(self) -> None:
        overdue = await self._store[JobStore].overdue(self._clock.now())
        now = self._clock.monotonic()
        self._overdue_since = {job.id: self._overdue_since.get(job.id, now) for job in overdue}
        for job in overdue:
            if job.state == "queued":
                session = self._registry.current(job.node_id)
                left_behind = session is not None and self._orders.left_behind(session)
                cloned = self._registry.is_cloned(job.node_id)
                why = NOT_BACK if left_behind else CLONED if cloned else ABSENT
                await self._close(job, "expired", JobError("job.expired", f"{why}: nothing was done"))
            elif (refusal := self._orders.final_refusal(job.id)) is not None:
                await self._close(job, "expired", refusal_error(refusal.answer, refusal.why))
            elif now > self._overdue_since[job.id] + UNANSWERED_S:
                why = "the job was sent to the node, which never answered; whether it ran is not known"
                await self._close(job, "unknown", JobError("job.no_answer", why))

    # -- a node connects, reports and leaves ---------------------------------------------------------

    async def wanted(self, session: Session, known: Sequence[str]) -> WantedJobs:
        """The part of a welcome about the jobs in the node's hello: bytes of stored output, and which jobs are complete."""
        ids = [JobId(job) for job in known]
        # Add jobs that are open here and missing in the hello: the node may have reported their end before a restore of this hub.
        ids += [
            job.id
            for job in await self._store[JobStore].open_jobs(session.node)
            if job.state in ("accepted", "running") and job.id not in ids
        ]
        if not ids:
            return WantedJobs((), (), ())
        stored = await self._store[JobStore].unfinished(ids, session.node)
        return WantedJobs(list(stored), list(stored.values()), [job for job in ids if job not in stored])

    async def joined(self, agent: AgentSession) -> None:
        """Send a reconnected node the jobs that it never received. Close the jobs that it accepted and no longer knows."""
        self._orders.reconnected(agent.node.id)
        known = set(agent.hello.known_jobs)
        for job in await self._store[JobStore].unaccepted(agent.session):
            if job.id not in known:
                await self._send(agent, job)
        for job in await self._store[JobStore].open_jobs(agent.node.id):
            if job.state in ("accepted", "running") and job.id not in known:
                why = "the node no longer knows this job; whether it was done is not known"
                await self._close(job, "unknown", JobError("job.lost", why))
        await self._take(None, [agent.session])

    async def receive(self, agent: AgentSession, message: JobMessage) -> None:
        """Queue a message. Waits while the queue of this agent is full."""
        inbox = self._inboxes.get(agent)
        if inbox is None:
            if self._group is None or agent.over:
                return
            inbox = self._inboxes[agent] = Inbox()
            self._group.create_task(self.process(agent, inbox), name=f"jobs of {agent.node.id}")
        await inbox.put(message)

    def left(self, agent: AgentSession) -> None:
        """Close the inbox of an ended session. `process` ignores its queued messages: the node sends them again."""
        inbox = self._inboxes.pop(agent, None)
        if inbox is not None:
            inbox.close()

    async def process(self, agent: AgentSession, inbox: Inbox) -> None:
        """Apply the messages of one session until it is over. Progress is written every PROGRESS_EVERY_S, even during a stream of output."""
        due_at = 0.0
        while not inbox.done:
            message = await inbox.get(PROGRESS_EVERY_S if inbox.progress else None)
            try:
                if message is not None:
                    await self._retry_until_stored(agent, partial(self._apply, agent, inbox, message))
                if inbox.progress and (not isinstance(message, JobOutput) or self._clock.monotonic() >= due_at):
                    due_at = self._clock.monotonic() + PROGRESS_EVERY_S
                    await self._retry_until_stored(agent, partial(self.recorder.write_progress, agent, inbox))
            except Fenced:
                await agent.end(CLOSE_CLONE, "a newer session of this node took over")
            except ProtocolError as exc:
                await agent.end(exc.close_code, exc.reason)
            except Conflict as exc:  # output or an end of a job that was never sent, or that the hub closed
                if await self.recorder.note_refusal(agent, "impossible", message.job if message else ""):
                    event(log, "job_message_refused", logging.WARNING, node=agent.node.id, why=str(exc))
                await agent.end(CLOSE_PROTOCOL, "a job that cannot be there")
            except HubError as exc:
                if await self.recorder.note_refusal(agent, exc.code, message.job if message else ""):
                    event(log, "job_message_dropped", logging.WARNING, node=agent.node.id, error=exc.code)
            except Exception:  # the boundary: a bug that one node's message hits must not affect other nodes
                event(log, "job_message_failed", logging.ERROR, node=agent.node.id, exc_info=True)
                await agent.end(CLOSE_INTERNAL, "internal")

    async def _retry_until_stored(self, agent: AgentSession, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat `work` while the database is full or unavailable. Nothing is acknowledged before it is stored."""
        while True:
            try:
                await work()
            except PASSING_ERRORS as exc:
                if agent.over:
                    return
                event(log, "job_store_failed", logging.WARNING, node=agent.node.id, error=exc.code)
                await self._clock.sleep(STORE_RETRY_S)
                continue
            return

    async def _apply(self, agent: AgentSession, inbox: Inbox, message: JobMessage) -> None:
        if agent.over:
            return
        await self.recorder.check_own(agent, inbox, message.job)
        match message:
            case JobOutput():
                await self.recorder.output(agent, inbox, message)
            case JobAnswer():
                await self._answer(agent, message)
            case JobPlan():
                await self.recorder.plan(agent, inbox, message)
            case JobReport():
                await self.recorder.report(agent, inbox, message)
            case JobEnded():
                if message.job in inbox.progress:
                    await self.recorder.write_progress(agent, inbox)  # the last phase, and the answer to a stop request
                await self._ended(agent, inbox, message)
            case JobProgress():
                inbox.progress[message.job] = message

    # -- the answer to an order ------------------------------------------------------------------

    async def _answer(self, agent: AgentSession, message: JobAnswer) -> None:
        job_id = JobId(message.job)
        job = await self._store[JobStore].job(hub_scope(agent.node.org), job_id)
        why = "unreachable" if message.answer == "unreachable" else message.why
        if why == "bad-mac" and await self._changes_keys(job):
            why = KEYS_CHANGE
        if why not in NEVER_BEGUN:
            self._orders.answered(job_id)
        if job.state != "dispatched":
            if job.state not in TERMINAL and job.stop is not None and job.stop.state == "asked" and message.answer != "accepted":
                await self._stop_refused(agent, job, message, why)
            return
        if message.answer == "accepted":
            self._orders.settled(job_id)
            failpoints.hit("job.accept.pre")
            job = await self._store[JobStore].advance(job_id, "accepted", agent.session, JobUpdate())
            failpoints.hit("job.accept.post")
            self._changed(job)
            return
        before = self._orders.refusal(job_id)
        if self._refusals.first_line("job_refused", job_id):
            event(log, "job_refused", logging.WARNING, job=job_id, node=agent.node.id, answer=message.answer[:20], why=why[:80])
        if job.stop is not None and self._orders.never_started(job_id, why) and job_id not in agent.hello.known_jobs:
            await self._close_refused(agent, job, "cancelled", None)  # the job never ran, so it is not sent again
        elif why in RETRY:
            self._orders.send_later(job, NotAccepted(why, message.answer, before.skew_s if before else 0.0))
        elif why in CLOCK_REFUSALS and (before is None or before.why not in CLOCK_REFUSALS):
            skew_s = message.clock_ms / 1000 - self._clock.now()
            if self._refusals.first_line("node_clock_differs", agent.node.id):
                event(log, "node_clock_differs", logging.WARNING, node=agent.node.id, skew_s=round(skew_s, 1))
            self._orders.send_later(job, NotAccepted(why, message.answer, skew_s))
            if before is None:  # only once: a node that varies its reason must not make the hub send faster
                await self._send(agent, job, skew_s)
        else:
            state: JobState = "unknown" if why == "replay" else "failed"
            await self._close_refused(agent, job, state, refusal_error(message.answer, why))

    async def _close_refused(self, agent: AgentSession, job: Job, state: JobState, error: JobError | None) -> None:
        await self._close(job, state, error, agent.session)
        await self._start_next(agent.session, job)

    async def _changes_keys(self, job: Job) -> bool:
        """Whether the node replaces its keys, or did so within KEYS_CHANGE_S. The store has the answer, so a restart of the hub changes nothing."""
        since = self._clock.now() - KEYS_CHANGE_S
        newest = (await self._store[JobStore].jobs(hub_scope(job.org), 2, None, job.node_id, JobFilter((), REKEY))).items
        return any(
            one.state in ("accepted", "running") or (one.id != job.id and one.ended_at is not None and one.ended_at > since)
            for one in newest
        )

    async def _stop_refused(self, agent: AgentSession, job: Job, message: JobAnswer, why: str) -> None:
        """Handle a stop order that the launcher refused. It is sent again if the reason is temporary, or a clock difference."""
        if why in RETRY:
            return
        if why in CLOCK_REFUSALS and self._orders.correct_stop(job.id, message.clock_ms / 1000 - self._clock.now()):
            await self._orders.stop(job)
            return
        answer = StopAnswer("too_late", f"the node cannot stop it: {refusal_error(message.answer, why).message}")
        job = await self._store[JobStore].advance(job.id, job.state, agent.session, JobUpdate(stop=answer))
        self._changed(job)

    # -- ended -------------------------------------------------------------------------------------

    async def _ended(self, agent: AgentSession, inbox: Inbox, message: JobEnded) -> None:
        job_id = JobId(message.job)
        job = await self._store[JobStore].job(hub_scope(agent.node.org), job_id)
        if job.state in TERMINAL and not may_move(job.state, message.state):
            await agent.send(JobDone(job_id))  # a repeat, since the hub's answer was lost
            return
        if job.output_bytes < message.output_bytes and self._short[job_id] < SHORT_LIMIT:
            self._short[job_id] += 1
            raise ProtocolError("a job ended before its output was sent")  # the next session resumes at the stored offset
        stored, digest = await self._store[JobStore].output_digest(job_id)
        verdict = read_ended(message, job, stored, digest, self._clock.now())
        follow, verdict = await self._reboot_after(job, verdict) if job.reboot else (None, verdict)
        failpoints.hit("job.end.pre")
        try:
            job = await self._store[JobStore].advance(job_id, verdict.state, agent.session, verdict.update, follow)
            failpoints.hit("job.end.post")
        except Conflict:
            if job.state not in TERMINAL:
                raise
        else:
            self._publish_ended(job)
        if job.action == REKEY and verdict.state == "succeeded":
            self._orders.keys_changed(agent.session, job_id)
        for memory in (inbox.own, inbox.begun):
            memory.discard(job_id)
        inbox.stored_bytes.pop(job_id, None)
        self._short.pop(job_id, None)
        self._orders.settled(job_id)
        await agent.send(JobDone(job_id))
        failpoints.hit("job.end.told")
        await self._start_next(agent.session, job)

    async def _reboot_after(self, job: Job, verdict: JobVerdict) -> tuple[NewJob | None, JobVerdict]:
        """The reboot job that was requested with `job`, if it follows; and the verdict, whose error says why a reboot that is due is held."""
        scope, update, store = hub_scope(job.org), verdict.update, self._store[JobStore]
        plan, report = await store.plan(scope, job.id), await store.report(scope, job.id)
        decision = decide_reboot(verdict.state, update.error, update.changes or (), plan, report)
        if decision.held:
            before = update.error or JobError("job.failed", "the job failed")
            error = before._replace(message=f"{before.message}. A reboot is due and was held: {decision.held}")
            return None, verdict._replace(update=update._replace(error=error))
        if not decision.follows:
            return None, verdict
        now = self._clock.now()
        return NewJob(JobId(new_time_id(now)), job.node_id, JobRequest(REBOOT), now, now + START_LIMIT_S), verdict

    async def _close(self, job: Job, state: JobState, error: JobError | None, by: Session | None = None) -> None:
        """End a job without a report of its end from the node."""
        self._orders.withdraw(job.id)
        try:
            ended = await self._store[JobStore].advance(
                job.id, state, by or hub_scope(job.org), JobUpdate(ended_at=self._clock.now(), error=error)
            )
        except (Conflict, NotFound):
            ended = None  # the job changed its state meanwhile, or was removed with its node
        self._orders.settled(job.id)
        if ended is not None:
            self._publish_ended(ended)

    async def _start_next(self, session: Session, ended: Job) -> None:
        """Send the node's next job, and the next job of the batch, without waiting for the sweep."""
        agent = self._registry.agent(session.node)
        if agent is not None:
            self._orders.forget_bundle(agent)
        await self._log_errors(self._take(None, [session] if ended.batch_id is None else None))

    def _publish_ended(self, job: Job) -> None:
        """Log and publish the end of a job."""
        self.ended += 1
        self._changed(job)
        event(log, "job_ended", job=job.id, node=job.node_id, action=job.action, state=job.state, exit_code=job.exit_code)

    def _changed(self, job: Job) -> None:
        self._bus.publish(Changed("job", job.id, job.version, job.org))
