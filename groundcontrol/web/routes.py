"""Every call of the REST interface: one literal table. It feeds the router, the permission matrix and OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from groundcontrol.domain.permissions import Action
from groundcontrol.web import schema
from groundcontrol.web.costs import Cost
from groundcontrol.web.http import (
    audit,
    auth,
    batches,
    deployments,
    events,
    export,
    facts,
    history,
    invites,
    jobs,
    logs,
    many_deployments,
    metrics,
    nodes,
    preferences,
    second_factor,
    sessions,
    settings,
    tokens,
    updates,
    upkeep,
    users,
)

ROOT: Final = "/api/v1"

Handler = Callable[..., Awaitable[Any]]
"""async (Call) or (Call, body) -> an Answer, a response of its own, or None for 204."""


class Parameter(NamedTuple):
    """One of the query."""

    name: str
    about: str
    kind: Literal["string", "integer", "boolean"] = "string"
    required: bool = False
    many: bool = False


class Route(NamedTuple):
    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    """Below /api/v1."""
    action: Action | None
    """Asked of `authorize` before anything else; None: public, the handler guards itself."""
    handler: Handler
    answer: type[msgspec.Struct] | None
    """None: no JSON (204, or what `answers` says)."""
    body: type[msgspec.Struct] | None = None
    status: int = 200
    optional_body: bool = False
    pending: bool = False
    """Open to a session that must change its password first."""
    enrolling: bool = False
    """Open to a session that must set up a second factor first."""
    step_up: bool = False
    local: bool = False
    """Through the local socket alone; by network there is nothing at this address."""
    query: tuple[Parameter, ...] = ()
    answers: tuple[str, ...] = ()
    """Other media types of the answer."""
    keyed: bool = False
    """Takes Idempotency-Key."""
    cost: Cost = "small"
    """What it costs the hub: `web/costs.py` has the limits of each class."""


LIMIT: Final = Parameter("limit", "at most this many, 1 to 500 (100)", "integer")
CURSOR: Final = Parameter("cursor", "`next` of the page before")
NODE: Final = Parameter("node", "only those of this node")
USER: Final = Parameter("user", "those of this user, for admins; `*` = of everybody; without it the caller's own")
FORCE: Final = Parameter("force", "forget a server that is gone", "boolean")

ROUTES: Final[tuple[Route, ...]] = (
    Route("POST", "/auth/login", None, auth.login, schema.LoginView, schema.LoginBody),
    Route("POST", "/auth/refresh", None, auth.refresh, schema.LoginView),
    Route("POST", "/auth/password", "account.use", auth.password, schema.LoginView, schema.PasswordBody, pending=True, enrolling=True),
    Route("POST", "/auth/step-up", "account.use", auth.step_up, None, schema.StepUpBody, status=204, enrolling=True),
    Route("POST", "/auth/logout", "account.use", auth.logout, None, status=204, pending=True, enrolling=True),
    Route("GET", "/auth/me", "account.use", auth.me, schema.MeView, pending=True, enrolling=True),
    Route("POST", "/auth/totp", "account.use", second_factor.begin_totp, schema.TotpView, status=201, enrolling=True, step_up=True),
    Route("POST", "/auth/totp/confirm", "account.use", second_factor.confirm_totp, schema.RecoveryCodesView, schema.TotpConfirmBody, enrolling=True),
    Route("DELETE", "/auth/totp", "account.use", second_factor.stop_totp, None, status=204, step_up=True),
    Route("POST", "/auth/recovery-codes", "account.use", second_factor.renew_recovery_codes, schema.RecoveryCodesView, step_up=True),
    Route("GET", "/auth/sessions", "account.use", sessions.list_sessions, schema.SessionsView, query=(LIMIT, CURSOR, USER), cost="page"),
    Route("DELETE", "/auth/sessions", "account.use", sessions.end_other_sessions, None, status=204),
    Route("DELETE", "/auth/sessions/{id}", "account.use", sessions.end_session, None, status=204),
    Route("GET", "/auth/preferences", "account.use", preferences.get_preferences, schema.PreferencesView),
    Route("PATCH", "/auth/preferences", "account.use", preferences.edit_preferences, schema.PreferencesView, schema.PreferencesPatch),
    Route("GET", "/users", "user.manage", users.list_users, schema.AccountsView, query=(LIMIT, CURSOR), cost="page"),
    Route("POST", "/users", "user.manage", users.create_user, schema.OneTimePasswordView, schema.NewUserBody, status=201, step_up=True),
    Route("PATCH", "/users/{username}", "user.manage", users.edit_user, schema.AccountView, schema.UserPatch, step_up=True),
    Route("POST", "/users/{username}/password", "user.manage", users.reset_password, schema.OneTimePasswordView, step_up=True),
    Route("GET", "/tokens", "token.use", tokens.list_tokens, schema.ApiTokensView, query=(LIMIT, CURSOR, USER), cost="page"),
    Route("POST", "/tokens", "token.use", tokens.create_token, schema.NewTokenView, schema.NewTokenBody, status=201, step_up=True),
    Route("DELETE", "/tokens/{id}", "token.use", tokens.revoke_token, None, status=204),
    Route("GET", "/settings", "settings.manage", settings.get_settings, schema.SettingsView),
    Route("PATCH", "/settings", "settings.manage", settings.edit_settings, schema.SettingsView, schema.SettingsPatch, step_up=True),
    Route(
        "GET", "/nodes", "node.read", nodes.list_nodes, schema.NodesView, cost="fleet",
        query=(LIMIT, CURSOR, Parameter("metrics", "series for `latest`, separated by commas; a bare name stands for all its labels")),
    ),
    Route("GET", "/nodes/{id}", "node.read", nodes.get_node, schema.NodeView),
    Route("PATCH", "/nodes/{id}", "node.edit", nodes.edit_node, schema.NodeView, schema.NodePatch),
    Route(
        "DELETE", "/nodes/{id}", "node.delete", deployments.remove_node, schema.DeploymentView, schema.RetryBody,
        status=202, optional_body=True, step_up=True, query=(FORCE,),
    ),
    Route("GET", "/metrics", "metric.read", metrics.list_metrics, schema.MetricsView),
    Route(
        "GET", "/nodes/{id}/history", "history.read", history.get_history, schema.HistoryView, cost="history",
        query=(
            Parameter("metric", "a series such as `disk.read{device=sda}`; up to 50", required=True, many=True),
            Parameter("from", "Unix seconds; without it an hour before `to`"),
            Parameter("to", "Unix seconds; without it now"),
            Parameter("points", "at most this many steps, 1 to 4000 (600); a single one becomes two across midnight, and steps of minutes and hours reach to whole ones", "integer"),
        ),
        answers=("application/msgpack", "text/csv"),
    ),
    Route(
        "GET", "/nodes/{id}/export", "history.read", export.export_node, None, cost="history",
        query=(
            Parameter("from", "Unix seconds; without it all that is kept"),
            Parameter("to", "Unix seconds; without it all that is kept, also what a clock that is ahead has dated later than now"),
            Parameter("tier", "1s (as it was measured), 1m or 1h (1s)"),
        ),
        answers=("application/x-ndjson", "text/csv"),
    ),
    Route(
        "GET", "/history", "history.read", history.get_histories, schema.HistoriesView, cost="history",
        query=(
            Parameter("node", "the id of a node; up to 50", required=True, many=True),
            Parameter("metric", "a series such as `disk.read{device=sda}`; up to 200 lines with all nodes", required=True, many=True),
            Parameter("from", "Unix seconds; without it an hour before `to`"),
            Parameter("to", "Unix seconds; without it now"),
            Parameter("points", "at most this many steps, 1 to 4000 (600); fewer where they would be more than 200,000 with all lines", "integer"),
        ),
        answers=("application/msgpack", "text/csv"),
    ),
    Route(
        "GET", "/nodes/{id}/tables", "node.read", facts.get_tables, schema.TablesView, cost="page",
        query=(Parameter("subject", "only this one: processes, services, interfaces …"),),
    ),
    Route(
        "GET", "/nodes/{id}/packages", "node.read", facts.list_packages, schema.PackagesView, cost="page",
        query=(LIMIT, CURSOR, Parameter("search", "only names that contain this")),
    ),
    Route(
        "GET", "/updates", "node.read", updates.list_updates, schema.PackageUpdatesView, cost="fleet",
        query=(
            LIMIT, CURSOR, Parameter("search", "only packages whose name contains this"),
            Parameter("security", "only those for security", "boolean"),
        ),
    ),
    Route(
        "GET", "/updates/nodes", "node.read", updates.list_nodes_of_update, schema.NodeUpdatesView, cost="fleet",
        query=(LIMIT, CURSOR, Parameter("package", "its name", required=True)),
    ),
    Route("GET", "/nodes/{id}/logs", "node.read", logs.list_logs, schema.LogsView, query=(LIMIT, CURSOR), cost="page"),
    Route("POST", "/nodes/{id}/approve", "node.approve", invites.approve_node, schema.NodeView),
    Route("POST", "/nodes/{id}/reject", "node.approve", invites.reject_node, None, status=204, step_up=True),
    Route("POST", "/invites", "invite.create", invites.create_invite, schema.NewInviteView, schema.InviteBody, status=201, step_up=True),
    Route("GET", "/invites", "invite.read", invites.list_invites, schema.InvitesView, query=(LIMIT, CURSOR), cost="page"),
    Route("GET", "/invites/{id}", "invite.read", invites.get_invite, schema.InviteView),
    Route("DELETE", "/invites/{id}", "invite.revoke", invites.revoke_invite, None, status=204),
    Route("POST", "/deployments", "deployment.create", deployments.create_deployment, schema.DeploymentView, schema.DeploymentBody, status=202, keyed=True),
    Route("POST", "/deployments/preview", "deployment.create", many_deployments.preview_list, schema.ServerListView, schema.ServerListBody, cost="many"),
    Route("POST", "/deployments/many", "deployment.create", many_deployments.create_deployments, schema.DeploymentsView, schema.ManyDeploymentsBody, status=202, keyed=True, cost="many"),
    Route("POST", "/deployments/host-keys", "deployment.control", many_deployments.confirm_host_keys, schema.ConfirmedView, schema.HostKeysBody, cost="many"),
    Route(
        "GET", "/deployments", "deployment.read", deployments.list_deployments, schema.DeploymentsView, cost="page",
        query=(LIMIT, CURSOR, Parameter("batch", "only those of this request for many servers")),
    ),
    Route("GET", "/deployments/{id}", "deployment.read", deployments.get_deployment, schema.DeploymentView),
    Route("POST", "/deployments/{id}/host-key", "deployment.control", deployments.confirm_host_key, schema.DeploymentView, schema.HostKeyBody),
    Route("POST", "/deployments/{id}/cancel", "deployment.control", deployments.cancel_deployment, schema.DeploymentView),
    Route("POST", "/deployments/{id}/retry", "deployment.control", deployments.retry_deployment, schema.DeploymentView, schema.RetryBody, status=202, optional_body=True),
    Route("POST", "/agent-updates", "node.update", upkeep.create_updates, schema.DeploymentsView, schema.AgentUpdatesBody, status=202, step_up=True, cost="many"),
    Route("POST", "/nodes/{id}/redeploy", "node.update", deployments.redeploy_node, schema.DeploymentView, schema.RetryBody, status=202, optional_body=True, step_up=True),
    Route("POST", "/nodes/{id}/rekey", "node.rekey", upkeep.rekey_node, schema.JobView, status=202, step_up=True, keyed=True),
    Route("POST", "/nodes/{id}/jobs", "job.create", jobs.create_job, schema.JobView, schema.JobBody, status=202, keyed=True),
    Route("POST", "/jobs", "job.create", batches.create_batch, schema.BatchView, schema.BatchBody, status=202, keyed=True, cost="many"),
    Route(
        "GET", "/jobs", "job.read", jobs.list_jobs, schema.JobsView, cost="scan",
        query=(
            LIMIT, CURSOR, NODE, Parameter("state", "only these, with commas between"), Parameter("action", "only this"),
            Parameter("by", "only those that this user asked for"),
        ),
    ),
    Route("GET", "/jobs/{id}", "job.read", jobs.get_job, schema.JobView),
    Route(
        "GET", "/jobs/{id}/output", "job.read", jobs.job_output, None, cost="history",
        query=(Parameter("offset", "from this byte on (0)", "integer"),), answers=("text/plain",),
    ),
    Route("GET", "/jobs/{id}/plan", "job.read", jobs.job_plan, schema.PlanView, cost="page"),
    Route("GET", "/jobs/{id}/report", "job.read", jobs.job_report, schema.ReportView, cost="page"),
    Route("POST", "/jobs/{id}/cancel", "job.cancel", jobs.cancel_job, schema.JobView, schema.CancelBody, optional_body=True),
    Route("GET", "/batches", "job.read", batches.list_batches, schema.BatchesView, query=(LIMIT, CURSOR), cost="page"),
    Route("GET", "/batches/{id}", "job.read", batches.get_batch, schema.BatchView, cost="scan"),
    Route("POST", "/batches/{id}/cancel", "job.cancel", batches.cancel_batch, schema.BatchView, cost="many"),
    Route(
        "GET", "/events", "event.read", events.list_events, schema.EventsView, cost="scan",
        query=(
            LIMIT, CURSOR, NODE, Parameter("severity", "only these, with commas between"),
            Parameter("type", "only this one, or with its first part all of that kind"), Parameter("search", "only messages that contain this"),
        ),
    ),
    Route("GET", "/audit", "audit.read", audit.list_audit, schema.AuditPageView, query=(LIMIT, CURSOR), cost="page"),
)  # fmt: skip
