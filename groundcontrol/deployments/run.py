"""Runs one deployment: Major Tom works on the server, and this module manages the node's row, keys and credentials."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.bus import Bus, Changed
from groundcontrol.core.errors import BadRequest, Conflict, HubError, NotFound, StoreError
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.core.secrets import SecretStore
from groundcontrol.core.stores import Stores
from groundcontrol.core.text import clean
from groundcontrol.deployments import credentials, transitions
from groundcontrol.deployments.credentials import CredentialSealer
from groundcontrol.deployments.hub_key import MISSING, load_hub_key
from groundcontrol.deployments.limits import ServiceLimits, Slot
from groundcontrol.deployments.model import (
    NO_LONGER_ALLOWED,
    Deployment,
    DeploymentError,
    DeploymentRequest,
    DeploymentState,
    HostKey,
    makes_node,
)
from groundcontrol.deployments.node_files import spider_conf
from groundcontrol.deployments.policy_file import PolicyPlan, plan_policy, wish_of
from groundcontrol.deployments.progress import ProgressReporter
from groundcontrol.deployments.requests import proxy_of, target_of
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.deployments.target_policy import HubAddress
from groundcontrol.events.model import Event
from groundcontrol.nodes.checks import MAX_NAME_CHARS, checked_name
from groundcontrol.nodes.interfaces import AgentBundle
from groundcontrol.nodes.model import NewNode, Node
from groundcontrol.nodes.store import NodeStore
from majortom import interfaces
from majortom.deployer import MajorTom
from majortom.errors import failure
from majortom.install import InstallOptions
from majortom.interfaces import DeployError, Payload, Secret, Target
from majortom.probe import Probe
from spider.clock import Clock
from spider.logs import event
from spider.wire.frames import CLOSE_GOING_AWAY, CLOSE_UNKNOWN
from spider.wire.ids import new_random_id
from spider.wire.proof import node_keys

log = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_PAUSE_S: Final = 30.0
"""Longest pause between two attempts to save the end of a deployment."""
HOW_FAR: Final = {
    True: "before this had changed anything on the server: press Retry",
    False: "while this was running: the server undoes the changes by itself within ten minutes, and Retry does so immediately",
}
"""Whether nothing was changed on the server -> the end of the error `hub_stopped`."""
UNITS_UNDER_OPENRC: Final = (
    "the server runs OpenRC: the units in its policy mean nothing there, since only those of systemd can be restarted"
)
SHREDDED: Final = "the stored credentials are destroyed, as requested"
WIPED: Final = "node, samples and stored credentials are deleted"
WIPED_LATER: Final = "node and stored credentials are deleted; the samples are deleted as soon as their database can be written to"
OWN_ERROR: Final = "an error in its own code"
REMOVAL_GOES_ON: Final = "while this was running: press Retry, which continues where it ended"

WaitOnline = Callable[[NodeId, float], Awaitable[None]]
"""Returns once the node has a live session. Raises: TimeoutError after that many seconds."""
CloseSession = Callable[[NodeId, int, str], Awaitable[None]]
"""Ends a node's session with a code and a reason."""


class Deps(NamedTuple):
    """The dependencies of a deployment."""

    store: Stores
    bus: Bus
    vault: CredentialSealer
    clock: Clock
    wait_online: WaitOnline
    close_session: CloseSession
    hub: HubAddress
    major: MajorTom
    spider: AgentBundle
    limits: ServiceLimits
    slots: asyncio.Semaphore
    """Slots of active deployments (`limits.at_once`)."""


