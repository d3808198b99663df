"""Every route and live topic against every role and {own, other, none}: foreign objects look like missing ones."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from groundcontrol.access.oidc.model import Link
from groundcontrol.access.sessions import STEP_UP_S, STRICT_STEP_UP_S
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.alerts.store import AlertChange
from groundcontrol.core.bus import Changed, NodesUpdated
from groundcontrol.core.ids import BatchId, BootId, EventId, HubId, JobId, NodeId
from groundcontrol.core.scope import Role
from groundcontrol.deployments.model import Jump
from groundcontrol.events.model import Event
from groundcontrol.jobs.model import JobRequest, NewBatch, NewJob
from groundcontrol.notifications.model import ChannelId, DeliveryId
from groundcontrol.slices import TOPICS
from spider.wire.ids import new_random_id, new_time_id
from tests.support.inprocess_hub import ADMIN, Client, TestHub, a_deployment
from tests.support.printing_node import tell_plan_and_report
from tests.support.race_cases_alerts import an_alert
from tests.support.rights_cases import MAKERS, Making, Side
from tests.support.route_matrix import BY_NAME, LISTS, LISTS_OF_PEOPLE, THINGS, WHOSE, kind_of, may, path_of
from tests.support.tenants import Transcript, whole

Whose = Literal["own", "other", "none"]
ROLES: tuple[Role, ...] = ("admin", "operator", "viewer")
ORDER: tuple[Whose, ...] = ("none", "other", "own")
"""The own one last: it may be deleted."""


@dataclass
class World:
    """One object of each kind for both sides, and users who see one side."""

    hub: TestHub
    ids: dict[tuple[str, Whose], str]

    @classmethod
    async def make(cls, hub: TestHub) -> World:
        ids: dict[tuple[str, Whose], str] = {}
        sides: tuple[Whose, Whose] = ("own", "other")
        boss = await hub.logged_in("admin")
        for side in sides:
            node = await hub.node(side)
            await hub.store.nodes.edit_node(ADMIN, node.id, name=None, tags=(side,))
            now = hub.clock.now()
            job = NewJob(JobId(new_time_id()), node.id, JobRequest("check"), created_at=now, not_after=now + 600)
            batch = NewBatch(BatchId(new_time_id()), job.request, (node.id,), (job,), (), now)
            await hub.store.batches.create_batch(ADMIN, batch, None)
            await tell_plan_and_report(hub, await hub.store.sessions.claim(node.id, BootId("0" * 32), HubId(hub.services.hub_id)), job.id)
            ids["batch of deployments", side] = new_time_id()
            deployment = a_deployment(f"{side}.example")._replace(node_id=node.id, batch=ids["batch of deployments", side])
            await hub.store.deployments.create_deployment(ADMIN, deployment)
            event = Event(EventId(new_time_id()), 1, "node_online", "info", "hub", now, node.id, side, {})
            await hub.store.log.add_event(event)
            ids["batch", side] = batch.id
            ids["maintenance", side] = deployment.id  # it opened a window
            alert, incident = an_alert(now, node.id)
            await hub.store.alerts.commit(AlertChange([alert], [incident]))
            ids |= {("alert", side): alert.id, ("incident", side): incident.id}
            ids |= {("node", side): node.id, ("job", side): job.id, ("deployment", side): deployment.id, ("event", side): event.id}
            for kind, maker in MAKERS.items():
                exists = WHOSE[kind] == "granted" or (WHOSE[kind] in ("organisation", "hub") and side == "own")
                if exists and (kind, side) not in ids:
                    ids[kind, side] = await make(boss, maker(Side(node.id, side)))
        delivery = await hub.store.deliveries.add_test(ADMIN, ChannelId(ids["channel", "own"]), DeliveryId(new_time_id(hub.clock.now())))
        ids |= {("delivery", "own"): delivery.id, ("rule", "own"): "cpu.load"}
        ids |= {(kind, "none"): new_random_id() for kind in (*WHOSE, "batch of deployments")}
        return cls(hub, ids)

    async def person(self, role: Role, *, cookie: bool = True) -> Client:
        """A user of this role; without the admin role only the own side is visible."""
        client = await self.hub.logged_in(role, cookie=cookie)
        if role != "admin":
            await self.hub.sql(
                "UPDATE membership SET grants = ? WHERE account = (SELECT no FROM account WHERE id = ?)",
                '{"nodes": [], "tags": ["own"]}',
                client.user.id,
            )
        return client

    async def of_people(self, client: Client, other: Client) -> None:
        """Sessions and what else belongs to users: the client's own, and that of another user. And users, here and elsewhere."""
        for whose, who in (("own", await self.hub.logged_in(user=client.user)), ("other", other)):
            self.ids["session", whose] = who.login.id  # type: ignore[index]  # one of the three
            link = Link(new_random_id(), who.user.id, "", "own", "http://127.0.0.1:9", new_random_id(), "", self.hub.clock.now(), None)
            self.ids["link", whose] = (await self.hub.store.oidc.add_link(ADMIN, link)).id  # type: ignore[index]
            self.ids["passkey", whose] = new_random_id()  # type: ignore[index]
            await self.hub.sql(
                "INSERT INTO passkey (org, id, account, name, host, credential, public_key, uses, created_at)"
                " SELECT 1, ?, no, 'x', 'hub.example', ?, x'00', 0, 0.0 FROM account WHERE id = ?",
                *(self.ids["passkey", whose], new_random_id().encode(), who.user.id),  # type: ignore[index]
            )
            for kind, maker in MAKERS.items():
                if WHOSE[kind] in ("caller", "person"):
                    self.ids[kind, whose] = await make(who, maker(Side("", whose)))  # type: ignore[index]
        foreign = await self.hub.user(f"far-{new_random_id()[:6]}", "viewer")
        await self.hub.move(foreign)
        near = await self.hub.user(f"near-{new_random_id()[:6]}", "viewer")
        self.ids |= {(kind, whose): who.username for kind in ("user", "member") for whose, who in (("own", near), ("other", foreign))}  # type: ignore[misc]  # a side


