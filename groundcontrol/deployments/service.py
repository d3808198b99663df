"""Deployments as people ask for them. This package alone talks to Major Tom."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import replace
from typing import Final, NamedTuple

from groundcontrol.bus.base import Bus
from groundcontrol.deployments import credentials, rows
from groundcontrol.deployments.credentials import Vault
from groundcontrol.deployments.files import bundle_version
from groundcontrol.deployments.progress import Progress
from groundcontrol.deployments.requests import asked_before, check_request, has_credentials, merge, same_server, wishes_of
from groundcontrol.deployments.targets import HubAddress, check_target, refusal
from groundcontrol.deployments.work import CloseSession, Spider, Tools, WaitOnline, Work, close_unfinished, tell, wipe
from groundcontrol.domain.deployments import (
    INSTALL_STEPS,
    REMOVE_STEPS,
    Deployment,
    DeploymentOverrides,
    DeploymentRequest,
    HostKey,
)
from groundcontrol.domain.ids import DeploymentId, NodeId
from groundcontrol.domain.permissions import authorize
from groundcontrol.domain.scope import Scope
from groundcontrol.errors import Conflict, CredentialsRequired, HostKeyMismatch, Unavailable
from groundcontrol.store.base import AuditEntry, Store
from majortom.connect import Limits, same_fingerprint
from majortom.deployer import MajorTom
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

MAX_ACTIVE: Final = 64
REMEMBER_S: Final = 900.0
"""How long the fields of a deployment that failed stay in memory for a retry."""
MAX_REMEMBERED: Final = 64
CANCEL_WAIT_S: Final = 2.0
CLOSE_LIMIT_S: Final = 6.0
LEFT_BEHIND: Final = (
    "forgotten without contact: if the server still exists, its units stardust-*, /opt/stardust, /etc/stardust, /var/lib/stardust and the"
    " user stardust are still there; adding it again and removing it clears them away"
)


class _Remembered(NamedTuple):
    request: DeploymentRequest
    pinned: HostKey | None
    until: float


class _Active(NamedTuple):
    work: Work
    task: asyncio.Task[None]


class DeploymentService:
    """Owns every running deployment; `run` is its life.

    Args:
        config: how nodes find this hub, which decides which servers it deploys to.
        bundle: the Spider bundle (`majortom.bundle.read_bundle`).
        wait_online, close: of the registry of live sessions.
    """

    def __init__(
        self, *, config: HubAddress, store: Store, bus: Bus, vault: Vault, clock: Clock, bundle: bytes,
        wait_online: WaitOnline, close: CloseSession, limits: Limits = Limits(),  # noqa: B008  # immutable
    ) -> None:  # fmt: skip
        major = MajorTom(clock, lambda address: refusal(config, address), limits)
        self._tools = Tools(store, bus, vault, clock, wait_online, close, config, major, Spider(bundle_version(bundle), bundle))
        self._active: dict[DeploymentId, _Active] = {}
        self._remembered: OrderedDict[DeploymentId, _Remembered] = OrderedDict()
        self._group: asyncio.TaskGroup | None = None
        self._closing = asyncio.Event()

    async def run(self) -> None:
        """Serve until `close`; what a killed hub left open is closed, and each of these can be retried as soon as it is.

        Raises: StoreError.
        """
        left = await self._tools.store.deployments.unfinished_deployments()
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await close_unfinished(self._tools, left)
                await self._closing.wait()
            finally:
                self._group = None
                await self._cancel_all()

    @property
    def ready(self) -> bool:
        """Whether deployments are begun; False before `run` knows what an earlier hub left open, and after `close`."""
        return self._group is not None and not self._closing.is_set()

    async def close(self) -> None:
        """End every deployment: each takes back what it has begun, within CLOSE_LIMIT_S."""
        self._closing.set()
        await self._cancel_all()

    async def _cancel_all(self) -> None:
        tasks = []
        for active in self._active.values():
            active.work.stopping = True
            tasks.append(active.task)
        for limit_s in (CLOSE_LIMIT_S, 0.5):
            tasks = [task for task in tasks if not task.done()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=limit_s)

    # -- asking ------------------------------------------------------------------------------

    async def install(self, scope: Scope, request: DeploymentRequest, idempotency_key: str | None) -> Deployment:
        """Begin to put Spider on a server.

        Raises: BadRequest, TargetNotAllowed, Conflict, Forbidden, IdempotencyMismatch, Unavailable, StoreError.
        """
        authorize(scope, "deployment.create")
        request = check_request(request)
        await check_target(self._tools.hub, request.host)
        wanted = rows.new_deployment(
            scope, "install", INSTALL_STEPS, host=request.host, port=request.port, username=request.username,
            name=request.name or request.host, wishes=wishes_of(request), node=None, at=self._tools.clock.now(),
        )  # fmt: skip
        try:
            await self._check_free(scope, request, None)
        except Conflict:
            # What stands in the way may be the very deployment that was made with this key.
            if idempotency_key is None or await self._tools.store.deployments.deployment_of_key(scope, idempotency_key) is None:
                raise
        self._check_room()
        row = await self._tools.store.deployments.create_deployment(scope, wanted, idempotency_key)
        if row.id == wanted.id:
            self._begin(scope, row, request, None)
        return row

    async def remove(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None, force: bool) -> Deployment:
        """Begin to take Spider off a server, or with `force` forget the node without contact.

        A removal of this node that runs already is given back.
        Raises: NotFound, Forbidden, CredentialsRequired, Conflict, BadRequest, TargetNotAllowed, Unavailable, StoreError.
        """
        tools = self._tools
        node = await tools.store.nodes.node(scope, node_id)
        authorize(scope, "node.delete", node)
        for active in self._active.values():
            if active.work.progress.row.node_id == node_id and active.work.progress.row.kind == "remove":
                return active.work.progress.row
        request, pinned = await self._way_to(scope, node_id, node.address)
        merged = merge(request, overrides)
        pinned = pinned if same_server(request, overrides) else None
        if not force:
            if not has_credentials(merged):
                raise CredentialsRequired(
                    f"no credentials are kept for {node.name}: send username and private_key or password, or forget it with force=true"
                )
            if await tools.store.jobs.open_jobs(node_id):
                raise Conflict(f"a job is running on {node.name}: wait for its end")
            merged = check_request(merged)
            await check_target(tools.hub, merged.host)
            await self._check_free(scope, merged, node_id)
            self._check_room()
        wanted = rows.new_deployment(
            scope, "remove", REMOVE_STEPS, host=merged.host, port=merged.port, username=merged.username,
            name=node.name, wishes=wishes_of(merged), node=node_id, at=tools.clock.now(),
        )  # fmt: skip
        row = await tools.store.deployments.create_deployment(scope, wanted)
        if force:
            return await self._forget(scope, row)
        self._begin(scope, row, merged, pinned)
        return row

    async def _forget(self, scope: Scope, row: Deployment) -> Deployment:
        progress = Progress(self._tools.store, self._tools.bus, self._tools.clock, scope, row)
        await wipe(self._tools, scope, progress)
        await progress.detail("wipe", LEFT_BEHIND)
        row = await progress.change(lambda row: rows.ended(row, "succeeded", self._tools.clock.now()))
        await tell(self._tools, row)
        return row

    async def confirm_host_key(self, scope: Scope, deployment: DeploymentId, fingerprint: str) -> Deployment:
        """A person says that this is the server's key.

        Raises: NotFound, Forbidden, Conflict: it is not waited for; HostKeyMismatch, StoreError.
        """
        row = await self._controlled(scope, deployment)
        active = self._active.get(deployment)
        if row.state != "awaiting_host_key" or row.host_key is None or active is None:
            raise Conflict(f"this deployment is {row.state}: no host key waits for confirmation", state=row.state)
        if not same_fingerprint(fingerprint, row.host_key.fingerprint):
            raise HostKeyMismatch(f"the server showed {row.host_key.fingerprint}, not {fingerprint[:80]}", shown=row.host_key.fingerprint)
        audit = AuditEntry(scope.actor, "deployment.host_key", row.id, "done", {"host": row.host, "fingerprint": row.host_key.fingerprint})
        confirmed = await active.work.progress.confirm(audit)
        if confirmed is None:
            raise Conflict("the host key is not waited for any more: press Retry")
        return confirmed

    async def cancel(self, scope: Scope, deployment: DeploymentId) -> Deployment:
        """Stop a deployment; what it has begun is taken back, which may go on after this returns.

        Raises: NotFound, Forbidden, Conflict: it has ended already; StoreError.
        """
        row = await self._controlled(scope, deployment)
        if row.state == "cancelled":
            return row
        active = self._active.get(deployment)
        if row.ended_at is not None or active is None:
            raise Conflict(f"this deployment has {row.state} already", state=row.state)
        active.task.cancel()
        await asyncio.wait([active.task], timeout=CANCEL_WAIT_S)
        return await self._tools.store.deployments.deployment(scope, deployment)

    async def retry(self, scope: Scope, deployment: DeploymentId, overrides: DeploymentOverrides | None) -> Deployment:
        """Do a deployment that failed or was cancelled again, with these fields given anew.

        Raises: NotFound, Forbidden, Conflict, CredentialsRequired, BadRequest, TargetNotAllowed, Unavailable, StoreError.
        """
        tools = self._tools
        row = await self._controlled(scope, deployment)
        if row.ended_at is not None and deployment in self._active:
            # Its end is saved, its last words are being written.
            await asyncio.wait([self._active[deployment].task], timeout=CANCEL_WAIT_S)
        if row.state not in ("failed", "cancelled"):
            raise Conflict(f"this deployment is {row.state}: only one that failed or was cancelled is retried", state=row.state)
        before, pinned = await self._fields_of(scope, row)
        merged = merge(before, overrides)
        pinned = pinned if same_server(before, overrides) else None
        if not has_credentials(merged):
            raise CredentialsRequired("the credentials of this deployment are not kept: send private_key or password again")
        merged = check_request(merged)
        await check_target(tools.hub, merged.host)
        await self._check_free(scope, merged, row.node_id)
        self._check_room()
        progress = Progress(tools.store, tools.bus, tools.clock, scope, row)
        name = (merged.name or merged.host) if row.kind == "install" else row.name
        row = await progress.change(
            lambda row: rows.begun_again(
                row, host=merged.host, port=merged.port, username=merged.username, name=name, wishes=wishes_of(merged), pinned=pinned
            )
        )
        self._begin(scope, row, merged, pinned)
        return row

    # -- inside ------------------------------------------------------------------------------

    async def _controlled(self, scope: Scope, deployment: DeploymentId) -> Deployment:
        row = await self._tools.store.deployments.deployment(scope, deployment)
        authorize(scope, "deployment.control", row)
        return row

    async def _fields_of(self, scope: Scope, row: Deployment) -> tuple[DeploymentRequest, HostKey | None]:
        """The fields of an earlier try; its secrets only while they are remembered, or kept with the node."""
        self._drop_old()
        remembered = self._remembered.get(row.id)
        if remembered is not None:
            return remembered.request, remembered.pinned
        asked, pinned = asked_before(row), row.host_key if row.host_key_confirmed else None
        if row.kind == "remove" and row.node_id is not None:
            way, known = await self._way_to(scope, row.node_id, row.host)
            if (way.host, way.port) == (asked.host, asked.port) and asked.host_key is None:
                pinned = pinned or known
            if (way.host, way.port, way.username) == (asked.host, asked.port, asked.username):
                asked = replace(way, host_key=asked.host_key)
        return asked, pinned

    async def _way_to(self, scope: Scope, node: NodeId, address: str) -> tuple[DeploymentRequest, HostKey | None]:
        """What is known of how to log in to a node: kept credentials, else where it was installed from."""
        tools = self._tools
        kept = await credentials.recall(tools.store.secrets, tools.vault, node)
        if kept is not None:
            return kept.request, kept.host_key
        cursor: str | None = None
        while True:
            page = await tools.store.deployments.deployments(scope, 200, cursor)
            for row in page.items:
                if row.node_id == node and row.kind == "install" and row.state == "succeeded":
                    return DeploymentRequest(host=row.host, port=row.port, username=row.username), row.host_key
            cursor = page.next
            if cursor is None:
                return DeploymentRequest(host=address, username="root"), None

    async def _check_free(self, scope: Scope, request: DeploymentRequest, own: NodeId | None) -> None:
        """Refuse a second deployment to the same server, and a name that another node has."""
        for active in self._active.values():
            row = active.work.progress.row
            if row.ended_at is None and (row.host, row.port) == (request.host, request.port) and row.org == scope.org:
                raise Conflict(f"a deployment to {request.host} is running already", deployment=row.id)
        if own is not None or request.name is None:
            return
        cursor: str | None = None
        while True:
            page = await self._tools.store.nodes.nodes(scope, 200, cursor)
            if any(node.name.casefold() == request.name.casefold() for node in page.items):
                raise Conflict(f"a node named {request.name} exists already: give another name", field="name")
            cursor = page.next
            if cursor is None:
                return

    def _check_room(self) -> None:
        if not self.ready:
            raise Unavailable("Ground Control is starting or stopping: try again in a moment")
        if len(self._active) >= MAX_ACTIVE:
            raise Unavailable(f"{MAX_ACTIVE} deployments are running already: wait until one has ended")

    def _begin(self, scope: Scope, row: Deployment, request: DeploymentRequest, pinned: HostKey | None) -> None:
        assert self._group is not None
        progress = Progress(self._tools.store, self._tools.bus, self._tools.clock, scope, row)
        work = Work(self._tools, scope, progress, request, pinned)
        self._remembered.pop(row.id, None)
        task = self._group.create_task(self._carry_out(work), name=f"deployment {row.id}")
        self._active[row.id] = _Active(work, task)

    async def _carry_out(self, work: Work) -> None:
        row = work.progress.row
        event(log, "deployment_started", deployment=row.id, kind=row.kind, host=row.host)
        try:
            await work.run()
        finally:
            row = work.progress.row
            self._active.pop(row.id, None)
            if row.state in ("failed", "cancelled"):
                self._remember(work)
            code = row.error.code if row.error else None
            event(log, "deployment_ended", deployment=row.id, kind=row.kind, host=row.host, state=row.state, code=code)

    def _remember(self, work: Work) -> None:
        progress = work.progress
        pinned = progress.row.host_key if progress.row.host_key_confirmed else work.pinned
        until = self._tools.clock.monotonic() + REMEMBER_S
        self._remembered[progress.row.id] = _Remembered(work.request, pinned, until)
        self._drop_old()

    def _drop_old(self) -> None:
        now = self._tools.clock.monotonic()
        while self._remembered:
            oldest = next(iter(self._remembered))
            if len(self._remembered) <= MAX_REMEMBERED and self._remembered[oldest].until > now:
                return
            del self._remembered[oldest]
