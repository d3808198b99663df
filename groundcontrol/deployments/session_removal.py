"""Removal through the live session, for a node without stored credentials.

The order is an ordinary job (`uninstall`) for the node's launcher, its program with the rights of root; the owner's policy may forbid it.
Root on the node uninstalls everything in a separate unit. Then it sends `Farewell` in a last session, and the deployment ends.
The node does not wait for the hub. A hub that was stopped meanwhile follows the removal after its next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from groundcontrol.core import failpoints
from groundcontrol.core.errors import Conflict, HubError, NotFound, PolicyRefuses, StoreError, Unavailable
from groundcontrol.core.ids import JobId, NodeId
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.deployments import transitions
from groundcontrol.deployments.limits import WriteLock
from groundcontrol.deployments.model import LIVE_REMOVE_STEPS, REMOVE_STEPS, Deployment, DeploymentError, DeploymentOptions, DeploymentState
from groundcontrol.deployments.progress import ProgressReporter
from groundcontrol.deployments.run import CLEAN_UP_TRIES, OWN_ERROR, Deps, hub_failed, wipe
from groundcontrol.deployments.running import stop_all
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.jobs.model import Job, JobRequest
from groundcontrol.jobs.store import JobStore
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from majortom.errors import failure
from majortom.interfaces import DeployError, StepName
from spider.logs import event
from spider.wire.verbs import UNINSTALL

POLL_S: Final = 0.2
"""The pause between two looks at the rows of one removal."""
ORDERS_SEEN: Final = 50
"""How many of a node's newest jobs a restarted hub searches for the `uninstall` job of a removal."""

log = logging.getLogger(__name__)


class SubmitJob(Protocol):
    """Interface of `jobs.service.JobService.submit_selfcare`."""

    async def __call__(self, scope: Scope, node_id: NodeId, request: JobRequest) -> Job: ...


class RemovalDeps(NamedTuple):
    """The dependencies of a removal that other deployments do not have (`run.Deps`)."""

    order: SubmitJob
    allowed: Callable[[Node, JobRequest], None]
    """`jobs.requests.check_policy`."""
    online: Callable[[NodeId], bool]


def is_live(row: Deployment) -> bool:
    """Whether a removal uses the live session instead of SSH."""
    return row.kind == "remove" and tuple(step.name for step in row.steps) == LIVE_REMOVE_STEPS


def by_ssh(row: Deployment) -> Deployment:
    """The same removal, with the steps of a removal by SSH."""
    return row._replace(steps=transitions.waiting(REMOVE_STEPS))


