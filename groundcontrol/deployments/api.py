"""`/api/v1/deployments`, removals, host lists, agent updates, new keys of a node and the hub's own SSH key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from groundcontrol.core.errors import BadRequest, HubError, TooLarge
from groundcontrol.core.ids import DeploymentId, NodeId
from groundcontrol.core.permissions import check_new_tags
from groundcontrol.deployments.agent_updates import UpdateService
from groundcontrol.deployments.hostlists.base import MAX_TEXT_CHARS
from groundcontrol.deployments.hub_key import HubKey, HubKeyService
from groundcontrol.deployments.model import Confirmation, Deployment, DeploymentOverrides, DeploymentRequest, JumpRequest, PolicyLines
from groundcontrol.deployments.requests import redirects
from groundcontrol.deployments.service import MAX_MANY, DeploymentService
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.deployments.views import (
    AgentUpdatesBody,
    ConfirmedView,
    DeploymentBody,
    DeploymentsView,
    DeploymentView,
    HostKeyBody,
    HostKeysBody,
    HubKeyBody,
    HubKeyStateView,
    HubKeyView,
    JumpBody,
    JumpLoginBody,
    ListedJumpBody,
    ManyDeploymentsBody,
    NotBegunView,
    NotRetriedView,
    RedeployedView,
    RedeployManyBody,
    RetriedView,
    RetryBody,
    RetryManyBody,
    ServerBody,
    ServerListBody,
    ServerListView,
    UnconfirmedView,
    deployment_view,
    server_list_view,
)
from groundcontrol.jobs.model import JobRequest
from groundcontrol.jobs.service import JobService
from groundcontrol.jobs.views import JobView, job_view
from groundcontrol.nodes.store import NodeStore
from groundcontrol.web.answer import view_of
from groundcontrol.web.request import ApiRequest
from spider.wire.ids import is_id
from spider.wire.verbs import REKEY

MAX_KEY_BYTES: Final = 16 << 10
LINES: Final = ("units", "containers", "journal", "events")
"""Fields of the policy file beside its mode."""


async def create_deployment(call: ApiRequest, body: DeploymentBody) -> DeploymentView:
    """Install Spider on a server."""
    check_key_size(body.private_key)
    check_new_tags(call.scope, body.tags or ())
    fields = msgspec.structs.asdict(body)
    lines = _taken_lines(fields)
    request = DeploymentRequest(**{**fields, "tags": tuple(body.tags or ()), "jump": _jump_of(body.jump), "lines": lines})
    return deployment_view(await call.services[DeploymentService].install(call.scope, request, call.idempotency_key()))


async def list_deployments(call: ApiRequest) -> DeploymentsView:
    """A page of deployments, newest first."""
    limit, cursor = call.page("batch")
    page = await call.services[DeploymentStore].deployments(call.scope, limit, cursor, call.query("limit", "cursor", "batch").get("batch"))
    return DeploymentsView(deployments=[deployment_view(one) for one in page.items], next=page.next)


async def get_deployment(call: ApiRequest) -> DeploymentView:
    """One deployment with its steps."""
    call.query()
    return deployment_view(await call.services[DeploymentStore].deployment(call.scope, call.deployment_id))


async def confirm_host_key(call: ApiRequest, body: HostKeyBody) -> DeploymentView:
    """Confirm the host key that the server has presented."""
    await _controlled(call, call.deployment_id)
    return deployment_view(await call.services[DeploymentService].confirm_host_key(call.scope, call.deployment_id, body.fingerprint))


async def cancel_deployment(call: ApiRequest) -> DeploymentView:
    """Stop a deployment, and undo its changes."""
    row = await _controlled(call, call.deployment_id)
    if row.kind == "update":
        return deployment_view(await call.services[UpdateService].cancel(call.scope, call.deployment_id))
    return deployment_view(await call.services[DeploymentService].cancel(call.scope, call.deployment_id))


async def retry_deployment(call: ApiRequest, body: RetryBody | None) -> DeploymentView:
    """Retry a failed or cancelled deployment, with changed fields. A removal, a redeployment or another server needs a recent password."""
    row = await _retryable(call, call.deployment_id)
    if body is not None and body.tags is not None:
        check_new_tags(call.scope, body.tags)
    overrides = _overrides(body)
    _ask_password(call, [row], overrides)
    return deployment_view(await call.services[DeploymentService].retry(call.scope, call.deployment_id, overrides))


async def retry_deployments(call: ApiRequest, body: RetryManyBody) -> RetriedView:
    """Retry many failed or cancelled deployments with the same log-in, or with those that the hub still has. Some need a recent password."""
    check_key_size(body.private_key)
    fields = msgspec.structs.asdict(body)
    wanted = [DeploymentId(one) for one in fields.pop("deployments")]
    if not 1 <= len(set(wanted)) == len(wanted) <= MAX_MANY:
        raise BadRequest(f"deployments must name 1 to {MAX_MANY} deployments, each once", field="deployments")
    fields["jumps"] = tuple(_jump_request(one) for one in body.jumps or ())
    overrides = DeploymentOverrides(**fields)
    rows: list[Deployment] = []
    refused: list[tuple[DeploymentId, HubError]] = []
    for one in wanted:
        try:
            rows.append(await _retryable(call, one))
        except HubError as exc:
            refused.append((one, exc))
    _ask_password(call, rows, overrides)
    retried, failed = await call.services[DeploymentService].retry_many(call.scope, [row.id for row in rows], overrides)
    return RetriedView(
        deployments=[deployment_view(row) for row in retried],
        refused=[NotRetriedView(one, exc.code, exc.message) for one, exc in (*refused, *failed)],
    )


async def _retryable(call: ApiRequest, deployment: DeploymentId) -> Deployment:
    """A deployment that the caller may retry. Raises: NotFound, Forbidden, StoreError."""
    row = await _controlled(call, deployment)
    if row.kind == "remove":
        call.authorize("node.delete", row)
    return row


def _ask_password(call: ApiRequest, rows: Sequence[Deployment], overrides: DeploymentOverrides | None) -> None:
    """Raises: StepUpRequired: one of the retries needs a newer proof of the password."""
    removal = any(row.kind == "remove" for row in rows)
    if removal or any(row.options.again or (overrides is not None and redirects(row, overrides)) for row in rows):
        call.services.auth.require_step_up(call.caller, strict=removal or _changes_policy(overrides))


async def remove_node(call: ApiRequest, body: RetryBody | None) -> DeploymentView:
    """Remove Spider from a server, and delete the node; `?force=true` deletes the node without contact."""
    force = call.query("force").get("force", "false")
    if force not in ("true", "false"):
        raise BadRequest("the parameter force is true or false")
    services = call.services
    call.authorize("node.delete", await services[NodeStore].node(call.scope, call.node_id))
    return deployment_view(await services[DeploymentService].remove(call.scope, call.node_id, _overrides(body), force == "true"))


async def redeploy_node(call: ApiRequest, body: RetryBody | None) -> DeploymentView:
    """Install Spider on a node's server again, in place of the Spider there. Id, history and settings stay."""
    call.query()
    call.authorize("node.update", await call.services[NodeStore].node(call.scope, call.node_id))
    overrides = _overrides(body)
    call.services.auth.require_step_up(call.caller, strict=_changes_policy(overrides))
    return deployment_view(await call.services[DeploymentService].redeploy(call.scope, call.node_id, overrides))


