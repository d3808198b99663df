"""Jobs as people ask for them: allowed, sensible, recorded. `dispatch.py` takes them to the node."""

from __future__ import annotations

import re
from typing import Final

from groundcontrol.bus.base import Bus, Changed, JobPoke
from groundcontrol.domain.ids import JobId, NodeId
from groundcontrol.domain.jobs import ACTIONS, Job, JobAction, JobEvidence, NewJob
from groundcontrol.domain.nodes import Node
from groundcontrol.domain.permissions import authorize
from groundcontrol.domain.scope import Scope
from groundcontrol.errors import BadRequest, Conflict, JobNotCancellable, PolicyRefuses
from groundcontrol.store.base import Store
from spider.clock import Clock
from spider.wire.ids import new_time_id

START_LIMIT_S: Final = 600.0
"""A job that has not begun after this is not begun any more; a node that is offline may come back within it."""
MAX_PACKAGES: Final = 512
PACKAGE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,126}[a-z0-9.+](?::[a-z0-9-]{1,30})?")
"""Shape only: the node compares the names with its own list. A trailing `-` would mean removal to apt."""
READONLY_ACTIONS: Final = frozenset({"refresh", "check"})


class JobService:
    """What a person may do with jobs."""

    def __init__(self, store: Store, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    async def submit(
        self, scope: Scope, node_id: NodeId, action: JobAction, packages: tuple[str, ...], reboot: bool, idempotency_key: str | None
    ) -> Job:
        """Create a job for one node. It waits for a node that is offline, until START_LIMIT_S has passed.

        Raises: NotFound, Forbidden, BadRequest, PolicyRefuses, IdempotencyMismatch, StoreError.
        """
        node = await self._store.nodes.node(scope, node_id)
        authorize(scope, "job.create", node)
        _check_wish(action, packages, reboot=reboot)
        check_policy(node, action)
        now = self._clock.now()
        wish = NewJob(JobId(new_time_id(now)), node.id, action, packages, reboot, now, now + START_LIMIT_S)
        job = await self._store.jobs.create_job(scope, wish, idempotency_key)
        self._bus.publish(Changed("job", job.id, job.version))
        if job.state == "queued":
            self._bus.publish(JobPoke((job.id,)))
        return job

    async def cancel(self, scope: Scope, job_id: JobId) -> Job:
        """Take back a job that was not handed to its node yet.

        Raises: NotFound, Forbidden, JobNotCancellable, StoreError.
        """
        job = await self._store.jobs.job(scope, job_id)
        authorize(scope, "job.cancel", job)
        if job.state == "cancelled":
            return job
        if job.state == "queued":
            try:
                job = await self._store.jobs.advance(job_id, "cancelled", scope, JobEvidence(ended_at=self._clock.now()))
            except Conflict:
                job = await self._store.jobs.job(scope, job_id)
            else:
                self._bus.publish(Changed("job", job.id, job.version))
                return job
        raise JobNotCancellable(f"the job is {job.state}: only a job that still waits can be cancelled", state=job.state)


def _check_wish(action: str, packages: tuple[str, ...], *, reboot: bool) -> None:
    if action not in ACTIONS:
        raise BadRequest(f"action must be one of {', '.join(ACTIONS)}", field="action")
    if reboot:
        raise BadRequest("reboot is not offered yet: leave it out", field="reboot")
    if packages and action != "upgrade":
        raise BadRequest(f"packages go with the action upgrade only, not with {action}", field="packages")
    if len(packages) > MAX_PACKAGES:
        raise BadRequest(f"at most {MAX_PACKAGES} packages at once; without packages everything is upgraded", field="packages")
    for name in packages:
        if not PACKAGE_NAME.fullmatch(name):
            raise BadRequest(f"{name[:80]!r} is no package name", field="packages")


def check_policy(node: Node, action: str) -> None:
    """Refuse at once what the node would refuse anyway, by what it last said of its own policy.

    The node decides: a policy that it has not told yet is no reason to refuse here.
    Raises: PolicyRefuses.
    """
    policy = node.policy
    if policy is None:
        return
    match policy.mode:
        case "monitor":
            why = "it is in monitor mode, which allows no jobs"
        case "readonly" if action not in READONLY_ACTIONS:
            why = "it is in readonly mode, which allows refresh and check"
        case "invalid":
            why = "its policy file is not valid, so it runs no jobs"
        case _ if policy.verbs and action not in policy.verbs:
            why = f"its verbs are {', '.join(policy.verbs)}"
        case _:
            return
    raise PolicyRefuses(
        f"{node.name} does not allow {action}: {why}; its owner decides that in /etc/stardust/policy.conf on the node",
        mode=policy.mode,
        verbs=list(policy.verbs),
    )
