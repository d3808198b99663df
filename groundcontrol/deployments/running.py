"""The open deployments. Each is a task, and their number is limited."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from groundcontrol.core.errors import Unavailable
from groundcontrol.core.ids import DeploymentId, NodeId
from groundcontrol.deployments.credential_cache import CredentialCache
from groundcontrol.deployments.limits import ServiceLimits
from groundcontrol.deployments.model import Deployment, is_live
from groundcontrol.deployments.run import DeploymentRun
from groundcontrol.deployments.session_removal import SessionRemoval
from spider.logs import event

log = logging.getLogger(__name__)


class Begun(NamedTuple):
    """An open deployment and its task."""

    work: DeploymentRun
    task: asyncio.Task[None]


class Active(Mapping[DeploymentId, Begun]):
    """The open deployments.

    Args: known: caches the fields of failed deployments.
    """

    def __init__(self, known: CredentialCache, limits: ServiceLimits) -> None:
        self._credentials = known
        self._limits = limits
        self._begun: dict[DeploymentId, Begun] = {}

    def __getitem__(self, deployment: DeploymentId) -> Begun:
        return self._begun[deployment]

    def __iter__(self) -> Iterator[DeploymentId]:
        return iter(self._begun)

    def __len__(self) -> int:
        return len(self._begun)

    def rows(self) -> Iterator[Deployment]:
        """The rows of the deployments. Some may have ended already."""
        return (begun.work.progress.row for begun in self._begun.values())

    def of_node(self, node: NodeId, *, live: bool = True) -> Deployment | None:
        """The open deployment of this node; None: there is none. `live` False: without a removal through its live session."""
        return next((row for row in self.rows() if row.node_id == node and row.ended_at is None and (live or not is_live(row))), None)

    def live_removal(self, node: NodeId) -> SessionRemoval | None:
        """The open removal of this node through its live session; None: there is none."""
        works = (begun.work for begun in self.values() if isinstance(begun.work, SessionRemoval))
        return next((work for work in works if work.progress.row.node_id == node and work.progress.row.ended_at is None), None)

    def check_room(self, wanted: int) -> None:
        """Check that `wanted` more deployments may be opened. 0: a repeated request, which opens none.

        Removals through a live session do not count: their work is done on the nodes.
        Raises: Unavailable.
        """
        count = sum(not is_live(row) for row in self.rows())
        if count + wanted > self._limits.open:
            raise Unavailable(f"{count} deployments are open, and at most {self._limits.open} can be: wait until some have ended")

    def begin(self, group: asyncio.TaskGroup, work: DeploymentRun) -> Begun:
        """Start the deployment as a task of the group, and drop its cached fields."""
        deployment = work.progress.row.id
        self._credentials.forget(deployment)
        task = group.create_task(self._carry_out(work), name=f"deployment {deployment}")
        self._begun[deployment] = begun = Begun(work, task)
        return begun

    async def _carry_out(self, work: DeploymentRun) -> None:
        row = work.progress.row
        event(log, "deployment_started", deployment=row.id, kind=row.kind, host=row.host)
        try:
            await work.run()
        finally:
            row = work.progress.row
            self._begun.pop(row.id, None)
            if row.state in ("failed", "cancelled") and not row.options.forced and not is_live(row):
                self._credentials.remember(work)
            code = row.error.code if row.error else None
            event(log, "deployment_ended", deployment=row.id, kind=row.kind, host=row.host, state=row.state, code=code)

    async def stop_all(self) -> None:
        """Cancel all at shutdown. Each rolls back within `limits.stop_s`."""
        for begun in self._begun.values():
            begun.work.stopping = True
        await stop_all([begun.task for begun in self._begun.values()], self._limits.stop_s)


async def wait_for_policy(begun: Begun, limit_s: float) -> Deployment:
    """Wait until an installation has compared the policy file, waits for a person, or has ended."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            while not begun.task.done():
                row = begun.work.progress.row
                compared = any(step.name == "upload" and step.state != "waiting" for step in row.steps)
                if compared or row.state == "awaiting_host_key":
                    break
                await asyncio.wait([begun.task], timeout=POLL_S)
    return begun.work.progress.row


POLL_S: Final = 0.1
LAST_LIMIT_S: Final = 0.25
"""Time limit after each cancellation but the first."""
TIMES: Final = 3
"""Most cancellations of a task. The first ends its work, the second the saving of its end, the third the wait for a running write."""


async def stop_all(tasks: Collection[asyncio.Task[None]], limit_s: float) -> int:
    """Cancel all tasks, and cancel those again that have not ended within the limit.

    Returns: how many tasks did not end.
    """
    for wait_s in (limit_s, *[LAST_LIMIT_S] * (TIMES - 1)):
        tasks = [task for task in tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=wait_s)
    return sum(not task.done() for task in tasks)
