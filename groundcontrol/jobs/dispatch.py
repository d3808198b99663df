"""Jobs on their way to the node. Every poke may be lost: a sweep stands behind it. Nothing is started twice by this:
the launcher's record on the node decides, so that sending an order again is always safe."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Final, NamedTuple

from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import AgentSession
from groundcontrol.core import failpoints
from groundcontrol.core.bus import Bus, Changed, JobPoke, Topic
from groundcontrol.core.errors import Conflict, HubError, NotFound
from groundcontrol.core.ids import EventId, JobId, NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.events.model import Event, Severity
from groundcontrol.jobs.model import Job, JobError, JobEvidence, JobFilter, JobState
from groundcontrol.jobs.requests import order_args
from groundcontrol.jobs.selfcare import SelfcareOrders
from groundcontrol.jobs.stop_requests import StopSender
from groundcontrol.jobs.store import ClaimedJob as Taken
from groundcontrol.jobs.verdict import NEVER_BEGUN, NEVER_STARTED, NOT_BACK, refusal
from groundcontrol.nodes.model import Session
from groundcontrol.stores import Store
from spider.clock import Clock
from spider.logs import event
from spider.wire.frames import JobStart
from spider.wire.ids import new_time_id
from spider.wire.orders import MAX_LIFE_S, ORDER_TIME, SignedOrder, seal_order
from spider.wire.proof import node_keys
from spider.wire.verbs import REKEY

log = logging.getLogger(__name__)

SWEEP_S: Final = (1.0, 2.0)
POKES: Final = 1024
RETRY_EVERY_S: Final = 5.0
REKEYS_LOOKED_AT: Final = 20
CLONED: Final = "a second machine shows the keys of this node, so nothing is run there until it has new ones (stardust rekey)"
KEYS_CHANGE_S: Final = 120.0
"""For so long after the end of a `rekey` a node may still be in the session of its former keys. It comes back within some seconds."""
UNANSWERED_S: Final = 60.0
"""After its time is up, a job that was handed over and never answered is given this much longer."""


class NotAccepted(NamedTuple):
    """Why the node could not take a job yet."""

    why: str
    answer: str
    skew_s: float
    """How far the node's clock is ahead, where that was the reason."""


class _NewKeys(NamedTuple):
    """The order for new keys that a node was handed last."""

    job: JobId
    epoch: int
    """Of the session by which it went."""
    done_at: float | None
    """When the node said there that it has them, by the monotonic clock."""


class _Again(NamedTuple):
    at: float
    refusal: NotAccepted