class DeploymentRun:
    """Runs one deployment and saves how it ended. Its task raises nothing but a cancellation."""

    def __init__(self, tools: Deps, scope: Scope, progress: ProgressReporter, request: DeploymentRequest, pinned: HostKey | None) -> None:
        self._tools = tools
        self._scope = scope
        """The scope of the user who ordered the deployment."""
        self.progress = progress
        self.request = request
        self.pinned = pinned
        self.stopping = False
        """Whether the hub is shutting down. A cancellation then does not come from a user, and counts as a failure."""
        self._created: NodeId | None = None
        """The node that this installation created. It is deleted if the installation fails."""
        self._node = progress.row.node_id
        self._installed: interfaces.HostKey | None = None
        """The server's host key, once the agent is installed for good: a cancellation no longer undoes it. None: it is not."""
        self._names_no_units = False
        """Whether the server has no systemd, though the request names units for its policy."""
        self._settled = False
        """Whether host key and address of an installed agent are saved."""
        self.ending = False
        """Whether the outcome is known, though perhaps not saved yet."""
        self._ordered_at = tools.clock.now()
        self._left_note = ""
        """The text for the step `wipe` (see `wipe`)."""

    async def run(self) -> None:
        """Run the deployment, and save how it ended."""
        try:
            state = await self._carry_out()
        except asyncio.CancelledError:
            await self._end_cancelled()
            raise
        except DeployError as exc:
            await self._end("failed", DeploymentError(exc.code, exc.message, exc.step, exc.at_jump_host))
        except HubError as exc:
            event(log, "deployment_store_failed", logging.ERROR, deployment=self.progress.row.id, code=exc.code)
            await self._end("failed", hub_failed(self.progress.row, exc.message))
        except Exception:
            event(log, "deployment_crashed", logging.ERROR, exc_info=True, deployment=self.progress.row.id)
            await self._end("failed", hub_failed(self.progress.row, OWN_ERROR))
        else:
            await self._end(state, None)

    async def _carry_out(self) -> DeploymentState:
        """Returns: how it ended. Raises: DeployError, HubError."""
        async with Slot(self._tools.slots) as self.progress.slot:
            await self._check_still_allowed()
            await (self._install() if self.progress.row.kind == "install" else self._remove())
        return "succeeded"

    async def _end_cancelled(self) -> None:
        """Save the end of a cancelled task: a user cancelled the deployment, or the hub is shutting down."""
        if self._installed:
            await self._end("succeeded", None)
        elif self.stopping:
            await self._end("failed", _hub_stopped(self.progress.row))
        else:
            await self._end("cancelled", None)

    async def _target(self) -> Target:
        """The target for Major Tom. Major Tom has queues of its own, and checks the authorization again after each.

        Raises: DeployError: the hub's SSH key was removed meanwhile; VaultError, StoreError.
        """
        request, ask = self.request, self._check_still_allowed
        if request.use_hub_key:
            key = await load_hub_key(self._tools.store[SecretStore], self._tools.vault, self.progress.row.org)
            if key is None:
                raise DeployError("hub_key.missing", MISSING, "connect")
            request = replace(request, private_key=key.private)
        target = target_of(request, self.pinned)
        jump = target.jump and target.jump._replace(ensure_wanted=ask)
        return target._replace(jump=jump, ensure_wanted=ask)

    async def _check_still_allowed(self) -> None:
        """Check the authorization again: the user may have lost the right since the order, while the deployment waited.

        Raises: DeployError: the user is no longer authorized; StoreError.
        """
        if not await self._tools.store[DeploymentStore].may_still_deploy(
            self._scope, self.progress.row, self._ordered_at, self._tools.clock.now()
        ):
            step = _step(self.progress.row)
            untouched = "the server was not contacted" if step == "connect" else "the hub did not log in to the server"
            raise DeployError("deployment.not_allowed", f"{NO_LONGER_ALLOWED}: {untouched}", step)

    def known(self) -> DeploymentRequest:
        """The request, with the jump host's key if a user has confirmed it meanwhile."""
        jump, detail = self.request.jump, self.progress.row.options.jump
        if jump is None or detail is None or detail.host_key is None:
            return self.request
        return replace(self.request, jump=replace(jump, pinned=detail.host_key))

    # -- installation ------------------------------------------------------------------------

    async def _install(self) -> None:
        tools, request = self._tools, self.request
        options = InstallOptions(
            hub_url=tools.hub.node_url,
            tls_pinned=tools.hub.tls_pin is not None,
            fleet=tools.vault.fleet_id,
            install_python=request.install_python,
            name_of=self._name_of,
            proxy=request.proxy or "",
            node=(self._node or "") if request.again else "",
            stopped=self._end_replaced_session,
            finished=self._keep_installed,
        )
        try:
            done = await tools.major.install(await self._target(), options, self.progress, self._payload, self._verify)
            self._installed = host_key = done.host_key
        except DeployError:
            if self._installed is None:
                raise
            host_key = self._installed  # only the connection could not be closed in time
        await self._until_saved(self._settle)
        node, notes = self._node, [UNITS_UNDER_OPENRC] if self._names_no_units else []
        if request.keep_credentials and node is not None:
            try:
                await credentials.save(tools.store[SecretStore], tools.vault, self._scope, node, self.known(), HostKey(*host_key))
            except HubError as exc:
                event(log, "credentials_not_kept", logging.WARNING, node=node, code=exc.code)
                notes.append("the credentials could not be stored: a removal will ask for them")
        if notes:
            await self._until_saved(lambda: self.progress.detail("verify", "; ".join(notes)))

    def _keep_installed(self, host_key: interfaces.HostKey) -> None:
        self._installed = host_key

    async def _settle(self) -> None:
        """Save what an installation for good has changed. Raises: StoreError."""
        assert self._installed is not None
        await self.progress.report_host_key(self._installed)
        if self.request.again and self._node is not None:
            await self._tools.store[NodeStore].move_node(self._scope, self._node, self.request.host)
        self._settled = True

    async def _name_of(self, node: str) -> str | None:
        """The name of a node of this hub; None: it has no such node."""
        found = await self._tools.store[NodeStore].find_node(NodeId(node))
        return None if found is None else found.name

    async def _payload(self, probe: Probe) -> Payload:
        """Create the node. Returns: the files and keys for its server. Raises: DeployError: the name is taken; StoreError."""
        if self.request.again:
            return await self._renew_payload(probe)
        policy = await self._policy(probe, None)
        named = self.request.name or self.request.host
        own = self._own_name(probe) if named == self.request.host else ""
        node_id = NodeId(new_random_id())
        # Saved before the node exists: if the hub is killed after the creation, its next start deletes the node.
        await self.progress.change(lambda row: row._replace(node_id=node_id))
        node = (await self._create_node(node_id, own) if own else None) or await self._create_node(node_id, named)
        if node is None:
            raise failure("name_taken", "probe", name=named)
        await self.progress.change(lambda row: row._replace(name=node.name))
        self._tools.bus.publish(Changed("node", node.id, node.version, node.org))
        return self._files(node, policy)

    async def _policy(self, probe: Probe, node: Node | None) -> PolicyPlan:
        """Decide about the server's policy file, before anything is changed there.

        Args:   node: the existing node that is deployed again.
        Raises: DeployError: it says something else than the request, and nobody has seen the difference; StoreError.
        """
        there, request = probe.existing, self.request
        self._names_no_units = bool(probe.openrc and request.lines.units)
        plan = plan_policy(
            there.policy_text,
            there.has_policy,
            mode=request.policy,
            wish=wish_of(request),
            last=node and node.policy,
            seen=request.policy_seen,
        )
        found = plan.found
        if found is None:
            return plan
        if node is None:
            found = found._replace(outcome="kept")  # a new node takes the server as its owner wants it
        written = AuditEntry(self._scope.actor, "deployment.policy", self.progress.row.id, "done", {"difference": found.digest})
        await self.progress.change(
            lambda row: row._replace(options=row.options._replace(found=found)), written if found.outcome == "written" else None
        )
        if found.outcome == "differs":
            raise failure("policy_differs" if found.digest else "policy_unreadable", "probe", host=request.host)
        return plan

    def _own_name(self, probe: Probe) -> str:
        """The server's host name, used if the user gave no name; empty: it cannot be the name of a node."""
        name = clean(probe.hostname, MAX_NAME_CHARS)
        try:
            return "" if name.startswith("localhost") else checked_name(name)
        except BadRequest:
            return ""

    async def _create_node(self, node: NodeId, name: str) -> Node | None:
        """The new node; None: another node has this name."""
        new = NewNode(node, name, self.request.host, self.request.tags)
        self._created = self._node = node
        try:
            return await self._tools.store[NodeStore].create_node(self._scope, new)
        except Conflict:
            self._created = self._node = None
            return None

    async def _renew_payload(self, probe: Probe) -> Payload:
        """The files of the existing node. The node keeps its keys. So the previous agent works again after a failure."""
        node = None if self._node is None else await self._tools.store[NodeStore].find_node(self._node)
        if node is None:
            raise failure("hub_failed", "probe", why="the node was removed meanwhile")
        return self._files(node, await self._policy(probe, node), probe.existing.proxy)

    def _files(self, node: Node, policy: PolicyPlan, before: str = "") -> Payload:
        """The files and keys for the server. Args: before: the proxy that the server's agent uses so far."""
        tools, before = self._tools, proxy_of(before)
        keys = node_keys(tools.vault.fleet_key, node.id, node.generation)
        return Payload(
            version=tools.spider.version,
            bundle=tools.spider.bundle,
            spider_conf=spider_conf(node, tools.hub.node_url, tools.vault.fleet_id, tools.hub.tls_pin, self.request.proxy or before),
            policy_conf=policy.text,
            replaced_policy=policy.replaced,
            session_key=Secret(keys.session.hex()),
            launch_key=Secret(keys.launch.hex()),
            install_python=self.request.install_python,
        )

    async def _verify(self, timeout_s: float) -> None:
        assert self._node is not None
        await self._tools.wait_online(self._node, timeout_s)

    async def _end_replaced_session(self) -> None:
        """Close the session of the replaced agent, which is stopped: its connection may still look open."""
        if self._node is not None:
            await self._tools.close_session(self._node, CLOSE_GOING_AWAY, "the node is deployed again")

    # -- removal -----------------------------------------------------------------------------

    async def _remove(self) -> None:
        host_key = await self._tools.major.remove(await self._target(), self.progress)
        await self.progress.report_host_key(host_key)
        await wipe(self._tools, self._scope, self.progress)

    async def _is_forgotten(self) -> bool:
        """Whether a removal has already deleted the node in its last step. If so, a later error does not fail the removal."""
        row = self.progress.row
        wiping = row.kind == "remove" and any(step.name == "wipe" and step.state == "running" for step in row.steps)
        return wiping and row.node_id is not None and await self._tools.store[NodeStore].find_node(row.node_id) is None

    # -- the end -----------------------------------------------------------------------------

    async def _end(self, state: DeploymentState, error: DeploymentError | None) -> None:
        """Save the end, and delete the node that a failed or cancelled installation created."""
        progress, at = self.progress, self._tools.clock.now()
        node = self._created if state != "succeeded" else None

        def close(row: Deployment) -> Deployment:
            row = row._replace(node_id=None) if state != "succeeded" and makes_node(row) else row
            return transitions.ended(row, state, at, error)

        async def save() -> None:
            nonlocal node, state, error
            if node is not None:
                await forget_node(self._tools, self._scope, node, "the installation failed")
                node = None
            if state != "succeeded" and await self._is_forgotten():
                await wipe(self._tools, self._scope, progress, self._left_note)
                state, error = "succeeded", None
            if state == "succeeded" and self._installed is not None and not self._settled:
                with contextlib.suppress(NotFound):  # the node was deleted meanwhile
                    await self._settle()  # a cancellation came before it
            if state == "succeeded":
                await shred_unwanted(self._tools, self._scope, progress)
            await progress.change(close)

        self.ending = True
        try:
            await self._until_saved(save)
        except HubError as exc:
            # The next start of the hub closes this deployment.
            event(log, "deployment_end_not_saved", logging.ERROR, deployment=progress.row.id, code=exc.code)
        except Exception:  # the boundary: a bug in one end must not affect the others, nor end the hub
            event(log, "deployment_end_not_saved", logging.ERROR, exc_info=True, deployment=progress.row.id)

    async def _until_saved(self, save: Callable[[], Awaitable[T]]) -> T:
        """Retry while the database fails, such as on a full disk, since the server is already changed.

        Raises: HubError: the error is not from the database.
        """
        pause_s = 0.2
        while True:
            try:
                return await save()
            except StoreError as exc:
                event(log, "deployment_not_saved", logging.ERROR, deployment=self.progress.row.id, code=exc.code)
            await self._tools.clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def hub_failed(row: Deployment, why: str) -> DeploymentError:
    """The error of a deployment that failed in the hub, not on the server."""
    exc = failure("hub_failed", _step(row), why=why)
    return DeploymentError(exc.code, exc.message, exc.step)


