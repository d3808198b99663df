"""Two organisations on one hub, each with an admin who calls every route by chance."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.nodes.model import NewNode
from groundcontrol.web.limits import WebLimits
from groundcontrol.web.routes import ROOT, Route
from spider.wire.ids import new_random_id
from tests.support.case_files import case_files
from tests.support.inprocess_hub import Client, TestHub, running
from tests.support.rights_cases import BODIES, MAKERS, Side
from tests.support.route_matrix import kind_of

case_files("rights")

CANARY: Final = "not-for-others"
"""Names of the busy organisation contain it."""

OF_THE_INSTANCE: Final = {"settings.manage"}
"""Actions of the instance's admins."""
NOT_HERE: Final = {
    *("POST /auth/login", "POST /auth/refresh", "POST /auth/password", "POST /auth/logout", "POST /auth/step-up"),
    *("DELETE /auth/sessions", "DELETE /auth/sessions/{id}", "POST /auth/totp", "DELETE /auth/totp", "POST /auth/recovery-codes"),
    *("POST /auth/totp/confirm", "PATCH /users/{username}", "POST /users/{username}/password"),
    *("POST /auth/oidc/logout", "POST /links/alert"),
}
"""They end or change the log-in that asks, or hash passwords."""


def calls_of(routes: tuple[Route, ...] | list[Route]) -> list[Route]:
    return [
        route
        for route in routes
        if f"{route.method} {route.path}" not in NOT_HERE and route.action is not None and route.action not in OF_THE_INSTANCE
    ]


@dataclass
class Tenant:
    """The admin of one organisation, with one node, and what it made so far."""

    client: Client
    node: str
    tag: str
    made: dict[str, list[str]] = field(default_factory=dict)
    """Kind -> ids."""

    async def make(self, kind: str, number: int) -> bytes:
        making = MAKERS[kind](Side(self.node, f"{self.tag}-{number}"))
        answer = await self.client.post(making.path, making.body)
        if answer.status < 300:
            self.made.setdefault(kind, []).append(making.id_of(answer.json))
        return str(answer.status).encode() + b" " + answer.body


@dataclass
class Pair:
    """A hub with two organisations."""

    hub: TestHub
    mine: Tenant
    other: Tenant


async def _tenant(hub: TestHub, org: int, tag: str) -> Tenant:
    user = await hub.user(f"admin-{tag}", "admin")
    if org == 2:
        await hub.move(user)
    else:
        await hub.sql("UPDATE account SET instance_admin = 0 WHERE id = ?", user.id)
    client = await hub.logged_in(user=user)
    scope = Scope(Actor("user", user.id, user.username, "admin"), org)
    node = await hub.store.nodes.create_node(scope, NewNode(NodeId(new_random_id()), f"node-{tag}", "192.0.2.7", (tag,)))
    return Tenant(client, node.id, tag, {"node": [node.id]})


@asynccontextmanager
async def pair(folder: Path, limits: WebLimits | None = None) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running(folder, limits=limits or WebLimits()))
        yield Pair(hub, await _tenant(hub, 1, "mine"), await _tenant(hub, 2, CANARY))


async def act(
    tenant: Tenant, other: Tenant, dice: random.Random, routes: list[Route], number: int, route: Route | None = None
) -> tuple[str, bytes]:
    """One call, by chance if none is given. Returns: what it is, and its answer."""
    if route is None and dice.random() < 0.3:
        kind = dice.choice([kind for kind in sorted(MAKERS) if kind != "provider"])
        return f"make {kind}", await tenant.make(kind, number)
    route = route or dice.choice(routes)
    row = f"{route.method} {route.path}"
    kind = kind_of(route.path.partition("/{")[0])
    whose = dice.choice(("mine", "mine", "other", "nobody"))
    place = dice.random()
    known = tenant.made.get(kind, []) if whose == "mine" else other.made.get(kind, []) if whose == "other" else []
    thing = known[int(place * len(known))] if known else new_random_id()
    path = ROOT + re.sub(r"{\w+}", thing, route.path)
    query = [parameter for parameter in route.query if parameter.required]
    if query:
        values = {"metric": "cpu.total", "package": "curl", "node": thing}
        path += "?" + "&".join(f"{parameter.name}={values[parameter.name]}" for parameter in query)
    elif any(parameter.name == "limit" for parameter in route.query):
        path += f"?limit={dice.choice((1, 2, 500))}"
    body = BODIES.get(row, {"action": "check", "nodes": [tenant.node]} if row == "POST /jobs" else {})
    if route.method in ("GET", "DELETE"):
        body = None
    answer = await tenant.client.request(route.method, path, body)
    if route.method == "POST" and answer.status < 300 and answer.body and (made := answer.json.get("id")):
        tenant.made.setdefault("job" if path.endswith("/jobs") and thing in path else kind, []).append(made)
    shown = answer.body if whose == "mine" else answer.body.replace(thing.encode(), b"<asked>")
    return f"{row} of {whose}", str(answer.status).encode() + b" " + shown