async def a_stranger(hub: TestHub, role: Role, *, cookie: bool) -> Client:
    """A user of another organisation."""
    client = await hub.logged_in(role, cookie=cookie)
    await hub.move(client.user)
    return client


async def make(client: Client, making: Making) -> str:
    """Make an object. Returns: its id."""
    answer = await client.post(making.path, making.body)
    assert answer.status in (201, 202), answer.body
    return making.id_of(answer.json)


def _leaves_the_world(role: Role, row: str) -> bool:
    """Whether a call of this role changes nothing: it only reads, or is refused."""
    return BY_NAME[row].method == "GET" or not may(role, row)


async def _check_thing(world: World, client: Client, role: Role, row: str) -> None:
    """Request the object of each side; `none` and a foreign one look alike.

    All objects of the organisation are own ones: another side is one of another organisation.
    """
    route = BY_NAME[row]
    kind, body = THINGS[row]
    sides = [whose for whose in ORDER if (kind, whose) in world.ids]
    seen = ["own", "other"] if role == "admin" and route.whose in ("granted", "person") else ["own"]

    answers = {whose: await client.request(route.method, path_of(route, world.ids[kind, whose]), body) for whose in sides}

    if not may(role, row):
        assert {answer.status for answer in answers.values()} == {403}, row
        return
    for whose, answer in answers.items():
        if whose in seen:
            assert answer.status not in (401, 403, 404, 429), (row, answer.body)
            continue
        assert (answer.status, answer.code) == (404, "not_found"), (row, whose)
        told = [answers[one].json["detail"].replace(world.ids[kind, one], "…") for one in ("none", whose)]
        assert told[0] == told[1], row


@pytest.mark.holds("SAFETY-33", "S-19")
@pytest.mark.parametrize("role", ROLES)
async def test_granted_resources_are_readable_and_others_not_found(hub: TestHub, role: Role) -> None:
    """One world for all calls that change nothing: those that read, and those that the role may not make."""
    world = await World.make(hub)
    reader, writer = [await world.person(role, cookie=cookie) for cookie in (True, False)]
    other = await hub.logged_in("operator")
    rows = [row for row in THINGS if _leaves_the_world(role, row)]
    assert rows
    for row in rows:
        client = reader if BY_NAME[row].method == "GET" else writer
        if BY_NAME[row].whose != "granted":
            await world.of_people(client, other)
        await _check_thing(world, client, role, row)