def _step(row: Deployment) -> interfaces.StepName:
    begun = [step.name for step in row.steps if step.state != "waiting"]
    return begun[-1] if begun else "connect"  # type: ignore[return-value]  # rows hold the names of StepName


def _verified(row: Deployment) -> bool:
    """Whether the installation is final. The hub saves this before it notifies the server, which rolls back without the notice."""
    return any(step.name == "verify" and step.state == "done" for step in row.steps)


def _hub_stopped(row: Deployment) -> DeploymentError:
    untouched = transitions.nothing_changed(row)
    how_far = REMOVAL_GOES_ON if row.kind == "remove" and not untouched else HOW_FAR[untouched]
    exc = failure("hub_stopped", _step(row), how_far=how_far)
    return DeploymentError(exc.code, exc.message, exc.step)


async def shred_unwanted(tools: Deps, scope: Scope, progress: ProgressReporter) -> None:
    """Delete the stored credentials of a node that was redeployed with `keep_credentials` off.

    Raises: StoreError.
    """
    row = progress.row
    if row.kind != "install" or row.options.keep_credentials or row.node_id is None:
        return
    if await tools.store[SecretStore].credentials(row.node_id):
        await tools.store[SecretStore].shred_credentials(scope, row.node_id)
        note = next(step.detail for step in row.steps if step.name == "verify")
        await progress.detail("verify", f"{note + '; ' if note else ''}{SHREDDED}")