class JobDispatcher:
    """Takes what waits for the nodes of this hub, one job at a time for each; closes what came to nothing."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, registry: Registry, fleet_key: bytes, at_once: int, bundle: bytes) -> None:
        """Args:
        at_once: of jobs that belong to batches, so many go on at the same time; what one person orders for one node never waits.
        bundle: the version of Spider that updates bring.
        """
        self._store = store
        self._bus = bus
        self._clock = clock
        self._registry = registry
        self._fleet_key = fleet_key
        self._upkeep = SelfcareOrders(fleet_key, bundle)
        self._at_once = at_once
        self._again: dict[JobId, _Again] = {}
        self._unanswered: Counter[JobId] = Counter()
        """Orders on their way, or in work at the node. Only while there are none does the last refusal say how things stand."""
        self._held: dict[JobId, float] = {}
        """Handed over by the books, and not sent because of a second machine -> how far the node's clock is ahead."""
        self._new_keys: dict[NodeId, _NewKeys] = {}
        """Of nodes that have not come back since."""
        self._stops = StopSender(store, clock, registry, fleet_key)
        self.ended = 0
        """Jobs that reached a final state."""

    async def run(self) -> None:
        """Follow pokes, and sweep; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_pokes(), name="job pokes")
            group.create_task(self._sweep(), name="job sweep")

    # -- what waits ------------------------------------------------------------------------------

    async def _follow_pokes(self) -> None:
        async with self._bus.subscribe(Topic("job_poke"), limit=POKES, policy="ordered") as told:
            async for message in told:
                await self._survive(self._take(message.jobs if isinstance(message, JobPoke) else None))
                await self._survive(self._stop())

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(random.uniform(*SWEEP_S))
            if self._again or self._held or await self._any_open():
                await self._survive(self._withdraw())
                await self._survive(self._take(None))
                await self._survive(self._send_again())
                await self._survive(self._stop())
                await self._survive(self._expire())

    async def _any_open(self) -> bool:
        """Whether there may be something to look after."""
        try:
            return await self._store.jobs.any_open()
        except HubError as exc:
            event(log, "jobs_store_failed", logging.WARNING, error=exc.code)
            return False

    async def _survive(self, work: Awaitable[None]) -> None:
        """Await something that the next sweep makes good when the database is away."""
        try:
            await work
        except HubError as exc:
            event(log, "jobs_store_failed", logging.WARNING, error=exc.code)

    async def _withdraw(self) -> None:
        for job in await self._store.jobs.withdraw(self._clock.now()):
            await self.tell_ended(job)

    async def _take(self, ids: Sequence[JobId] | None, sessions: Sequence[Session] | None = None) -> None:
        some = self._registry.sessions() if sessions is None else sessions
        all_of_them = [session for session in some if not self._left_behind(session)]
        chosen = [session for session in all_of_them if not self._registry.suspected(session.node)]
        if len(chosen) < len(all_of_them):
            await self._take_new_keys([session for session in all_of_them if self._registry.suspected(session.node)])
        if chosen:
            failpoints.reach("job.take.pre")
            taken = await self._store.jobs.take(ids, chosen, self._clock.now(), self._at_once)
            if taken:
                failpoints.reach("job.take.post")
            await self._send_taken(taken)

    async def _take_new_keys(self, sessions: Sequence[Session]) -> None:
        """Nodes that a second machine passes for get nothing but what ends that: new keys."""
        for session in sessions:
            queued = (await self._store.jobs.jobs(SYSTEM, REKEYS_LOOKED_AT, None, session.node, JobFilter(("queued",), REKEY))).items
            if queued:
                await self._send_taken(await self._store.jobs.take([job.id for job in queued], [session], self._clock.now(), self._at_once))

    def keys_changed(self, session: Session, job: JobId) -> None:
        """The node says that it has new keys. Its launcher takes no order under the former ones, so jobs wait for its next session."""
        keys = self._new_keys.get(session.node)
        if keys is not None and (keys.job, keys.epoch) == (job, session.epoch):
            self._new_keys[session.node] = keys._replace(done_at=self._clock.monotonic())

    def _left_behind(self, session: Session) -> bool:
        """Whether the node has replaced the keys of this session."""
        keys = self._new_keys.get(session.node)
        if keys is None or keys.done_at is None or keys.epoch != session.epoch:
            return False
        return self._clock.monotonic() - keys.done_at < KEYS_CHANGE_S

    async def _send_taken(self, taken: Sequence[Taken]) -> None:
        for job, session in taken:
            self._bus.publish(Changed("job", job.id, job.version))
            agent = self._registry.agent(session.node)
            if agent is not None and agent.session.epoch == session.epoch:
                await self.send(agent, job)

    async def follow_on(self, session: Session, ended: Job) -> None:
        """A job of this node has ended: its next one begins now, not at the next sweep, and the next of its batch."""
        agent = self._registry.agent(session.node)
        if agent is not None:
            self._upkeep.forget(agent)
        await self._survive(self._take(None, [session] if ended.batch_id is None else None))

    async def joined(self, agent: AgentSession) -> None:
        """A node is back: hand over again what it never saw, and name what it has lost."""
        self._new_keys.pop(agent.node.id, None)
        known = set(agent.hello.known_jobs)
        for job in await self._store.jobs.undispatched(agent.session):
            if job.id not in known:
                await self.send(agent, job)
        for job in await self._store.jobs.open_jobs(agent.node.id):
            if job.state in ("accepted", "running") and job.id not in known:
                await self._close(
                    job, "unknown", JobError("job.lost", "the node no longer knows this job; whether it was done is not known")
                )
        await self._take(None, [agent.session])

    async def send(self, agent: AgentSession, job: Job, skew_s: float = 0.0) -> None:
        """Seal an order and hand it to the node; its time is that of the node's clock.

        While a second machine passes for the node, only new keys are, and while it comes back with new keys, nothing is. What is held back
        here is sent when that is over.
        """
        if self._left_behind(agent.session) or (job.action != REKEY and self._registry.suspected(job.node_id)):
            self._held[job.id] = skew_s
            return
        self._held.pop(job.id, None)
        issued = int(self._clock.now() + skew_s)
        expires = min(issued + MAX_LIFE_S, int(job.not_after + skew_s))
        if expires <= issued or job.stop is not None:
            return
        generation = agent.hello.generation
        try:
            args = self._upkeep.new_keys(job, generation) if job.action == REKEY else order_args(job.wish)
        except Conflict as exc:
            self.settled(job.id)
            await self._close(job, "failed", JobError("job.no_next_keys", exc.message))
            return
        for part in self._upkeep.parts(agent, job):
            await agent.tell(part)
        at = int(self._clock.now()) if ORDER_TIME in agent.hello.features else None
        order = SignedOrder(job.node_id, generation, job.id, job.action, args, issued, expires, at)
        frame = seal_order(node_keys(self._fleet_key, job.node_id, generation).launch, order)
        event(log, "job_sent", job=job.id, node=job.node_id, action=job.action)
        self._unanswered[job.id] += 1
        if job.action == REKEY:
            self._new_keys[job.node_id] = _NewKeys(job.id, agent.session.epoch, None)
        await agent.tell(JobStart(job.id, frame))
        failpoints.reach("job.send.post")

    # -- stops -----------------------------------------------------------------------------------

    async def _stop(self) -> None:
        """Take back what the node has refused and was not asked again; hand the wish to stop to the others, until they answer."""
        for job in await self._stops.waiting():
            again = self._again.get(job.id)
            if job.state == "dispatched" and again is not None and self.never_started(job.id, again.refusal.why):
                self.settled(job.id)
                await self._close(job, "cancelled", None)
            else:
                await self._stops.send(job)

    def never_started(self, job_id: JobId, why: str) -> bool:
        """Whether it is certain, after this refusal, that the job was not begun and will not be."""
        return why in NEVER_BEGUN or (why in NEVER_STARTED and not self._unanswered[job_id])

    def stop_by_clock(self, job_id: JobId, skew_s: float) -> bool:
        """The node's clock is so far ahead: ask it again by that, once. Returns whether that is still to be tried."""
        return self._stops.correct(job_id, skew_s)

    # -- what the node could not take yet --------------------------------------------------------

    def refused(self, job_id: JobId) -> NotAccepted | None:
        """What stood against this job last, if it is to be sent again."""
        again = self._again.get(job_id)
        return None if again is None else again.refusal

    def send_later(self, job_id: JobId, reason: NotAccepted) -> None:
        """Send it again after a while, for as long as its time is not up."""
        self._again[job_id] = _Again(self._clock.monotonic() + RETRY_EVERY_S, reason)

    def answered(self, job_id: JobId) -> None:
        """The node has answered an order."""
        if self._unanswered[job_id] <= 1:
            del self._unanswered[job_id]
        else:
            self._unanswered[job_id] -= 1

    def settled(self, job_id: JobId) -> None:
        """The node has it, or will never take it: it is not sent again."""
        self._again.pop(job_id, None)
        self._held.pop(job_id, None)
        self._unanswered.pop(job_id, None)

    async def _send_again(self) -> None:
        now = self._clock.monotonic()
        for job_id, again in list(self._again.items()):
            if again.at > now:
                continue
            job = await self._untaken(job_id)
            if job is not None:
                self._again[job_id] = again._replace(at=now + RETRY_EVERY_S)
                await self._send_here(job, again.refusal.skew_s)
        for job_id, skew_s in list(self._held.items()):
            job = await self._untaken(job_id)
            if job is not None and job_id not in self._again and not self._registry.suspected(job.node_id):
                await self._send_here(job, skew_s)

    async def _send_here(self, job: Job, skew_s: float) -> None:
        agent = self._registry.agent(job.node_id)
        if agent is not None:
            await self.send(agent, job, skew_s)

    async def _untaken(self, job_id: JobId) -> Job | None:
        """The job, if its node has not taken it yet; else it is not sent again."""
        try:
            job = await self._store.jobs.job(SYSTEM, job_id)
        except NotFound:  # its node was removed
            job = None
        if job is None or job.state != "dispatched":
            self.settled(job_id)
            return None
        return job

    async def _expire(self) -> None:
        now = self._clock.now()
        for job in await self._store.jobs.overdue(now):
            again = self._again.get(job.id)
            if job.state == "queued":
                session = self._registry.current(job.node_id)
                left_behind = session is not None and self._left_behind(session)
                cloned = self._registry.suspected(job.node_id)
                why = NOT_BACK if left_behind else CLONED if cloned else "the node was not connected, or busy, for 10 minutes"
                await self._close(job, "expired", JobError("job.expired", f"{why}: nothing was done"))
            elif again is not None and not self._unanswered[job.id]:
                self.settled(job.id)
                await self._close(job, "expired", refusal(again.refusal.answer, again.refusal.why))
            elif now > job.not_after + UNANSWERED_S:
                self.settled(job.id)
                told = "the job was handed to the node, which never answered; whether it ran is not known"
                await self._close(job, "unknown", JobError("job.no_answer", told))

    # -- ends ------------------------------------------------------------------------------------

    async def _close(self, job: Job, state: JobState, error: JobError | None) -> None:
        try:
            job = await self._store.jobs.advance(job.id, state, SYSTEM, JobEvidence(ended_at=self._clock.now(), error=error))
        except (Conflict, NotFound):
            return  # it has moved meanwhile, or is gone with its node
        await self.tell_ended(job)

    async def tell_ended(self, job: Job) -> None:
        """Log it, and tell everybody who looks."""
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
