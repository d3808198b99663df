"""Jobs on their way to the node. Every poke may be lost: a sweep stands behind it. Nothing is started twice by this:
the launcher's record on the node decides, so that sending an order again is always safe."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Sequence
from typing import Final, NamedTuple

from groundcontrol.bus.base import Bus, Changed, JobPoke, Topic
from groundcontrol.domain.ids import EventId, JobId
from groundcontrol.domain.jobs import Job, JobError, JobEvidence, JobState
from groundcontrol.domain.log import Event, Severity
from groundcontrol.domain.nodes import Session
from groundcontrol.domain.scope import SYSTEM
from groundcontrol.errors import Conflict, HubError, NotFound
from groundcontrol.fleet.registry import Registry
from groundcontrol.fleet.session import AgentSession
from groundcontrol.jobs.evidence import refusal
from groundcontrol.store.base import Store
from spider.clock import Clock
from spider.logs import event
from spider.wire.frames import JobStart
from spider.wire.ids import new_time_id
from spider.wire.orders import MAX_LIFE_S, Order, seal_order
from spider.wire.proof import node_keys

log = logging.getLogger(__name__)

SWEEP_S: Final = (1.0, 2.0)
POKES: Final = 1024
RETRY_EVERY_S: Final = 5.0
UNANSWERED_S: Final = 60.0
"""After its time is up, a job that was handed over and never answered is given this much longer."""


class Refusal(NamedTuple):
    """Why the node could not take a job yet."""

    why: str
    answer: str
    skew_s: float
    """How far the node's clock is ahead, where that was the reason."""


class _Again(NamedTuple):
    at: float
    refusal: Refusal


class Dispatch:
    """Takes what waits for the nodes of this hub, one job at a time for each; closes what came to nothing."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, registry: Registry, fleet_key: bytes) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._registry = registry
        self._fleet_key = fleet_key
        self._again: dict[JobId, _Again] = {}
        self.ended = 0

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

    async def _sweep(self) -> None:
        while True:
            await self._clock.sleep(random.uniform(*SWEEP_S))
            await self._survive(self._take(None))
            await self._survive(self._send_again())
            await self._survive(self._expire())

    async def _survive(self, work: Awaitable[None]) -> None:
        """Await something that the next sweep makes good when the database is away."""
        try:
            await work
        except HubError as exc:
            event(log, "jobs_store_failed", logging.WARNING, error=exc.code)

    async def _take(self, ids: Sequence[JobId] | None, sessions: Sequence[Session] | None = None) -> None:
        chosen = self._registry.sessions() if sessions is None else sessions
        if chosen:
            for job, session in await self._store.jobs.take(ids, chosen, self._clock.now()):
                self._bus.publish(Changed("job", job.id, job.version))
                agent = self._registry.agent(session.node)
                if agent is not None and agent.session.epoch == session.epoch:
                    await self.send(agent, job)

    async def follow_on(self, session: Session) -> None:
        """A job of this node has ended: its next one begins now, not at the next sweep."""
        await self._survive(self._take(None, [session]))

    async def joined(self, agent: AgentSession) -> None:
        """A node is back: hand over again what it never saw, and name what it has lost."""
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
        """Seal an order and hand it to the node; its time is that of the node's clock."""
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

    # -- what the node could not take yet --------------------------------------------------------

    def refused(self, job_id: JobId) -> Refusal | None:
        """What stood against this job last, if it is to be sent again."""
        again = self._again.get(job_id)
        return None if again is None else again.refusal

    def send_later(self, job_id: JobId, reason: Refusal) -> None:
        """Send it again after a while, for as long as its time is not up."""
        self._again[job_id] = _Again(self._clock.monotonic() + RETRY_EVERY_S, reason)

    def settled(self, job_id: JobId) -> None:
        """The node has it, or will never take it: it is not sent again."""
        self._again.pop(job_id, None)

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
                await self.send(agent, job, again.refusal.skew_s)

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
                await self._close(job, "expired", refusal(again.refusal.answer, again.refusal.why))
            elif now > job.not_after + UNANSWERED_S:
                told = "the job was handed to the node, which never answered; whether it ran is not known"
                await self._close(job, "unknown", JobError("job.no_answer", told))

    # -- ends ------------------------------------------------------------------------------------

    async def _close(self, job: Job, state: JobState, error: JobError) -> None:
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
