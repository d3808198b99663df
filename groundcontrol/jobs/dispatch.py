"""The dispatcher: sends queued jobs to their nodes, and closes jobs that no node took.

A `JobPoke` on the bus may be lost, so a periodic sweep finds the same jobs. An order may always be sent again:
the launcher on the node records the ids that it took, and starts none of them twice.
"""

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
"""How long after a `rekey` a node may still be in the session of its former keys. It normally reconnects within some seconds."""
UNANSWERED_S: Final = 60.0
"""How long after its `not_after` a sent job without an answer still waits for one."""


class NotAccepted(NamedTuple):
    """Why the node could not take a job yet."""

    why: str
    answer: str
    skew_s: float
    """How far the node's clock is ahead of the hub's, if that was the reason; else 0."""


class _NewKeys(NamedTuple):
    """The latest `rekey` order that was sent to a node."""

    job: JobId
    epoch: int
    """Epoch of the session in which the order was sent."""
    done_at: float | None
    """Monotonic time at which the node reported the new keys in that session; None: not yet."""


class _Again(NamedTuple):
    at: float
    refusal: NotAccepted


class JobDispatcher:
    """Sends queued jobs to the nodes of this hub, one open job per node. It closes jobs that expired or were never answered."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, registry: Registry, fleet_key: bytes, at_once: int, bundle: bytes) -> None:
        """Args:
        at_once: how many jobs of batches may be open at the same time. A job for a single node never waits for this limit.
        bundle: the agent bundle that `update` jobs install.
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
        """Job -> orders sent and not answered. The last refusal is only conclusive while this is 0: an order in flight may still start the job."""
        self._held: dict[JobId, float] = {}
        """Job held back -> clock skew of its node in seconds. Its state is `dispatched`, but its node may be cloned or changes its keys."""
        self._new_keys: dict[NodeId, _NewKeys] = {}
        """The latest `rekey` of each node that has not reconnected since."""
        self._stops = StopSender(store, clock, registry, fleet_key)
        self.ended = 0
        """Jobs that reached a final state."""

    async def run(self) -> None:
        """Handle pokes and sweep periodically, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_pokes(), name="job pokes")
            group.create_task(self._sweep(), name="job sweep")

    # -- queued jobs -----------------------------------------------------------------------------

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
        """Whether any job is open. A sweep without open jobs would only cost queries."""
        try:
            return await self._store.jobs.any_open()
        except HubError as exc:
            event(log, "jobs_store_failed", logging.WARNING, error=exc.code)
            return False

    async def _survive(self, work: Awaitable[None]) -> None:
        """Await `work` and log a store error: the next sweep does the same work again."""
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
        """Send queued `rekey` jobs to nodes suspected of a clone. They get no other job, since only new keys lock the clone out."""
        for session in sessions:
            queued = (await self._store.jobs.jobs(SYSTEM, REKEYS_LOOKED_AT, None, session.node, JobFilter(("queued",), REKEY))).items
            if queued:
                await self._send_taken(await self._store.jobs.take([job.id for job in queued], [session], self._clock.now(), self._at_once))

    def keys_changed(self, session: Session, job: JobId) -> None:
        """Record that the node has new keys. Its launcher refuses orders under the former keys, so jobs wait for its next session."""
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
        """Send the node's next job, and the next of the batch, when a job has ended. Neither waits for the sweep."""
        agent = self._registry.agent(session.node)
        if agent is not None:
            self._upkeep.forget(agent)
        await self._survive(self._take(None, [session] if ended.batch_id is None else None))

    async def joined(self, agent: AgentSession) -> None:
        """Send a reconnected node the jobs that it never received. Close the jobs that it accepted and no longer knows."""
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
        """Seal an order and send it to the node. The order carries the time of the node's clock.

        A node suspected of a clone receives `rekey` alone. A node that changes its keys receives nothing until it reconnects.
        Jobs held back here are sent after that.

        Args: skew_s: how far the node's clock is ahead of the hub's.
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
        """Cancel jobs that the node refused and certainly never started. Send the other nodes the stop request until they answer."""
        for job in await self._stops.waiting():
            again = self._again.get(job.id)
            if job.state == "dispatched" and again is not None and self.never_started(job.id, again.refusal.why):
                self.settled(job.id)
                await self._close(job, "cancelled", None)
            else:
                await self._stops.send(job)

    def never_started(self, job_id: JobId, why: str) -> bool:
        """Whether this refusal proves that the job was not started and never will be."""
        return why in NEVER_BEGUN or (why in NEVER_STARTED and not self._unanswered[job_id])

    def stop_by_clock(self, job_id: JobId, skew_s: float) -> bool:
        """Send the stop request once more, dated by the node's clock. Returns False if that was tried before."""
        return self._stops.correct(job_id, skew_s)

    # -- jobs that the node refused for now ------------------------------------------------------

    def refused(self, job_id: JobId) -> NotAccepted | None:
        """The latest refusal of a job that is going to be sent again; else None."""
        again = self._again.get(job_id)
        return None if again is None else again.refusal

    def send_later(self, job_id: JobId, reason: NotAccepted) -> None:
        """Send the job again every RETRY_EVERY_S until its `not_after`."""
        self._again[job_id] = _Again(self._clock.monotonic() + RETRY_EVERY_S, reason)

    def answered(self, job_id: JobId) -> None:
        """Count one order of this job as answered."""
        if self._unanswered[job_id] <= 1:
            del self._unanswered[job_id]
        else:
            self._unanswered[job_id] -= 1

    def settled(self, job_id: JobId) -> None:
        """Stop sending the job: the node has it, or will never take it."""
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
        """The job, if its node has not taken it yet; else None, and it is never sent again."""
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
            return  # the job changed its state meanwhile, or was removed with its node
        await self.tell_ended(job)

    async def tell_ended(self, job: Job) -> None:
        """Log the end of a job, store its event and publish both changes."""
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
