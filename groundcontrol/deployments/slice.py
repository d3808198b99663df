"""Declares the routes and topics of deployments, host lists, invites and agent updates."""

from __future__ import annotations

from typing import Final

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.agents.handshake import JoinHandler
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import FarewellHandler
from groundcontrol.config import Config
from groundcontrol.core.secrets import SecretStore
from groundcontrol.deployments import api as deployments_api
from groundcontrol.deployments import invites_api
from groundcontrol.deployments.agent_updates import UpdateService
from groundcontrol.deployments.feed import DeploymentFeed, find_deployment
from groundcontrol.deployments.hub_key import HubKeyService
from groundcontrol.deployments.joining import Joining
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.deployments.session_removal import RemovalDeps
from groundcontrol.deployments.store import DeploymentStore
from groundcontrol.jobs.requests import check_policy
from groundcontrol.jobs.service import JobService
from groundcontrol.nodes.interfaces import AgentBundle
from groundcontrol.vault import Vault
from groundcontrol.web.declare import KEEP_S, Expiry, LiveTopic, Slice
from groundcontrol.web.routes import CURSOR, FORCE, LIMIT, Parameter, Route
from groundcontrol.web.services import Services, provide

ROUTES: Final = (
    Route(
        "DELETE", "/nodes/{id}", "node.delete", deployments_api.remove_node,
        status=202, step_up=True, strict=True, query=(FORCE,),
    ),
    Route("POST", "/nodes/{id}/approve", "node.approve", invites_api.approve_node),
    Route("POST", "/nodes/{id}/reject", "node.approve", invites_api.reject_node, status=204, step_up=True, strict=True),
    Route("POST", "/invites", "invite.create", invites_api.create_invite, status=201, step_up=True),
    Route("GET", "/invites", "invite.read", invites_api.list_invites, query=(LIMIT, CURSOR), cost="page"),
    Route("GET", "/invites/{id}", "invite.read", invites_api.get_invite),
    Route("DELETE", "/invites/{id}", "invite.revoke", invites_api.revoke_invite, status=204),
    Route("POST", "/deployments", "deployment.create", deployments_api.create_deployment, status=202, keyed=True),
    Route("POST", "/deployments/preview", "deployment.create", deployments_api.preview_list, cost="many"),
    Route("POST", "/deployments/many", "deployment.create", deployments_api.create_deployments, status=202, keyed=True, cost="many"),
    Route("POST", "/deployments/host-keys", "deployment.control", deployments_api.confirm_host_keys, cost="many"),
    Route(
        "GET", "/deployments", "deployment.read", deployments_api.list_deployments, cost="page",
        query=(LIMIT, CURSOR, Parameter("batch", "only deployments of this request for many servers")),
    ),
    Route("GET", "/deployments/{id}", "deployment.read", deployments_api.get_deployment),
    Route("POST", "/deployments/{id}/host-key", "deployment.control", deployments_api.confirm_host_key),
    Route("POST", "/deployments/{id}/cancel", "deployment.control", deployments_api.cancel_deployment),
    Route("POST", "/deployments/{id}/retry", "deployment.control", deployments_api.retry_deployment, status=202),
    Route("POST", "/deployments/retry", "deployment.control", deployments_api.retry_deployments, status=202, cost="many"),
    Route("GET", "/hub-key", "hub_key.use", deployments_api.get_hub_key, whose="organisation"),
    Route("POST", "/hub-key", "hub_key.manage", deployments_api.create_hub_key, status=201, step_up=True, strict=True, whose="organisation"),
    Route("DELETE", "/hub-key", "hub_key.manage", deployments_api.remove_hub_key, status=204, step_up=True, strict=True, whose="organisation"),
    Route("POST", "/agent-updates", "node.update", deployments_api.create_updates, status=202, step_up=True, cost="many"),
    Route("POST", "/nodes/{id}/redeploy", "node.update", deployments_api.redeploy_node, status=202, step_up=True),
    Route("POST", "/deployments/again", "node.update", deployments_api.redeploy_nodes, status=202, step_up=True, cost="many"),
    Route("POST", "/nodes/{id}/rekey", "node.rekey", deployments_api.rekey_node, status=202, step_up=True, strict=True, keyed=True),
)  # fmt: skip


def _deployments(services: Services) -> DeploymentService:
    registry = services[Registry]
    return DeploymentService(
        config=services[Config], store=services, bus=services.bus, vault=services[Vault], clock=services.clock, bundle=services[AgentBundle].bundle,
        wait_online=registry.wait_online, close=registry.close, removal=RemovalDeps(services[JobService].new_selfcare, check_policy, registry.online),
    )  # fmt: skip


def _updates(services: Services) -> UpdateService:
    new_order, wait_online = services[JobService].new_selfcare, services[Registry].wait_online
    return UpdateService(services, services.bus, services.clock, services[AgentBundle].bundle, new_order, wait_online)


def _joining(services: Services) -> Joining:
    config, vault, registry = services[Config], services[Vault], services[Registry]
    return Joining(
        store=services, bus=services.bus, clock=services.clock, refusals=services.refusals, fleet_id=vault.fleet_id, fleet_key=vault.fleet_key,
        hub=config, hosts=config.agent_hosts, spider=services[AgentBundle], address_key_of=rate_limit_key, wait_online=registry.wait_online, close=registry.close,
    )  # fmt: skip


SLICE: Final = Slice(
    "deployments",
    ROUTES,
    topics=(LiveTopic("deployment", "deployment.read", "small", "deployment", find=find_deployment, feed=DeploymentFeed),),
    provides=(
        provide(DeploymentService)(_deployments),
        provide(HubKeyService)(lambda services: HubKeyService(services[SecretStore], services[Vault], services.clock)),
        provide(UpdateService)(_updates),
        provide(FarewellHandler)(lambda services: services[DeploymentService]),
        provide(Joining)(_joining),
        provide(JoinHandler)(lambda services: services[Joining]),
    ),
    tasks=(DeploymentService, Joining, UpdateService),
    expires=(Expiry("deployments", KEEP_S, lambda stores, before: stores[DeploymentStore].expire(before)),),
)
