"""All routes for tests that cover each: who may call it, what its path names, and a valid body."""

from __future__ import annotations

import re
import time
from typing import Final

from groundcontrol.core.permissions import PERMISSIONS
from groundcontrol.core.scope import Role
from groundcontrol.slices import ROUTES
from groundcontrol.web.routes import CURSOR, ROOT, Route
from spider.wire.ids import new_random_id

BODIES: Final[dict[str, object]] = {
    "PATCH /channels/{id}": {"enabled": True},
    "PATCH /users/{username}": {"disabled": False},
    "PATCH /nodes/{id}": {"name": "renamed"},
    "POST /deployments/{id}/host-key": {"fingerprint": "SHA256:" + "a" * 43},
    "POST /deployments/{id}/retry": {},
    "POST /nodes/{id}/events": {"type": "health_ok", "message": "fine"},
    "POST /nodes/{id}/jobs": {"action": "check"},
    "POST /nodes/{id}/journal": {"unit": "ssh.service"},
    "PATCH /expectations/{id}": {"grace_s": 60},
    "PATCH /rules/{id}": {"version": 0, "enabled": False},
    "POST /alerts/{id}/snooze": {"until_at": time.time() + 3600},
}
"""Of calls that need one."""
OF_PEOPLE: Final = {"GET /auth/sessions", "GET /tokens", "GET /users"}
"""Lists of people's own things, or for admins alone: `access/test_sessions_api`, `test_api_tokens_api`, `test_users_api`."""
OF_NO_NODE: Final = {"GET /audit", "GET /channels", "GET /deliveries", "GET /rules", "GET /updates", "GET /updates/nodes"}
"""Lists without a node of their own: their own tests hold what is granted."""


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def may(role: Role | str, row: str) -> bool:
    """Whether a role has the right of a call (`docs/api.md` shows all)."""
    action = BY_NAME[row].action
    return action is not None and role in PERMISSIONS[action]


def address(route: Route) -> str:
    return ROOT + re.sub(r"{\w+}", new_random_id(), route.path)


def path_of(route: Route, thing: str) -> str:
    path = route.path.lstrip("/").replace("{id}", thing).replace("{username}", thing)
    return path + ("?metric=cpu.total" if path.endswith("/history") else "")


def kind_of(collection: str) -> str:
    """`/auth/sessions` -> `session`."""
    return re.sub("(?<=ch)es$|s$", "", re.sub("ies$", "ys", collection.rpartition("/")[2]))


BY_NAME: Final = {name(route): route for route in ROUTES}
THINGS: Final = {row: (kind_of(route.path.partition("/{")[0]), BODIES.get(row)) for row, route in BY_NAME.items() if "{" in route.path}
"""Call -> the kind of what its path names, and a body that fits."""
_COLLECTIONS: Final = {route.path.partition("/{")[0] for row, route in BY_NAME.items() if row in THINGS}
LISTS: Final = {
    row: route.path[1:]
    for row, route in BY_NAME.items()
    if route.method == "GET" and (CURSOR in route.query or route.path in _COLLECTIONS) and row not in {*THINGS, *OF_PEOPLE, *OF_NO_NODE}
}
"""Lists of things that belong to nodes."""
