"""Small accounts, small tokens and sessions left open against a running hub: every way to more than was granted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Literal

import aiohttp
import msgspec
import pytest

from groundcontrol.auth import totp
from groundcontrol.web.routes import ROOT as API
from groundcontrol.web.routes import ROUTES
from spider.wire.frames import JobStart
from spider.wire.ids import new_random_id
from tests.e2e.attacking import LOGIN, addresses, ask, attackers, try_password
from tests.e2e.jumping import clock_file
from tests.e2e.test_attacks_web import page_headers
from tests.support.agent import IDENTITY, TestAgent, agents, layout_of, pack_of, until
from tests.support.hub import PASSWORD, Enrolled, HubProcess, Login, Reply
from tests.unit.groundcontrol.web.test_matrix import MATRIX
from tests.unit.groundcontrol.web.test_matrix_of_things import LISTS, THINGS, path_of

PROXY = "127.0.0.9"
"""The one address from which a header may say who asks."""
STEP_UP_S = 300
Whose = Literal["own", "other", "none"]
SIDES: tuple[Whose, Whose] = ("own", "other")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One for all of this module, whose clock can be set and which knows a proxy."""
    folder = tmp_path_factory.mktemp("rights") / "hub"
    with HubProcess(folder, program=("-m", "tests.e2e.jumping"), env={"STARDUST_TRUSTED_PROXIES": PROXY}) as process:
        yield process


@dataclass
class World:
    """One of everything on both sides of a limit, and people who see one side."""

    hub: HubProcess
    nodes: dict[Whose, Enrolled] = field(default_factory=dict)
    ids: dict[tuple[str, Whose], str] = field(default_factory=dict)
    people: dict[str, Login] = field(default_factory=dict)

    def local(self, method: str, path: str, body: object = None) -> Any:
        reply = self.hub.local(method, f"{API}/{path}", body)
        assert reply.status < 300, reply.body
        return reply.json if reply.body else None

    def person(self, name: str, role: str, *tags: str) -> Login:
        """Somebody new who has chosen a password."""
        grants = {"grants": {"tags": list(tags)}} if tags else {}
        given = self.local("POST", "users", {"username": name, "role": role, **grants})["password"]
        reply = self.hub.request(
            "POST", f"{API}/auth/password", {"current": given, "new": PASSWORD}, token=self.hub.login(name, given).token
        )
        assert reply.status == 200, reply.body
        cookies = "; ".join(header.partition(";")[0] for header in reply.headers.get_all("Set-Cookie", []))
        self.people[name] = Login(reply.json["token"], reply.json["csrf_token"], cookies)
        return self.people[name]

    def call(self, who: Login | str, method: str, path: str, body: object = None) -> Reply:
        token = who if isinstance(who, str) else who.token
        return self.hub.request(method, f"{API}/{path}", body, token=token)

    def token(self, who: Login, **body: object) -> str:
        reply = self.call(who, "POST", "tokens", {"name": new_random_id()[:8], **body})
        assert reply.status == 201, reply.body
        return str(reply.json["token"])


@pytest.fixture(scope="module")
def world(hub: HubProcess) -> World:
    made = World(hub)
    admin = made.people["admin"] = hub.login()
    for side in SIDES:
        [node] = hub.enrol(f"node-{side}")
        made.nodes[side] = node
        made.local("PATCH", f"nodes/{node.node_id}", {"tags": [side]})
        batch = made.local("POST", "jobs", {"action": "check", "nodes": [node.node_id]})
        invite = made.local("POST", "invites", {"kind": "node", "tags": [side]})
        made.ids |= {
            ("node", side): node.node_id, ("batch", side): batch["id"], ("job", side): batch["jobs"][0]["id"], ("invite", side): invite["info"]["id"],
        }  # fmt: skip
    made.person("limited-operator", "operator", "own")
    made.person("limited-viewer", "viewer", "own")
    # what hangs on a person has two sides by whose it is
    sessions = made.call(admin, "GET", "auth/sessions").json["sessions"]
    tokens = made.call(admin, "POST", "tokens", {"name": "of the admin"}).json
    deployment = made.call(admin, "POST", "deployments", {"host": "127.0.0.1", "port": 1, "username": "root", "password": "x"})
    made.ids |= {
        ("session", "other"): sessions[0]["id"], ("token", "other"): tokens["info"]["id"], ("user", "other"): "admin",
        ("deployment", "other"): deployment.json["id"],
    }  # fmt: skip
    for kind in {thing for thing, _ in THINGS.values()}:
        made.ids[kind, "none"] = new_random_id()
    return made