@pytest.mark.holds("SAFETY-33", "S-19")
@pytest.mark.parametrize("role", ROLES)
async def test_granted_resources_can_be_changed_and_others_are_not_found(hub: TestHub, role: Role) -> None:
    """One world for all changes: what deletes comes last, and nodes at the very end. Each has users of its own, with whole budgets and live sessions."""
    world = await World.make(hub)
    rows = [row for row in THINGS if not _leaves_the_world(role, row)]
    assert rows
    for row in sorted(rows, key=lambda row: (BY_NAME[row].method == "DELETE", THINGS[row][0] == "node")):
        client = await world.person(role, cookie=False)
        if BY_NAME[row].whose != "granted":
            await world.of_people(client, await hub.logged_in("operator"))
        await _check_thing(world, client, role, row)


def _recorded(patch: pytest.MonkeyPatch) -> list[str]:
    """A list that gets every statement from now on, but for the check of who asks, whose answer is kept for a while."""
    found, fetch, execute = list[str](), Rows.fetch_all, Tx.execute

    def fetched(self: Rows, sql: str, *values: Any) -> Any:
        if "login.id AS session_id, account.id AS user_id" not in sql or "login.*" in sql:
            found.append(sql)
        return fetch(self, sql, *values)

    def executed(self: Tx, sql: str, *values: Any) -> int:
        found.append(sql)
        return execute(self, sql, *values)

    patch.setattr(Rows, "fetch_all", fetched)
    patch.setattr(Tx, "execute", executed)
    return found