async def wipe(tools: Deps, scope: Scope, progress: ProgressReporter, note: str = "") -> None:
    """Delete the node: row, credentials, session, samples.

    Args:   note: the detail text of the step; empty: a list of the deleted records.
    Raises: StoreError.
    """
    node = progress.row.node_id
    assert node is not None
    await progress.started("wipe")
    if await forget_node(tools, scope, node, "the node was removed"):
        detail = note or WIPED
    else:
        detail = f"{note}; {WIPED_LATER}" if note else WIPED_LATER
    await progress.done("wipe", detail)


async def forget_node(tools: Deps, scope: Scope, node: NodeId, reason: str, own_event: Event | None = None) -> bool:
    """Delete a node, leave its tombstone and end its session. This works even if the node left the user's scope meanwhile.

    Args:    own_event: stored instead of `node_removed`.
    Returns: whether its samples are deleted too. If not, housekeeping deletes them later.
    Raises:  StoreError: the node is still there.
    """
    deleting = asyncio.ensure_future(tools.store[NodeStore].delete_node(scope._replace(grants=()), node, own_event))
    try:
        with contextlib.suppress(NotFound):
            await asyncio.shield(deleting)
    except asyncio.CancelledError:
        # The deletion completes anyway, and the cancelled task checks for it.
        with contextlib.suppress(HubError):  # a store error occurs there again
            await deleting
        raise
    closing = tools.close_session(node, CLOSE_UNKNOWN, reason)
    tools.bus.publish(Changed("node", node, 0, scope.org))
    await closing
    try:
        await tools.store[NodeStore].sweep()
    except StoreError as exc:
        event(log, "samples_not_dropped", logging.ERROR, node=node, code=exc.code)
        return False
    return True