# -- other people's things (S-19) ----------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_no_route_of_a_running_hub_reaches_another_one_s_thing(world: World, role: str) -> None:
    """S-19: every route that names a thing, against {other, none, own}; what is another's is told as what there is not."""
    who = world.people[f"limited-{role}"]
    for route in ROUTES:
        row = f"{route.method} {route.path}"
        if row not in THINGS:
            continue
        kind, body = THINGS[row]
        answers = {whose: world.call(who, route.method, path_of(route, world.ids[kind, whose]), body) for whose in ("none", "other")}
        statuses = {answer.status for answer in answers.values()}
        if role not in MATRIX[row].split():
            assert statuses == {403}, row
            continue
        assert statuses == {404}, (row, [answer.body for answer in answers.values()])
        told = [answer.json["detail"].replace(world.ids[kind, whose], "…") for whose, answer in answers.items()]  # type: ignore[index]  # one of the two
        assert told[0] == told[1], row
        if route.method == "GET" and (kind, "own") in world.ids:
            own = world.call(who, "GET", path_of(route, world.ids[kind, "own"]))
            assert own.status == 200 or row.endswith(("/plan", "/report")), (row, own.body)
    assert {world.hub.node(node.node_id)["tags"][0] for node in world.nodes.values()} == set(SIDES)


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_lists_of_a_running_hub_hold_what_is_granted(world: World, role: str) -> None:
    who = world.people[f"limited-{role}"]
    for row, name in LISTS.items():
        reply = world.call(who, "GET", name)
        if role not in MATRIX[row].split():
            assert reply.status == 403
            continue
        text = reply.body.decode()
        foreign = [world.ids[key] for key in world.ids if key[1] == "other"]
        assert not [one for one in foreign if one in text and one != "admin"], row
    for path in (f"history?metric=cpu.total&node={world.ids['node', 'own']}&node={world.ids['node', 'other']}",):
        assert world.call(who, "GET", path).status == 404
    refused = world.hub.request("GET", "/metrics", token=who.token)
    assert (refused.status, refused.json["code"]) == (403, "auth.forbidden"), "how the hub is tells of the whole fleet"
    shown = world.call(who, "GET", "updates").json
    assert (shown["told"], shown["silent"]) == (0, 1)
    assert world.call(who, "GET", "updates/nodes?package=bash").json["total"] == 0


def test_a_limited_operator_widens_the_limit_by_nothing(world: World) -> None:
    """S-19: by tags, by a token, by an invite, by a deployment, by an own account."""
    who, own, other = world.people["limited-operator"], world.ids["node", "own"], world.ids["node", "other"]
    tries: list[tuple[str, str, object]] = [
        ("PATCH", f"nodes/{own}", {"tags": ["own", "other"]}),
        ("PATCH", f"nodes/{own}", {"tags": []}),
        ("POST", "invites", {"kind": "node", "tags": ["other"]}),
        ("POST", "invites", {"kind": "node"}),
        ("POST", "invites", {"kind": "organisation", "name": "all", "tags": ["own"]}),
        ("POST", "deployments", {"host": "127.0.0.1", "username": "root", "password": "x"}),
        ("POST", "deployments", {"host": "127.0.0.1", "username": "root", "password": "x", "tags": ["other"]}),
        ("POST", "tokens", {"name": "more", "role": "admin"}),
        ("PATCH", "users/limited-operator", {"all_nodes": True}),
        ("PATCH", "users/limited-operator", {"role": "admin"}),
        ("POST", "users", {"username": "helper", "role": "admin"}),
        ("PATCH", "settings", {"require_totp": "none"}),
        ("POST", f"nodes/{own}/rekey", None),
        ("GET", "audit", None),
        ("GET", "auth/sessions?user=*", None),
        ("GET", "tokens?user=admin", None),
    ]
    for method, path, body in tries:
        reply = world.call(who, method, path, body)
        assert (reply.status, reply.json["code"]) == (403, "auth.forbidden"), (path, reply.body)
    wide = world.token(who, role="operator", grants={"tags": ["own", "other"]})
    assert world.call(wide, "GET", f"nodes/{own}").status == 200
    assert world.call(wide, "GET", f"nodes/{other}").status == 404
    assert [node["id"] for node in world.call(wide, "GET", "nodes").json["nodes"]] == [own]


def test_no_program_and_no_operator_moves_a_tag_that_rights_hang_on(world: World) -> None:
    """S-19: whoever moves it changes what others see; `own` and `other` are granted to somebody, `plain` to nobody."""
    admin, operator = world.people["admin"], world.person("tags-all", "operator")
    world.person("sees-other", "viewer", "other")
    place = f"nodes/{world.ids['node', 'other']}"
    programs = [world.token(operator, role="operator", sensitive=True), world.token(admin, role="admin", sensitive=True)]
    tried: list[Login | str] = [operator, *programs]
    for who in tried:
        for tags in ([], ["own"], ["other", "own"]):
            reply = world.call(who, "PATCH", place, {"tags": tags})
            assert (reply.status, reply.json["code"]) == (403, "auth.forbidden"), reply.body
        assert world.call(who, "PATCH", place, {"tags": ["other", "plain"]}).status == 200
        assert world.call(who, "PATCH", place, {"tags": ["other"]}).status == 200
    assert world.call(admin, "PATCH", place, {"tags": ["other", "own"]}).status == 200
    assert world.call(world.people["limited-viewer"], "GET", place).status == 200
    assert world.call(admin, "PATCH", place, {"tags": ["other"]}).status == 200
    assert world.call(world.people["limited-viewer"], "GET", place).status == 404


