"""The deployment service: the users' actions on deployments. Only this package uses Major Tom."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from groundcontrol.agents.session import AgentSession
from groundcontrol.core import failpoints
from groundcontrol.core.bus import Bus, Changed, JobPoke
from groundcontrol.core.errors import BadRequest, Conflict, HubError, Unavailable
from groundcontrol.core.ids import DeploymentId, NodeId
from groundcontrol.core.permissions import authorize
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.core.secrets import SecretStore
from groundcontrol.core.stores import Stores
from groundcontrol.deployments import transitions
from groundcontrol.deployments.bulk import check_many, refused_many, with_known_problems
from groundcontrol.deployments.conflicts import Occupied
from groundcontrol.deployments.credential_cache import CredentialCache
from groundcontrol.deployments.credentials import CredentialSealer
from groundcontrol.deployments.errors import CredentialsRequired, PolicyDiffers
from groundcontrol.deployments.forget_node import Forgetting, forget_departed, wait_for_end
from groundcontrol.deployments.hostkeys import confirm_each, confirm_host_key
from groundcontrol.deployments.hostlists.model import Format, ParsedList
from groundcontrol.deployments.hostlists.reading import read_list
from groundcontrol.deployments.hub_key import check_hub_key
from groundcontrol.deployments.limits import ServiceLimits, WriteLock
from groundcontrol.deployments.model import (
    Confirmation,
    Deployment,
    DeploymentOverrides,
    DeploymentRequest,
    HostKey,
    Unconfirmed,
    is_live,
    makes_node,
)
from groundcontrol.deployments.node_files import bundle_version
from groundcontrol.deployments.overrides import apply_overrides
from groundcontrol.deployments.policy_file import wish_of
from groundcontrol.deployments.progress import ProgressReporter
from groundcontrol.deployments.requests import (
    ANY_OF,
    check_jump_login,
    check_request,
    earlier_request,
    has_credentials,
    merge,
    not_sent_there,
    options_of,
    redirected,
    requested,
    same_server,
    with_typed_credentials,
)
from groundcontrol.deployments.run import CloseSession, DeploymentRun, Deps, WaitOnline, close_unfinished, forget_node
from groundcontrol.deployments.running import LAST_LIMIT_S, TIMES, Active, Begun, wait_for_policy
from groundcontrol.deployments.session_removal import GOES_ON, RemovalDeps, SessionRemoval, by_ssh, new_removal, ordered
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.deployments.target_policy import HubAddress, check_target, refusal
from groundcontrol.jobs.model import JobRequest, NewJob
from groundcontrol.jobs.store import JobStore
from groundcontrol.nodes.interfaces import AgentBundle
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.store import NodeStore
from majortom.deployer import MajorTom
from spider.clock import Clock
from spider.wire.ids import new_time_id
from spider.wire.verbs import UNINSTALL

MAX_MANY: Final = 200
"""Servers in one request."""
CANCEL_WAIT_S: Final = 2.0


class DeploymentService:
    """Runs all deployments, as long as `run` runs.

    Args:
        config: the hub's own addresses, which decide the servers that it may deploy to.
        bundle: the agent bundle (`majortom.build.bundle.read_bundle`).
        wait_online, close: methods of the registry of live sessions.
        removal: dependencies of removals through a live session.
    """

    def __init__(
        self, *, config: HubAddress, store: Stores, bus: Bus, vault: CredentialSealer, clock: Clock, bundle: bytes,
        wait_online: WaitOnline, close: CloseSession, removal: RemovalDeps, limits: ServiceLimits = ServiceLimits(),  # noqa: B008  # immutable
    ) -> None:  # fmt: skip
        major = MajorTom(clock, lambda address: refusal(config, address), limits.ssh)
        spider, slots = AgentBundle(bundle_version(bundle), bundle), asyncio.Semaphore(limits.at_once)
        self._tools = Deps(store, bus, vault, clock, wait_online, close, config, major, spider, limits, slots)
        self._removal = removal
        self._credentials = CredentialCache(self._tools)
        self._active = Active(self._credentials, limits)
        self._occupied = Occupied(store, self._active.rows)
        self._ordering = WriteLock(limits.patience_s)
        """Held from the check for conflicts until the new deployment is registered. So one of two concurrent requests is refused."""
        self._group: asyncio.TaskGroup | None = None
        self._closing = asyncio.Event()
        self._resumed = asyncio.Event()
        """Set when the removals through a live session that an earlier start left open are followed again."""
        self._closed = asyncio.Event()
        """Set while `run` is not running."""
        self._closed.set()

    async def run(self) -> None:
        """Serve until `close`.

        First close the deployments that a killed hub left open; users can retry them. Removals through a live session are followed further.
        Raises: StoreError.
        """
        self._closed.clear()
        try:
            await self._run()
        finally:
            self._closed.set()

    async def _run(self) -> None:
        left = [row for row in await self._tools.store[DeploymentStore].unfinished_deployments() if row.kind != "update"]
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for row in left:
                    if is_live(row):
                        self._follow(row)
                self._resumed.set()
                await close_unfinished(self._tools, [row for row in left if not is_live(row)])
                await self._closing.wait()
            finally:
                self._group = None
                await self._active.stop_all()
                self._credentials.forget_all()

    @property
    def ready(self) -> bool:
        """Whether new deployments are accepted: not before `run` has begun, and not after `close`."""
        return self._group is not None and not self._closing.is_set()

    async def close(self) -> None:
        """Make `run` end all deployments. Each rolls back within `limits.stop_s`."""
        self._closing.set()
        with contextlib.suppress(TimeoutError):  # the next start closes the rest
            async with asyncio.timeout(self._tools.limits.stop_s + TIMES * LAST_LIMIT_S):
                await self._closed.wait()

    # -- requests ----------------------------------------------------------------------------

    async def install(self, scope: Scope, request: DeploymentRequest, idempotency_key: str | None) -> Deployment:
        """Begin the installation on a server.

        Raises: BadRequest, TargetNotAllowed, Conflict, Forbidden, IdempotencyMismatch, Unavailable, StoreError.
        """
        authorize(scope, "deployment.create")
        request = check_request(request)
        await check_hub_key(self._tools.store[SecretStore], scope, wanted=request.use_hub_key)
        await check_target(self._tools.hub, request.host, request.jump.host if request.jump else None)
        wanted = requested(scope, request, self._tools.clock.now())
        async with self._ordering.in_time():
            conflict: Conflict | None = None
            try:
                await self._occupied.check_free(scope, request, None)
            except Conflict as exc:
                conflict = exc
            # The conflicting deployment, or the one in the last slot, may be the one created earlier with this key.
            known = None if idempotency_key is None else await self._tools.store[DeploymentStore].deployment_of_key(scope, idempotency_key)
            if conflict is not None and known is None:
                raise conflict
            self._check_room(1 if known is None else 0)
            row = await self._tools.store[DeploymentStore].create_deployment(scope, wanted, idempotency_key)
            if row.id == wanted.id:
                self._begin(scope, row, request, None)
            return row

    async def install_many(self, scope: Scope, requests: Sequence[DeploymentRequest], idempotency_key: str | None) -> Sequence[Deployment]:
        """Begin the installation on many servers. Each has its own deployment, independent of the others.

        Raises: BadRequest: nothing was begun; its detail `servers` lists the refused servers with the reason.
                Forbidden, IdempotencyMismatch, Unavailable, StoreError.
        """
        authorize(scope, "deployment.create")
        store = self._tools.store[DeploymentStore]
        if not 1 <= len(requests) <= MAX_MANY:
            raise BadRequest(f"servers must name 1 to {MAX_MANY} servers", field="servers")
        await check_hub_key(self._tools.store[SecretStore], scope, wanted=any(request.use_hub_key for request in requests))
        checked, faults = await check_many(self._tools.hub, requests)
        async with self._ordering.in_time():
            known = None if idempotency_key is None else await store.deployment_of_key(scope, idempotency_key)
            if known is None:
                # A repeated request does not conflict with itself.
                faults |= {at: fault for at, fault in (await self._occupied.faults_of(scope, checked)).items() if at not in faults}
            if faults:
                raise refused_many(faults, len(requests))
            self._check_room(len(checked) if known is None else 0)
            now, batch = self._tools.clock.now(), new_time_id(self._tools.clock.now())
            wanted = [
                requested(scope, request, now + at / 1000, batch=batch)  # ids sort by millisecond, so they have the order of the list
                for at, request in enumerate(checked)
            ]
            made = await store.create_deployments(scope, wanted, idempotency_key)
            if made[0].id == wanted[0].id:
                for row, request in zip(made, checked, strict=True):
                    self._begin(scope, row, request, None)
            return made

    async def preview(self, scope: Scope, text: str, form: Format | Literal["auto"]) -> ParsedList:
        """Parse a host list and add the problems of each server. Nothing is stored, resolved or contacted.

        Raises: Forbidden, StoreError.
        """
        authorize(scope, "deployment.create")
        reading = await asyncio.to_thread(read_list, text, form)  # in a thread: parsing an odd list may take long
        names = await self._occupied.names(scope)
        return reading._replace(servers=tuple(with_known_problems(self._tools.hub, names, one) for one in reading.servers))

    async def redeploy(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None) -> Deployment:
        """Begin a redeployment, which replaces any agent on the node's server. A running redeployment is returned instead of a new one.

        The node keeps its id, history and settings, and its server the owner's policy file. Overrides that name lines of it need credentials
        in this call; then this waits until the file was compared.
        Raises: PolicyDiffers: nothing was changed; NotFound, Forbidden, CredentialsRequired, Conflict, BadRequest, TargetNotAllowed, Unavailable, VaultError, StoreError.
        """
        row = await self._redeploy(scope, node_id, overrides)
        begun = self._active.get(row.id)
        if begun is None or wish_of(begun.work.request) is None:
            return row
        row = await wait_for_policy(begun, self._tools.limits.compare_wait_s)
        if row.error is not None and row.error.code == "policy_differs" and row.options.found is not None:
            found = row.options.found
            raise PolicyDiffers(row.error.message, current=found.current, wanted=found.wanted, digest=found.digest, deployment=row.id)
        return row

    async def redeploy_many(
        self, scope: Scope, nodes: Sequence[NodeId], overrides: DeploymentOverrides, seen: Mapping[str, str]
    ) -> tuple[Sequence[Deployment], Sequence[tuple[NodeId, HubError]]]:
        """Begin the redeployment of many nodes, each independent of the others.

        Args:    seen: by node, the digest of the difference of its policy file that may be written.
        Returns: the deployments, and the nodes without one with the reason.
        Raises:  BadRequest, Forbidden.
        """
        authorize(scope, "node.update")
        if not 1 <= len(set(nodes)) == len(nodes) <= MAX_MANY:
            raise BadRequest(f"nodes must name 1 to {MAX_MANY} nodes, each once", field="nodes")
        made: list[Deployment] = []
        refused: list[tuple[NodeId, HubError]] = []
        batch = new_time_id(self._tools.clock.now())
        for node in nodes:
            try:
                made.append(await self._redeploy(scope, node, replace(overrides, policy_seen=seen.get(node)), batch))
            except HubError as exc:
                refused.append((node, exc))
        return made, refused

    async def _redeploy(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None, batch: str | None = None) -> Deployment:
        tools = self._tools
        node = await tools.store[NodeStore].node(scope, node_id)
        authorize(scope, "node.update", node)
        await self._check_overrides(scope, overrides)
        login, pinned = await self._credentials.login_of(scope, node_id, node.address)
        # Looked for after the login was read: another user may have begun one meanwhile, with credentials of its own.
        running = self._active.of_node(node_id)
        if running is not None and running.kind == "install":
            return running
        self._check_not_leaving(node_id, node.name)
        if node.simulated or node.waiting:
            raise Conflict(
                f"the node {node.name} {'is simulated' if node.simulated else 'waits for approval'}: there is no server to deploy to"
            )
        if overrides is not None and (overrides.name is not None or overrides.tags is not None):
            raise BadRequest("a redeployment changes neither name nor tags of the node", field="name" if overrides.name else "tags")
        complete = has_credentials(login)
        request = replace(login, name=node.name, tags=node.tags, again=True, own_policy=True, keep_credentials=complete)
        merged, pinned, _ = await apply_overrides(tools.hub, request, pinned, overrides, f"no credentials are kept for {node.name}")
        if wish_of(merged) is not None:
            merged = with_typed_credentials(merged, overrides)
        async with self._ordering.in_time():
            running = self._active.of_node(node_id)
            if running is not None and running.kind == "install":
                return running
            node = await tools.store[NodeStore].node(scope, node_id)
            self._check_not_leaving(node_id, node.name)
            return await self._order(scope, "install", node, merged, pinned, batch)

    async def _order(
        self, scope: Scope, kind: Literal["install", "remove"], node: Node, request: DeploymentRequest, pinned: HostKey | None,
        batch: str | None = None,
    ) -> Deployment:  # fmt: skip
        """Begin a deployment on the server of a node. The caller holds `_ordering`."""
        await self._occupied.check_free(scope, request, node.id)
        self._check_room()
        wanted = requested(scope, request, self._tools.clock.now(), kind=kind, node=node, batch=batch)
        row = await self._tools.store[DeploymentStore].create_deployment(scope, wanted)
        self._begin(scope, row, request, pinned)
        return row

    def _check_not_leaving(self, node_id: NodeId, name: str) -> None:
        """Check that no deployment of this node is running. Raises: Conflict."""
        running = self._active.of_node(node_id)
        if running is not None:
            raise _is_busy(running, name)

    async def remove(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None, force: bool) -> Deployment:
        """Begin a removal: by SSH with given or stored credentials; without any, through the node's live session.

        With `force` the node is deleted without contact, and the overrides are only validated.
        A running removal of this node is returned instead of a new one. A forced removal does not wait for one through the live session.
        Raises: NotFound, Forbidden, CredentialsRequired, Conflict, BadRequest, TargetNotAllowed, Unavailable, VaultError, StoreError.
        """
        tools = self._tools
        node = await tools.store[NodeStore].node(scope, node_id)
        authorize(scope, "node.delete", node)
        running = self._removing(node, force=force)
        if running is not None:
            return running
        await self._check_overrides(scope, overrides)
        if force:
            return await self._forget(scope, node, overrides)
        request, pinned = await self._credentials.login_of(scope, node_id, node.address)
        merged = merge(request, overrides, pinned)
        if overrides not in (None, DeploymentOverrides()):
            merged = check_request(merged)
        same = same_server(request, overrides, pinned)
        if not has_credentials(merged):
            if not same:
                raise not_sent_there(merged)
            return await self._through_session(scope, node, wanted=overrides is None or not any(vars(overrides).values()))
        check_jump_login(merged)
        await self._check_idle(node, by_ssh=True)
        merged = check_request(merged)
        await check_target(tools.hub, merged.host, merged.jump.host if merged.jump else None)
        async with self._ordering.in_time():
            running = self._removing(await tools.store[NodeStore].node(scope, node_id), force=False)
            return running or await self._order(scope, "remove", node, merged, pinned if same else None)

    async def forget_all(self, org: int, nodes: Sequence[NodeId]) -> None:
        """Delete these nodes of an organisation that is being deleted, without contact to their servers. Raises: StoreError."""
        for node in nodes:
            await forget_node(self._tools, hub_scope(org), node, "the organisation was deleted")

    async def _forget(self, scope: Scope, node: Node, overrides: DeploymentOverrides | None) -> Deployment:
        """Begin a removal without contact. It needs no stored credentials."""
        tools, request = self._tools, await self._credentials.request_of(scope, node.id, node.address)
        if overrides not in (None, DeploymentOverrides()):
            check_request(merge(request, overrides, None))
        async with self._ordering.in_time():
            running = self._removing(await tools.store[NodeStore].node(scope, node.id), force=True)
            if running is not None:
                return running
            self._check_room()
            wanted = requested(scope, replace(request, forced=True), tools.clock.now(), kind="remove", node=node)
            row = await tools.store[DeploymentStore].create_deployment(scope, wanted)
            begun = self._begin(scope, row, request, None)
        return await wait_for_end(begun, tools.limits.forget_wait_s)

    def _removing(self, node: Node, *, force: bool) -> Deployment | None:
        """The running removal of this node; None: there is none. With `force`, a removal through the live session does not count.

        Raises: Conflict: the node is being deployed.
        """
        running = self._active.of_node(node.id, live=not force)
        if running is not None and running.kind != "remove":
            raise Conflict(f"the node {node.name} is being deployed: cancel that first, or wait for its end")
        return running

    async def _check_idle(self, node: Node, *, by_ssh: bool = False) -> None:
        """Check that no job is open. `by_ssh`: ignore an `uninstall` job, since nobody may report its end. Raises: Conflict, StoreError."""
        if any(not by_ssh or job.action != UNINSTALL for job in await self._tools.store[JobStore].open_jobs(node.id)):
            raise Conflict(f"a job is running on {node.name}: wait for its end")

    async def _through_session(self, scope: Scope, node: Node, *, wanted: bool) -> Deployment:
        """Begin a removal through the live session, or return the running removal.

        Args: wanted: whether the request has no login fields. With such fields the user asks for SSH.
        """
        async with self._ordering.in_time():
            node = await self._tools.store[NodeStore].node(scope, node.id)
            running = self._removing(node, force=False)
            if running is not None:
                return running
            why = self._removal.hindrance(node) if wanted else "none were sent"
            if why:
                raise CredentialsRequired(
                    f"no credentials are kept for {node.name}, and {why}: give a user with a private key or password, or forget it without contact",
                    give=list(ANY_OF),
                )
            await self._check_idle(node)
            self._check_room()
            job = self._removal.order(scope, node, JobRequest(UNINSTALL))
            failpoints.hit("leave.row.pre")
            row = await self._tools.store[DeploymentStore].create_deployment(scope, new_removal(scope, node, job), order=job)
            failpoints.hit("leave.row.post")
            return self._follow_order(scope, row, job)

    async def receive_farewell(self, agent: AgentSession, why: str, not_removed: str) -> None:
        """Handle an agent's `Farewell`, the message that root has uninstalled it.

        Args:   why: the reason that the agent gives. not_removed: the parts that root could not remove; empty: none.
        Raises: StoreError.
        """
        await self._resumed.wait()
        node = agent.node.id
        async with self._ordering:  # a removal that is being ordered is followed afterwards. A `Farewell` comes only once.
            removal = self._active.live_removal(node)
            if removal is None:  # nothing follows it if its end could not be saved
                left = await self._tools.store[DeploymentStore].unfinished_deployments()
                removal = next((self._follow(row) for row in left if row.node_id == node and is_live(row)), None)
        if removal is not None:
            await removal.receive_farewell(not_removed)
        await forget_departed(self._tools, agent, why, not_removed)

    async def _check_overrides(self, scope: Scope, overrides: DeploymentOverrides | None) -> None:
        await check_hub_key(self._tools.store[SecretStore], scope, wanted=overrides is not None and bool(overrides.use_hub_key))

    async def confirm_host_key(self, scope: Scope, deployment: DeploymentId, fingerprint: str) -> Deployment:
        """Confirm the host key of a deployment.

        Raises: NotFound, Forbidden, Conflict: the deployment does not wait for a confirmation; HostKeyMismatch, StoreError.
        """
        row = await self._controlled(scope, deployment)
        active = self._active.get(deployment)
        return await confirm_host_key(scope, row, fingerprint, active and active.work.progress)

    async def confirm_host_keys(
        self, scope: Scope, confirmed: Sequence[Confirmation]
    ) -> tuple[Sequence[Deployment], Sequence[Unconfirmed]]:
        """Confirm the host keys of many servers independently. Returns: the deployments with a confirmed key, and the others with the reason.

        Raises: Forbidden, BadRequest, StoreError.
        """
        authorize(scope, "deployment.control")
        most = self._tools.limits.open
        if not 1 <= len(confirmed) <= most:
            raise BadRequest(f"host_keys must name 1 to {most} deployments", field="host_keys")
        return await confirm_each(confirmed, lambda deployment, fingerprint: self.confirm_host_key(scope, deployment, fingerprint))

    async def cancel(self, scope: Scope, deployment: DeploymentId) -> Deployment:
        """Cancel a deployment. Its rollback may continue after this returns.

        Raises: NotFound, Forbidden, Conflict: the deployment has ended already; Unavailable, StoreError.
        """
        row = await self._controlled(scope, deployment)
        if row.state == "cancelled":
            return row
        if is_live(row) and row.ended_at is None:
            raise Conflict(GOES_ON, state=row.state)
        active = self._active.get(deployment)
        if active is None and row.ended_at is None:
            row = await self._controlled(scope, deployment)  # it may have ended since it was read
            if row.state == "cancelled":
                return row
        if row.ended_at is not None:
            raise Conflict(f"this deployment has {row.state} already", state=row.state)
        if active is None:
            raise Unavailable("this deployment begins or ends at the moment: try again later")
        ended = active.work.ending
        if not ended:
            active.task.cancel()
        await asyncio.wait([active.task], timeout=CANCEL_WAIT_S)
        row = await self._tools.store[DeploymentStore].deployment(scope, deployment)
        if ended and row.ended_at is None:
            raise Unavailable("this deployment has ended already, but its end cannot be stored at the moment: try again later")
        return row

    async def retry(self, scope: Scope, deployment: DeploymentId, overrides: DeploymentOverrides | None) -> Deployment:
        """Retry a failed or cancelled deployment with changed fields. A forced removal stays forced.

        Raises: NotFound, Forbidden, Conflict, CredentialsRequired, BadRequest, TargetNotAllowed, Unavailable, VaultError, StoreError.
        """
        tools = self._tools
        row = await self._controlled(scope, deployment)
        if row.ended_at is not None and deployment in self._active:
            # The end is saved, but the task still publishes it.
            await asyncio.wait([self._active[deployment].task], timeout=CANCEL_WAIT_S)
        if row.kind == "update":
            raise Conflict("an update cannot be retried: order a new one")
        if row.state not in ("failed", "cancelled"):
            raise Conflict(f"this deployment is {row.state}: only one that failed or was cancelled is retried", state=row.state)
        await self._check_overrides(scope, overrides)
        if row.options.forced:
            return await self._retry_forget(scope, row, overrides)
        live = is_live(row)
        if row.options.again:
            assert row.node_id is not None
            node = await tools.store[NodeStore].node(scope, row.node_id)
            authorize(scope, "node.update", node)
            self._check_not_leaving(node.id, node.name)
        if live:
            assert row.node_id is not None
            node = await tools.store[NodeStore].node(scope, row.node_id)
            if overrides is None or not (overrides.private_key or overrides.password or overrides.use_hub_key):
                return await self._retry_through_session(scope, node, row)
            before, pinned = await self._credentials.login_of(scope, node.id, row.host)
        else:
            before, pinned = await self._credentials.fields_of(scope, row)
        # A retry that began meanwhile has dropped the cached fields: report that rather than missing credentials.
        await self._check_unchanged(scope, row)
        merged, pinned, same = await apply_overrides(
            tools.hub, before, pinned, overrides, "the credentials of this deployment are not kept"
        )
        if overrides is not None and overrides.policy_seen is not None:
            merged = with_typed_credentials(merged, overrides)
        name = (merged.name or merged.host) if makes_node(row) else row.name
        async with self._ordering.in_time():
            await self._check_unchanged(scope, row)
            if row.node_id is not None and not makes_node(row):
                self._check_not_leaving(row.node_id, row.name)
            await self._occupied.check_free(scope, merged, row.node_id)
            self._check_room()
            progress = ProgressReporter(tools.store, tools.bus, tools.clock, scope, row)
            row = await progress.change(
                lambda row: transitions.restarted(
                    by_ssh(row) if live else row,
                    host=merged.host,
                    port=merged.port,
                    username=merged.username,
                    name=name,
                    options=options_of(merged),
                    pinned=pinned,
                ),
                None if same else redirected(scope, row, merged),
            )
            self._begin(scope, row, merged, pinned)
        return row

    async def retry_many(
        self, scope: Scope, deployments: Sequence[DeploymentId], overrides: DeploymentOverrides | None
    ) -> tuple[Sequence[Deployment], Sequence[tuple[DeploymentId, HubError]]]:
        """Retry many deployments with the same changed fields, each independent of the others.

        Credentials of a deployment that did not succeed are in memory only, so a killed hub has none of them: a person types them once for all.
        Returns: the retried deployments, and the others with the reason.
        """
        retried: list[Deployment] = []
        refused: list[tuple[DeploymentId, HubError]] = []
        for deployment in deployments:
            try:
                retried.append(await self.retry(scope, deployment, overrides))
            except HubError as exc:
                refused.append((deployment, exc))
        return retried, refused

    async def _retry_forget(self, scope: Scope, row: Deployment, overrides: DeploymentOverrides | None) -> Deployment:
        """Retry a forced removal. The given fields are only validated, since there is no contact."""
        tools, before = self._tools, earlier_request(row)
        if overrides not in (None, DeploymentOverrides()):
            check_request(merge(before, overrides, None))
        async with self._ordering.in_time():
            await self._check_unchanged(scope, row)
            running = None if row.node_id is None else self._active.of_node(row.node_id, live=False)
            if running is not None:
                raise _is_busy(running, row.name)
            self._check_room()
            progress = ProgressReporter(tools.store, tools.bus, tools.clock, scope, row)
            row = await progress.change(_again)
            begun = self._begin(scope, row, before, None)
        return await wait_for_end(begun, tools.limits.forget_wait_s)

    async def _retry_through_session(self, scope: Scope, node: Node, row: Deployment) -> Deployment:
        """Retry a removal through the live session, or return the running removal of its node."""
        async with self._ordering.in_time():
            running = self._removing(node, force=False)
            if running is not None:
                return running
            await self._check_unchanged(scope, row)
            why = self._removal.hindrance(node)
            if why:
                raise CredentialsRequired(
                    f"the node {node.name} cannot be asked to remove itself, since {why}: give a user with a private key or password",
                    give=list(ANY_OF),
                )
            await self._check_idle(node)
            self._check_room()
            job = self._removal.order(scope, node, JobRequest(UNINSTALL))
            progress = ProgressReporter(self._tools.store, self._tools.bus, self._tools.clock, scope, row)
            row = await progress.change(lambda row: ordered(_again(row), job), order=job)
            return self._follow_order(scope, row, job)

    # -- inside ------------------------------------------------------------------------------

    def _follow_order(self, scope: Scope, row: Deployment, job: NewJob) -> Deployment:
        """Publish the stored job of a removal through the live session, and follow it."""
        self._tools.bus.publish(Changed("job", job.id, 1, row.org))
        self._tools.bus.publish(JobPoke((job.id,)))
        self._begin(scope, row, earlier_request(row), None)
        return row

    def _follow(self, row: Deployment) -> SessionRemoval:
        """Follow a removal through the live session that nobody follows any more."""
        work = self._begin(hub_scope(row.org), row, earlier_request(row), None).work
        assert isinstance(work, SessionRemoval)
        return work

    async def _controlled(self, scope: Scope, deployment: DeploymentId) -> Deployment:
        row = await self._tools.store[DeploymentStore].deployment(scope, deployment)
        authorize(scope, "deployment.control", row)
        return row

    async def _check_unchanged(self, scope: Scope, row: Deployment) -> None:
        now = await self._controlled(scope, row.id)
        if now.version != row.version:
            raise Conflict(f"this deployment is {now.state}: another request has retried it meanwhile", state=now.state)

    def _check_room(self, wanted: int = 1) -> None:
        """Check that `wanted` more deployments may be opened. 0: a repeated request, which opens none. Raises: Unavailable."""
        if not self.ready:
            raise _not_serving()
        self._active.check_room(wanted)

    def _begin(self, scope: Scope, row: Deployment, request: DeploymentRequest, pinned: HostKey | None) -> Begun:
        """Start the task of a stored deployment. Raises: Unavailable: the hub began to stop; its next start closes the row."""
        if self._group is None:
            raise _not_serving()
        kind = Forgetting if row.options.forced else SessionRemoval if is_live(row) else DeploymentRun
        progress = ProgressReporter(self._tools.store, self._tools.bus, self._tools.clock, scope, row)
        return self._active.begin(self._group, kind(self._tools, scope, progress, request, pinned))


def _again(row: Deployment) -> Deployment:
    """The row, reset for a retry with nothing changed."""
    return transitions.restarted(row, host=row.host, port=row.port, username=row.username, name=row.name, options=row.options, pinned=None)


def _not_serving() -> Unavailable:
    return Unavailable("Ground Control is starting or stopping: try again in a moment")


def _is_busy(running: Deployment, name: str) -> Conflict:
    return Conflict(f"{name} is being {'removed' if running.kind == 'remove' else 'deployed'}", deployment=running.id)
