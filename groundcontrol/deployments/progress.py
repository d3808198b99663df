"""Saves and publishes each change of a running deployment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from groundcontrol.core import failpoints
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.bus import Bus, Changed
from groundcontrol.core.errors import HubError
from groundcontrol.core.scope import Scope
from groundcontrol.core.stores import Stores
from groundcontrol.deployments import transitions
from groundcontrol.deployments.limits import PATIENCE_S, Slot, WriteLock
from groundcontrol.deployments.model import Deployment, HostKey
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.jobs.model import NewJob
from majortom import interfaces
from majortom.interfaces import StepName
from spider.clock import Clock

CONFIRM_LIMIT_S: Final = 600.0
"""How long a deployment waits for a user to confirm the host key."""


class ProgressReporter:
    """Implements Major Tom's `Reporter` for one deployment. Only this object writes the row while the deployment runs."""

    def __init__(
        self, store: Stores, bus: Bus, clock: Clock, scope: Scope, deployment: Deployment, *, confirm_limit_s: float = CONFIRM_LIMIT_S,
        patience_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        self._store = store
        self._bus = bus
        self._clock = clock
        self._scope = scope._replace(grants=())
        """The scope of the user, without its limit to some nodes. So the deployment can finish even if its node is re-tagged meanwhile."""
        self._confirm_limit_s = confirm_limit_s
        self._writing = WriteLock(patience_s)
        self._confirmed: asyncio.Future[bool] | None = None
        self._asked_at = 0.0
        """When the host key was published, on the monotonic clock."""
        self.row = deployment
        self.slot: Slot | None = None
        """The slot of the deployment, released while it waits for a user; None: it needs none."""

    async def change(
        self,
        change: Callable[[Deployment], Deployment],
        audit: AuditEntry | None = None,
        *,
        order: NewJob | None = None,
        in_time: bool = False,
    ) -> Deployment:
        """Save a change and publish it.

        Args:   order: a job that is created in the same transaction.
                in_time: limit the wait for the lock, since an API request waits for the change.
        Raises: StoreError.
        """
        async with self._writing.in_time() if in_time else self._writing:
            saving = asyncio.ensure_future(self._store[DeploymentStore].save_deployment(self._scope, change(self.row), audit, order))
            try:
                self.row = await asyncio.shield(saving)
            except asyncio.CancelledError:
                # The write completes anyway. The cancelled task then saves its end, based on the row as written.
                with contextlib.suppress(HubError):  # a store error occurs there again
                    self.row = await saving
                raise
            self._bus.publish(Changed("deployment", self.row.id, self.row.version, self.row.org))
            return self.row

    async def started(self, step: StepName) -> None:
        await self.change(lambda row: transitions.step_started(row, step, self._clock.now()))
        failpoints.hit(f"step.{step}.begun")

    async def detail(self, step: StepName, text: str) -> None:
        await self.change(lambda row: transitions.step_detail(row, step, text))

    async def done(self, step: StepName, detail: str = "") -> None:
        failpoints.hit(f"step.{step}.done")
        await self.change(lambda row: transitions.step_done(row, step, detail, self._clock.now()))
        failpoints.hit(f"step.{step}.told")

    async def confirm_host_key(self, key: interfaces.HostKey) -> bool:
        """Publish the key and wait for its confirmation by a user. Returns: False: not confirmed within CONFIRM_LIMIT_S."""
        self._confirmed = asyncio.get_running_loop().create_future()
        self._asked_at = self._clock.monotonic()
        try:
            await self.change(lambda row: row._replace(state="awaiting_host_key", host_key=HostKey(*key), host_key_confirmed=False))
            async with contextlib.nullcontext() if self.slot is None else self.slot.yielded():
                async with asyncio.timeout(self._confirm_limit_s):
                    return await self._confirmed
        except TimeoutError:
            await self.change(self._waited)
            return False
        finally:
            self._confirmed = None

    async def confirm(self, key: HostKey, audit: AuditEntry) -> Deployment | None:
        """Confirm this key for a user. Returns: None: the deployment no longer waits for it, or presents another key by now."""
        waiting = self._confirmed
        if waiting is None or waiting.done():
            return None

        def confirmed(row: Deployment) -> Deployment:
            if row.state != "awaiting_host_key" or row.host_key != key or self._confirmed is not waiting:
                raise _NotShown
            return self._waited(_confirmed(row))

        try:
            row = await self.change(confirmed, audit, in_time=True)
        except _NotShown:
            return None
        if not waiting.done():
            waiting.set_result(True)
        return row

    def _waited(self, row: Deployment) -> Deployment:
        return transitions.person_waited_for(row, self._clock.monotonic() - self._asked_at)

    async def report_host_key(self, key: interfaces.HostKey) -> None:
        """Save the host key of the successful login."""
        if (self.row.host_key, self.row.host_key_confirmed) != (HostKey(*key), True):
            await self.change(lambda row: row._replace(host_key=HostKey(*key), host_key_confirmed=True))


class _NotShown(Exception):
    """The deployment presents another key than the confirmed one by now, or none."""


def _confirmed(row: Deployment) -> Deployment:
    """The row with its presented key confirmed. The key of a jump host moves to the jump host's fields."""
    key, jump = row.host_key, row.options.jump
    if key is None or not key.host or jump is None:
        return row._replace(state="running", host_key_confirmed=True)
    options = row.options._replace(jump=jump._replace(host_key=key._replace(host="")))
    return row._replace(state="running", host_key=None, host_key_confirmed=False, options=options)