def test_deployments_that_a_body_or_a_query_names_are_those_that_are_granted(world: World) -> None:
    """S-19: another one's deployment and request for many, named in a list, are told as what there is not."""
    admin, who = world.people["admin"], world.people["limited-operator"]
    servers = [{"host": "127.0.0.1", "port": 2, "name": "hidden-server"}]
    many = world.call(admin, "POST", "deployments/many", {"servers": servers, "username": "root", "password": "x"})
    assert many.status == 202, many.body
    [made] = many.json["deployments"]
    key = "SHA256:" + "a" * 43
    wanted = [made["id"], world.ids["deployment", "none"]]
    reply = world.call(who, "POST", "deployments/host-keys", {"host_keys": [{"deployment": one, "fingerprint": key} for one in wanted]})
    assert (reply.status, reply.json["deployments"]) == (200, [])
    told = [(row["code"], row["message"].replace(row["deployment"], "…")) for row in reply.json["refused"]]
    assert told[0] == told[1] == ("not_found", "there is no deployment …")
    assert [row["id"] for row in world.call(admin, "GET", f"deployments?batch={made['batch_id']}").json["deployments"]] == [made["id"]]
    for batch in (made["batch_id"], new_random_id()):
        assert world.call(who, "GET", f"deployments?batch={batch}").json == {"deployments": [], "next": None}


def test_a_conflict_of_a_running_hub_tells_nothing_of_what_is_not_granted(world: World) -> None:
    """S-19: a name that a hidden node has, and a server where somebody else is at work."""
    admin, who, own = world.people["admin"], world.people["limited-operator"], world.ids["node", "own"]
    renamed = world.call(who, "PATCH", f"nodes/{own}", {"name": "node-other"})
    assert (renamed.status, renamed.json["detail"]) == (409, "this name cannot be given: choose another one")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place, login = {"host": "127.0.0.1", "port": silent.getsockname()[1]}, {"username": "root", "password": "x"}
        there = {**place, **login}
        running = world.call(admin, "POST", "deployments", {**there, "name": "hidden-work"})
        assert running.status == 202, running.body
        path = f"deployments/{running.json['id']}/cancel"
        try:
            known = world.call(admin, "POST", "deployments", {**there, "name": "second"})
            assert (known.status, known.json["facts"]) == (409, {"deployment": running.json["id"]})
            for one, body in (("", {**there, "tags": ["own"]}), ("/many", {"servers": [place], **login, "tags": ["own"]})):
                reply = world.call(who, "POST", f"deployments{one}", body)
                assert reply.status in (400, 409), reply.body
                assert "try again later" in reply.body.decode()
                assert not [word for word in (running.json["id"], "hidden", "running") if word in reply.body.decode()], reply.body
        finally:
            assert world.call(admin, "POST", path).status == 200


def test_a_token_of_an_admin_stays_within_what_it_was_made_for(world: World) -> None:
    """S-19: its nodes, its role, and nothing of people; not in a cookie, and not twice in one request."""
    hub, admin, own, other = world.hub, world.people["admin"], world.ids["node", "own"], world.ids["node", "other"]
    small = world.token(admin, role="admin", grants={"nodes": [own]})
    reader = world.token(admin, role="viewer")
    for route in ROUTES:
        row = f"{route.method} {route.path}"
        if THINGS.get(row, ("",))[0] in ("node", "job", "batch", "invite") and route.action is not None:
            reply = world.call(small, route.method, path_of(route, world.ids[THINGS[row][0], "other"]), THINGS[row][1])
            assert reply.status in (403, 404), row
            if route.method != "GET":
                assert world.call(reader, route.method, path_of(route, own), THINGS[row][1]).status in (403, 404), row
    assert world.hub.node(other)["name"] == "node-other"
    for path in ("audit", "users", "settings", "auth/me", "auth/sessions", "tokens", "auth/preferences", "invites"):
        assert world.call(small, "GET", path).status == 403, path
    for body in ({"current": PASSWORD, "new": PASSWORD + " 2"}, {"current": "x", "new": "y"}):
        assert world.call(small, "POST", "auth/password", body).status == 403
    plain = world.token(admin, role="admin")
    for method, path, asked in (("DELETE", f"nodes/{own}", None), ("POST", f"nodes/{own}/jobs", {"action": "reboot"})):
        assert world.call(plain, method, path, asked).json["code"] == "auth.step_up_required", path
    assert hub.request("GET", f"{API}/nodes", headers={"Cookie": f"stardust-plain={small}"}).status == 401
    assert hub.request("GET", f"{API}/nodes?token={small}").status == 401
    assert hub.request("GET", f"{API}/nodes", headers={**page_headers(hub, admin), "Authorization": "Bearer sdp_" + "A" * 43}).status == 401


