"""What each route allows to each role."""

from __future__ import annotations

import re

from groundcontrol.web.routes import ROOT, Route
from spider.wire.ids import new_random_id

MATRIX: dict[str, str] = {
    "POST /auth/login": "public",
    "POST /auth/refresh": "public",
    "POST /auth/password": "admin operator viewer",
    "POST /auth/step-up": "admin operator viewer",
    "POST /auth/logout": "admin operator viewer",
    "GET /auth/me": "admin operator viewer",
    "POST /auth/totp": "admin operator viewer",
    "POST /auth/totp/confirm": "admin operator viewer",
    "DELETE /auth/totp": "admin operator viewer",
    "POST /auth/recovery-codes": "admin operator viewer",
    "GET /auth/sessions": "admin operator viewer",
    "DELETE /auth/sessions": "admin operator viewer",
    "DELETE /auth/sessions/{id}": "admin operator viewer",
    "GET /auth/preferences": "admin operator viewer",
    "PATCH /auth/preferences": "admin operator viewer",
    "GET /users": "admin",
    "POST /users": "admin",
    "PATCH /users/{username}": "admin",
    "POST /users/{username}/password": "admin",
    "GET /tokens": "admin operator viewer",
    "POST /tokens": "admin operator viewer",
    "DELETE /tokens/{id}": "admin operator viewer",
    "GET /settings": "admin",
    "PATCH /settings": "admin",
    "GET /nodes": "admin operator viewer",
    "GET /nodes/{id}": "admin operator viewer",
    "PATCH /nodes/{id}": "admin operator",
    "DELETE /nodes/{id}": "admin operator",
    "GET /metrics": "admin operator viewer",
    "GET /nodes/{id}/history": "admin operator viewer",
    "GET /nodes/{id}/export": "admin operator viewer",
    "GET /history": "admin operator viewer",
    "GET /nodes/{id}/tables": "admin operator viewer",
    "GET /nodes/{id}/packages": "admin operator viewer",
    "GET /updates": "admin operator viewer",
    "GET /updates/nodes": "admin operator viewer",
    "GET /nodes/{id}/logs": "admin operator viewer",
    "POST /nodes/{id}/approve": "admin operator",
    "POST /nodes/{id}/reject": "admin operator",
    "POST /invites": "admin operator",
    "GET /invites": "admin operator",
    "GET /invites/{id}": "admin operator",
    "DELETE /invites/{id}": "admin operator",
    "POST /deployments": "admin operator",
    "POST /deployments/preview": "admin operator",
    "POST /deployments/many": "admin operator",
    "POST /deployments/host-keys": "admin operator",
    "GET /deployments": "admin operator viewer",
    "GET /deployments/{id}": "admin operator viewer",
    "POST /deployments/{id}/host-key": "admin operator",
    "POST /deployments/{id}/cancel": "admin operator",
    "POST /deployments/{id}/retry": "admin operator",
    "POST /agent-updates": "admin operator",
    "POST /nodes/{id}/redeploy": "admin operator",
    "POST /nodes/{id}/rekey": "admin",
    "POST /nodes/{id}/jobs": "admin operator",
    "POST /jobs": "admin operator",
    "GET /jobs": "admin operator viewer",
    "GET /jobs/{id}": "admin operator viewer",
    "GET /jobs/{id}/output": "admin operator viewer",
    "GET /jobs/{id}/plan": "admin operator viewer",
    "GET /jobs/{id}/report": "admin operator viewer",
    "POST /jobs/{id}/cancel": "admin operator",
    "GET /batches": "admin operator viewer",
    "GET /batches/{id}": "admin operator viewer",
    "POST /batches/{id}/cancel": "admin operator",
    "GET /events": "admin operator viewer",
    "GET /audit": "admin",
    "GET /maintenance": "admin operator viewer",
    "POST /maintenance": "admin operator",
    "DELETE /maintenance/{id}": "admin operator",
}
"""A new route needs a row here, by a decision and not by chance."""


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def address(route: Route) -> str:
    return ROOT + re.sub(r"{\w+}", new_random_id(), route.path)
