"""`/api/v1/deployments/preview`, `many` and `host-keys`: many servers by one list, one request and one confirmation."""

from __future__ import annotations

from typing import Final

import msgspec

from groundcontrol.core.errors import BadRequest, TooLarge
from groundcontrol.core.ids import DeploymentId
from groundcontrol.core.permissions import check_new_tags
from groundcontrol.deployments.api import check_key_size, jump_of
from groundcontrol.deployments.hostlists.base import MAX_TEXT_CHARS
from groundcontrol.deployments.model import Confirmation, DeploymentRequest, JumpRequest
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.deployments.views import (
    ConfirmedView,
    DeploymentsView,
    HostKeysBody,
    ManyDeploymentsBody,
    PlaceBody,
    ServerBody,
    ServerListBody,
    ServerListView,
    UnconfirmedView,
    deployment_view,
    server_list_view,
)
from groundcontrol.web.request import ApiRequest
from spider.wire.ids import is_id

OF_ALL: Final = (
    "private_key", "passphrase", "password", "sudo_password", "certificate", "keep_credentials", "install_python", "policy", "proxy",
)  # fmt: skip
OF_A_JUMP: Final = ("username", "private_key", "passphrase", "password", "certificate", "host_key")


async def preview_list(call: ApiRequest, body: ServerListBody) -> ServerListView:
    """Say how a list of servers is understood, and what of it cannot be taken. Nothing is kept, resolved or contacted."""
    if len(body.text) > MAX_TEXT_CHARS:
        raise TooLarge(f"the list is longer than {MAX_TEXT_CHARS} characters: add the servers in several parts", limit_bytes=MAX_TEXT_CHARS)
    return server_list_view(await call.services[DeploymentService].preview(call.scope, body.text, body.format))


async def create_deployments(call: ApiRequest, body: ManyDeploymentsBody) -> DeploymentsView:
    """Put Spider on many servers, each by a deployment of its own; where one cannot be taken none is begun, and `facts.servers` says which."""
    check_key_size(body.private_key)
    common = jump_of(body.jump)
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
        **{name: getattr(body, name) for name in OF_ALL},
    )


def _jump(own: PlaceBody | msgspec.UnsetType | None, common: JumpRequest | None) -> JumpRequest | None:
    """The jump host of one server. The common jump host's credentials are only used if the server names the same one."""
    if own is msgspec.UNSET:
        return common
    if own is None:
        return None
    fields = msgspec.structs.asdict(own)
    if common is not None and (common.host.casefold(), common.port) == (own.host.casefold(), own.port):
        fields |= {name: getattr(common, name) for name in OF_A_JUMP if fields.get(name) is None}
    return JumpRequest(**fields)


async def confirm_host_keys(call: ApiRequest, body: HostKeysBody) -> ConfirmedView:
    """Say of many servers that the host keys shown are their own; `refused` names those that were not confirmed, and why."""
    for one in body.host_keys:
        if not is_id(one.deployment):
            raise BadRequest("host_keys names deployments by their ids", field="host_keys")
    wanted = [Confirmation(DeploymentId(one.deployment), one.fingerprint) for one in body.host_keys]
    done, refused = await call.services[DeploymentService].confirm_host_keys(call.scope, wanted)
    return ConfirmedView(
        deployments=[deployment_view(row) for row in done],
        refused=[UnconfirmedView(*one) for one in refused],
    )