async def close_unfinished(tools: Deps, left: Sequence[Deployment]) -> None:
    """Close the deployments that a killed hub left open. Called at the start.

    Raises: StoreError.
    """
    for row in left:
        try:
            await _close_one(tools, row)
        except StoreError:
            raise
        except Exception:  # the boundary: one deployment must not affect the others, nor the start of the hub
            event(log, "deployment_not_closed", logging.ERROR, exc_info=True, deployment=row.id)


async def _close_one(tools: Deps, row: Deployment) -> None:
    scope = hub_scope(row.org)
    node = await tools.store[NodeStore].find_node(row.node_id) if row.node_id else None
    progress = ProgressReporter(tools.store, tools.bus, tools.clock, scope, row)
    finished = (node is not None and _verified(row)) if row.kind == "install" else (row.node_id is not None and node is None)
    at = tools.clock.now()
    if finished:
        # The saved row shows that the new agent had connected, or that the removal had reached its last step.
        if row.kind == "install" and row.options.again and node is not None:
            await tools.store[NodeStore].move_node(scope, node.id, row.host)
        await shred_unwanted(tools, scope, progress)
        await progress.change(lambda row: transitions.ended(row, "succeeded", at))
        return
    if node is not None and makes_node(row):
        await forget_node(tools, scope, node.id, "the installation failed")
    error = _hub_stopped(row)

    def close(row: Deployment) -> Deployment:
        row = row._replace(node_id=None) if makes_node(row) else row
        return transitions.ended(row, "failed", at, error)

    await progress.change(close)
