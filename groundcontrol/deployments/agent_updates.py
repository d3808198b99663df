"""Agent updates through live sessions: first a few nodes as a trial (canaries), then the others, and no further node after a failure.

Each node has its own deployment, with an `update` job that root carries out on the node. A node rolls back by itself if the new version
gets no session with the hub. The hub observes the result.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from groundcontrol.core.bus import Bus, Changed, JobPoke
from groundcontrol.core.errors import BadRequest, Conflict, HubError, NotFound, StoreDamaged, StoreError, Unavailable
from groundcontrol.core.ids import DeploymentId, JobId, NodeId
from groundcontrol.core.permissions import authorize
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.core.stores import Stores
from groundcontrol.deployments import transitions
from groundcontrol.deployments.limits import PATIENCE_S, WriteLock
from groundcontrol.deployments.model import NO_LONGER_ALLOWED, UPDATE_STEPS, Deployment, DeploymentError, DeploymentOptions
from groundcontrol.deployments.node_files import bundle_version
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.jobs.model import TERMINAL, JobRequest, NewJob
from groundcontrol.jobs.store import JobStore
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from spider.clock import Clock
from spider.logs import event
from spider.wire.ids import is_id
from spider.wire.verbs import UPDATE

MAX_NODES: Final = 1000
MAX_CONCURRENT: Final = 50
POLL_S: Final = 0.25
ONLINE_LIMIT_S: Final = 600.0
"""How long an update waits for an offline node."""
FREE_LIMIT_S: Final = 4 * 3600.0
"""How long an update waits for the node's open jobs. An agent is never updated while a job runs."""
VERIFY_LIMIT_S: Final = 90.0
"""How long after its job an update waits for a session of the new version."""
STORE_RETRY_S: Final = 5.0
"""The pause of an update after an error of the database."""

log = logging.getLogger(__name__)

WaitOnline = Callable[[NodeId, float], Awaitable[None]]
NewOrder = Callable[[Scope, Node, JobRequest], NewJob]
"""`jobs.service.JobService.new_selfcare`."""


class _Failed(Exception):
    def __init__(self, code: str, message: str, step: str) -> None:
        super().__init__(message)
        self.error = DeploymentError(code, message, step)


@dataclass
class _Line:
    """The deployments of one request that have not begun."""

    rows: deque[Deployment]
    halted: bool = False
    """Whether an update of this request has failed, so that no further one begins."""


