"""Declares the routes and topics of deployments, host lists, invites and agent updates."""

from __future__ import annotations

from typing import Final

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.agents.handshake import JoinHandler
from groundcontrol.agents.interfaces import FarewellHandler
from groundcontrol.agents.registry import Registry
from groundcontrol.config import Config
from groundcontrol.core.secrets import SecretStore
from groundcontrol.deployments import api as deployments_api
from groundcontrol.deployments import invites_api
from groundcontrol.deployments.agent_updates import UpdateService
from groundcontrol.deployments.feed import deployment_feed, find_deployment
from groundcontrol.deployments.hub_key import HubKeyService
from groundcontrol.deployments.invites_views import InviteBody, InvitesView, InviteView, NewInviteView
from groundcontrol.deployments.joining import Joining
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.deployments.session_removal import RemovalDeps
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
    ManyDeploymentsBody,
    RedeployedView,
    RedeployManyBody,
    RetryBody,
    ServerListBody,
    ServerListView,
)
from groundcontrol.jobs.requests import check_policy
from groundcontrol.jobs.service import JobService
from groundcontrol.jobs.views import JobView
from groundcontrol.nodes.interfaces import AgentBundle
from groundcontrol.nodes.views import NodeView
from groundcontrol.vault import Vault
from groundcontrol.web.declare import KEEP_S, Expiry, LiveTopic, Slice
from groundcontrol.web.routes import CURSOR, FORCE, LIMIT, Parameter, Route
from groundcontrol.web.services import Services, provide

ROUTES: Final = (
    Route(
        "DELETE", "/nodes/{id}", "node.delete", deployments_api.remove_node, DeploymentView, RetryBody,
        status=202, optional_body=True, step_up=True, strict=True, query=(FORCE,),
    ),
    Route("POST", "/nodes/{id}/approve", "node.approve", invites_api.approve_node, NodeView),
    Route("POST", "/nodes/{id}/reject", "node.approve", invites_api.reject_node, None, status=204, step_up=True, strict=True),
    Route("POST", "/invites", "invite.create", invites_api.create_invite, NewInviteView, InviteBody, status=201, step_up=True),
    Route("GET", "/invites", "invite.read", invites_api.list_invites, InvitesView, query=(LIMIT, CURSOR), cost="page"),
    Route("GET", "/invites/{id}", "invite.read", invites_api.get_invite, InviteView),
    Route("DELETE", "/invites/{id}", "invite.revoke", invites_api.revoke_invite, None, status=204),
    Route("POST", "/deployments", "deployment.create", deployments_api.create_deployment, DeploymentView, DeploymentBody, status=202, keyed=True),
    Route("POST", "/deployments/preview", "deployment.create", deployments_api.preview_list, ServerListView, ServerListBody, cost="many"),
    Route("POST", "/deployments/many", "deployment.create", deployments_api.create_deployments, DeploymentsView, ManyDeploymentsBody, status=202, keyed=True, cost="many"),
    Route("POST", "/deployments/host-keys", "deployment.control", deployments_api.confirm_host_keys, ConfirmedView, HostKeysBody, cost="many"),
    Route(
        "GET", "/deployments", "deployment.read", deployments_api.list_deployments, DeploymentsView, cost="page",
        query=(LIMIT, CURSOR, Parameter("batch", "only deployments of this request for many servers")),
    ),
    Route("GET", "/deployments/{id}", "deployment.read", deployments_api.get_deployment, DeploymentView),
    Route("POST", "/deployments/{id}/host-key", "deployment.control", deployments_api.confirm_host_key, DeploymentView, HostKeyBody),
    Route("POST", "/deployments/{id}/cancel", "deployment.control", deployments_api.cancel_deployment, DeploymentView),
    Route("POST", "/deployments/{id}/retry", "deployment.control", deployments_api.retry_deployment, DeploymentView, RetryBody, status=202, optional_body=True),
    Route("GET", "/hub-key", "hub_key.use", deployments_api.get_hub_key, HubKeyStateView, whose="organisation"),
    Route("POST", "/hub-key", "hub_key.manage", deployments_api.create_hub_key, HubKeyStateView, HubKeyBody, status=201, optional_body=True, step_up=True, strict=True, whose="organisation"),
    Route("DELETE", "/hub-key", "hub_key.manage", deployments_api.remove_hub_key, None, status=204, step_up=True, strict=True, whose="organisation"),
    Route("POST", "/agent-updates", "node.update", deployments_api.create_updates, DeploymentsView, AgentUpdatesBody, status=202, step_up=True, cost="many"),
    Route("POST", "/nodes/{id}/redeploy", "node.update", deployments_api.redeploy_node, DeploymentView, RetryBody, status=202, optional_body=True, step_up=True),
    Route("POST", "/deployments/again", "node.update", deployments_api.redeploy_nodes, RedeployedView, RedeployManyBody, status=202, step_up=True, cost="many"),
    Route("POST", "/nodes/{id}/rekey", "node.rekey", deployments_api.rekey_node, JobView, status=202, step_up=True, strict=True, keyed=True),
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
    topics=(LiveTopic("deployment", "deployment.read", "small", "deployment", find=find_deployment, feed=deployment_feed),),
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
