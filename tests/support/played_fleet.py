"""Nodes of a hub in this process that a test plays: their lists and jobs are real rows; what they show (looks, samples) is always well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from groundcontrol.access.model import User
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import hub_scope
from groundcontrol.core.tables import SubjectTable
from groundcontrol.jobs.model import Job, JobError, JobState, JobUpdate
from groundcontrol.jobs.plans import PlanHead, PlanPart, PlanStep, Report
from groundcontrol.nodes.model import Node, NodeIdentity, NodePolicy, Session
from groundcontrol.rollouts.evidence import Evidence, Seen
from groundcontrol.rollouts.model import Rollout, Target
from groundcontrol.rollouts.service import RolloutService
from groundcontrol.rollouts.soft import Grown
from groundcontrol.schedules.dead_man import DeadMan
from tests.support.factories import connect
from tests.support.inprocess_hub import Answer, TestHub

UPDATES: Sequence[tuple[str, str, str, str, str]] = (("nginx", "1", "2", "yes", "debian"),)
_COLUMNS = ("package", "installed", "candidate", "security", "repository")
PLAN = (PlanStep("nginx", "1", "2", "yes", "debian"),)


class PlayedFleet:
    """Moves the roll-outs of a hub, and answers their jobs as the nodes would."""

    def __init__(self, hub: TestHub, patch: pytest.MonkeyPatch) -> None:
        self.hub = hub
        self.service = hub.services[RolloutService]
        self.sessions: dict[NodeId, Session] = {}
        self.names: dict[str, NodeId] = {}
        self.user: User | None = None
        evidence = hub.services[Evidence]

        async def read(_rollout: Rollout, target: Target, _node: Node, _settle_s: float = 0.0) -> Seen:
            return Seen(hub.clock.now(), 1.0, (), target.baseline or "{}")

        async def grown(*_: object) -> Grown:
            return Grown(1.0, 1.0, True)

        patch.setattr(evidence, "read", read)
        patch.setattr(evidence, "grown", grown)

    async def node(
        self, name: str, tags: tuple[str, ...] = (), *, online: bool = True, updates: Sequence[tuple[str, str, str, str, str]] = UPDATES,
        **identity: Any,
    ) -> NodeId:  # fmt: skip
        made = await self.hub.node(name, tags)
        self.names[name], self.sessions[made.id] = made.id, await connect(self.hub.store, made.id)
        known = NodeIdentity(**{"os_id": "debian", "package_manager": "apt", "timezone": "UTC", **identity})
        await self.hub.store.nodes.save_identity(self.sessions[made.id], known, "1", NodePolicy("managed"), "no", 1.0)
        await self.table(name, "updates", _COLUMNS, updates)
        self.set_online(name, online=online)
        return made.id

    async def table(self, name: str, subject: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        cells = tuple(cell for row in rows for cell in row)
        table = SubjectTable(subject, self.hub.clock.now(), len(rows), columns, cells)
        await self.hub.store.tables.save_table(self.sessions[self.names[name]], table)

    def set_online(self, name: str, *, online: bool) -> None:
        node = self.names[name]
        if online:
            self.hub.nodes.connected.add(node)
        else:
            self.hub.nodes.connected.discard(node)
            self.hub.nodes.heard[node] = self.hub.clock.now()

    @property
    def now(self) -> float:
        return self.hub.clock.now()

    def go_to(self, at: float) -> None:
        """Let the time pass up to this moment, in Unix seconds."""
        self.hub.clock.shift += at - self.hub.clock.now()

    async def look(self, seconds: float = 0.0, times: int = 1) -> None:
        """Let time pass, then let the hub look, some times."""
        for _ in range(times):
            self.hub.clock.shift += seconds
            await self.hub.services[DeadMan].look()
            await self.service.sweep()

    async def watched(self) -> None:
        """Let the hub look until every watch has ended."""
        await self.look(200.0, 3)

    async def until_ordered(self, name: str, most_s: float) -> None:
        """Let the hub look each minute until a job of the node waits to be sent."""
        ends_at = self.hub.clock.now() + most_s
        while not any(job.state == "queued" for job in await self._jobs(name)):
            assert self.hub.clock.now() < ends_at, f"nothing is ordered on {name}"
            await self.look(60.0)

    # -- what a user sees ------------------------------------------------------------------------

    async def request(self, method: str, path: str, body: object = None) -> Answer:
        """As an admin, whose session has begun just now."""
        self.user = self.user or await self.hub.user("ada", "admin")
        return await (await self.hub.logged_in(user=self.user)).request(method, path, body)

    async def get(self, path: str) -> Any:
        return (await self.request("GET", path)).json

    async def made(self, **fields: Any) -> dict[str, Any]:
        """A patch policy."""
        answer = await self.request("POST", "patch-policies", fields)
        assert answer.status == 201, answer.json
        found: dict[str, Any] = answer.json
        return found

    async def rollouts(self) -> list[dict[str, Any]]:
        """Oldest first."""
        return list(reversed((await self.get("rollouts"))["rollouts"]))

    async def target(self, name: str, rollout: int = -1) -> dict[str, Any]:
        """Of the newest roll-out, or of another one by its place."""
        targets = (await self.get(f"rollouts/{(await self.rollouts())[rollout]['id']}/targets"))["targets"]
        return next(dict(one) for one in targets if one["name"] == name)

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """Newest first."""
        return [row for row in (await self.get("events"))["events"] if row["type"] == kind]

    # -- what a node does ------------------------------------------------------------------------

    async def open_job(self, name: str) -> Job:
        """The job that the node is sent; it runs from then on."""
        store, session = self.hub.store.jobs, self.sessions[self.names[name]]
        await store.take(None, [session], self.hub.clock.now())
        [job] = await store.open_jobs(session.node)
        if job.state == "dispatched":
            job = await store.advance(job.id, "running", session, JobUpdate(started_at=self.hub.clock.now()))
        return job

    async def end(
        self, name: str, action: str, state: JobState = "succeeded", *, error: str = "", words: str = "", steps: Sequence[PlanStep] = PLAN,
        digest: str = "d", reboot: Any = "no",
    ) -> None:  # fmt: skip
        """The node ends its job, which is one of this action. Then the hub looks."""
        store, session, job = self.hub.store.jobs, self.sessions[self.names[name]], await self.open_job(name)
        assert job.action == action, job
        if action == "plan" and state == "succeeded":
            await store.save_plan(job.id, PlanPart(0, 1, PlanHead(digest, None, None, "no", ""), tuple(steps), ()), session)
        if action != "plan":
            await store.save_report(job.id, Report(reboot, "", (), (), (), ()), session)
        update = JobUpdate(error=JobError(error, words) if error else None)
        await store.advance(job.id, state, session, update)
        await self.look()

    async def patched(self, name: str, **ends: Any) -> None:
        await self.end(name, "plan")
        await self.end(name, "upgrade", **ends)

    async def _jobs(self, name: str) -> list[Job]:
        page = await self.hub.store.jobs.jobs(hub_scope(1), 100, None, self.names[name])
        return list(reversed(page.items))

    async def ordered(self, name: str) -> list[str]:
        """The actions of all jobs of a node, oldest first."""
        return [job.action for job in await self._jobs(name)]
