"""A node with a live session in the rows of a store, for tests of its removal."""

from __future__ import annotations

from typing import NamedTuple, cast

from groundcontrol.agents.session import AgentSession
from groundcontrol.core.bus import Changed
from groundcontrol.core.ids import BootId, HubId, JobId, NodeId
from groundcontrol.core.scope import SYSTEM, Scope
from groundcontrol.deployments.model import Deployment
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.jobs.model import Job, JobError, JobState, JobUpdate
from groundcontrol.nodes.model import Node, Session
from spider.clock import SystemClock
from tests.support.deployment_desk import ADMIN, Desk, node_with


class Agent(NamedTuple):
    """The part of a session that a farewell needs."""

    node: Node
    address: str


class Played:
    """A node with a live session, simulated by its rows."""

    def __init__(self, desk: Desk, node: NodeId, session: Session) -> None:
        self._desk = desk
        self.id = node
        self.session = session

    async def job(self) -> Job:
        (job,) = (await self._desk.store.jobs.jobs(ADMIN, 10, None, node=self.id)).items
        return job

    async def take(self) -> Job:
        """The dispatcher gives it the job, and its launcher accepts."""
        ((job, _),) = await self._desk.store.jobs.take(None, [self.session], SystemClock().now(), 10)
        return await self._advance(job.id, "accepted", self.session, JobUpdate())

    async def end(self, job: JobId, state: JobState, error: JobError | None = None) -> None:
        await self._advance(job, state, self.session, JobUpdate(ended_at=SystemClock().now(), error=error))

    async def close(self, state: JobState, error: JobError | None = None) -> None:
        """The hub ends its job."""
        await self._advance((await self.job()).id, state, SYSTEM, JobUpdate(ended_at=1.0, error=error))

    async def _advance(self, job: JobId, to: JobState, by: Session | Scope, update: JobUpdate) -> Job:
        """Change the job and publish the change, as the tracker does."""
        changed = await self._desk.store.jobs.advance(job, to, by, update)
        self._desk.bus.publish(Changed("job", changed.id, changed.version, changed.org))
        return changed

    async def farewell(self, service: DeploymentService, left: str = "") -> None:
        agent = Agent(await self._desk.store.nodes.node(ADMIN, self.id), "127.0.0.1")
        await service.receive_farewell(cast("AgentSession", agent), "uninstalled by an order of its hub", left)


async def played(desk: Desk, name: str = "web-1") -> Played:
    node = await node_with(desk, None, name)
    desk.here.add(node)
    return Played(desk, node, await desk.store.sessions.claim(node, BootId("0" * 32), HubId("h" * 26)))


def states(row: Deployment) -> dict[str, str]:
    return {step.name: step.state for step in row.steps}