# -- selectors that mean everything (S-20), and what acts later (S-21) ---------------------------------------


def test_no_empty_missing_or_odd_choice_of_nodes_means_all(world: World) -> None:
    """S-20."""
    who, own = world.people["admin"], world.ids["node", "own"]

    def jobs() -> int:
        return len(world.local("GET", "jobs?limit=500")["jobs"])

    before = jobs()
    odd: list[Any] = [
        [], None, "*", ["*"], [""], [None], {}, [[]], 0, True, [own, "*"], [own, ""], "all", [own[:-1]], ["%"], ["_" * 26],
    ]  # fmt: skip
    bodies: dict[str, Callable[[Any], dict[str, Any]]] = {
        "jobs": lambda nodes: {"action": "check", "nodes": nodes},
        "agent-updates": lambda nodes: {"nodes": nodes},
        "users": lambda nodes: {"username": "x", "role": "viewer", "grants": {"nodes": nodes}},
        "tokens": lambda nodes: {"name": "x", "grants": {"nodes": nodes}},
    }
    for nodes in odd:
        for path, body_of in bodies.items():
            body = body_of(nodes)
            reply = world.call(who, "POST", path, body)
            if path == "jobs" and reply.status == 202:  # what is no node is named in it, and there is no job for it
                assert isinstance(nodes, list), nodes
                assert [job["node_id"] for job in reply.json["jobs"]] == ([own] if own in nodes else []), nodes
                assert len(reply.json["refused"]) == len(nodes) - len(reply.json["jobs"])
                before += len(reply.json["jobs"])
                continue
            assert reply.status in (400, 404), (path, nodes, reply.body)
    named_none: list[tuple[str, dict[str, Any]]] = [
        ("jobs", {"action": "check"}),
        ("agent-updates", {}),
        (f"nodes/{own}/jobs", {"action": "upgrade", "packages": []}),
        ("users", {"username": "x", "role": "viewer", "grants": {}}),
        ("users", {"username": "x", "role": "viewer", "grants": {"nodes": [], "tags": []}}),
        ("users", {"username": "x", "role": "viewer", "grants": {"tags": [""]}}),
    ]
    for path, body in named_none:
        assert world.call(who, "POST", path, body).status == 400, (path, body)
    assert jobs() == before
    assert "x" not in {user["username"] for user in world.call(who, "GET", "users").json["users"]}


def test_an_order_for_many_reaches_those_that_are_granted(world: World) -> None:
    """S-20: among many nodes, another's is named as one that there is not."""
    who, own, other = world.people["limited-operator"], world.ids["node", "own"], world.ids["node", "other"]

    reply = world.call(who, "POST", "jobs", {"action": "check", "nodes": [own, other, new_random_id()]})

    told = [job["node_id"] for job in reply.json.get("jobs", [])]
    assert (reply.status, told) in ((404, []), (202, [own])), reply.body
    assert world.call(who, "POST", "agent-updates", {"nodes": [own, other]}).status in (404, 409)
    assert not [job for job in world.local("GET", f"jobs?node={other}")["jobs"] if job["created_by"].startswith("limited")]


WITHDRAWN = {"demoted": ("PATCH", "", {"role": "viewer"}), "reset": ("POST", "/password", None)}


@pytest.mark.parametrize("how", WITHDRAWN)
async def test_what_a_demoted_user_had_ordered_never_reaches_a_node(world: World, how: str) -> None:
    """S-20, S-21: rights are asked again when something is handed over, not only when it is asked for; and what came under another password
    may have been somebody else's order."""
    hub = world.hub
    [node] = await asyncio.to_thread(hub.enrol, f"node-later-{how}")
    tag = f"nodes/{node.node_id}"
    await asyncio.to_thread(world.local, "PATCH", tag, {"tags": ["own"]})
    who = await asyncio.to_thread(world.person, f"leaves-soon-{how}", "operator")
    program = await asyncio.to_thread(lambda: world.token(who, role="operator"))
    ordered = [await asyncio.to_thread(world.call, one, "POST", f"{tag}/jobs", {"action": "check"}) for one in (who, program)]
    jobs = [reply.json["id"] for reply in ordered]

    method, act, body = WITHDRAWN[how]
    await asyncio.to_thread(world.local, method, f"users/leaves-soon-{how}{act}", body)

    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(IDENTITY)
        good = await asyncio.to_thread(world.call, world.people["admin"], "POST", f"{tag}/jobs", {"action": "check"})
        assert (await agent.expect(JobStart)).job == good.json["id"]
        for job in jobs:
            await until(lambda job=job: (hub.job(job)["error"] or {}).get("code") == "job.not_allowed", 30.0)  # type: ignore[misc]


# -- what may be listened to (S-22) --------------------------------------------------------------------------


