"""`/api/v1/deployments` and `DELETE nodes/{id}`: putting Spider on a server and taking it off."""

from __future__ import annotations

from typing import Final

import msgspec

from groundcontrol.core.errors import BadRequest, TooLarge
from groundcontrol.core.permissions import check_new_tags
from groundcontrol.deployments.agent_updates import UpdateService
from groundcontrol.deployments.model import Deployment, DeploymentOverrides, DeploymentRequest, JumpRequest
from groundcontrol.deployments.requests import redirects
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.deployments.views import (
    DeploymentBody,
    DeploymentsView,
    DeploymentView,
    HostKeyBody,
    JumpBody,
    RetryBody,
    deployment_view,
)
from groundcontrol.nodes.store import NodeStore
from groundcontrol.web.request import ApiRequest

MAX_KEY_BYTES: Final = 16 << 10


async def create_deployment(call: ApiRequest, body: DeploymentBody) -> DeploymentView:
    """Put Spider on a server."""
    check_key_size(body.private_key)
    check_new_tags(call.scope, body.tags or ())
    fields = msgspec.structs.asdict(body)
    request = DeploymentRequest(**{**fields, "tags": tuple(body.tags or ()), "jump": jump_of(body.jump)})
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
    """Say that the host key shown is the server's own."""
    await _control(call)
    return deployment_view(await call.services[DeploymentService].confirm_host_key(call.scope, call.deployment_id, body.fingerprint))


async def cancel_deployment(call: ApiRequest) -> DeploymentView:
    """Stop, and undo what was done."""
    row = await _control(call)
    if row.kind == "update":
        return deployment_view(await call.services[UpdateService].cancel(call.scope, call.deployment_id))
    return deployment_view(await call.services[DeploymentService].cancel(call.scope, call.deployment_id))


async def retry_deployment(call: ApiRequest, body: RetryBody | None) -> DeploymentView:
    """Try a failed one again, with the fields that are given anew; to go to another server than before, or to remove, wants the password anew."""
    row = await _control(call)
    if body is not None and body.tags is not None:
        check_new_tags(call.scope, body.tags)
    overrides = _overrides(body)
    if row.kind == "remove":
        call.authorize("node.delete", row)
    if row.kind == "remove" or row.wishes.again or (overrides is not None and redirects(row, overrides)):
        call.services.auth.require_step_up(call.caller)
    return deployment_view(await call.services[DeploymentService].retry(call.scope, call.deployment_id, overrides))


async def remove_node(call: ApiRequest, body: RetryBody | None) -> DeploymentView:
    """Take Spider off a server and forget the node; `?force=true` forgets one that is gone."""
    force = call.query("force").get("force", "false")
    if force not in ("true", "false"):
        raise BadRequest("the parameter force is true or false")
    services = call.services
    call.authorize("node.delete", await services[NodeStore].node(call.scope, call.node_id))
    return deployment_view(await services[DeploymentService].remove(call.scope, call.node_id, _overrides(body), force == "true"))


async def redeploy_node(call: ApiRequest, body: RetryBody | None) -> DeploymentView:
    """Put Spider on a node's server anew, in the place of whatever Spider is there; id, history and settings stay."""
    call.query()
    call.authorize("node.update", await call.services[NodeStore].node(call.scope, call.node_id))
    return deployment_view(await call.services[DeploymentService].redeploy(call.scope, call.node_id, _overrides(body)))


async def _control(call: ApiRequest) -> Deployment:
    row = await call.services[DeploymentStore].deployment(call.scope, call.deployment_id)
    call.authorize("deployment.control", row)
    return row


def _overrides(body: RetryBody | None) -> DeploymentOverrides | None:
    if body is None:
        return None
    check_key_size(body.private_key)
    fields = msgspec.structs.asdict(body)
    jump = None if body.jump is msgspec.UNSET else jump_of(body.jump)
    tags = None if body.tags is None else tuple(body.tags)
    return DeploymentOverrides(**{**fields, "tags": tags, "jump": jump, "direct": body.jump is None})


def jump_of(body: JumpBody | None) -> JumpRequest | None:
    """The requested jump host.

    Raises: TooLarge.
    """
    if body is None:
        return None
    check_key_size(body.private_key)
    return JumpRequest(**msgspec.structs.asdict(body))


def check_key_size(key: str | None) -> None:
    """Refuse a text that is too large for a key.

    Raises: TooLarge.
    """
    if key is not None and len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise TooLarge(f"the private key is larger than {MAX_KEY_BYTES} bytes; paste the key alone", limit_bytes=MAX_KEY_BYTES)
