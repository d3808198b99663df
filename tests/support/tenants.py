"""Two organisations on one hub, each with an admin who calls every route by chance."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from groundcontrol.adapters.sqlite.engine import organisation
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.alerts.store import AlertChange
from groundcontrol.core.ids import BatchId, BootId, EventId, HubId, JobId, NodeId
from groundcontrol.core.scope import Actor, Scope, hub_scope
from groundcontrol.events.model import Event
from groundcontrol.jobs.model import JobRequest, JobUpdate, NewBatch, NewJob
from groundcontrol.nodes.model import NewNode, Session
from groundcontrol.slices import TOPICS
from groundcontrol.web.limits import WebLimits
from groundcontrol.web.routes import ROOT, Route
from spider.wire.ids import new_random_id, new_time_id
from tests.support.case_files import case_files
from tests.support.inprocess_hub import Answer, Client, TestHub, a_deployment, running
from tests.support.race_cases_alerts import an_alert
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


_OF_THE_MOMENT: Final = {"Date", "Content-Length", "Set-Cookie", "X-Request-Id", "Content-Security-Policy", "Permissions-Policy"}
_NAME: Final = re.compile(rb"AAAAC3[0-9A-Za-z+/]{60,}|SHA256:[0-9A-Za-z+/]{43}|[0-9A-Za-z_-]{26,}")
_TIME: Final = re.compile(rb"\b1[789]\d{8}(?:\.\d+|\d{3})?\b|\b\d\d:\d\d(?::\d\d)?(?= UTC)")


class Transcript:
    """Answers with names by the order in which they first appear, and without times."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._names: dict[bytes, bytes] = {}

    @classmethod
    def of(cls, call: str, answer: bytes) -> list[bytes]:
        """One answer alone."""
        found = cls()
        found.add(call, answer)
        return found.lines

    def add(self, call: str, answer: bytes) -> None:
        def name(found: re.Match[bytes]) -> bytes:
            return self._names.setdefault(found.group(), b"<%d>" % len(self._names))

        self.lines.append(call.encode() + b" -> " + _TIME.sub(b"<time>", _NAME.sub(name, answer)))


def difference(alone: Transcript, beside: Transcript) -> str:
    """The first answer that differs; empty: none does."""
    for one, two in zip(alone.lines, beside.lines, strict=True):
        if one != two:
            at = next((at for at, (left, right) in enumerate(zip(one, two, strict=False)) if left != right), 0)
            return "\n".join(f"{line[:60].decode()} … {line[max(0, at - 80) : at + 200].decode()}" for line in (one, two))
    return ""


def whole(answer: Answer, asked: str = "") -> bytes:
    """Status, headers and body of an answer. Args: asked: an id that the answer may repeat."""
    headers = {name: value for name, value in sorted(answer.headers.items()) if name not in _OF_THE_MOMENT}
    text = f"{answer.status} {headers} ".encode() + answer.body
    return text.replace(asked.encode(), b"<asked>") if asked else text


def address_of(route: Route, thing: str) -> str:
    """The path of a call that names `thing`, with the parameters that it needs."""
    path = ROOT + re.sub(r"{\w+}", thing, route.path)
    values = {"metric": "cpu.total", "package": "curl", "node": thing}
    needed = "&".join(f"{parameter.name}={values[parameter.name]}" for parameter in route.query if parameter.required)
    return f"{path}?{needed}" if needed else path


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
        return whole(answer)


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


class World(NamedTuple):
    """What an organisation has that live topics show."""

    org: int
    tenant: Tenant
    session: Session
    job: JobId
    event: Event
    ids: dict[str, str]
    """Kind of object -> the id of one, for each kind that a topic is about."""


async def world(hub: TestHub, tenant: Tenant, org: int) -> World:
    scope, node, now = hub_scope(org), NodeId(tenant.node), hub.clock.now()
    session = await hub.store.sessions.claim(node, BootId("0" * 32), HubId(hub.services.hub_id))
    job = NewJob(JobId(new_time_id()), node, JobRequest("upgrade"), now, now + 600)
    await hub.store.batches.create_batch(scope, NewBatch(BatchId(new_time_id()), job.request, (node,), (job,), (), now), None)
    await hub.store.jobs.take([job.id], [session], now)
    for state in ("accepted", "running"):
        await hub.store.jobs.advance(job.id, state, session, JobUpdate())
    deployment = a_deployment(f"{tenant.tag}.example")._replace(org=org, node_id=node)
    await hub.store.deployments.create_deployment(scope, deployment)
    alert, incident = an_alert(now, node)
    await hub.store.alerts.commit(AlertChange([alert._replace(org=org)], [incident._replace(org=org)]))
    event = Event(EventId(new_time_id()), org, "node_online", "info", "hub", now, node, tenant.tag, {})
    await hub.store.log.add_event(event)
    ids = {"node": node, "job": job.id, "deployment": deployment.id, "alert": alert.id, "incident": incident.id}
    for kind in {topic.changes for topic in TOPICS.values()} & MAKERS.keys():
        await tenant.make(kind, 0)
        ids[kind] = tenant.made.get(kind, [new_random_id()])[0]
    return World(org, tenant, session, job.id, event, ids)


@asynccontextmanager
async def pair(folder: Path, limits: WebLimits | None = None, mine: int = 1) -> AsyncIterator[Pair]:
    """Args: mine: the organisation that looks, 1 or 2."""
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running(folder, limits=limits or WebLimits()))
        yield Pair(hub, await _tenant(hub, mine, "mine"), await _tenant(hub, 3 - mine, CANARY))


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
    path = address_of(route, thing)
    if "?" not in path and any(parameter.name == "limit" for parameter in route.query):
        path += f"?limit={dice.choice((1, 2, 500))}"
    body = BODIES.get(row, {"action": "check", "nodes": [tenant.node]} if row == "POST /jobs" else {})
    if route.method in ("GET", "DELETE"):
        body = None
    answer = await tenant.client.request(route.method, path, body)
    if route.method == "POST" and answer.status < 300 and answer.body and (made := answer.json.get("id")):
        tenant.made.setdefault("job" if path.endswith("/jobs") and thing in path else kind, []).append(made)
    return f"{row} of {whose}", whole(answer, "" if whose == "mine" else thing)


def no_guard(patch: pytest.MonkeyPatch) -> None:
    """Let each statement act for the hub as a whole, so that only its own words keep organisations apart."""
    patch.setattr(organisation, "acting_for", lambda _org: nullcontext())


def forgets(pattern: str, columns: str = "org") -> Callable[[pytest.MonkeyPatch], None]:
    """The fault that the statements of a pattern forget the organisation, where nothing below them guards it."""

    def forget(sql: str) -> str:
        return re.sub(rf"\b(?:\w+\.)?(?:{columns}) = (\?\d*)", r"\1 IS NOT NULL", sql) if re.search(pattern, sql) else sql

    def seed(patch: pytest.MonkeyPatch) -> None:
        no_guard(patch)
        fetch, execute = Rows.fetch_all, Tx.execute
        patch.setattr(Rows, "fetch_all", lambda self, sql, *values: fetch(self, forget(sql), *values))
        patch.setattr(Tx, "execute", lambda self, sql, *values: execute(self, forget(sql), *values))

    return seed
