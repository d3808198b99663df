"""Declares the routes and topics of deployments, host lists, invites and agent updates."""

from __future__ import annotations

from typing import Final

from groundcontrol.deployments import api as deployments_api
from groundcontrol.deployments import bulk_api, invites_api, selfcare_api
from groundcontrol.deployments.feed import deployment_feed, find_deployment
from groundcontrol.deployments.invites_views import InviteBody, InvitesView, InviteView, NewInviteView
from groundcontrol.deployments.views import (
    AgentUpdatesBody,
    ConfirmedView,
    DeploymentBody,
    DeploymentsView,
    DeploymentView,
    HostKeyBody,
    HostKeysBody,
    ManyDeploymentsBody,
    RetryBody,
    ServerListBody,
    ServerListView,
)
from groundcontrol.jobs.views import JobView
from groundcontrol.nodes.views import NodeView
from groundcontrol.web.declare import LiveTopic, Slice
from groundcontrol.web.routes import CURSOR, FORCE, LIMIT, Parameter, Route

ROUTES: Final = (
    Route(
        "DELETE", "/nodes/{id}", "node.delete", deployments_api.remove_node, DeploymentView, RetryBody,
        status=202, optional_body=True, step_up=True, query=(FORCE,),
    ),
    Route("POST", "/nodes/{id}/approve", "node.approve", invites_api.approve_node, NodeView),
    Route("POST", "/nodes/{id}/reject", "node.approve", invites_api.reject_node, None, status=204, step_up=True),
    Route("POST", "/invites", "invite.create", invites_api.create_invite, NewInviteView, InviteBody, status=201, step_up=True),
    Route("GET", "/invites", "invite.read", invites_api.list_invites, InvitesView, query=(LIMIT, CURSOR), cost="page"),
    Route("GET", "/invites/{id}", "invite.read", invites_api.get_invite, InviteView),
    Route("DELETE", "/invites/{id}", "invite.revoke", invites_api.revoke_invite, None, status=204),
    Route("POST", "/deployments", "deployment.create", deployments_api.create_deployment, DeploymentView, DeploymentBody, status=202, keyed=True),
    Route("POST", "/deployments/preview", "deployment.create", bulk_api.preview_list, ServerListView, ServerListBody, cost="many"),
    Route("POST", "/deployments/many", "deployment.create", bulk_api.create_deployments, DeploymentsView, ManyDeploymentsBody, status=202, keyed=True, cost="many"),
    Route("POST", "/deployments/host-keys", "deployment.control", bulk_api.confirm_host_keys, ConfirmedView, HostKeysBody, cost="many"),
    Route(
        "GET", "/deployments", "deployment.read", deployments_api.list_deployments, DeploymentsView, cost="page",
        query=(LIMIT, CURSOR, Parameter("batch", "only those of this request for many servers")),
    ),
    Route("GET", "/deployments/{id}", "deployment.read", deployments_api.get_deployment, DeploymentView),
    Route("POST", "/deployments/{id}/host-key", "deployment.control", deployments_api.confirm_host_key, DeploymentView, HostKeyBody),
    Route("POST", "/deployments/{id}/cancel", "deployment.control", deployments_api.cancel_deployment, DeploymentView),
    Route("POST", "/deployments/{id}/retry", "deployment.control", deployments_api.retry_deployment, DeploymentView, RetryBody, status=202, optional_body=True),
    Route("POST", "/agent-updates", "node.update", selfcare_api.create_updates, DeploymentsView, AgentUpdatesBody, status=202, step_up=True, cost="many"),
    Route("POST", "/nodes/{id}/redeploy", "node.update", deployments_api.redeploy_node, DeploymentView, RetryBody, status=202, optional_body=True, step_up=True),
    Route("POST", "/nodes/{id}/rekey", "node.rekey", selfcare_api.rekey_node, JobView, status=202, step_up=True, keyed=True),
)  # fmt: skip

SLICE: Final = Slice(
    "deployments",
    ROUTES,
    topics=(LiveTopic("deployment", "deployment.read", "small", find=find_deployment, feed=deployment_feed),),
)
