"""Deployments as people ask for them. This package alone talks to Major Tom."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from groundcontrol import failpoints
from groundcontrol.bus.base import Bus, Changed
from groundcontrol.deployments import credentials, rows
from groundcontrol.deployments.credentials import Vault
from groundcontrol.deployments.files import bundle_version
from groundcontrol.deployments.leaving import Leaving, Ways, by_ssh, is_live
from groundcontrol.deployments.lists.reading import read_list
from groundcontrol.deployments.many import Fault, Place, check_many, place_of, refused_many, with_what_is_known
from groundcontrol.deployments.progress import Progress
from groundcontrol.deployments.requests import (
    CREDENTIALS,
    asked_before,
    check_request,
    has_credentials,
    merge,
    same_server,
    wishes_of,
)
from groundcontrol.deployments.targets import HubAddress, check_target, refusal
from groundcontrol.deployments.turns import AT_ONCE
from groundcontrol.deployments.work import (
    CloseSession,
    Spider,
    Tools,
    WaitOnline,
    Work,
    close_unfinished,
    forget_node,
    makes_node,
    tell,
    wipe,
)
from groundcontrol.domain.deployments import (
    INSTALL_STEPS,
    REMOVE_STEPS,
    Confirmation,
    Deployment,
    DeploymentOverrides,
    DeploymentRequest,
    HostKey,
    Unconfirmed,
)
from groundcontrol.domain.ids import DeploymentId, EventId, NodeId
from groundcontrol.domain.log import Event, Severity
from groundcontrol.domain.nodes import Node
from groundcontrol.domain.permissions import authorize
from groundcontrol.domain.scope import Actor, Scope
from groundcontrol.domain.server_lists import Format, Reading
from groundcontrol.errors import BadRequest, Conflict, CredentialsRequired, HostKeyMismatch, NotFound, Unavailable
from groundcontrol.fleet.session import AgentSession
from groundcontrol.store.base import AuditEntry, Store
from majortom.connect import Limits, same_fingerprint
from majortom.deployer import MajorTom
from spider.clock import Clock
from spider.logs import event
from spider.wire.frames import CLOSE_UNKNOWN
from spider.wire.ids import new_time_id

log = logging.getLogger(__name__)

MAX_ACTIVE: Final = 256
"""Deployments that are open: of them `turns.AT_ONCE` are at work, the others wait for their turn or for a person."""
MAX_MANY: Final = 200
"""Servers in one request."""
REMEMBER_S: Final = 900.0
"""How long the fields of a deployment that failed stay in memory for a retry."""
MAX_REMEMBERED: Final = MAX_ACTIVE
CANCEL_WAIT_S: Final = 2.0
CLOSE_LIMIT_S: Final = 6.0
TRY_LATER: Final = "this server cannot be deployed to at the moment: try again later"
"""Somebody does something there whom the caller may know nothing of."""
LEFT_BEHIND: Final = (
    "forgotten without contact: if the server still exists, its units stardust-*, /opt/stardust, /etc/stardust, /var/lib/stardust and the"
    " user stardust are still there; adding it again and removing it clears them away"
)


_ANY_OF: Final = ("private_key", "password")
"""One of these opens a session."""


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
        ways: to a node that is removed through its live session.
    """

    def __init__(
        self, *, config: HubAddress, store: Store, bus: Bus, vault: Vault, clock: Clock, bundle: bytes,
        wait_online: WaitOnline, close: CloseSession, ways: Ways, limits: Limits = Limits(),  # noqa: B008  # immutable
    ) -> None:  # fmt: skip
        major = MajorTom(clock, lambda address: refusal(config, address), limits)
        places = asyncio.Semaphore(AT_ONCE)
        self._tools = Tools(store, bus, vault, clock, wait_online, close, config, major, Spider(bundle_version(bundle), bundle), places)
        self._leaving = Leaving(self._tools, ways)
        self._active: dict[DeploymentId, _Active] = {}
        self._remembered: OrderedDict[DeploymentId, _Remembered] = OrderedDict()
        self._dropping: asyncio.TimerHandle | None = None
        self._ordering = asyncio.Lock()
        """Held from the look at what stands in the way until that which is ordered stands there itself: two who ask at once are not both let through."""
        self._group: asyncio.TaskGroup | None = None
        self._closing = asyncio.Event()

    async def run(self) -> None:
        """Serve until `close`; what a killed hub left open is closed, and each of these can be retried as soon as it is.

        Raises: StoreError.
        """
        left = [row for row in await self._tools.store.deployments.unfinished_deployments() if row.kind != "update"]
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                await close_unfinished(self._tools, [row for row in left if not is_live(row)])
                await self._leaving.resume([row for row in left if is_live(row)])
                await self._closing.wait()
            finally:
                self._group = None
                await self._leaving.close()
                await self._cancel_all()
                self._remembered.clear()
                if self._dropping is not None:
                    self._dropping.cancel()

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
        await check_target(self._tools.hub, request.host, request.jump.host if request.jump else None)
        wanted = rows.new_deployment(
            scope, "install", INSTALL_STEPS, host=request.host, port=request.port, username=request.username,
            name=request.name or request.host, wishes=wishes_of(request), node=None, at=self._tools.clock.now(),
        )  # fmt: skip
        async with self._ordering:
            in_the_way: Conflict | None = None
            try:
                await self._check_free(scope, request, None)
            except Conflict as exc:
                in_the_way = exc
            # What stands in the way, or takes the last place, may be the very deployment that was made with this key.
            known = None if idempotency_key is None else await self._tools.store.deployments.deployment_of_key(scope, idempotency_key)
            if in_the_way is not None and known is None:
                raise in_the_way
            self._check_room(1 if known is None else 0)
            row = await self._tools.store.deployments.create_deployment(scope, wanted, idempotency_key)
            if row.id == wanted.id:
                self._begin(scope, row, request, None)
            return row

    async def install_many(self, scope: Scope, requests: Sequence[DeploymentRequest], idempotency_key: str | None) -> Sequence[Deployment]:
        """Begin to put Spider on many servers; each has a deployment of its own, and goes on without the others.

        Raises: BadRequest: its detail `servers` says which cannot be taken, and why; nothing was begun.
                Forbidden, IdempotencyMismatch, Unavailable, StoreError.
        """
        authorize(scope, "deployment.create")
        store = self._tools.store.deployments
        if not 1 <= len(requests) <= MAX_MANY:
            raise BadRequest(f"servers names 1 to {MAX_MANY} servers", field="servers")
        checked, faults = await check_many(self._tools.hub, requests)
        async with self._ordering:
            known = None if idempotency_key is None else await store.deployment_of_key(scope, idempotency_key)
            if known is None:
                # A repeat is not in its own way.
                faults |= {at: fault for at, fault in (await self._in_use(scope, checked)).items() if at not in faults}
            if faults:
                raise refused_many(faults, len(requests))
            self._check_room(len(checked) if known is None else 0)
            now, batch = self._tools.clock.now(), new_time_id(self._tools.clock.now())
            wanted = [
                rows.new_deployment(
                    scope, "install", INSTALL_STEPS, host=request.host, port=request.port, username=request.username,
                    name=request.name or request.host, wishes=wishes_of(request), node=None, batch=batch,
                    at=now + at / 1000,  # ids sort by the millisecond: the deployments stand in the order of the list
                )
                for at, request in enumerate(checked)
            ]  # fmt: skip
            made = await store.create_deployments(scope, wanted, idempotency_key)
            if made[0].id == wanted[0].id:
                for row, request in zip(made, checked, strict=True):
                    self._begin(scope, row, request, None)
            return made

    async def preview(self, scope: Scope, text: str, form: Format | Literal["auto"]) -> Reading:
        """Read a list of servers, and say what stands in the way of each. Nothing is kept, resolved or contacted.

        Raises: Forbidden, StoreError.
        """
        authorize(scope, "deployment.create")
        reading = await asyncio.to_thread(read_list, text, form)  # beside the loop: a list is as odd as whoever wrote it
        names = await self._names(scope)
        return reading._replace(servers=tuple(with_what_is_known(self._tools.hub, names, one) for one in reading.servers))

    async def redeploy(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None) -> Deployment:
        """Begin to put Spider on the server of a node anew, in the place of whatever Spider is there: the node keeps its id, its history
        and its settings, and what its server's owner allows unless another policy is given.

        One of this node that runs already is given back.
        Raises: NotFound, Forbidden, CredentialsRequired, Conflict, BadRequest, TargetNotAllowed, Unavailable, StoreError.
        """
        tools = self._tools
        node = await tools.store.nodes.node(scope, node_id)
        authorize(scope, "node.update", node)
        running = self._running_of(node_id)
        if running is not None and running.kind == "install":
            return running
        self._check_not_leaving(node)
        if node.simulated or node.waiting:
            raise Conflict(f"{node.name} {'is simulated' if node.simulated else 'waits for approval'}: there is no server to deploy to")
        if overrides is not None and (overrides.name is not None or overrides.tags is not None):
            raise BadRequest("name and tags of a node that is deployed again stay as they are", field="name" if overrides.name else "tags")
        way, pinned = await self._way_to(scope, node_id, node.address)
        kept = has_credentials(way)
        request = replace(way, name=node.name, tags=node.tags, again=True, own_policy=True, keep_credentials=kept)
        merged, pinned, _ = await self._checked(request, pinned, overrides, f"no credentials are kept for {node.name}")
        async with self._ordering:
            running = self._running_of(node_id)
            if running is not None and running.kind == "install":
                return running
            self._check_not_leaving(await tools.store.nodes.node(scope, node_id))
            await self._check_free(scope, merged, node_id)
            self._check_room()
            wanted = rows.new_deployment(
                scope, "install", INSTALL_STEPS, host=merged.host, port=merged.port, username=merged.username,
                name=node.name, wishes=wishes_of(merged), node=node_id, at=tools.clock.now(),
            )  # fmt: skip
            row = await tools.store.deployments.create_deployment(scope, wanted)
            self._begin(scope, row, merged, pinned)
        return row

    def _running_of(self, node: NodeId) -> Deployment | None:
        """What is being done by SSH to the server of this node."""
        found = (active.work.progress.row for active in self._active.values())
        return next((row for row in found if row.node_id == node and row.ended_at is None), None)

    def _check_not_leaving(self, node: Node) -> None:
        running = self._running_of(node.id) or self._leaving.running(node.id)
        if running is not None:
            raise Conflict(
                f"{node.name} is being removed" if running.kind == "remove" else f"{node.name} is being deployed", deployment=running.id
            )

    async def _checked(
        self,
        before: DeploymentRequest,
        pinned: HostKey | None,
        overrides: DeploymentOverrides | None,
        lack: str,
    ) -> tuple[DeploymentRequest, HostKey | None, bool]:
        """Put what is given anew into the fields of before, and refuse what cannot be meant.

        Args:    lack: why credentials are asked for where there are none.
        Returns: the fields, the host key that counts, whether it is the same server.
        Raises:  CredentialsRequired, BadRequest, TargetNotAllowed.
        """
        merged = merge(before, overrides, pinned)
        same = same_server(before, overrides, pinned)
        if not has_credentials(merged):
            if not same:
                raise _not_sent_there(merged)
            raise CredentialsRequired(f"{lack}: send private_key or password again", give=list(_ANY_OF))
        merged = check_request(merged)
        await check_target(self._tools.hub, merged.host, merged.jump.host if merged.jump else None)
        return merged, pinned if same else None, same

    async def remove(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None, force: bool) -> Deployment:
        """Begin to take Spider off a server, or with `force` forget the node without contact: by SSH with what is given or kept, where
        there is neither through the node's live session.

        A removal of this node that runs already is given back.
        Raises: NotFound, Forbidden, CredentialsRequired, Conflict, BadRequest, TargetNotAllowed, Unavailable, StoreError.
        """
        tools = self._tools
        node = await tools.store.nodes.node(scope, node_id)
        authorize(scope, "node.delete", node)
        running = self._removing(node, force=force)
        if running is not None:
            return running
        request, pinned = await self._way_to(scope, node_id, node.address)
        merged = merge(request, overrides, pinned)
        same = same_server(request, overrides, pinned)
        pinned = pinned if same else None
        if not force:
            if not has_credentials(merged):
                if not same:
                    raise _not_sent_there(merged)
                return await self._through_session(scope, node, wanted=overrides is None or not any(vars(overrides).values()))
            await self._check_idle(node, by_ssh=True)
            merged = check_request(merged)
            await check_target(tools.hub, merged.host, merged.jump.host if merged.jump else None)
        async with self._ordering:
            running = self._removing(await tools.store.nodes.node(scope, node_id), force=force)
            if running is not None:
                return running
            if not force:
                await self._check_free(scope, merged, node_id)
                self._check_room()
            wanted = rows.new_deployment(
                scope, "remove", REMOVE_STEPS, host=merged.host, port=merged.port, username=merged.username,
                name=node.name, wishes=wishes_of(merged), node=node_id, at=tools.clock.now(),
            )  # fmt: skip
            row = await tools.store.deployments.create_deployment(scope, wanted)
            if not force:
                self._begin(scope, row, merged, pinned)
        return await self._forget(scope, row) if force else row

    def _removing(self, node: Node, *, force: bool) -> Deployment | None:
        """The removal of this node that runs already; with `force` one by SSH only.

        Raises: Conflict: the node is being deployed.
        """
        running = self._running_of(node.id)
        if running is not None and running.kind != "remove":
            raise Conflict(f"{node.name} is being deployed: cancel that first, or wait for its end")
        return running or (None if force else self._leaving.running(node.id))

    async def _check_idle(self, node: Node, *, by_ssh: bool = False) -> None:
        """Args: by_ssh: an order to take Spider off is not in the way then, whose end may never be told: Spider may be gone."""
        if any(not by_ssh or job.action != "uninstall" for job in await self._tools.store.jobs.open_jobs(node.id)):
            raise Conflict(f"a job is running on {node.name}: wait for its end")

    async def _through_session(self, scope: Scope, node: Node, *, wanted: bool) -> Deployment:
        """Args: wanted: nothing was said of a log-in, which would mean SSH."""
        why = self._leaving.hindrance(node) if wanted else "none were sent"
        if why:
            raise CredentialsRequired(
                f"no credentials are kept for {node.name}, and {why}: send username and private_key or password, or forget it with force=true",
                give=list(_ANY_OF),
            )
        await self._check_idle(node)
        self._check_room()
        return await self._leaving.begin(scope, node)

    async def _forget(self, scope: Scope, row: Deployment) -> Deployment:
        progress = Progress(self._tools.store, self._tools.bus, self._tools.clock, scope, row)
        await wipe(self._tools, scope, progress)
        await progress.detail("wipe", LEFT_BEHIND)
        row = await progress.change(lambda row: rows.ended(row, "succeeded", self._tools.clock.now()))
        await tell(self._tools, row)
        return row

    async def said_farewell(self, agent: AgentSession, why: str, left: str) -> None:
        """Root has taken Spider off a server: forget the node, as a removal does.

        Args:   left: what could not be taken off. The node stays then, so that it can be tried again.
        Raises: StoreError.
        """
        tools, node = self._tools, agent.node
        await self._leaving.heard(node.id, left)
        if left:
            await self._event(node, "node.uninstall_incomplete", f"{node.name} ({node.address}) was not taken off wholly; left: {left}")
            await tools.close_session(node.id, CLOSE_UNKNOWN, "not wholly removed")
            return
        scope = Scope(Actor("node", node.id, f"node:{node.id}", "viewer", agent.address), node.org)
        await self._event(node, "node.uninstalled", f"{node.name} ({node.address}) has left: {why}")
        failpoints.reach("leave.forget.pre")
        await forget_node(tools, scope, node.id, "the node was removed")
        failpoints.reach("leave.forget.post")

    async def _event(self, node: Node, kind: str, text: str) -> None:
        at = self._tools.clock.now()
        level: Severity = "info" if kind == "node.uninstalled" else "warning"
        written = Event(EventId(new_time_id(at)), node.org, kind, level, "hub", at, None, text, {"node": node.id, "name": node.name})
        await self._tools.store.log.add_event(written)
        self._tools.bus.publish(Changed("event", written.id, 1))

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
        audit = AuditEntry(
            scope.actor,
            "deployment.host_key",
            row.id,
            "done",
            {"host": row.host_key.host or row.host, "fingerprint": row.host_key.fingerprint},
        )
        confirmed = await active.work.progress.confirm(row.host_key, audit)
        if confirmed is None:
            raise Conflict("the host key is not waited for any more: press Retry")
        return confirmed

    async def confirm_host_keys(
        self, scope: Scope, confirmed: Sequence[Confirmation]
    ) -> tuple[Sequence[Deployment], Sequence[Unconfirmed]]:
        """A person says of many servers that these are their keys; each is judged by itself, and what is not confirmed is named.

        Raises: Forbidden, BadRequest, StoreError.
        """
        authorize(scope, "deployment.control")
        if not 1 <= len(confirmed) <= MAX_ACTIVE:
            raise BadRequest(f"host_keys names 1 to {MAX_ACTIVE} deployments", field="host_keys")
        done: list[Deployment] = []
        refused: list[Unconfirmed] = []
        for deployment, fingerprint in dict.fromkeys(confirmed):
            try:
                done.append(await self.confirm_host_key(scope, deployment, fingerprint))
            except (NotFound, Conflict, HostKeyMismatch) as exc:
                refused.append(Unconfirmed(deployment, exc.code, exc.message))
        return done, refused

    async def cancel(self, scope: Scope, deployment: DeploymentId) -> Deployment:
        """Stop a deployment; what it has begun is taken back, which may go on after this returns.

        Raises: NotFound, Forbidden, Conflict: it has ended already; Unavailable, StoreError.
        """
        row = await self._controlled(scope, deployment)
        if row.state == "cancelled":
            return row
        if is_live(row) and row.ended_at is None:
            return await self._leaving.cancel(scope, row)
        active = self._active.get(deployment)
        if row.ended_at is not None or active is None:
            raise Conflict(f"this deployment has {row.state} already", state=row.state)
        ended = active.work.ending
        if not ended:
            active.task.cancel()
        await asyncio.wait([active.task], timeout=CANCEL_WAIT_S)
        row = await self._tools.store.deployments.deployment(scope, deployment)
        if ended and row.ended_at is None:
            raise Unavailable("this deployment has ended already, which cannot be written down at the moment: try again later")
        return row

    async def retry(self, scope: Scope, deployment: DeploymentId, overrides: DeploymentOverrides | None) -> Deployment:
        """Do a deployment that failed or was cancelled again, with these fields given anew.

        Raises: NotFound, Forbidden, Conflict, CredentialsRequired, BadRequest, TargetNotAllowed, Unavailable, StoreError.
        """
        tools = self._tools
        row = await self._controlled(scope, deployment)
        if row.ended_at is not None and deployment in self._active:
            # Its end is saved, its last words are being written.
            await asyncio.wait([self._active[deployment].task], timeout=CANCEL_WAIT_S)
        if row.kind == "update":
            raise Conflict("an update is ordered anew, not tried again")
        if row.state not in ("failed", "cancelled"):
            raise Conflict(f"this deployment is {row.state}: only one that failed or was cancelled is retried", state=row.state)
        live = is_live(row)
        if row.wishes.again:
            assert row.node_id is not None
            node = await tools.store.nodes.node(scope, row.node_id)
            authorize(scope, "node.update", node)
            self._check_not_leaving(node)
        if live:
            assert row.node_id is not None
            node = await tools.store.nodes.node(scope, row.node_id)
            if overrides is None or (overrides.private_key is None and overrides.password is None):
                return await self._again_through_session(scope, node, row)
            before, pinned = await self._way_to(scope, node.id, row.host)
        else:
            before, pinned = await self._fields_of(scope, row)
        merged, pinned, same = await self._checked(before, pinned, overrides, "the credentials of this deployment are not kept")
        name = (merged.name or merged.host) if makes_node(row) else row.name
        async with self._ordering:
            now = await self._controlled(scope, deployment)
            if now.version != row.version:
                raise Conflict(f"this deployment is {now.state}: somebody else has tried it again meanwhile", state=now.state)
            await self._check_free(scope, merged, row.node_id)
            self._check_room()
            progress = Progress(tools.store, tools.bus, tools.clock, scope, row)
            row = await progress.change(
                lambda row: rows.begun_again(
                    by_ssh(row) if live else row,
                    host=merged.host,
                    port=merged.port,
                    username=merged.username,
                    name=name,
                    wishes=wishes_of(merged),
                    pinned=pinned,
                ),
                None if same else _redirected(scope, row, merged),
            )
            self._begin(scope, row, merged, pinned)
        return row

    async def _again_through_session(self, scope: Scope, node: Node, row: Deployment) -> Deployment:
        why = self._leaving.hindrance(node)
        if why:
            raise CredentialsRequired(
                f"{node.name} cannot be told now, since {why}: send username and private_key or password", give=list(_ANY_OF)
            )
        await self._check_idle(node)
        self._check_room()
        return await self._leaving.again(scope, row)

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
        if not makes_node(row) and row.node_id is not None:
            way, known = await self._way_to(scope, row.node_id, row.host)
            trusted = asked.host_key is None or (known is not None and same_fingerprint(asked.host_key, known.fingerprint))
            if (way.host, way.port) == (asked.host, asked.port) and trusted:
                pinned = pinned or known
                if way.username == asked.username and pinned == known and wishes_of(way).jump == row.wishes.jump:
                    asked = replace(asked, jump=way.jump, **{name: getattr(way, name) for name in CREDENTIALS})
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
                    way = asked_before(row)
                    return DeploymentRequest(host=way.host, port=way.port, username=way.username, jump=way.jump), row.host_key
            cursor = page.next
            if cursor is None:
                return DeploymentRequest(host=address, username="root"), None

    async def _check_free(self, scope: Scope, request: DeploymentRequest, own: NodeId | None) -> None:
        """Refuse a second deployment to the same server, and a name that another node has."""
        row = self._at_work(scope).get(place_of(request))
        if row is not None:
            raise await self._in_the_way(scope, row)
        if own is None and request.name is not None and request.name.casefold() in await self._names(scope):
            raise Conflict(f"a node named {request.name} exists already: give another name", field="name")

    async def _in_the_way(self, scope: Scope, row: Deployment) -> Conflict:
        """What is told of it depends on whether the caller may see it."""
        try:
            await self._tools.store.deployments.deployment(scope, row.id)
        except NotFound:
            return Conflict(TRY_LATER)
        return Conflict(f"a deployment to {row.host} is running already", deployment=row.id)

    def _at_work(self, scope: Scope) -> dict[Place, Deployment]:
        """Where deployments run."""
        found = (active.work.progress.row for active in self._active.values())
        return {
            (row.host, row.port, None if row.wishes.jump is None else row.wishes.jump.host): row
            for row in found
            if row.ended_at is None and row.org == scope.org
        }

    async def _names(self, scope: Scope) -> set[str]:
        names: set[str] = set()
        cursor: str | None = None
        while True:
            page = await self._tools.store.nodes.nodes(scope, 200, cursor)
            names.update(node.name.casefold() for node in page.items)
            cursor = page.next
            if cursor is None:
                return names

    async def _in_use(self, scope: Scope, requests: Sequence[DeploymentRequest]) -> dict[int, Fault]:
        """Which of many are in the way of something, or something of them."""
        names, at_work = await self._names(scope), self._at_work(scope)
        faults: dict[int, Fault] = {}
        for at, request in enumerate(requests):
            row = at_work.get(place_of(request))
            if row is not None:
                faults[at] = Fault("conflict", "host", (await self._in_the_way(scope, row)).message)
            elif (request.name or request.host).casefold() in names:
                faults[at] = Fault("conflict", "name", f"a node named {request.name} exists already: give another name")
        return faults

    def _check_room(self, wanted: int = 1) -> None:
        """Args: wanted: places; 0: a repeat, which takes none."""
        if not self.ready:
            raise Unavailable("Ground Control is starting or stopping: try again in a moment")
        if len(self._active) + wanted > MAX_ACTIVE:
            raise Unavailable(f"{len(self._active)} deployments are open, and at most {MAX_ACTIVE} can be: wait until some have ended")

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
        self._remembered[progress.row.id] = _Remembered(work.known(), pinned, until)
        self._drop_old()
        if self._dropping is None:
            self._come_back()

    def _drop_in_time(self) -> None:
        self._drop_old()
        self._come_back()

    def _come_back(self) -> None:
        """Be called when the oldest is to be dropped, though nobody asks for any."""
        self._dropping = None
        if self._remembered:
            oldest = next(iter(self._remembered.values()))
            wait_s = max(0.1, oldest.until - self._tools.clock.monotonic())
            self._dropping = asyncio.get_running_loop().call_later(wait_s, self._drop_in_time)

    def _drop_old(self) -> None:
        now = self._tools.clock.monotonic()
        while self._remembered:
            oldest = next(iter(self._remembered))
            if len(self._remembered) <= MAX_REMEMBERED and self._remembered[oldest].until > now:
                return
            del self._remembered[oldest]


def _not_sent_there(merged: DeploymentRequest) -> CredentialsRequired:
    return CredentialsRequired(
        f"{merged.host} port {merged.port} is another server than before, or is to show another host key, and nothing that was given for the"
        " earlier one is sent there: send private_key or password (and passphrase, sudo_password where they are needed) in the same call",
        give=list(_ANY_OF),
        dropped=list(CREDENTIALS),
    )


def _redirected(scope: Scope, row: Deployment, merged: DeploymentRequest) -> AuditEntry:
    before = {"host": row.host, "port": row.port, "fingerprint": row.host_key.fingerprint if row.host_key else None,
              "jump": row.wishes.jump and row.wishes.jump.host}  # fmt: skip
    after = {"host": merged.host, "port": merged.port, "fingerprint": merged.host_key, "jump": merged.jump and merged.jump.host}
    return AuditEntry(scope.actor, "deployment.redirect", row.id, "done", {"before": before, "after": after})
