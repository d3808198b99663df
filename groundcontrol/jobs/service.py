"""Creates and cancels jobs for users: authorizes, validates and stores them. `tracker.py` sends them to the nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from groundcontrol.core import failpoints
from groundcontrol.core.bus import Bus, Changed, JobPoke
from groundcontrol.core.errors import BadRequest, Conflict, Forbidden, JobNotCancellable, NodeFrozen, NotFound, PolicyRefuses
from groundcontrol.core.ids import BatchId, JobId, NodeId
from groundcontrol.core.permissions import authorize, job_action
from groundcontrol.core.scope import Scope
from groundcontrol.core.stores import Stores
from groundcontrol.jobs.freezes import Freezes
from groundcontrol.jobs.model import OPEN, START_LIMIT_S, Batch, Job, JobRequest, NewBatch, NewJob, RefusedNode
from groundcontrol.jobs.requests import check_policy, validate_request
from groundcontrol.jobs.store import BatchStore, JobStore
from groundcontrol.nodes.model import ROLE, Node
from groundcontrol.nodes.store import NodeStore
from spider.clock import Clock
from spider.wire.ids import is_id, new_time_id
from spider.wire.verbs import PLAN, REBOOT, VERBS

MAX_NODES: Final = 1000
ROUND_S: Final = 1800.0
"""Jobs of a batch run in rounds of `at_once`. Each further round extends the start limit of all jobs by this."""
LONGEST_START_S: Final = 86_400.0
"""The start limit is never longer than this."""


class JobService:
    """The actions of users on jobs."""

    def __init__(self, store: Stores, bus: Bus, clock: Clock, at_once: int, freezes: Freezes | None = None) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._at_once = at_once
        self._freezes = freezes

    async def submit(self, scope: Scope, node_id: NodeId, request: JobRequest, idempotency_key: str | None, override: str = "") -> Job:
        """Create a job for one node. If the node is offline, the job waits at most START_LIMIT_S for it.

        Args:   override: why a freeze does not count this once; empty: it counts.
        Raises: NotFound, Forbidden, BadRequest, PolicyRefuses, NodeFrozen, IdempotencyMismatch, StoreError.
        """
        node = await self._store[NodeStore].node(scope, node_id)
        validate_request(request)
        authorize(scope, job_action(request.action), node)
        check_policy(node, request)
        overridden = await self._check_freeze(node, request, override)
        now = self._clock.now()
        made = NewJob(JobId(new_time_id(now)), node.id, request, now, now + START_LIMIT_S, overridden)
        failpoints.hit("job.insert.pre")
        job = await self._store[JobStore].create_job(scope, made, idempotency_key)
        failpoints.hit("job.insert.post")
        self._bus.publish(Changed("job", job.id, job.version, job.org))
        if job.state == "queued":
            self._bus.publish(JobPoke((job.id,)))
        return job

    async def _check_freeze(self, node: Node, request: JobRequest, override: str) -> str:
        """Returns: the freeze that is overridden, with the reason; empty: none.

        Raises: NodeFrozen: a freeze covers the node, and the request changes packages or reboots.
        """
        if self._freezes is None or not (VERBS[request.action].planned or request.reboot or request.action == REBOOT):
            return ""
        name = await self._freezes.frozen(node)
        if name and override:
            return f"{name}: {override}"
        if name:
            raise NodeFrozen(
                f"{node.name} is frozen by {name}: nothing upgrades or reboots it now; end or shorten that freeze first, or let an admin override it with a reason",
                freeze=name,
            )
        return ""

    async def submit_selfcare(self, scope: Scope, node_id: NodeId, request: JobRequest, idempotency_key: str | None = None) -> Job:
        """Create a job that maintains or removes the agent: `update` to the bundle with a digest, `uninstall`, or `rekey`.

        Raises: NotFound, Forbidden, PolicyRefuses, IdempotencyMismatch, StoreError.
        """
        made = self.new_selfcare(scope, await self._store[NodeStore].node(scope, node_id), request)
        job = await self._store[JobStore].create_job(scope, made, idempotency_key)
        self._publish((job,))
        return job

    def new_selfcare(self, scope: Scope, node: Node, request: JobRequest) -> NewJob:
        """The job of `submit_selfcare`, for a caller that stores it together with a row of its own. Raises: Forbidden, PolicyRefuses."""
        authorize(scope, job_action(request.action), node)
        check_policy(node, request)
        now = self._clock.now()
        return NewJob(JobId(new_time_id(now)), node.id, request, now, now + START_LIMIT_S)

    async def submit_many(
        self,
        scope: Scope,
        nodes: Sequence[NodeId],
        request: JobRequest,
        idempotency_key: str | None,
        plans_of: BatchId | None = None,
        *,
        override: str = "",
    ) -> Batch:
        """Create a job for each of these nodes. The batch lists the refused nodes with a reason.

        Args:   plans_of: a batch that planned the same request. Each job is bound to its node's plan in that batch.
                override: why freezes do not count this once; empty: they count.
        Raises: NotFound, Forbidden, BadRequest, IdempotencyMismatch, StoreError.
        """
        chosen = tuple(dict.fromkeys(nodes))
        if not chosen:
            raise BadRequest("nodes names at least one node", field="nodes")
        if len(chosen) > MAX_NODES:
            raise BadRequest(f"at most {MAX_NODES} nodes in one request", field="nodes")
        validate_request(request)
        authorize(scope, job_action(request.action))
        plans = None if plans_of is None else await self._plans(scope, plans_of, request)
        now = self._clock.now()
        rounds = -(-len(chosen) // self._at_once)
        jobs: list[NewJob] = []
        roles = Counter[str]()
        refused: list[RefusedNode] = []
        for node_id in chosen:
            try:
                if not is_id(node_id):
                    raise NotFound("this is not the id of a node")
                node = await self._store[NodeStore].node(scope, node_id)
                authorize(scope, job_action(request.action), node)
                check_policy(node, request)
                overridden = await self._check_freeze(node, request, override)
                bound = request if plans is None else _bound(request, plans, node_id)
            except (NotFound, Forbidden, PolicyRefuses, NodeFrozen) as exc:
                refused.append(RefusedNode(node_id, exc.code, exc.message))
            else:
                jobs.append(NewJob(JobId(new_time_id(now)), node_id, bound, now, now, overridden))
                roles.update(tag for tag in node.tags if request.action == REBOOT and tag.startswith(ROLE))
        rounds = max(rounds, *roles.values(), 1)  # nodes of one role reboot one after the other
        not_after = now + min(LONGEST_START_S, START_LIMIT_S + (rounds - 1) * ROUND_S)
        jobs = [job._replace(not_after=not_after) for job in jobs]
        made = NewBatch(BatchId(new_time_id(now)), request, chosen, tuple(jobs), tuple(refused), now, plans_of)
        batch = await self._store[BatchStore].create_batch(scope, made, idempotency_key)
        if batch.id == made.id:  # otherwise this request repeats an earlier one, which has created its jobs
            for job in jobs:
                self._bus.publish(Changed("job", job.id, 1, batch.org))
            self._bus.publish(JobPoke(tuple(job.id for job in jobs)))
        return batch

    async def _plans(self, scope: Scope, batch_id: BatchId, request: JobRequest) -> dict[NodeId, str]:
        """Node -> digest of its plan in that batch."""
        batch = await self._store[BatchStore].batch(scope, batch_id)
        authorize(scope, "job.read", batch)
        if request.plan is not None or batch.request != JobRequest(PLAN, request.args, request.action):
            raise BadRequest("plans_of must be the id of a bulk job that planned this very action and these packages", field="plans_of")
        earlier_jobs = await self._store[BatchStore].jobs_of(scope, batch_id)
        return {job.node_id: job.plan_digest for job in earlier_jobs if job.plan_digest is not None and job.state == "succeeded"}

    async def cancel(self, scope: Scope, job_id: JobId, *, force: bool = False) -> Job:
        """Cancel a queued job, or send the node a stop request for an open one. The job's `stop` field shows the answer.

        Args:   force: kill the process that the job hangs in; only after an earlier stop request.
        Raises: NotFound, Forbidden, BadRequest, JobNotCancellable, StoreError.
        """
        job = await self._store[JobStore].job(scope, job_id)
        authorize(scope, "job.cancel", job)
        if force and job.stop is None and job.state in OPEN:
            raise BadRequest("request a normal stop first: a forced end leaves work half done", field="force")
        try:
            job = await self._store[JobStore].stop_job(scope, job_id, force=force)
        except Conflict as exc:
            raise JobNotCancellable(f"the job is {exc.detail['state']}: there is nothing to stop", state=exc.detail["state"]) from exc
        if job.stop is not None and job.stop.state == "too_late":
            raise JobNotCancellable(f"the job can no longer be stopped: {job.stop.why or 'the node says so'}", state=job.state)
        self._publish((job,))
        return job

    async def cancel_many(self, scope: Scope, batch_id: BatchId) -> Batch:
        """Cancel each job of a batch that has not ended.

        Raises: NotFound, Forbidden, StoreError.
        """
        batch = await self._store[BatchStore].batch(scope, batch_id)
        authorize(scope, "job.cancel", batch)
        self._publish(await self._store[BatchStore].stop_batch(scope, batch_id))
        return await self._store[BatchStore].batch(scope, batch_id)

    def _publish(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._bus.publish(Changed("job", job.id, job.version, job.org))
        if jobs:
            self._bus.publish(JobPoke(tuple(job.id for job in jobs)))


def _bound(request: JobRequest, plans: Mapping[NodeId, str], node: NodeId) -> JobRequest:
    """The request, bound to this node's own plan.

    Raises: NotFound: the node has no plan.
    """
    if node not in plans:
        raise NotFound("this node has no plan in that bulk job")
    return request._replace(plan=plans[node])
