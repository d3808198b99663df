"""Sends stop requests to nodes, again and again until they are answered. Only the node's own messages change the job's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from groundcontrol.agents.registry import Registry
from groundcontrol.core.ids import JobId
from groundcontrol.jobs.model import Job
from groundcontrol.stores import Store
from spider.clock import Clock
from spider.wire.frames import JobStop
from spider.wire.orders import MAX_LIFE_S, SignedOrder, seal_order
from spider.wire.proof import node_keys
from spider.wire.verbs import REKEY, STOP

EVERY_S: Final = 5.0


class StopSender:
    """Sends stop orders, and remembers when each was last sent."""

    def __init__(self, store: Store, clock: Clock, registry: Registry, fleet_key: bytes) -> None:
        self._store = store
        self._clock = clock
        self._registry = registry
        self._fleet_key = fleet_key
        self._told: dict[JobId, tuple[float, int, bool]] = {}
        """Job -> the last stop order: monotonic time, epoch of the session, force."""
        self._skews: dict[JobId, float] = {}

    async def waiting(self) -> Sequence[Job]:
        """Jobs whose stop request has no answer yet. The records of all other jobs are dropped."""
        jobs = await self._store.jobs.stopping()
        ids = {job.id for job in jobs}
        for memory in (self._told, self._skews):
            for job_id in memory.keys() - ids:
                memory.pop(job_id, None)
        return jobs

    async def send(self, job: Job) -> None:
        """Send the stop order, at most every EVERY_S in a session. A node suspected of a clone gets it once that is resolved."""
        agent = self._registry.agent(job.node_id)
        if agent is None or (job.action != REKEY and self._registry.suspected(job.node_id)):
            return
        now = self._clock.monotonic()
        force = job.stop is not None and job.stop.force
        told_at, *how = self._told.get(job.id, (0.0, -1, False))
        if how == [agent.session.epoch, force] and now - told_at < EVERY_S:
            return
        self._told[job.id] = (now, agent.session.epoch, force)
        issued = int(self._clock.now() + self._skews.get(job.id, 0.0))
        generation = agent.hello.generation
        args = {"force": True} if force else {}
        order = SignedOrder(job.node_id, generation, job.id, STOP, args, issued, issued + MAX_LIFE_S)
        await agent.tell(JobStop(job.id, seal_order(node_keys(self._fleet_key, job.node_id, generation).launch, order)))

    def correct(self, job_id: JobId, skew_s: float) -> bool:
        """Remember that the node's clock is ahead by `skew_s`. Returns whether this is new, so that another try makes sense."""
        if job_id in self._skews:
            return False
        self._skews[job_id] = skew_s
        self._told.pop(job_id, None)
        return True