async def redeploy_nodes(call: ApiRequest, body: RedeployManyBody) -> RedeployedView:
    """Install Spider again on the servers of many nodes, with the same fields. Each node has its own deployment.

    Nodes whose policy file says something else than the request end with `policy_differs` and `policy_found`, unchanged.
    """
    check_key_size(body.private_key)
    fields = msgspec.structs.asdict(body)
    nodes, seen = [NodeId(node) for node in fields.pop("nodes")], fields.pop("policy_seen") or {}
    lines = _taken_lines(fields)
    overrides = DeploymentOverrides(**fields, lines=None if lines == PolicyLines() else lines)
    call.services.auth.require_step_up(call.caller, strict=_changes_policy(overrides))
    made, refused = await call.services[DeploymentService].redeploy_many(call.scope, nodes, overrides, seen)
    return RedeployedView(
        deployments=[deployment_view(row) for row in made],
        refused=[NotBegunView(node, exc.code, exc.message) for node, exc in refused],
    )


def _changes_policy(overrides: DeploymentOverrides | None) -> bool:
    """Whether a request changes the policy file of a server, which needs a newer proof of the password."""
    return overrides is not None and (overrides.policy is not None or overrides.lines is not None)


def _taken_lines(fields: dict[str, Any]) -> PolicyLines:
    """Take the lines of the policy file, but its mode, out of the fields of a body."""
    taken = {name: fields.pop(name) for name in LINES}
    lines: PolicyLines = msgspec.convert((None, *taken.values()), PolicyLines)
    return lines


async def _controlled(call: ApiRequest, deployment: DeploymentId) -> Deployment:
    row = await call.services[DeploymentStore].deployment(call.scope, deployment)
    call.authorize("deployment.control", row)
    return row


def _overrides(body: RetryBody | None) -> DeploymentOverrides | None:
    if body is None:
        return None
    check_key_size(body.private_key)
    fields = msgspec.structs.asdict(body)
    jump = None if body.jump is msgspec.UNSET else _jump_of(body.jump)
    tags = None if body.tags is None else tuple(body.tags)
    lines = _taken_lines(fields)
    named = None if lines == PolicyLines() else lines
    return DeploymentOverrides(**{**fields, "tags": tags, "jump": jump, "lines": named, "direct": body.jump is None})


def _jump_of(body: JumpBody | None) -> JumpRequest | None:
    return None if body is None else _jump_request(body)


def _jump_request(body: JumpLoginBody) -> JumpRequest:
    """The requested jump host. Raises: TooLarge."""
    check_key_size(body.private_key)
    return JumpRequest(**msgspec.structs.asdict(body))


def check_key_size(key: str | None) -> None:
    """Refuse a text that is too large for a key. Raises: TooLarge."""
    if key is not None and len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise TooLarge(f"the private key is larger than {MAX_KEY_BYTES} bytes; paste the key alone", limit_bytes=MAX_KEY_BYTES)


