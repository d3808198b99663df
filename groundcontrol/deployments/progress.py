"""A running deployment's row: every change saved, published, and waited for by nobody else."""

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
from groundcontrol.deployments import transitions
from groundcontrol.deployments.bounded_lock import PATIENCE_S, WriteLock
from groundcontrol.deployments.model import Deployment, HostKey
from groundcontrol.deployments.slots import Turn
from groundcontrol.stores import Store
from majortom import interfaces
from majortom.interfaces import StepName
from spider.clock import Clock

CONFIRM_LIMIT_S: Final = 600.0
"""How long a fingerprint waits for a person."""


class ProgressReporter:
    """Major Tom's `Reporter`, over one row. The row is written by this object alone while the deployment runs."""

    def __init__(
        self, store: Store, bus: Bus, clock: Clock, scope: Scope, deployment: Deployment, *, confirm_limit_s: float = CONFIRM_LIMIT_S,
        patience_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        self._store = store
        self._bus = bus
        self._clock = clock
        self._scope = scope._replace(grants=())
        """In the name of who asked, but without a limit to some nodes: what runs is brought to its end, whatever is re-tagged meanwhile."""
        self._confirm_limit_s = confirm_limit_s
        self._writing = WriteLock(patience_s)
        self._confirmed: asyncio.Future[bool] | None = None
        self.row = deployment
        self.turn: Turn | None = None
        """Its place among those at work, which it leaves while a person is waited for."""

    async def change(
        self, change: Callable[[Deployment], Deployment], audit: AuditEntry | None = None, *, asked: bool = False
    ) -> Deployment:
        """Save a change and tell of it.

        Args:   asked: a request waits for it.
        Raises: StoreError.
        """
        async with self._writing.in_time() if asked else self._writing:
            saving = asyncio.ensure_future(self._store.deployments.save_deployment(self._scope, change(self.row), audit))
            try:
                self.row = await asyncio.shield(saving)
            except asyncio.CancelledError:
                # It is written all the same, and who is cancelled writes how it ended: from the row as it is then.
                with contextlib.suppress(HubError):  # a store that fails is met again there
                    self.row = await saving
                raise
            self._bus.publish(Changed("deployment", self.row.id, self.row.version))
            return self.row

    async def started(self, step: StepName) -> None:
        await self.change(lambda row: transitions.step_started(row, step, self._clock.now()))
        failpoints.reach(f"step.{step}.begun")

    async def detail(self, step: StepName, text: str) -> None:
        await self.change(lambda row: transitions.step_detail(row, step, text))

    async def done(self, step: StepName, detail: str = "") -> None:
        failpoints.reach(f"step.{step}.done")
        await self.change(lambda row: transitions.step_done(row, step, detail, self._clock.now()))
        failpoints.reach(f"step.{step}.told")

    async def confirm_host_key(self, key: interfaces.HostKey) -> bool:
        """Show the key and wait for a person; False after CONFIRM_LIMIT_S."""
        self._confirmed = asyncio.get_running_loop().create_future()
        try:
            await self.change(lambda row: row._replace(state="awaiting_host_key", host_key=HostKey(*key), host_key_confirmed=False))
            async with contextlib.nullcontext() if self.turn is None else self.turn.rest():
                async with asyncio.timeout(self._confirm_limit_s):
                    return await self._confirmed
        except TimeoutError:
            return False
        finally:
            self._confirmed = None

    async def confirm(self, key: HostKey, audit: AuditEntry) -> Deployment | None:
        """A person has confirmed this key. None: it is not waited for any more; the one that is shown by now may be another one."""
        waiting = self._confirmed
        if waiting is None or waiting.done():
            return None

        def confirmed(row: Deployment) -> Deployment:
            if row.state != "awaiting_host_key" or row.host_key != key or self._confirmed is not waiting:
                raise _NotShown
            return _confirmed(row)

        try:
            row = await self.change(confirmed, audit, asked=True)
        except _NotShown:
            return None
        if not waiting.done():
            waiting.set_result(True)
        return row

    async def show_host_key(self, key: interfaces.HostKey) -> None:
        """Put the key that was used, and so was the right one, on the row."""
        if (self.row.host_key, self.row.host_key_confirmed) != (HostKey(*key), True):
            await self.change(lambda row: row._replace(host_key=HostKey(*key), host_key_confirmed=True))


class _NotShown(Exception):
    """Another key than the confirmed one is shown by now, or none."""


def _confirmed(row: Deployment) -> Deployment:
    """The key that is shown is the server's, or its jump host's, whose key is written down with the jump host."""
    key, jump = row.host_key, row.wishes.jump
    if key is None or not key.host or jump is None:
        return row._replace(state="running", host_key_confirmed=True)
    wishes = row.wishes._replace(jump=jump._replace(host_key=key._replace(host="")))
    return row._replace(state="running", host_key=None, host_key_confirmed=False, wishes=wishes)
