"""Every route and topic that names an object, by role, for an own, a foreign and a missing object."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest

from groundcontrol.core.bus import Changed
from groundcontrol.core.ids import BatchId
from groundcontrol.core.permissions import PERMISSIONS
from groundcontrol.core.scope import Role
from groundcontrol.jobs.model import JobRequest, NewBatch
from groundcontrol.slices import ROUTES
from groundcontrol.slices import TOPICS as DECLARED
from groundcontrol.web.routes import Route
from spider.wire.ids import new_random_id, new_time_id
from tests.support.inprocess_hub import ADMIN, Client, TestHub, a_deployment
from tests.support.measured_node import managed
from tests.support.printing_node import Printing, tell_plan_and_report
from tests.support.route_matrix import may, name

ROLES: tuple[Role, ...] = ("admin", "operator", "viewer")
KINDS = ("nodes", "jobs", "batches", "deployments")
TOPICS = ("node", "job", "deployment")
NAMING = [route for route in ROUTES if re.match(rf"/({'|'.join(KINDS)})/{{id}}", route.path)]
BODIES: dict[str, Any] = {
    "PATCH /nodes/{id}": {"tags": ["mine"]},
    "POST /nodes/{id}/events": {"type": "health_ok", "message": "fine"},
    "POST /nodes/{id}/jobs": {"action": "refresh"},
    "POST /nodes/{id}/journal": {"unit": "ssh.service"},
    "POST /deployments/{id}/host-key": {"fingerprint": "SHA256:" + "a" * 43},
}
QUERIES = {"GET /nodes/{id}/history": "?metric=cpu.total"}


class Things(NamedTuple):
    """One of each kind, in the first organisation."""

    nodes: str
    jobs: str
    batches: str
    deployments: str


@pytest.fixture
async def things(hub: TestHub) -> Things:
    node, printing = await managed(hub), await Printing.start(hub)
    deployment = await hub.store.deployments.create_deployment(ADMIN, a_deployment())
    await tell_plan_and_report(hub, printing.session, printing.job.id)
    batch = NewBatch(BatchId(new_time_id()), JobRequest("check"), (node.id,), (), (), 1.0)
    await hub.store.batches.create_batch(ADMIN, batch, None)
    return Things(node.id, printing.job.id, batch.id, deployment.id)


async def somebody(hub: TestHub, role: Role, *, stranger: bool) -> Client:
    """A user of the first organisation, or of another one."""
    client = await hub.logged_in(role)
    if stranger:
        assert client.user is not None
        assert client.login is not None
        await hub.sql("UPDATE account SET org = 2 WHERE id = ?", client.user.id)
        await hub.sql("UPDATE login SET org = 2 WHERE id = ?", client.login.id)
    return client


async def call(client: Client, route: Route, thing: str) -> Any:
    path = route.path.removeprefix("/").replace("{id}", thing) + QUERIES.get(name(route), "")
    return await client.request(route.method, path, BODIES.get(name(route), {} if route.body and not route.optional_body else None))


def nameless(told: Any) -> str:
    """An answer without the ids in it."""
    return re.sub(r"[0-9a-z]{26}", "…", repr(told))


def test_every_route_with_an_id_has_a_known_kind() -> None:
    assert {route.path for route in NAMING} >= {
        route.path for route in ROUTES if route.path.startswith(tuple(f"/{kind}/" for kind in KINDS))
    } - {"/deployments/preview", "/deployments/many", "/deployments/host-keys"}  # of many: what the body names, `test_bulk_api`


@pytest.mark.holds("S-19")
@pytest.mark.parametrize("role", ROLES)
async def test_resources_of_another_organisation_are_not_found(hub: TestHub, things: Things, role: Role) -> None:
    owner, stranger = await somebody(hub, role, stranger=False), await somebody(hub, role, stranger=True)
    for route in NAMING:
        if route.method == "DELETE":
            continue  # last, below
        kind = route.path.split("/")[1]
        mine = await call(owner, route, getattr(things, kind))
        foreign = await call(stranger, route, getattr(things, kind))
        nothing = await call(stranger, route, new_random_id())
        if may(role, name(route)):
            assert mine.status in (200, 202, 409), (name(route), mine.status, mine.body)
            assert (foreign.status, foreign.code) == (404, "not_found"), name(route)
            told = [nameless({**answer.json, "instance": ""}) for answer in (foreign, nothing)]
            assert told[0] == told[1], f"{name(route)} tells a foreign thing from one that is not there"
        else:
            assert [(answer.status, answer.code) for answer in (mine, foreign, nothing)] == [(403, "auth.forbidden")] * 3, name(route)


@pytest.mark.parametrize("role", ROLES)
async def test_resources_of_another_organisation_cannot_be_removed(hub: TestHub, things: Things, role: Role) -> None:
    stranger = await somebody(hub, role, stranger=True)
    for thing in (things.nodes, new_random_id()):
        answer = await stranger.request("DELETE", f"nodes/{thing}?force=true")
        assert answer.status == (404 if may(role, "DELETE /nodes/{id}") else 403)
    assert [asked for asked in hub.deployer.asked if asked[0] == "remove"] == []
    assert (await (await somebody(hub, "admin", stranger=False)).get(f"nodes/{things.nodes}")).status == 200


@pytest.mark.parametrize("role", ROLES)
async def test_lists_contain_only_resources_of_the_own_organisation(hub: TestHub, things: Things, role: Role) -> None:
    owner, stranger = await somebody(hub, role, stranger=False), await somebody(hub, role, stranger=True)
    for kind in KINDS:
        assert getattr(things, kind) in [one["id"] for one in (await owner.get(kind)).json[kind]]
        assert (await stranger.get(kind)).json[kind] == []
    assert (await stranger.get(f"jobs?node={things.nodes}")).json["jobs"] == []
    assert (await stranger.get(f"events?node={things.nodes}")).json["events"] == []


@pytest.mark.holds("SAFETY-34")
def test_every_topic_asks_for_an_action_of_the_table() -> None:
    assert set(DECLARED) == {"alerts", "fleet", "incidents", "node", "job", "deployment", "events", "jobs"}
    assert {topic.action for topic in DECLARED.values()} <= set(PERMISSIONS)


@pytest.mark.holds("S-22")
@pytest.mark.parametrize("role", ROLES)
async def test_the_live_socket_shows_only_the_own_organisation(hub: TestHub, things: Things, role: Role) -> None:
    owner, stranger = await somebody(hub, role, stranger=False), await somebody(hub, role, stranger=True)
    topics = {f"{kind}:{getattr(things, kind + 's')}" for kind in TOPICS}
    async with owner.live() as live:
        for topic in sorted(topics):
            await live.subscribe(topic)
            while True:
                kind, body = await live.next()
                if kind == "snapshot" and body["topic"] == topic:
                    break
    async with stranger.live() as live:
        for topic in sorted(topics):
            await live.subscribe(topic)
            foreign = await live.expect("error")
            await live.subscribe(topic.partition(":")[0] + ":" + new_random_id())
            nothing = await live.expect("error")
            assert (foreign["code"], foreign["topic"]) == ("not_found", topic)
            assert nameless(foreign) == nameless(nothing)
        for topic, empty in (("fleet", "nodes"), ("events", "events"), ("jobs", "jobs")):
            await live.subscribe(topic)
            assert (await live.expect("snapshot"))["data"][empty] == []
        hub.nodes.connected.add(managed_id := (await managed(hub)).id)
        from_the_first = await hub.store.nodes.edit_node(ADMIN, managed_id, name="secret-name", tags=None)
        hub.bus.publish(Changed("node", from_the_first.id, from_the_first.version))
        await live.send("ping", {})
        told = [await live.next()]
        while told[-1][0] != "pong":
            told.append(await live.next())
        assert "secret-name" not in repr(told)