async def get_hub_key(call: ApiRequest) -> HubKeyStateView:
    """The public half of the hub's own SSH key, for `authorized_keys` on servers."""
    call.query()
    return _hub_key_view(await call.services[HubKeyService].get(call.scope))


async def create_hub_key(call: ApiRequest, body: HubKeyBody | None) -> HubKeyStateView:
    """Make the hub's own SSH key; `replace`: in place of the present one."""
    replace = body is not None and body.replace
    return _hub_key_view(await call.services[HubKeyService].create(call.scope, replace=replace))


async def remove_hub_key(call: ApiRequest) -> None:
    """Delete the hub's own SSH key."""
    call.query()
    await call.services[HubKeyService].remove(call.scope)


def _hub_key_view(key: HubKey | None) -> HubKeyStateView:
    return HubKeyStateView(key=None if key is None else view_of(HubKeyView, key))


OF_ALL: Final = (
    "private_key", "passphrase", "password", "sudo_password", "use_hub_key", "certificate", "keep_credentials", "install_python", "policy", "proxy",
)  # fmt: skip
OF_A_JUMP: Final = ("username", "private_key", "passphrase", "password", "certificate", "host_key")


async def preview_list(call: ApiRequest, body: ServerListBody) -> ServerListView:
    """Parse a list of servers, and name its problems. Nothing is stored, resolved or contacted."""
    if len(body.text) > MAX_TEXT_CHARS:
        raise TooLarge(f"the list is longer than {MAX_TEXT_CHARS} characters: add the servers in several parts", limit_bytes=MAX_TEXT_CHARS)
    return server_list_view(await call.services[DeploymentService].preview(call.scope, body.text, body.format))


async def create_deployments(call: ApiRequest, body: ManyDeploymentsBody) -> DeploymentsView:
    """Install Spider on many servers, each with its own deployment. If one is refused, none begins, and `facts.servers` lists the reasons."""
    check_key_size(body.private_key)
    common = _jump_of(body.jump)
    requests = [_request(body, one, common) for one in body.servers]
    for request in requests:
        check_new_tags(call.scope, request.tags)
    made = await call.services[DeploymentService].install_many(call.scope, requests, call.idempotency_key())
    return DeploymentsView(deployments=[deployment_view(row) for row in made], next=None)


def _request(body: ManyDeploymentsBody, one: ServerBody, common: JumpRequest | None) -> DeploymentRequest:
    return DeploymentRequest(
        host=one.host,
        port=one.port,
        username=(body.username or "") if one.username is None else one.username,
        name=one.name,
        tags=tuple(dict.fromkeys([*(body.tags or ()), *(one.tags or ())])),
        host_key=one.host_key,
        jump=_jump(one.jump, common),
        lines=_taken_lines({name: getattr(body, name) for name in LINES}),
        **{name: getattr(body, name) for name in OF_ALL},
    )


def _jump(own: ListedJumpBody | msgspec.UnsetType | None, common: JumpRequest | None) -> JumpRequest | None:
    """The jump host of one server. It gets the credentials of the common jump host if it is the same one."""
    if own is msgspec.UNSET:
        return common
    if own is None:
        return None
    fields = msgspec.structs.asdict(own)
    if common is not None and (common.host.casefold(), common.port) == (own.host.casefold(), own.port):
        fields |= {name: getattr(common, name) for name in OF_A_JUMP if fields.get(name) is None}
    return JumpRequest(**fields)


async def confirm_host_keys(call: ApiRequest, body: HostKeysBody) -> ConfirmedView:
    """Confirm the host keys of many servers. `refused` lists the keys that were not confirmed, with the reason."""
    for one in body.host_keys:
        if not is_id(one.deployment):
            raise BadRequest("host_keys must name deployments by their ids", field="host_keys")
    wanted = [Confirmation(DeploymentId(one.deployment), one.fingerprint) for one in body.host_keys]
    done, refused = await call.services[DeploymentService].confirm_host_keys(call.scope, wanted)
    return ConfirmedView(
        deployments=[deployment_view(row) for row in done],
        refused=[UnconfirmedView(*one) for one in refused],
    )


async def create_updates(call: ApiRequest, body: AgentUpdatesBody) -> DeploymentsView:
    """Update nodes to the Spider that this hub ships: `canaries` first, then the others, and no more after a failure."""
    found = await call.services[UpdateService].begin(
        call.scope, [NodeId(node) for node in body.nodes], min(body.canaries, len(body.nodes)), body.at_once
    )
    return DeploymentsView(deployments=[deployment_view(row) for row in found], next=None)


async def rekey_node(call: ApiRequest) -> JobView:
    """Give a node the next generation of its keys. The former keys are invalid once the node reconnects with the new ones."""
    services = call.services
    call.authorize("node.rekey", await services[NodeStore].node(call.scope, call.node_id))
    return job_view(await services[JobService].submit_selfcare(call.scope, call.node_id, JobRequest(REKEY), call.idempotency_key()))