async def talk(agent: TestAgent) -> None:
    for seq in range(100_000):
        await agent.say(pack_of(seq))
        await asyncio.sleep(0.05)


async def told(live: aiohttp.ClientWebSocketResponse) -> tuple[str, Any]:
    async with asyncio.timeout(30):
        kind, body = msgspec.msgpack.decode(await live.receive_bytes())
    return kind, body


async def follow(live: aiohttp.ClientWebSocketResponse, topic: str) -> None:
    await live.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": topic}]))


@pytest.fixture
async def live(world: World) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, Login]]:
    """The live socket of somebody who sees one of two nodes, both of which talk."""
    name = f"listener-{new_random_id()[:6]}"
    who = await asyncio.to_thread(world.person, name, "viewer", "own")
    world.people["listener"] = who
    world.ids["user", "own"] = name
    headers = {"Cookie": who.cookie, "Origin": world.hub.url}
    async with agents(world.hub, *world.nodes.values()) as speakers, aiohttp.ClientSession() as http:
        for agent in speakers:
            await agent.join()
            await agent.say(IDENTITY, layout_of())
        talking = [asyncio.create_task(talk(agent)) for agent in speakers]
        try:
            async with http.ws_connect(f"{world.hub.url}{API}/live", headers=headers) as socket:
                assert (await told(socket))[0] == "hello"
                yield socket, who
        finally:
            for task in talking:
                task.cancel()
            await asyncio.gather(*talking, return_exceptions=True)


async def test_a_stream_of_a_running_hub_holds_one_s_own_and_ends_with_the_right(
    world: World, live: tuple[aiohttp.ClientWebSocketResponse, Login]
) -> None:
    """S-22."""
    socket, _ = live
    own, other = world.ids["node", "own"], world.ids["node", "other"]
    hidden = [
        ("node", other),
        ("job", world.ids["job", "other"]),
        ("deployment", world.ids["deployment", "other"]),
        ("node", "*"),
        ("node", ""),
    ]
    for kind, thing in hidden:
        await follow(socket, f"{kind}:{thing}")
        answer, body = await told(socket)
        assert (answer, body["code"]) in (("error", "not_found"), ("error", "request.invalid")), (kind, thing, body)
    for topic in ("fleet", "events", f"node:{own}"):
        await follow(socket, topic)
    heard: list[tuple[str, Any]] = []
    while len([one for one in heard if one[0] == "change"]) < 20:
        heard.append(await told(socket))
    text = json.dumps(heard, default=str)
    assert own in text
    assert other not in text
    assert "node-other" not in text

    changed = asyncio.create_task(
        asyncio.to_thread(world.local, "PATCH", f"users/{world.ids['user', 'own']}", {"grants": {"nodes": [new_random_id()]}})
    )
    while (message := await told(socket))[0] != "error":
        pass
    await changed
    assert (message[1]["code"], message[1]["topic"]) == ("not_found", f"node:{own}")
    later: list[Any] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while True:
                later.append(msgspec.msgpack.decode(await socket.receive_bytes()))
    assert own not in json.dumps(later, default=str)


# -- whose address counts (S-29) -----------------------------------------------------------------------------


async def test_no_header_gives_a_guesser_of_a_running_hub_a_fresh_limit(hub: HubProcess) -> None:
    """S-29: from where no proxy stands, and left of what a named proxy wrote."""
    forged = {
        "X-Forwarded-For": "{}", "X-Real-IP": "{}", "CF-Connecting-IP": "{}", "True-Client-IP": "{}", "X-Client-IP": "{}",
        "Forwarded": "for={}", "Via": "1.1 {}", "X-Forwarded-Host": "{}", "X-Cluster-Client-IP": "{}",
    }  # fmt: skip
    async with attackers(hub, ["127.0.0.20", PROXY]) as [stranger, proxy]:

        async def guess(client: aiohttp.ClientSession, number: int, headers: dict[str, str]) -> int:
            return (await ask(client, "POST", LOGIN, {"username": f"guess-{number}", "password": "x"}, **headers)).status

        alone = [
            await guess(stranger, number, {name: form.format(f"203.0.113.{number}") for name, form in forged.items()})
            for number in range(6)
        ]
        behind = [await guess(proxy, 10 + number, {"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.77"}) for number in range(6)]
        others = [await guess(proxy, 20 + number, {"X-Forwarded-For": f"203.0.113.77, 198.51.100.{number}"}) for number in range(6)]
        assert alone == [401] * 5 + [429]
        assert behind == [401] * 5 + [429]
        assert others == [401] * 6
        logged = await ask(
            proxy,
            "POST",
            LOGIN,
            {"username": "admin", "password": PASSWORD},
            **{"X-Forwarded-For": "10.9.9.9, 203.0.113.200", "X-Real-IP": "10.9.9.9"},
        )
        token = json.loads(logged.body)["token"]
        shown = await ask(proxy, "GET", f"{API}/auth/sessions", Authorization=f"Bearer {token}")
    [address] = [one["address"] for one in json.loads(shown.body)["sessions"] if one["current"]]
    assert address == "203.0.113.200"


