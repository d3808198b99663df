"""Jobs on their way to the node (`dispatch.py`) and what comes back (`receive.py`), as the sessions see them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from groundcontrol.bus.base import Bus
from groundcontrol.domain.nodes import Session
from groundcontrol.fleet.ports import JobMessage, WantedJobs
from groundcontrol.fleet.registry import Registry
from groundcontrol.fleet.session import AgentSession
from groundcontrol.jobs.dispatch import Dispatch
from groundcontrol.jobs.inbox import Inbox
from groundcontrol.jobs.receive import Receiver
from groundcontrol.refusals import Refusals
from groundcontrol.store.base import Store
from spider.clock import Clock


class JobRunner:
    """The way of every job of this hub's nodes; a `fleet.ports.JobSink`."""

    def __init__(
        self, store: Store, bus: Bus, clock: Clock, registry: Registry, refusals: Refusals, fleet_key: bytes, at_once: int, bundle: bytes
    ) -> None:
        self._dispatch = Dispatch(store, bus, clock, registry, fleet_key, at_once, bundle)
        self._receiver = Receiver(store, bus, clock, self._dispatch, refusals)
        self._inboxes: dict[AgentSession, Inbox] = {}
        self._group: asyncio.TaskGroup | None = None

    @property
    def ended(self) -> int:
        """Jobs that reached a final state."""
        return self._dispatch.ended

    @property
    def output_bytes(self) -> int:
        """Output that was committed."""
        return self._receiver.output_bytes

    async def run(self) -> None:
        """Dispatch, sweep and work off what the nodes say; until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._dispatch.run(), name="job dispatch")

    async def wanted(self, session: Session, known: Sequence[str]) -> WantedJobs:
        """What a node hears in its welcome about the jobs that it still keeps."""
        return await self._receiver.wanted(session, known)

    async def joined(self, agent: AgentSession) -> None:
        """A node is back: hand over again what it never saw, and name what it has lost."""
        await self._dispatch.joined(agent)

    async def heard(self, agent: AgentSession, message: JobMessage) -> None:
        """Take a message; waits while this agent has too many in work."""
        inbox = self._inboxes.get(agent)
        if inbox is None:
            if self._group is None or agent.over:
                return
            inbox = self._inboxes[agent] = Inbox()
            self._group.create_task(self._receiver.work(agent, inbox), name=f"jobs of {agent.node.id}")
        await inbox.put(message)

    def left(self, agent: AgentSession) -> None:
        inbox = self._inboxes.pop(agent, None)
        if inbox is not None:
            inbox.close()