class UpdateService:
    """Runs all agent updates, as long as `run` runs."""

    def __init__(
        self, store: Stores, bus: Bus, clock: Clock, bundle: bytes, new_order: NewOrder, wait_online: WaitOnline,
        patience_s: float = PATIENCE_S, store_retry_s: float = STORE_RETRY_S,
    ) -> None:  # fmt: skip
        self._store = store
        self._bus = bus
        self._clock = clock
        self._new_order = new_order
        self._wait_online = wait_online
        self._store_retry_s = store_retry_s
        self.version = bundle_version(bundle)
        self._digest = hashlib.sha256(bundle).hexdigest()
        self._group: asyncio.TaskGroup | None = None
        self._running: dict[NodeId, Deployment] = {}
        self._ordering = WriteLock(patience_s)
        """Held from the check for running updates until the new updates are registered. So concurrent requests never update a node twice."""
        self.ready = asyncio.Event()
        """Set when `run` has loaded the unfinished updates of an earlier start. From then on updates are accepted."""

    async def run(self) -> None:
        """Serve until cancelled. An unfinished update of an earlier start is followed to its end, or closed if it had not begun.

        Raises: StoreError.
        """
        left = [row for row in await self._store[DeploymentStore].unfinished_deployments() if row.kind == "update"]
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for row in left:
                    if row.node_id is not None:
                        self._running[row.node_id] = row
                    work = partial(self._update, hub_scope(row.org), row, resumed=True)
                    group.create_task(self._guarded(row, work), name=f"update {row.id}")
                self.ready.set()
                await asyncio.Event().wait()
            finally:
                self._group = None

    async def begin(self, scope: Scope, nodes: Sequence[NodeId], canaries: int, at_once: int) -> list[Deployment]:
        """Begin the update of these nodes, `at_once` at a time, until one fails.

        Args:    canaries: the number of nodes at the start of the list that are updated before the others.
        Returns: the deployment of each node. A node that is being updated gets no new one.
        Raises:  BadRequest, NotFound, Forbidden, PolicyRefuses, Unavailable, StoreError: nothing was begun.
        """
        if self._group is None:
            raise _not_serving()
        chosen = tuple(dict.fromkeys(nodes))
        if not 1 <= len(chosen) <= MAX_NODES or not all(is_id(node) for node in chosen):
            raise BadRequest(f"nodes must be the ids of 1 to {MAX_NODES} nodes", field="nodes")
        if not 0 <= canaries <= len(chosen):
            raise BadRequest("canaries must be at most the number of nodes", field="canaries")
        if not 1 <= at_once <= MAX_CONCURRENT:
            raise BadRequest(f"at_once must be 1 to {MAX_CONCURRENT}", field="at_once")
        found: list[Node] = []
        for node_id in chosen:
            node = await self._store[NodeStore].node(scope, node_id)
            authorize(scope, "node.update", node)
            found.append(node)
        async with self._ordering.in_time():
            answer = {node.id: self._running.get(node.id) for node in found}
            wave = await self._order(scope, [node for node in found if answer[node.id] is None])
            answer.update(wave)
            if wave and self._group is None:  # stopped meanwhile: the next start closes these rows
                raise _not_serving()
            if wave:
                self._group.create_task(self._wave(scope, list(wave.values()), canaries, at_once), name="update wave")
            return [row for row in answer.values() if row is not None]

    async def _order(self, scope: Scope, nodes: Sequence[Node]) -> dict[NodeId, Deployment]:
        """Create the deployments of all these nodes, or of none. The caller holds `_ordering`."""
        if not nodes:
            return {}
        now = self._clock.now()
        wanted = [
            transitions.new_deployment(
                scope, "update", UPDATE_STEPS, host=node.address, port=0, username="", name=node.name, options=DeploymentOptions(), node=node.id,
                at=now + at / 1000,  # ids sort by millisecond, so they have the order of the nodes
            )._replace(created_at=now)
            for at, node in enumerate(nodes)
        ]  # fmt: skip
        made = {_node(row): row for row in await self._store[DeploymentStore].create_deployments(scope, wanted)}
        self._running.update(made)
        return made

    async def cancel(self, scope: Scope, deployment: DeploymentId) -> Deployment:
        """Cancel an update that still waits for its turn.

        Raises: NotFound, Forbidden, Conflict: the node has the order already, or the update has ended; StoreError.
        """
        while True:
            row = await self._store[DeploymentStore].deployment(scope, deployment)
            authorize(scope, "deployment.control", row)
            if row.state == "cancelled":
                return row
            if row.ended_at is not None or row.steps[0].state != "waiting":
                raise Conflict("the update has begun or ended: the node completes it by itself", state=row.state)
            with contextlib.suppress(Conflict):  # it was cancelled, or its turn came, since it was read: read it again
                return await self._end(scope, row, "cancelled", None)  # the row then has a newer version, so its turn does nothing

    # -- waves -----------------------------------------------------------------------------------

    async def _wave(self, scope: Scope, wave: Sequence[Deployment], canaries: int, at_once: int) -> None:
        good = True
        for part in (wave[:canaries], wave[canaries:]):
            line = _Line(deque(part))
            if good:
                good = all(await asyncio.gather(*(self._work(scope, line) for _ in range(min(at_once, len(part))))))
            for row in line.rows:
                await self._guarded(row, partial(self._stop_short, scope, row))

    async def _work(self, scope: Scope, line: _Line) -> bool:
        """Update nodes one by one, until none is left or an update of the request fails. Returns: whether all these nodes succeeded."""
        while line.rows and not line.halted:
            row = line.rows.popleft()
            if not await self._guarded(row, partial(self._update, scope, row)):
                line.halted = True
                return False
        return True

    async def _stop_short(self, scope: Scope, row: Deployment) -> bool:
        row = await self._load(row)
        if row.ended_at is None:
            why = DeploymentError(
                "deployment.stopped_short", "this update did not begin, because the update of another node failed", "wait"
            )
            await self._end(scope, row, "cancelled", why)
        return True

    async def _guarded(self, row: Deployment, work: Callable[[], Awaitable[bool]]) -> bool:
        """Repeat the work on an update while the database fails, since the node continues meanwhile.

        Returns: what the work returns; False: another error ended it.
        """
        try:
            while True:
                try:
                    return await work()
                except StoreDamaged:
                    raise
                except StoreError as exc:
                    event(log, "update_store_failed", logging.ERROR, deployment=row.id, code=exc.code)
                await self._clock.sleep(self._store_retry_s)
        except HubError as exc:
            event(log, "update_not_followed", logging.ERROR, deployment=row.id, code=exc.code)
        except Exception:  # the boundary: a bug in one update must not affect the others
            event(log, "update_crashed", logging.ERROR, exc_info=True, deployment=row.id)
        finally:
            self._forget(row)
        return False

    def _forget(self, row: Deployment) -> None:
        """Remove an ended update from `_running`. A newer update of its node stays."""
        if (running := self._running.get(_node(row))) is not None and running.id == row.id:
            del self._running[_node(row)]

    async def _update(self, scope: Scope, row: Deployment, *, resumed: bool = False) -> bool:
        """Update one node, or follow its update further, as the node goes on without the hub. Returns: whether the next one may follow."""
        row = await self._load(row)
        if row.ended_at is not None:
            return row.state != "failed"  # it was cancelled before its turn
        try:
            if resumed and row.job is None:
                raise _Failed("deployment.hub_stopped", "the hub was stopped before the update began: order it again", "wait")
            job = row.job or await self._order_job(scope, row)
            await self._follow(scope, await self._load(row), job)
            return True
        except StoreError:
            raise
        except (_Failed, HubError) as exc:
            row = await self._load(row)
            error = exc.error if isinstance(exc, _Failed) else DeploymentError(exc.code, exc.message, _step(row))
        if row.ended_at is not None:
            return row.state != "failed"
        await self._end(scope, row, "failed", error)
        return False

    async def _load(self, row: Deployment) -> Deployment:
        return await self._store[DeploymentStore].deployment(hub_scope(row.org), row.id)

    async def _order_job(self, scope: Scope, row: Deployment) -> JobId:
        """Wait for the turn of an update, and create its job.

        Raises: _Failed, StoreError.
        """
        row = await self._save(scope, transitions.step_started(row, "wait", self._clock.now()))
        await self._turn(row)
        if not await self._store[DeploymentStore].may_still_deploy(scope, row, row.created_at, self._clock.now()):
            raise _Failed("deployment.not_allowed", f"{NO_LONGER_ALLOWED}: nothing was done", "wait")
        now = self._clock.now()
        row = await self._save(scope, transitions.step_started(transitions.step_done(row, "wait", "", now), "install", now))
        try:
            node = await self._store[NodeStore].node(scope, _node(row))
            job = self._new_order(scope, node, JobRequest(UPDATE, plan=self._digest))
            row = transitions.step_detail(row._replace(job=job.id), "install", f"{self.version}, job {job.id}")
            row = await self._store[DeploymentStore].save_deployment(scope, row, order=job)
        except StoreError:
            raise
        except HubError as exc:
            await self._check_there(row, "install")
            raise _Failed(exc.code, exc.message, "install") from exc
        for changed in (Changed("deployment", row.id, row.version, row.org), Changed("job", job.id, 1, row.org), JobPoke((job.id,))):
            self._bus.publish(changed)
        return job.id

    async def _turn(self, row: Deployment) -> None:
        """Wait until the node is online and has no open job."""
        try:
            await self._wait_online(_node(row), ONLINE_LIMIT_S)
        except TimeoutError:
            await self._check_there(row, "wait")
            raise _Failed("node.offline", f"{row.name} was not connected for {ONLINE_LIMIT_S / 60:.0f} minutes", "wait") from None
        ends_at = self._clock.monotonic() + FREE_LIMIT_S
        while await self._store[JobStore].open_jobs(_node(row)):
            if self._clock.monotonic() > ends_at:
                raise _Failed("job.busy", f"{row.name} has run other jobs for {FREE_LIMIT_S / 3600:.0f} hours", "wait")
            await self._clock.sleep(POLL_S)

    async def _check_there(self, row: Deployment, step: str) -> None:
        """Check that the node exists. Raises: _Failed: it was deleted, with its jobs; StoreError."""
        if await self._store[NodeStore].find_node(_node(row)) is None:
            raise _removed(row, step)

    async def _follow(self, scope: Scope, row: Deployment, job_id: JobId) -> None:
        """Wait for the end of the node's job, and for the session after it.

        Raises: _Failed, StoreError.
        """
        while True:
            try:
                job = await self._store[JobStore].job(hub_scope(row.org), job_id)
            except NotFound:
                raise _removed(row, "install") from None
            if job.state in TERMINAL:
                break
            await self._clock.sleep(POLL_S)
        if job.state != "succeeded":
            code, message = (job.error.code, job.error.message) if job.error else (f"job.{job.state}", f"the node's job is {job.state}")
            raise _Failed(code, message, "install")
        row = await self._save(scope, transitions.step_done(row, "install", "", self._clock.now()))
        row = await self._save(scope, transitions.step_started(row, "verify", self._clock.now()))
        ends_at = self._clock.monotonic() + VERIFY_LIMIT_S
        while True:
            node = await self._store[NodeStore].find_node(_node(row))
            if node is None:
                raise _removed(row, "verify")
            if node.agent_version == self.version:
                break
            if self._clock.monotonic() > ends_at:
                raise _Failed("deployment.no_session", f"{row.name} has not come back with {self.version}", "verify")
            await self._clock.sleep(POLL_S)
        row = await self._save(scope, transitions.step_done(row, "verify", f"{self.version} is connected", self._clock.now()))
        await self._end(scope, row, "succeeded", None)

    # -- rows ------------------------------------------------------------------------------------

    async def _save(self, scope: Scope, row: Deployment) -> Deployment:
        saved = await self._store[DeploymentStore].save_deployment(hub_scope(scope.org), row)
        self._bus.publish(Changed("deployment", saved.id, saved.version, saved.org))
        return saved

    async def _end(self, scope: Scope, row: Deployment, state: str, error: DeploymentError | None) -> Deployment:
        at = self._clock.now()
        row = await self._save(scope, transitions.ended(row, state, at, error))  # type: ignore[arg-type]  # one of the three ends
        self._forget(row)
        return row


def _not_serving() -> Unavailable:
    return Unavailable("the hub is starting or stopping; try again in a moment", retry_after_s=2)


def _node(row: Deployment) -> NodeId:
    """The node of an update. Every update has one, even if the node is removed meanwhile."""
    assert row.node_id is not None
    return row.node_id


def _step(row: Deployment) -> str:
    """The step that the update has reached."""
    return next((step.name for step in reversed(row.steps) if step.state != "waiting"), "wait")


def _removed(row: Deployment, step: str) -> _Failed:
    return _Failed("node.removed", f"{row.name} was removed meanwhile", step)