# -- the moment of an end (S-09) -----------------------------------------------------------------------------


def log_out(world: World, session: str, _token: str) -> None:
    assert world.call(session, "POST", "auth/logout").status == 204


def revoke(world: World, _session: str, token: str) -> None:
    assert world.call(world.people["admin"], "DELETE", f"tokens/{token}").status == 204


def disable(world: World, _session: str, _token: str) -> None:
    world.local("PATCH", "users/ends-often", {"disabled": True})


def demote(world: World, _session: str, _token: str) -> None:
    world.local("PATCH", "users/ends-often", {"role": "viewer"})


@pytest.mark.parametrize("end", [log_out, disable, demote, revoke])
async def test_no_request_that_begins_after_the_end_gets_in(world: World, end: Callable[[World, str, str], None]) -> None:
    """S-09: while requests come in as fast as they can; one that was sent before may still be answered."""
    hub, told, over = world.hub, list[tuple[float, int]](), asyncio.Event()
    if "ends-often" not in world.people:
        await asyncio.to_thread(world.person, "ends-often", "admin")
    await asyncio.to_thread(world.local, "PATCH", "users/ends-often", {"role": "admin", "disabled": False})
    session = (await asyncio.to_thread(hub.login, "ends-often", PASSWORD)).token
    made = (await asyncio.to_thread(world.call, session, "POST", "tokens", {"name": end.__name__, "role": "admin"})).json
    shown = made["token"] if end in (revoke, demote) else session

    async with attackers(hub, ["127.0.0.40"]) as [client]:

        async def go_on() -> None:
            while not over.is_set():
                began = time.monotonic()
                told.append((began, (await ask(client, "GET", f"{API}/audit", Authorization=f"Bearer {shown}")).status))

        asking = [asyncio.create_task(go_on()) for _ in range(8)]
        await until(lambda: len(told) > 40)
        await asyncio.to_thread(end, world, session, made["info"]["id"])
        ended, before = time.monotonic(), len(told)
        await until(lambda: len(told) > before + 40)
        over.set()
        await asyncio.gather(*asking)
    refused = 403 if end is demote else 401
    assert {status for _, status in told} == {200, refused}
    assert {status for began, status in told if began > ended} == {refused}


def held_open(hub: HubProcess, token: str, path: str, body: bytes) -> socket.socket:
    """A change whose head is in and whose body is not: the hub has asked for it."""
    conn = socket.create_connection(("127.0.0.1", hub.port), timeout=30)
    head = f"PATCH {API}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    conn.sendall(head.encode() + b"Connection: close\r\nExpect: 100-continue\r\n" + f"Content-Length: {len(body)}\r\n\r\n".encode())
    assert conn.recv(4096).startswith(b"HTTP/1.1 100 ")
    conn.sendall(body[:1])
    return conn


def keep_all(_world: World, _session: str, _token: str) -> None:
    """Nothing ends."""


def reset(world: World, _session: str, _token: str) -> None:
    world.local("POST", "users/ends-often/password")


@pytest.mark.parametrize("end", [keep_all, log_out, disable, demote, revoke, reset])
@pytest.mark.parametrize("by", ["session", "token"])
def test_a_request_whose_body_comes_after_the_end_does_nothing(world: World, end: Callable[[World, str, str], None], by: str) -> None:
    """S-09: let in by its head, and held open until the rights are gone; a thief keeps one such at hand."""
    hub, node = world.hub, f"nodes/{world.nodes['own'].node_id}"
    given = world.local("POST", "users/ends-often/password")["password"] if "ends-often" in world.people else None
    if given is None:
        world.person("ends-often", "admin")
    else:
        world.local("PATCH", "users/ends-often", {"role": "admin", "disabled": False})
        token = hub.login("ends-often", given).token
        assert world.call(token, "POST", "auth/password", {"current": given, "new": PASSWORD}).status == 200
    session = hub.login("ends-often", PASSWORD).token
    made = world.call(session, "POST", "tokens", {"name": new_random_id()[:8], "role": "admin"}).json
    before = world.local("GET", node)["name"]

    body = json.dumps({"name": f"held-{end.__name__}-{by}"}).encode()
    with held_open(hub, session if by == "session" else made["token"], node, body) as conn:
        end(world, session, made["info"]["id"])
        conn.sendall(body[1:])
        status = int(conn.recv(4096).split()[1])
    spared = end is keep_all or (by == "token" and end is log_out) or (by == "session" and end is revoke)
    assert status == (200 if spared else 403 if end is demote else 401)
    after = world.local("GET", node)["name"]
    if after != before:
        world.local("PATCH", node, {"name": before})
    assert (after == before) is not spared


def cookies_of(reply: Reply) -> str:
    """What a browser would send from now on."""
    return "; ".join(header.partition(";")[0] for header in reply.headers.get_all("Set-Cookie", []))