class SessionRemoval:
    """Runs all removals through a live session."""

    def __init__(self, tools: Deps, deps: RemovalDeps) -> None:
        self._tools = tools
        self._deps = deps
        self._active: dict[NodeId, ProgressReporter] = {}
        self._not_removed: dict[NodeId, str] = {}
        """Node -> the parts that could not be uninstalled, from its `Farewell`."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests = WriteLock(tools.limits.patience_s)
        """Serializes requests, so that two concurrent requests get the same removal."""
        self.ready = asyncio.Event()
        """Set when the open removals of an earlier start are loaded."""

    # -- start and stop -----------------------------------------------------------------------------------

    async def resume(self, left: list[Deployment]) -> None:
        """Resume the removals that an earlier start of the hub left open."""
        for row in left:
            try:
                await self._resume_one(row)
            except StoreError:
                raise
            except Exception:  # the boundary: one removal must not affect the others, nor the start of the hub
                event(log, "removal_not_followed", logging.ERROR, exc_info=True, deployment=row.id)
        self.ready.set()

    async def _resume_one(self, row: Deployment) -> None:
        scope, job = hub_scope(row.org), await self._order_of(row)
        progress = self._progress(scope, row)
        if job is not None or await self._tools.store[NodeStore].find_node(_node(row)) is None:
            self._start(scope, progress, job)
        else:
            await self._end(progress, "failed", _hub_stopped())

    async def _order_of(self, row: Deployment) -> JobId | None:
        """The order of a removal: the `uninstall` job of its node since this attempt began. None: the node was not ordered.

        Raises: StoreError.
        """
        began = row.steps[0].started_at
        if began is None:
            return None
        page = await self._tools.store[JobStore].jobs(hub_scope(row.org), ORDERS_SEEN, None, node=_node(row))
        return next((job.id for job in page.items if job.action == UNINSTALL and job.created_at >= began), None)

    async def close(self) -> None:
        """Stop following the removals. The next start resumes them."""
        left = await stop_all(self._tasks, self._tools.limits.stop_s)
        if left:
            event(log, "removals_not_stopped", logging.WARNING, removals=left)

    # -- requests --------------------------------------------------------------------------------

    def running(self, node: NodeId) -> Deployment | None:
        """The running removal of this node; None: there is none."""
        progress = self._active.get(node)
        return None if progress is None or progress.row.ended_at is not None else progress.row

    def hindrance(self, node: Node) -> str:
        """Why the node cannot be ordered to uninstall the agent; empty: it can, as far as the hub knows."""
        if not self._deps.online(node.id):
            return "it is not connected"
        try:
            self._deps.allowed(node, JobRequest(UNINSTALL))
        except PolicyRefuses as refused:
            return f"it does not allow a removal through its connection ({refused.message})"
        return ""

    async def begin(self, scope: Scope, node: Node) -> Deployment:
        """Order a node to uninstall the agent. A node with a running removal keeps it.

        If the order fails, the removal ends as failed and is returned.
        Raises: StoreError. If that end cannot be saved: the error of the order, or Unavailable.
        """
        async with self._requests.in_time():
            return self.running(node.id) or await self._begin(scope, node)

    async def _begin(self, scope: Scope, node: Node) -> Deployment:
        wanted = transitions.new_deployment(
            scope, "remove", LIVE_REMOVE_STEPS, host=node.address, port=0, username="", name=node.name, options=DeploymentOptions(), node=node.id,
            at=self._tools.clock.now(),
        )  # fmt: skip
        failpoints.hit("leave.row.pre")
        row = await self._tools.store[DeploymentStore].create_deployment(scope, wanted)
        failpoints.hit("leave.row.post")
        return await self._order(scope, row)

    async def retry(self, scope: Scope, row: Deployment) -> Deployment:
        """Retry a removal with a new order, since a node accepts each order only once.

        Raises: as `begin`; Conflict: the row has changed meanwhile.
        """
        async with self._requests.in_time():
            return self.running(_node(row)) or await self._retry(scope, row)

    async def _retry(self, scope: Scope, row: Deployment) -> Deployment:
        row = await self._progress(scope, row).change(
            lambda row: transitions.restarted(
                row, host=row.host, port=row.port, username=row.username, name=row.name, options=row.options, pinned=None
            )
        )
        return await self._order(scope, row)

    async def _order(self, scope: Scope, row: Deployment) -> Deployment:
        progress = self._progress(scope, row)
        try:
            await progress.started("connect")
            failpoints.hit("leave.order.pre")
            job = await self._deps.order(scope, _node(row), JobRequest(UNINSTALL))
            failpoints.hit("leave.order.post")
        except HubError as exc:
            await self._end(progress, "failed", DeploymentError(exc.code, exc.message, "connect"))
            if progress.row.ended_at is None:
                raise
            return progress.row
        except Exception as exc:
            event(log, "removal_crashed", logging.ERROR, exc_info=True, deployment=row.id)
            await self._end(progress, "failed", hub_failed(progress.row, OWN_ERROR))
            if progress.row.ended_at is None:
                raise Unavailable(hub_failed(progress.row, OWN_ERROR).message) from exc
            return progress.row
        try:
            await _note(progress, job.id)
        except Exception:  # the order exists: the following task saves it
            event(log, "removal_not_noted", logging.WARNING, exc_info=True, deployment=row.id)
        failpoints.hit("leave.noted")
        self._start(scope, progress, job.id)
        event(log, "deployment_started", deployment=row.id, kind=row.kind, host=row.host)
        return progress.row

    async def cancel(self, scope: Scope, row: Deployment) -> Deployment:
        """Cancel a removal whose order was never created.

        Raises: NotFound, Conflict: the order was created, or the removal has ended; StoreError.
        """
        async with self._requests.in_time():  # wait for a concurrent order: afterwards it exists
            row = await self._tools.store[DeploymentStore].deployment(scope, row.id)
            running = self.running(_node(row))
            if (running is not None and running.id == row.id) or (row.ended_at is None and await self._order_of(row) is not None):
                raise Conflict(
                    "the node has the order to remove the agent, and goes on by itself: stop its job, if that still waits", state=row.state
                )
            if row.ended_at is not None:
                raise Conflict(f"this deployment has {row.state} already", state=row.state)
            progress = self._progress(scope, row)
            await self._save_end(progress, "cancelled", None)
            return progress.row

    async def receive_farewell(self, node: NodeId, not_removed: str) -> None:
        """Pass a node's `Farewell` to its removal, before the node is deleted.

        Args:   not_removed: the parts that could not be uninstalled; not empty: the node stays.
        Raises: StoreError.
        """
        await self.ready.wait()
        async with self._requests:  # wait for a concurrent order: afterwards its removal is followed. A `Farewell` comes only once.
            progress = self._active.get(node)
            if progress is not None:
                await self._note_farewell(progress, not_removed)
            else:
                await self._resume_with(node, not_removed)

    async def _resume_with(self, node: NodeId, not_removed: str) -> None:
        """Resume a removal that no task follows, since its end could not be saved. Pass it the `Farewell`."""
        for row in await self._tools.store[DeploymentStore].unfinished_deployments():
            if row.node_id == node and is_live(row):
                scope, job = hub_scope(row.org), await self._order_of(row)
                progress = self._progress(scope, row)
                if not_removed:
                    self._start(scope, progress, job)  # it forgets earlier reports, so it comes first
                    await self._note_farewell(progress, not_removed)
                else:
                    await self._note_farewell(progress, "")
                    self._start(scope, progress, job)
                return

    async def _note_farewell(self, progress: ProgressReporter, not_removed: str) -> None:
        if not_removed:
            self._not_removed[_node(progress.row)] = not_removed
            return
        failpoints.hit("leave.heard.pre")
        steps: tuple[StepName, ...] = ("connect", "uninstall")
        for step in steps:
            if not _done(progress.row, step):
                await progress.started(step)
                await progress.done(step)
        await progress.started("verify")
        failpoints.hit("leave.heard.begun")
        await progress.done("verify", "nothing of Stardust is left on the server, says root there")
        failpoints.hit("leave.heard.post")

    def _progress(self, scope: Scope, row: Deployment) -> ProgressReporter:
        return ProgressReporter(self._tools.store, self._tools.bus, self._tools.clock, scope, row)

    # -- following -------------------------------------------------------------------------------

    def _start(self, scope: Scope, progress: ProgressReporter, job: JobId | None) -> None:
        self._active[_node(progress.row)] = progress
        self._not_removed.pop(_node(progress.row), None)
        task = asyncio.get_running_loop().create_task(self._carry_out(scope, progress, job), name=f"deployment {progress.row.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, scope: Scope, progress: ProgressReporter, job: JobId | None) -> None:
        node = _node(progress.row)
        try:
            await self._end(progress, "succeeded" if await self._follow(scope, progress, job) else "cancelled", None)
        except DeployError as exc:
            await self._end(progress, "failed", DeploymentError(exc.code, exc.message, exc.step))
        except HubError as exc:
            # The next start of the hub follows it.
            event(log, "removal_not_followed", logging.ERROR, deployment=progress.row.id, code=exc.code)
        except Exception:
            event(log, "removal_crashed", logging.ERROR, exc_info=True, deployment=progress.row.id)
            await self._end(progress, "failed", hub_failed(progress.row, OWN_ERROR))
        finally:
            if self._active.get(node) is progress:  # otherwise it was retried while this end was still being published
                del self._active[node]
                self._not_removed.pop(node, None)

    async def _follow(self, scope: Scope, progress: ProgressReporter, job_id: JobId | None) -> bool:
        """Wait for the `Farewell` and delete the node. Store errors are retried.

        Returns: whether the `Farewell` came. False: somebody deleted the node before.
        Raises: DeployError.
        """
        tools, node = self._tools, _node(progress.row)
        ends_at: float | None = None
        failing = False
        while True:
            try:
                gone = await tools.store[NodeStore].find_node(node) is None
                reported = _done(progress.row, "verify")
                if gone and reported:
                    failpoints.hit("leave.wipe.pre")
                    await wipe(tools, scope, progress)
                    failpoints.hit("leave.wipe.post")
                    return True
                if gone:
                    await progress.detail("uninstall", "the node was deleted meanwhile: the state of its server is not known")
                    return False
                if node in self._not_removed:
                    raise failure("uninstall_failed", "verify", left=self._not_removed[node])
                if not reported and job_id is not None:
                    with contextlib.suppress(NotFound):  # the node was deleted between the two calls
                        job = await tools.store[JobStore].job(hub_scope(progress.row.org), job_id)
                        if ends_at is None and job.state not in ("queued", "dispatched"):
                            ends_at = tools.clock.monotonic() + tools.limits.leave_s
                        await self._look(progress, job, ends_at)
                failing = False
            except StoreError as exc:
                if not failing:
                    event(log, "removal_store_failed", logging.ERROR, deployment=progress.row.id, code=exc.code)
                failing = True
            await tools.clock.sleep(POLL_S * max(1.0, len(self._active) / tools.limits.fast_removals))

    async def _look(self, progress: ProgressReporter, job: Job, ends_at: float | None) -> None:
        """Update the steps by the state of the job.

        A job with an unknown end has not failed: the agent that would report its end is being uninstalled.
        Args:   ends_at: deadline of the `Farewell`, once the node has accepted the order.
        Raises: DeployError, StoreError.
        """
        if job.state in ("failed", "cancelled", "expired"):
            begun: StepName = "uninstall" if _done(progress.row, "connect") else "connect"
            message = job.error.message if job.error else f"the order was {job.state}"
            raise DeployError(job.error.code if job.error else f"job.{job.state}", message, begun)
        if ends_at is not None and self._tools.clock.monotonic() > ends_at:
            raise failure("no_farewell", "uninstall", name=progress.row.name, minutes=f"{self._tools.limits.leave_s / 60:.0f}")
        if not progress.row.steps[0].detail:
            await _note(progress, job.id)
        if ends_at is not None:
            if not _done(progress.row, "connect"):
                await progress.done("connect")
                failpoints.hit("leave.taken")
            if any(step.name == "uninstall" and step.state == "waiting" for step in progress.row.steps):
                await progress.started("uninstall")
                failpoints.hit("leave.begun")

    async def _end(self, progress: ProgressReporter, state: DeploymentState, error: DeploymentError | None) -> None:
        for attempt in range(CLEAN_UP_TRIES):
            try:
                await self._save_end(progress, state, error)
                return
            except HubError as exc:  # a `Farewell`, or the next start of the hub, closes this removal
                event(log, "deployment_end_not_saved", logging.ERROR, deployment=progress.row.id, code=exc.code)
                if not isinstance(exc, StoreError):
                    return
                await self._tools.clock.sleep(0.2 * 2**attempt)
            except Exception:
                event(log, "deployment_end_not_saved", logging.ERROR, exc_info=True, deployment=progress.row.id)
                return

    async def _save_end(self, progress: ProgressReporter, state: DeploymentState, error: DeploymentError | None) -> None:
        at = self._tools.clock.now()
        failpoints.hit("leave.end.pre")
        row = await progress.change(lambda row: transitions.ended(row, state, at, error))
        failpoints.hit("leave.end.post")
        event(log, "deployment_ended", deployment=row.id, kind=row.kind, host=row.host, state=row.state, code=error.code if error else None)


async def _note(progress: ProgressReporter, job: JobId) -> None:
    await progress.detail("connect", f"through the live session, job {job}")


def _hub_stopped() -> DeploymentError:
    exc = failure("hub_stopped", "connect", how_far="before it asked the node to remove the agent: press Retry")
    return DeploymentError(exc.code, exc.message, exc.step)


def _done(row: Deployment, name: str) -> bool:
    return any(step.name == name and step.state == "done" for step in row.steps)


def _node(row: Deployment) -> NodeId:
    assert row.node_id is not None
    return row.node_id
