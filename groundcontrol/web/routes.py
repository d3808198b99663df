"""Every call of the REST interface: one literal table. It feeds the router, the permission matrix and OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from groundcontrol.domain.permissions import Action
from groundcontrol.web import schema
from groundcontrol.web.http import (
    audit,
    auth,
    deployments,
    events,
    history,
    jobs,
    metrics,
    nodes,
    second_factor,
    sessions,
    settings,
    tokens,
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
    query: tuple[Parameter, ...] = ()
    answers: tuple[str, ...] = ()
    """Other media types of the answer."""
    keyed: bool = False
    """Takes Idempotency-Key."""


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
    Route("GET", "/auth/sessions", "account.use", sessions.list_sessions, schema.SessionsView, query=(LIMIT, CURSOR, USER)),
    Route("DELETE", "/auth/sessions", "account.use", sessions.end_other_sessions, None, status=204),
    Route("DELETE", "/auth/sessions/{id}", "account.use", sessions.end_session, None, status=204),
    Route("GET", "/users", "user.manage", users.list_users, schema.AccountsView, query=(LIMIT, CURSOR)),
    Route("POST", "/users", "user.manage", users.create_user, schema.OneTimePasswordView, schema.NewUserBody, status=201, step_up=True),
    Route("PATCH", "/users/{username}", "user.manage", users.edit_user, schema.AccountView, schema.UserPatch, step_up=True),
    Route("POST", "/users/{username}/password", "user.manage", users.reset_password, schema.OneTimePasswordView, step_up=True),
    Route("GET", "/tokens", "token.use", tokens.list_tokens, schema.ApiTokensView, query=(LIMIT, CURSOR, USER)),
    Route("POST", "/tokens", "token.use", tokens.create_token, schema.NewTokenView, schema.NewTokenBody, status=201, step_up=True),
    Route("DELETE", "/tokens/{id}", "token.use", tokens.revoke_token, None, status=204),
    Route("GET", "/settings", "settings.manage", settings.get_settings, schema.SettingsView),
    Route("PATCH", "/settings", "settings.manage", settings.edit_settings, schema.SettingsView, schema.SettingsPatch, step_up=True),
    Route(
        "GET", "/nodes", "node.read", nodes.list_nodes, schema.NodesView,
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
        "GET", "/nodes/{id}/history", "history.read", history.get_history, schema.HistoryView,
        query=(
            Parameter("metric", "a series such as `disk.read{device=sda}`; up to 50", required=True, many=True),
            Parameter("from", "Unix seconds; without it an hour before `to`"),
            Parameter("to", "Unix seconds; without it now"),
            Parameter("points", "at most this many steps, 1 to 4000 (600)", "integer"),
        ),
        answers=("application/msgpack", "text/csv"),
    ),
    Route("POST", "/deployments", "deployment.create", deployments.create_deployment, schema.DeploymentView, schema.DeploymentBody, status=202, keyed=True),
    Route("GET", "/deployments", "deployment.read", deployments.list_deployments, schema.DeploymentsView, query=(LIMIT, CURSOR)),
    Route("GET", "/deployments/{id}", "deployment.read", deployments.get_deployment, schema.DeploymentView),
    Route("POST", "/deployments/{id}/host-key", "deployment.control", deployments.confirm_host_key, schema.DeploymentView, schema.HostKeyBody),
    Route("POST", "/deployments/{id}/cancel", "deployment.control", deployments.cancel_deployment, schema.DeploymentView),
    Route("POST", "/deployments/{id}/retry", "deployment.control", deployments.retry_deployment, schema.DeploymentView, schema.RetryBody, status=202, optional_body=True),
    Route("POST", "/nodes/{id}/jobs", "job.create", jobs.create_job, schema.JobView, schema.JobBody, status=202, keyed=True),
    Route("GET", "/jobs", "job.read", jobs.list_jobs, schema.JobsView, query=(LIMIT, CURSOR, NODE)),
    Route("GET", "/jobs/{id}", "job.read", jobs.get_job, schema.JobView),
    Route(
        "GET", "/jobs/{id}/output", "job.read", jobs.job_output, None,
        query=(Parameter("offset", "from this byte on (0)", "integer"),), answers=("text/plain",),
    ),
    Route("POST", "/jobs/{id}/cancel", "job.cancel", jobs.cancel_job, schema.JobView),
    Route("GET", "/events", "event.read", events.list_events, schema.EventsView, query=(LIMIT, CURSOR, NODE)),
    Route("GET", "/audit", "audit.read", audit.list_audit, schema.AuditPageView, query=(LIMIT, CURSOR)),
)  # fmt: skip