def reset_by_an_admin(world: World, _session: str, _token: str) -> None:
    world.local("POST", "users/leaves-cookies/password")


def reset_on_the_console(world: World, _session: str, _token: str) -> None:
    assert world.hub.local("POST", f"{API}/local/reset-user", {"username": "leaves-cookies"}).status == 200


def out_of_the_page(world: World, session: str, _token: str) -> None:
    assert world.call(session, "POST", "auth/logout").status == 204


def disable_and_let_in_again(world: World, _session: str, _token: str) -> None:
    world.local("PATCH", "users/leaves-cookies", {"disabled": True})
    world.local("PATCH", "users/leaves-cookies", {"disabled": False})


def change_elsewhere(world: World, _session: str, _token: str) -> None:
    other = world.hub.login("leaves-cookies", PASSWORD)
    changed = {"current": PASSWORD, "new": PASSWORD + " 2"}
    assert world.call(other, "POST", "auth/password", changed).status == 200


@pytest.mark.parametrize("end", [out_of_the_page, disable_and_let_in_again, reset_by_an_admin, reset_on_the_console, change_elsewhere])
def test_no_refresh_cookie_opens_a_session_that_is_over(world: World, end: Callable[[World, str, str], None], shift_clock: Any) -> None:
    """S-09: copied before the end, spent or not, at once and later: 401, and the cookies are taken away."""
    hub = world.hub
    try:
        world.person("leaves-cookies", "operator")
    except AssertionError:  # another way to end has made the user
        given = world.local("POST", "users/leaves-cookies/password")["password"]
        world.local("PATCH", "users/leaves-cookies", {"disabled": False})
        token = hub.login("leaves-cookies", given).token
        assert world.call(token, "POST", "auth/password", {"current": given, "new": PASSWORD}).status == 200
    opened = hub.request("POST", LOGIN, {"username": "leaves-cookies", "password": PASSWORD})

    def refreshed(cookies: str) -> Reply:
        return hub.request("POST", f"{API}/auth/refresh", headers={"Cookie": cookies, "Origin": hub.url})

    spent = cookies_of(opened)
    renewed = refreshed(spent)
    assert renewed.status == 200
    fresh = cookies_of(renewed)
    assert refreshed(spent).status == 200, "two tabs that ask at once get the same"
    end(world, renewed.json["token"], "")
    for later_s in (0, 11):
        shift_clock(later_s)
        for stolen in (spent, fresh):
            reply = refreshed(stolen)
            assert (reply.status, reply.json["code"]) == (401, "auth.required"), reply.body
            assert cookies_of(reply) == 'stardust-plain=""; stardust-plain-refresh=""'
            assert hub.request("GET", f"{API}/nodes", headers={"Cookie": stolen, "Origin": hub.url}).status == 401


def test_a_spent_refresh_cookie_ends_the_session_of_a_running_hub(world: World, shift_clock: Any) -> None:
    """S-09: one of the two has stolen it; nobody knows which, so both are out."""
    hub = world.hub
    spent = cookies_of(hub.request("POST", LOGIN, {"username": "admin", "password": PASSWORD}))
    page = {"Origin": hub.url}
    fresh = cookies_of(hub.request("POST", f"{API}/auth/refresh", headers={**page, "Cookie": spent}))
    shift_clock(11)
    for cookies in (spent, fresh):
        assert hub.request("POST", f"{API}/auth/refresh", headers={**page, "Cookie": cookies}).status == 401
        assert hub.request("GET", f"{API}/nodes", headers={**page, "Cookie": cookies}).status == 401


# -- a session left open (S-15), a code that was seen (S-14) --------------------------------------------------


@pytest.fixture
def shift_clock(hub: HubProcess) -> Iterator[Any]:
    """Sets the hub's clock while it runs, and back afterwards."""

    def shift(seconds: float) -> None:
        file = clock_file(hub.folder)
        file.write_text(str(seconds))
        os.kill(hub.pid, signal.SIGUSR1)
        deadline = time.monotonic() + 30
        while file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    yield shift
    shift(0)