@pytest.mark.holds("S-19", "SAFETY-108")
@pytest.mark.parametrize("role", ROLES)
async def test_resources_of_another_organisation_are_not_found(hub: TestHub, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers to a foreign id and to an absent one are the same bytes, and took the same statements: they cost the same time."""
    world = await World.make(hub)
    await world.of_people(await world.person("admin"), await hub.logged_in("operator"))
    rule = {"name": "x", "expr": "state(unit_failed)", "select": {"all": True}, "warn": {"trigger": 0, "clear": 0}}
    world.ids["rule", "own"] = (await (await world.person("admin")).post("rules", rule)).json["id"]
    reader, writer = [await a_stranger(hub, role, cookie=cookie) for cookie in (True, False)]
    statements = _recorded(monkeypatch)
    compared = 0
    for row, (kind, body) in THINGS.items():
        route = BY_NAME[row]
        if route.whose == "hub" and kind != "rule":
            continue
        client = reader if route.method == "GET" else writer
        told, cost = list[bytes](), list[list[str]]()
        for one in (world.ids[kind, "none"], world.ids[kind, "own"]):
            statements.clear()
            answer = await client.request(route.method, path_of(route, one), body)
            wanted = (404, "not_found") if may(role, row) else (403, "auth.forbidden")
            assert (answer.status, answer.code) == wanted, row
            told += Transcript.of(row, whole(answer, one))
            cost.append([*statements])
        assert told[0] == told[1], f"{row} tells a foreign object from one that does not exist"
        assert cost[0] == cost[1], f"{row} asks more about one of them"
        compared += 1
    assert compared >= 75


@pytest.mark.holds("S-19")
async def test_lists_contain_only_granted_resources(hub: TestHub) -> None:
    world = await World.make(hub)
    for role in ROLES:
        client = await world.person(role)
        for row, field in LISTS.items():
            if not may(role, row):
                assert (await client.get(field)).code == "auth.forbidden", role
                continue
            kind = kind_of(field)

            shown = {
                item["id"] for item in (await client.get(field)).json[field.replace("-", "_")] if item.get("type") in (None, "node_online")
            }

            own, other = world.ids[kind, "own"], world.ids[kind, "other"]
            assert shown == ({own, other} if role == "admin" else {own}), (role, row)
            if field in ("jobs", "events"):
                assert ((await client.get(f"{field}?node={world.ids['node', 'other']}")).json[field] != []) == (role == "admin"), (
                    role,
                    row,
                )


@pytest.mark.holds("S-19")
async def test_lists_of_own_things_contain_nothing_of_others(hub: TestHub) -> None:
    """Also an admin has to ask for those of other users."""
    world = await World.make(hub)
    for role in ROLES:
        client = await world.person(role)
        await world.of_people(client, await hub.logged_in("operator"))
        assert LISTS_OF_PEOPLE
        for row, field in LISTS_OF_PEOPLE.items():
            kind = kind_of(field)

            shown = {item["id"] for item in (await client.get(field)).json[field.rpartition("/")[2]]}

            assert world.ids[kind, "own"] in shown, (role, row)
            assert world.ids[kind, "other"] not in shown, (role, row)


def test_calls_that_name_one_kind_of_object_agree_whose_it_is() -> None:
    assert [row for row, (kind, _) in THINGS.items() if BY_NAME[row].whose != WHOSE[kind]] == []


async def test_everything_with_a_name_refuses_markup_and_ids_as_its_name(hub: TestHub) -> None:
    node = await hub.node("own")
    boss = await hub.logged_in("admin")
    seen = set()
    for kind, maker in MAKERS.items():
        making = maker(Side(node.id, "own"))
        if kind in ("provider", "rule") or not isinstance(making.body, dict) or "name" not in making.body:
            continue  # a provider's name has a rule of its own, and the name of a rule may be a comparison
        seen.add(kind)
        for name in ("<b>", "a>b", new_random_id(), "a\u200bb"):
            answer = await boss.post(making.path, {**making.body, "name": name})
            assert (answer.status, answer.json.get("facts", {}).get("field")) == (400, "name"), (kind, name, answer.json)
    assert seen == {"token", "expectation", "channel", "organisation", "patch-policy", "window", "rollout"}


@pytest.mark.holds("S-19")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("act", ["host-keys", "retry"])
async def test_many_deployments_are_acted_on_only_where_granted(hub: TestHub, role: Role, act: str) -> None:
    """{own, other, none} in one body; foreign objects are refused with the text for missing ones."""
    world = await World.make(hub)
    client = await world.person(role)
    sides: tuple[Whose, ...] = ("own", "other", "none")
    ids = [world.ids["deployment", whose] for whose in sides]
    keys = [{"deployment": one, "fingerprint": "SHA256:" + "a" * 43} for one in ids]

    answer = await client.post(f"deployments/{act}", {"host_keys": keys} if act == "host-keys" else {"deployments": ids})

    if role == "viewer":
        assert (answer.status, answer.code) == (403, "auth.forbidden")
        return
    done = ["own", "other"] if role == "admin" else ["own"]
    refused = [whose for whose in sides if whose not in done]
    assert [row["id"] for row in answer.json["deployments"]] == [world.ids["deployment", whose] for whose in done]  # type: ignore[index]  # a side
    told = [
        (row["code"], row["message"].replace(row["deployment"], "…"), row["deployment"] == world.ids["deployment", whose])
        for row, whose in zip(answer.json["refused"], refused, strict=True)
    ]
    assert set(told) == {("not_found", "there is no deployment …", True)}


@pytest.mark.holds("S-19")
async def test_a_batch_of_deployments_shows_only_granted_ones(hub: TestHub) -> None:
    """`?batch=` of another user looks like a missing one."""
    world = await World.make(hub)
    for role in ROLES:
        client = await world.person(role)
        sides: tuple[Whose, ...] = ("own", "other", "none")
        shown = {
            whose: (await client.get("deployments", params={"batch": world.ids["batch of deployments", whose]})).json for whose in sides
        }
        own, other = [world.ids["deployment", "own"]], [world.ids["deployment", "other"]] if role == "admin" else []
        assert {whose: [row["id"] for row in page["deployments"]] for whose, page in shown.items()} == {
            "own": own,
            "other": other,
            "none": [],
        }, role
        if role != "admin":
            assert shown["other"] == shown["none"], role


@pytest.mark.holds("S-19")
async def test_a_conflict_with_a_hidden_node_reveals_nothing(hub: TestHub) -> None:
    """A user who may not see the other node only learns that the name cannot be given."""
    world = await World.make(hub)
    path = f"nodes/{world.ids['node', 'own']}"
    told = {role: await (await world.person(role)).request("PATCH", path, {"name": "other"}) for role in ("admin", "operator")}
    assert [(answer.status, answer.code) for answer in told.values()] == [(409, "conflict")] * 2
    assert told["admin"].json["detail"] == "there is a node named other already"
    assert told["operator"].json["detail"] == "this name cannot be given: choose another one"
    assert world.ids["node", "other"] not in told["operator"].body.decode()


@pytest.mark.holds("SAFETY-37", "S-22")
async def test_topics_of_one_resource_need_its_grant(hub: TestHub) -> None:
    world = await World.make(hub)
    for role in ROLES:
        client = await world.person(role)
        kinds = [kind for kind, topic in TOPICS.items() if topic.find]
        assert kinds
        for kind in kinds:
            told: dict[Whose, Any] = {}
            whose: Whose
            for whose in ("own", "other", "none"):
                async with client.live() as live:
                    await live.subscribe(f"{kind}:{world.ids[kind, whose]}")
                    got, body = await live.next()
                    told[whose] = got if got == "snapshot" else body["code"]
            assert told == {"own": "snapshot", "other": "snapshot" if role == "admin" else "not_found", "none": "not_found"}, (role, kind)


async def test_topics_of_lists_show_only_granted_resources(hub: TestHub) -> None:
    world = await World.make(hub)
    for role in ROLES:
        client = await world.person(role)
        async with client.live() as live:
            await live.subscribe("fleet")
            nodes = {node["id"] for node in (await live.expect("snapshot"))["data"]["nodes"]}
            await live.subscribe("events")
            events = {event["id"] for event in (await live.expect("snapshot"))["data"]["events"] if event["type"] == "node_online"}
            await live.subscribe("jobs")
            jobs = {job["id"] for job in (await live.expect("snapshot"))["data"]["jobs"]}
        sides: tuple[Whose, ...] = ("own", "other") if role == "admin" else ("own",)
        assert nodes == {world.ids["node", side] for side in sides}, role
        assert events == {world.ids["event", side] for side in sides}, role
        assert jobs == {world.ids["job", side] for side in sides}, role


@pytest.mark.holds("SAFETY-37", "S-22")
async def test_a_stream_shows_only_granted_nodes_and_ends_with_the_grant(hub: TestHub) -> None:
    world = await World.make(hub)
    boss, viewer = await hub.logged_in("admin"), await world.person("viewer")
    own, other = NodeId(world.ids["node", "own"]), NodeId(world.ids["node", "other"])
    async with viewer.live() as live, boss.live() as whole:
        await whole.subscribe("fleet")  # users who see everything share no feed with those who do not
        await whole.expect("snapshot")
        await live.follow("fleet")
        for node in (other, own):
            hub.nodes.values[node] = {"cpu.total": (7.0, 1.0)}
            hub.bus.publish(NodesUpdated((node,), 1))
            hub.bus.publish(Changed("node", node, 2, 1))
        values, facts = set[str](), set[str]()
        while not (values and facts):  # they come apart, in either order
            told = (await live.expect("change"))["data"]
            values, facts = values | {*told["latest"]}, facts | {node["id"] for node in told["nodes"]}
        assert values == facts == {own}
        await live.follow(f"node:{own}")

        assert (await boss.request("PATCH", f"users/{viewer.user.username}", {"grants": {"nodes": [other]}})).status == 200

        await live.expect("rights")
        seen = [await live.next() for _ in range(3)]
        assert [kind for kind, _ in seen] == ["error", "gap", "snapshot"]
        assert (seen[0][1]["code"], seen[0][1]["topic"]) == ("not_found", f"node:{own}")
        assert [node["id"] for node in seen[2][1]["data"]["nodes"]] == [other]
        hub.bus.publish(NodesUpdated((own,), 1))
        with pytest.raises(asyncio.TimeoutError):
            await live.next(1.2)


async def test_a_node_that_loses_its_tag_leaves_the_stream(hub: TestHub) -> None:
    world = await World.make(hub)
    boss, viewer = await hub.logged_in("admin"), await world.person("viewer")
    own = world.ids["node", "own"]
    async with viewer.live() as live:
        await live.follow(f"node:{own}")
        assert (await boss.request("PATCH", f"nodes/{own}", {"tags": ["else"]})).status == 200
        while (told := await live.next())[0] != "error":
            assert told[0] in ("change", "rights")
        assert told[1]["code"] == "not_found"
    assert (await viewer.get(f"nodes/{own}")).status == 404


async def test_a_limited_user_cannot_widen_the_grants(hub: TestHub) -> None:
    world = await World.make(hub)
    operator = await world.person("operator")
    own = world.ids["node", "own"]

    assert (await operator.request("PATCH", f"nodes/{own}", {"tags": ["own", "other"]})).code == "auth.forbidden"
    deploy = {"host": "192.0.2.8", "username": "root", "password": "x"}
    assert (await operator.post("deployments", deploy)).code == "auth.forbidden"
    assert (await operator.post("deployments", {**deploy, "tags": ["other"]})).code == "auth.forbidden"
    assert (await operator.post("deployments", {**deploy, "tags": ["own"]})).status == 202
    retried = await operator.post(f"deployments/{world.ids['deployment', 'own']}/retry", {"tags": ["other"]})
    assert retried.code == "auth.forbidden"


@pytest.mark.holds("S-15")
async def test_a_stale_password_proof_is_refused_for_dangerous_actions(hub: TestHub) -> None:
    client = await hub.logged_in()
    guarded = {strict: [route for route in BY_NAME.values() if route.step_up and route.strict == strict] for strict in (True, False)}
    assert all(guarded.values())
    for strict, age_s in ((True, STRICT_STEP_UP_S), (False, STEP_UP_S)):
        hub.clock.shift = age_s + 1
        await client.post("auth/refresh")
        for route in guarded[strict]:
            answer = await client.request(route.method, path_of(route, new_random_id()), {} if route.body else None)

            assert (answer.status, answer.code) == (403, "auth.step_up_required"), route.path


@pytest.mark.holds("SAFETY-22", "S-15", "S-57")
async def test_a_retry_to_another_server_needs_a_recent_password(hub: TestHub) -> None:
    """Another host, port or host key; where it goes where it went before, nothing more is asked."""
    client = await hub.logged_in("operator")
    made = await hub.store.deployments.create_deployment(ADMIN, a_deployment("web-3.example")._replace(host_key_confirmed=True))
    shown = "SHA256:" + "a" * 43
    hub.clock.shift += 901
    await client.post("auth/refresh")
    path = f"deployments/{made.id}/retry"

    for body in ({"host": "evil.example"}, {"port": 2299}, {"host_key": "SHA256:" + "b" * 43}):
        answer = await client.post(path, {**body, "password": "x"})
        assert (answer.status, answer.code) == (403, "auth.step_up_required"), body
    direct = await client.post(path, {"jump": None})
    assert direct.status == 202, "it has no jump host"
    behind = a_deployment("web-4.example")
    behind = behind._replace(options=behind.options._replace(jump=Jump("gate.example", 22, "ops")))
    behind = await hub.store.deployments.create_deployment(ADMIN, behind)
    for jump in (None, {"host": "other.example"}):
        answer = await client.post(f"deployments/{behind.id}/retry", {"jump": jump, "password": "x"})
        assert (answer.status, answer.code) == (403, "auth.step_up_required"), jump
    assert (await client.post(f"deployments/{behind.id}/retry", {"jump": {"host": "gate.example"}})).status == 202
    for same in ({"host": "web-3.example", "port": 22, "host_key": shown}, {"username": "ops"}, {}):
        assert (await client.post(path, same)).status == 202, same


@pytest.mark.holds("SAFETY-22", "S-15")
async def test_a_removal_that_failed_is_not_tried_again_with_an_old_proof(hub: TestHub) -> None:
    """What wanted the password when it was asked for wants it again, from a program's token that may do such things too."""
    client = await hub.logged_in("operator")
    made = await hub.store.deployments.create_deployment(ADMIN, a_deployment("web-3.example")._replace(kind="remove"))
    weak, strong = hub.anonymous(), hub.anonymous()
    for program, sensitive in ((weak, False), (strong, True)):
        program.bearer = (await client.post("tokens", {"name": "x", "role": "operator", "sensitive": sensitive})).json["token"]
    hub.clock.shift += 301
    path = f"deployments/{made.id}/retry"

    for stale in (client, weak):
        assert (await stale.post(path, {})).code == "auth.step_up_required"
    assert [what for what, _ in hub.deployer.asked] == []
    assert (await strong.post(path, {})).status == 202
