"""All routes for tests that cover each: who may call it, what its path names, and a valid body."""

from __future__ import annotations

import re
from typing import Final

from groundcontrol.core.permissions import PERMISSIONS
from groundcontrol.core.scope import Role
from groundcontrol.slices import ROUTES
from groundcontrol.web.routes import CURSOR, ROOT, Route
from spider.wire.ids import new_random_id
from tests.support.case_files import case_files
from tests.support.rights_cases import BODIES

case_files("rights")
_OF_PACKAGES: Final = {"GET /updates", "GET /updates/nodes"}
"""Lists whose rows are no objects with an id: `test_updates_api`."""


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def may(role: Role | str, row: str) -> bool:
    """Whether a role has the right of a call (`docs/api.md` shows all)."""
    action = BY_NAME[row].action
    return action is not None and role in PERMISSIONS[action]


def address(route: Route) -> str:
    return ROOT + re.sub(r"{\w+}", new_random_id(), route.path)


def path_of(route: Route, thing: str) -> str:
    path = re.sub(
        r"{\w+}",
        "0",
        route.path.lstrip("/").replace("{id}", thing).replace("{username}", thing).replace("{provider}", thing).replace("{slug}", thing),
    )
    return path + ("?metric=cpu.total" if path.endswith("/history") else "")


def kind_of(collection: str) -> str:
    """`/auth/sessions` -> `session`."""
    return re.sub("(?<=ch)es$|s$", "", re.sub("ies$", "ys", collection.rpartition("/")[2]))


BY_NAME: Final = {name(route): route for route in ROUTES}
THINGS: Final = {
    row: (kind_of(route.path.partition("/{")[0]), BODIES.get(row))
    for row, route in BY_NAME.items()
    if "{" in route.path and route.action is not None and route.method != "PUT"
}
"""Call -> the kind of what its path names, and a body that fits. PUT is not among them: it makes what is not there."""
WHOSE: Final = {kind: BY_NAME[row].whose for row, (kind, _) in THINGS.items()}
"""Kind of object -> whose objects the calls that name one reach."""
_COLLECTIONS: Final = {route.path.partition("/{")[0] for row, route in BY_NAME.items() if row in THINGS}
_ALL_LISTS: Final = {
    row: route
    for row, route in BY_NAME.items()
    if route.method == "GET" and (CURSOR in route.query or route.path in _COLLECTIONS) and row not in {*THINGS, *_OF_PACKAGES}
}
LISTS: Final = {row: route.path[1:] for row, route in _ALL_LISTS.items() if route.whose == "granted"}
"""Lists of objects within the grants."""
LISTS_OF_PEOPLE: Final = {row: route.path[1:] for row, route in _ALL_LISTS.items() if route.whose in ("caller", "person")}
"""Lists of a user's own objects."""