def test_a_session_left_open_does_nothing_that_wants_a_fresh_proof(world: World, shift_clock: Any) -> None:
    """S-15: with the page's cookie, its token for forms and its Origin, five minutes after the last proof."""
    hub, own = world.hub, world.ids["node", "own"]
    victim = hub.login()
    page = page_headers(hub, victim)
    shift_clock(STEP_UP_S + 1)
    rows: list[tuple[str, str, Any]] = [
        (route.method, path_of(route, own if "nodes" in route.path else world.ids[THINGS[name][0], "other"] if name in THINGS else ""),
         {} if route.body else None)
        for route in ROUTES
        if route.step_up
        for name in (f"{route.method} {route.path}",)
    ]  # fmt: skip
    assert len(rows) >= 12
    rows += [
        ("PATCH", f"nodes/{own}", {"tags": ["other"]}),
        ("POST", f"nodes/{own}/jobs", {"action": "reboot"}),
        ("POST", f"nodes/{own}/jobs", {"action": "upgrade", "reboot": True}),
        ("POST", f"nodes/{own}/jobs", {"action": "remove", "packages": ["bash"]}),
        ("POST", "jobs", {"action": "upgrade", "nodes": [own, *(new_random_id() for _ in range(10))]}),
        ("POST", f"jobs/{world.ids['job', 'own']}/cancel", {"force": True}),
    ]
    fresh = hub.request("POST", f"{API}/auth/refresh", headers=page)
    assert fresh.status == 200, "a refresh is not a proof"
    cookies = SimpleCookie()
    for header in fresh.headers.get_all("Set-Cookie", []):
        cookies.load(header)
    page = {
        **page,
        "Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items()),
        "X-CSRF-Token": fresh.json["csrf_token"],
    }
    for method, path, body in rows:
        reply = hub.request(method, f"{API}/{path}", body, headers=page)
        assert (reply.status, reply.json["code"]) == (403, "auth.step_up_required"), (method, path, reply.body)
    wrong = hub.request("POST", f"{API}/auth/step-up", {"password": PASSWORD + "!"}, headers=page)
    assert wrong.status == 401
    assert hub.request("POST", f"{API}/invites", {"kind": "node"}, headers=page).json["code"] == "auth.step_up_required"
    assert hub.request("POST", f"{API}/auth/step-up", {"password": PASSWORD}, headers=page).status == 204
    assert hub.request("POST", f"{API}/invites", {"kind": "node"}, headers=page).status == 201
    assert hub.node(own)["name"] == "node-own"


async def test_of_many_equal_codes_at_once_a_running_hub_takes_one(world: World) -> None:
    """S-14, over the network and from as many addresses."""
    who = await asyncio.to_thread(world.person, "two-factors", "viewer")
    text = (await asyncio.to_thread(world.call, who, "POST", "auth/totp")).json["secret"]
    seed = base64.b32decode(text + "=" * (-len(text) % 8))
    step = int(time.time() // 30)
    confirmed = await asyncio.to_thread(world.call, who, "POST", "auth/totp/confirm", {"code": totp.code_of(seed, step)})
    assert confirmed.status == 200, confirmed.body
    body = {"username": "two-factors", "password": PASSWORD, "totp": totp.code_of(seed, step + 1)}
    async with attackers(world.hub, addresses(50)) as crowd:
        answers = await asyncio.gather(*(ask(client, "POST", LOGIN, body) for client in crowd))
        assert [answer.status for answer in answers].count(200) == 1
        assert {answer.status for answer in answers} <= {200, 401, 429, 503}
        assert (await try_password(crowd[0], "two-factors", PASSWORD)).status in (401, 429)


# -- what stands on every answer (S-18) ----------------------------------------------------------------------


async def test_every_answer_of_a_running_hub_has_the_same_headers(world: World) -> None:
    """S-18: of each route and state, of the page, of what is no route, of refused sockets."""
    hub, viewer = world.hub, world.people["limited-viewer"]
    names = (
        "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
        "Permissions-Policy", "Cache-Control",
    )  # fmt: skip
    seen: dict[int, set[tuple[str | None, ...]]] = {}
    async with attackers(hub, ["127.0.0.30"]) as [client]:
        for route in ROUTES:
            path = f"{API}/{path_of(route, new_random_id())}"
            for method, headers in (
                (route.method, {}), (route.method, {"Authorization": f"Bearer {viewer.token}"}), ("PUT", {}),
                (route.method, {"Cookie": viewer.cookie, "Sec-Fetch-Site": "cross-site"}),
            ):  # fmt: skip
                if route.path in ("/auth/login", "/auth/logout", "/auth/sessions"):
                    continue
                answer = await ask(client, method, path, {}, **headers)
                seen.setdefault(answer.status, set()).add(tuple(answer.headers.get(name) for name in names))
                assert "Server" not in answer.headers
                assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        for path, headers in (
            ("/", {}), ("/fleet", {}), ("/nothing.js", {}), ("/api/v1/nothing", {}), ("/healthz", {}), ("/metrics", {}), ("/install.sh", {}), ("/ws", {}),
            (f"{API}/live", {}), (f"{API}/live", {"Cookie": viewer.cookie, "Origin": "http://evil.example"}), (f"{API}/openapi.json", {}),
        ):  # fmt: skip
            answer = await ask(client, "GET", path, **headers)
            seen.setdefault(answer.status, set()).add(tuple(answer.headers.get(name) for name in names))
    assert set(seen) >= {200, 400, 401, 403, 404, 405}
    shapes = {shape[:-1] for shapes in seen.values() for shape in shapes}
    assert len(shapes) == 1
    assert None not in next(iter(shapes))
    assert not [status for status, shapes in seen.items() if status >= 400 and {shape[-1] for shape in shapes} - {"no-store"}]
