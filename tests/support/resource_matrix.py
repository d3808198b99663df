"""Each kind of resource, the routes to it, and how a test makes one on either side of a limit."""

from __future__ import annotations

from groundcontrol.web.routes import Route

THINGS: dict[str, tuple[str, object]] = {
    "DELETE /auth/sessions/{id}": ("session", None),
    "PATCH /users/{username}": ("user", {"disabled": False}),
    "POST /users/{username}/password": ("user", None),
    "DELETE /tokens/{id}": ("token", None),
    "GET /nodes/{id}": ("node", None),
    "PATCH /nodes/{id}": ("node", {"name": "renamed"}),
    "DELETE /nodes/{id}": ("node", None),
    "GET /nodes/{id}/history": ("node", None),
    "GET /nodes/{id}/export": ("node", None),
    "GET /nodes/{id}/tables": ("node", None),
    "GET /nodes/{id}/packages": ("node", None),
    "GET /nodes/{id}/logs": ("node", None),
    "POST /nodes/{id}/approve": ("node", None),
    "POST /nodes/{id}/reject": ("node", None),
    "GET /invites/{id}": ("invite", None),
    "DELETE /invites/{id}": ("invite", None),
    "POST /deployments/{id}/host-key": ("deployment", {"fingerprint": "SHA256:" + "a" * 43}),
    "GET /deployments/{id}": ("deployment", None),
    "POST /deployments/{id}/cancel": ("deployment", None),
    "POST /deployments/{id}/retry": ("deployment", {}),
    "POST /nodes/{id}/jobs": ("node", {"action": "check"}),
    "POST /nodes/{id}/redeploy": ("node", None),
    "POST /nodes/{id}/rekey": ("node", None),
    "GET /jobs/{id}": ("job", None),
    "GET /jobs/{id}/output": ("job", None),
    "GET /jobs/{id}/plan": ("job", None),
    "GET /jobs/{id}/report": ("job", None),
    "POST /jobs/{id}/cancel": ("job", None),
    "GET /batches/{id}": ("batch", None),
    "POST /batches/{id}/cancel": ("batch", None),
    "DELETE /maintenance/{id}": ("maintenance", None),
}
"""Route -> what its path names, and a body that fits."""


LISTS = {
    "GET /nodes": "nodes",
    "GET /jobs": "jobs",
    "GET /batches": "batches",
    "GET /deployments": "deployments",
    "GET /events": "events",
    "GET /invites": "invites",
    "GET /maintenance": "maintenance",
}
"""Lists of things that belong to nodes."""


def path_of(route: Route, thing: str) -> str:
    path = route.path.lstrip("/").replace("{id}", thing).replace("{username}", thing)
    return path + ("?metric=cpu.total" if path.endswith("/history") else "")
