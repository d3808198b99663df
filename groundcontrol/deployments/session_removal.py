"""Removal through the live session, for a node without stored credentials.

The order is an ordinary job (`uninstall`) for the node's launcher, its program with the rights of root; the owner's policy may forbid it.
Root on the node uninstalls everything in a separate unit. Then it sends `Farewell` in a last session, and the deployment ends.
The node does not wait for the hub. A hub that was stopped meanwhile follows the removal after its next start.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, NamedTuple

from groundcontrol.core import failpoints
from groundcontrol.core.bus import Changed, Topic
from groundcontrol.core.errors import NotFound, PolicyRefuses
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.deployments import transitions
from groundcontrol.deployments.model import LIVE_REMOVE_STEPS, REMOVE_STEPS, Deployment, DeploymentError, DeploymentOptions, DeploymentState
from groundcontrol.deployments.run import DeploymentRun, wipe
from groundcontrol.jobs.model import JobRequest, NewJob
from groundcontrol.jobs.store import JobStore
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from majortom.errors import failure
from majortom.interfaces import DeployError
from spider.wire.verbs import UNINSTALL

LOOK_S: Final = 10.0
"""The longest pause between two looks at an open removal: the bus may lose a message."""
GOES_ON: Final = "the node has the order to remove the agent, and goes on by itself: stop its job, if that still waits"
CLEAN: Final = "nothing of Stardust is left on the server, says root there"


class RemovalDeps(NamedTuple):
    """The dependencies of a removal that other deployments do not have (`run.Deps`)."""

    order: Callable[[Scope, Node, JobRequest], NewJob]
    """`jobs.service.JobService.new_selfcare`."""
    allowed: Callable[[Node, JobRequest], None]
    """`jobs.requests.check_policy`."""
    online: Callable[[NodeId], bool]

    def hindrance(self, node: Node) -> str:
        """Why the node cannot be ordered to uninstall the agent; empty: it can, as far as the hub knows."""
        if not self.online(node.id):
            return "it is not connected"
        try:
            self.allowed(node, JobRequest(UNINSTALL))
        except PolicyRefuses as refused:
            return f"it does not allow a removal through its connection ({refused.message})"
        return ""


def new_removal(scope: Scope, node: Node, job: NewJob) -> Deployment:
    """The removal of a node by this job."""
    row = transitions.new_deployment(
        scope, "remove", LIVE_REMOVE_STEPS, host=node.address, port=0, username="", name=node.name, options=DeploymentOptions(), node=node.id,
        at=job.created_at,
    )  # fmt: skip
    return ordered(row, job)


def ordered(row: Deployment, job: NewJob) -> Deployment:
    """The removal with its job, which waits for the node."""
    row = transitions.step_started(row._replace(job=job.id), "connect", job.created_at)
    return transitions.step_detail(row, "connect", f"through the live session, job {job.id}")


def by_ssh(row: Deployment) -> Deployment:
    """The same removal, with the steps of a removal by SSH."""
    return row._replace(steps=transitions.waiting(REMOVE_STEPS), job=None)


class SessionRemoval(DeploymentRun):
    """Follows the job of one removal until the `Farewell`. It needs no slot: the node does the work."""

    _accepted_at: float | None = None
    """When this hub first saw that the node has accepted the job, on the monotonic clock."""
    _left: str | None = None
    """The parts that could not be uninstalled, from the `Farewell`; empty: none. None: it has not come."""

    async def _carry_out(self) -> DeploymentState:
        row, clock, limit_s = self.progress.row, self._tools.clock, self._tools.limits.leave_s
        topics = (Topic("changed", f"{kind}:{id_}") for kind, id_ in (("job", row.job), ("node", row.node_id), ("deployment", row.id)))
        async with self._tools.bus.subscribe(*topics, limit=3, policy="latest") as changes:
            while (state := await self._until_saved(self._look)) is None:
                left_s = LOOK_S if self._accepted_at is None else self._accepted_at + limit_s - clock.monotonic()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(LOOK_S, max(left_s, 0.0))):
                        await anext(changes)
        return state

    async def _look(self) -> DeploymentState | None:
        """Bring the steps to where node and job are. Returns: how the removal has ended; None: it goes on.

        A job with an unknown end has not failed: the agent that would report its end is being uninstalled.
        Raises: DeployError, StoreError.
        """
        tools, row = self._tools, self.progress.row
        assert row.node_id is not None
        if await tools.store[NodeStore].find_node(row.node_id) is None:
            if not _done(self.progress.row, "verify"):  # the farewell may have come, and the node gone, since `row` was read
                await self.progress.detail("uninstall", "the node was deleted meanwhile: the state of its server is not known")
                return "cancelled"
            failpoints.hit("leave.wipe.pre")
            await wipe(tools, self._scope, self.progress)
            failpoints.hit("leave.wipe.post")
            return "succeeded"
        if self._left:
            raise failure("uninstall_failed", "verify", left=self._left)
        if self._left is not None or _done(row, "verify"):
            return None  # the node is being deleted
        if row.job is None:
            raise failure("hub_stopped", "connect", how_far="before it asked the node to remove the agent: press Retry")
        try:
            job = await tools.store[JobStore].job(hub_scope(row.org), row.job)
        except NotFound:  # the node was deleted between the two calls
            return None
        if job.state in ("failed", "cancelled", "expired"):
            code, message = job.error[:2] if job.error else (f"job.{job.state}", f"the order was {job.state}")
            raise DeployError(code, message, "uninstall" if _done(row, "connect") else "connect")
        if job.state in ("queued", "dispatched"):
            return None
        if self._accepted_at is None:
            self._accepted_at = tools.clock.monotonic()
        if not _done(row, "connect"):
            await self.progress.change(lambda row: _reached(row, "uninstall", tools.clock.now()))
            failpoints.hit("leave.begun")
        if tools.clock.monotonic() >= self._accepted_at + tools.limits.leave_s:
            raise failure("no_farewell", "uninstall", name=row.name, minutes=f"{tools.limits.leave_s / 60:.0f}")
        return None

    async def receive_farewell(self, not_removed: str) -> None:
        """Note a node's `Farewell`, before the node is deleted. It comes only once, so errors of the database are waited for.

        Args: not_removed: the parts that could not be uninstalled; not empty: the node stays.
        """
        self._left, row = not_removed, self.progress.row
        if not_removed:
            self._tools.bus.publish(Changed("deployment", row.id, row.version, row.org))  # so that `_carry_out` looks
            return
        failpoints.hit("leave.heard.pre")
        await self._until_saved(self._save_farewell)
        failpoints.hit("leave.heard.post")

    async def _save_farewell(self) -> None:
        at = self._tools.clock.now()
        await self.progress.change(lambda row: transitions.step_done(_reached(row, "verify", at), "verify", CLEAN, at))

    async def _end(self, state: DeploymentState, error: DeploymentError | None) -> None:
        failpoints.hit("leave.end.pre")
        await super()._end(state, error)
        failpoints.hit("leave.end.post")

    async def _end_cancelled(self) -> None:
        """The hub is shutting down. Its next start follows the removal further."""


def _reached(row: Deployment, name: str, at: float) -> Deployment:
    """The removal with this step running, and all steps before it done."""
    for step in row.steps:
        if step.state == "waiting":
            row = transitions.step_started(row, step.name, at)
        if step.name == name:
            break
        if step.state != "done":
            row = transitions.step_done(row, step.name, "", at)
    return row


def _done(row: Deployment, name: str) -> bool:
    return any(step.name == name and step.state == "done" for step in row.steps)
