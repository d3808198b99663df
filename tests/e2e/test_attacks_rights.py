"""Privilege escalation by limited users, limited tokens and open sessions on a running hub."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import msgspec
import pytest

from groundcontrol.slices import ROUTES
from groundcontrol.web.routes import ROOT as API
from spider.wire.ids import new_random_id
from spider.wire.job_messages import JobStart
from tests.support.agent import IDENTITY, TestAgent, agents, layout_of, pack_of
from tests.support.attack_tools import LOGIN, ask, attackers, page_headers
from tests.support.eventually import eventually, wait_until
from tests.support.hub import PASSWORD, Login
from tests.support.rights_fixture import PROXY, SIDES, World
from tests.support.route_matrix import LISTS, THINGS, may, path_of

# -- other people's things (S-19) ----------------------------------------------------------------------------


@pytest.mark.holds("SAFETY-33", "S-19")
@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_no_route_of_a_running_hub_reaches_a_resource_outside_the_grants(world: World, role: str) -> None:
    """Every route that names an object, against {other, none, own}; foreign objects are reported like missing ones."""
    who = world.people[f"limited-{role}"]
    for route in ROUTES:
        row = f"{route.method} {route.path}"
        if row not in THINGS or (route.whose in ("organisation", "hub") and may(role, row)):  # no grant limits it
            continue
        kind, body = THINGS[row]
        answers = {whose: world.call(who, route.method, path_of(route, world.ids[kind, whose]), body) for whose in ("none", "other")}
        statuses = {answer.status for answer in answers.values()}
        if not may(role, row):
            assert statuses == {403}, row
            continue
        assert statuses == {404}, (row, [answer.body for answer in answers.values()])
        told = [answer.json["detail"].replace(world.ids[kind, whose], "…") for whose, answer in answers.items()]  # type: ignore[index]  # one of the two
        assert told[0] == told[1], row
        if route.method == "GET" and (kind, "own") in world.ids:
            own = world.call(who, "GET", path_of(route, world.ids[kind, "own"]))
            assert own.status == 200 or row.endswith(("/plan", "/report")), (row, own.body)
    assert {world.hub.node(node.node_id)["tags"][0] for node in world.nodes.values()} == set(SIDES)


@pytest.mark.holds("S-19")
@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_lists_of_a_running_hub_contain_only_granted_resources(world: World, role: str) -> None:
    who = world.people[f"limited-{role}"]
    for row, name in LISTS.items():
        reply = world.call(who, "GET", name)
        if not may(role, row):
            assert reply.status == 403
            continue
        text = reply.body.decode()
        foreign = [world.ids[key] for key in world.ids if key[1] == "other"]
        assert not [one for one in foreign if one in text], row
    for path in (f"history?metric=cpu.total&node={world.ids['node', 'own']}&node={world.ids['node', 'other']}",):
        assert world.call(who, "GET", path).status == 404
    refused = world.hub.request("GET", "/metrics", token=who.token)
    assert (refused.status, refused.json["code"]) == (403, "auth.forbidden"), "how the hub is tells of the whole fleet"
    shown = world.call(who, "GET", "updates").json
    assert (shown["told"], shown["silent"]) == (0, 1)
    assert world.call(who, "GET", "updates/nodes?package=bash").json["total"] == 0


@pytest.mark.holds("SAFETY-104", "S-19")
def test_rules_and_channels_name_nothing_of_other_peoples_nodes(world: World) -> None:
    admin, own, other = world.people["admin"], world.ids["node", "own"], world.ids["node", "other"]
    rule = {"expr": "avg(cpu.total, 10m)", "crit": {"trigger": 99, "clear": 90}}
    both = {
        "name": "both", **rule, "select": {"nodes": [own, other], "tags": ["own", "other"]},
        "overrides": [{"select": {"nodes": [other]}, "for_s": 60.0}, {"select": {"tags": ["own"]}, "for_s": 120.0}],
    }  # fmt: skip
    made = [world.call(admin, "POST", "rules", body) for body in (both, {"name": "foreign", **rule, "select": {"nodes": [other]}})]
    assert [reply.status for reply in made] == [201, 201], [reply.body for reply in made]
    channel = world.call(admin, "POST", "channels", {"kind": "webhook", "name": "x", "target": {"url": "https://receiver.example/"}})
    assert channel.status == 201, channel.body
    shared, foreign = (reply.json["id"] for reply in made)
    for who in (world.people["limited-operator"], world.people["limited-viewer"]):
        shown = [world.call(who, "GET", path) for path in ("rules", f"rules/{shared}", f"nodes/{own}/rules", "channels")]
        assert {reply.status for reply in shown} == {200}
        text = " ".join(reply.body.decode() for reply in shown)
        assert other not in text
        assert '"other"' not in text
        assert foreign not in text
        assert "receiver.example" not in text
        assert world.call(who, "GET", f"rules/{foreign}").status == 404
        [one] = [row for row in shown[0].json["rules"] if row["id"] == shared]
        assert (one["select"], [row["select"] for row in one["overrides"]]) == (
            {"all": False, "tags": ["own"], "nodes": [own]},
            [{"all": False, "tags": ["own"], "nodes": []}],
        )
        rules = functools.partial(world.call, who, "GET", f"nodes/{own}/rules")
        [effective] = wait_until(lambda read=rules: [row for row in read().json["rules"] if row["rule"]["id"] == shared])  # type: ignore[misc]
        assert effective["rule"]["overrides"][effective["override"]]["for_s"] == 120.0, "the place is that among those that are shown"
    assert "receiver.example" in world.call(admin, "GET", "channels").body.decode()
    for path in (f"rules/{shared}", f"rules/{foreign}", f"channels/{channel.json['id']}"):
        assert world.call(admin, "DELETE", path).status == 204


@pytest.mark.holds("S-19")
def test_a_limited_operator_cannot_widen_the_grants(world: World) -> None:
    """By tags, by a token, by an invite, by a deployment, by an own account."""
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


@pytest.mark.holds("S-19")
def test_tokens_and_operators_cannot_change_a_tag_of_a_grant(world: World) -> None:
    """Moving a node between groups changes what others see; `own` and `other` are granted to a user, `plain` to none."""
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


@pytest.mark.holds("S-19")
def test_requests_by_body_or_query_reach_only_granted_deployments(world: World) -> None:
    """A foreign deployment and a foreign batch, named in a list, are reported like missing ones."""
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


@pytest.mark.holds("S-19")
def test_a_conflict_with_a_hidden_resource_reveals_nothing(world: World) -> None:
    """The name of a hidden node, and a server with another user's deployment."""
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


@pytest.mark.holds("S-19")
def test_a_token_of_an_admin_is_limited_to_its_role_and_nodes(world: World) -> None:
    """Its nodes, its role, and nothing about users; not in a cookie, and not twice in one request."""
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
    assert hub.request("GET", f"{API}/nodes", headers={"Cookie": f"{hub.login().cookie.partition('=')[0]}={small}"}).status == 401
    assert hub.request("GET", f"{API}/nodes?token={small}").status == 401
    assert hub.request("GET", f"{API}/nodes", headers={**page_headers(hub, admin), "Authorization": "Bearer sdp_" + "A" * 43}).status == 401


# -- selectors that mean everything (S-20), and what acts later (S-21) ---------------------------------------


@pytest.mark.holds("SAFETY-35", "S-20")
def test_an_empty_or_invalid_choice_of_nodes_never_means_all(world: World) -> None:
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
            if path == "jobs" and reply.status == 202:  # an id that is no node is named in it, and there is no job for it
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


@pytest.mark.holds("S-20")
def test_a_bulk_order_reaches_only_granted_nodes(world: World) -> None:
    """Among many nodes, a foreign one is reported like a missing one."""
    who, own, other = world.people["limited-operator"], world.ids["node", "own"], world.ids["node", "other"]

    reply = world.call(who, "POST", "jobs", {"action": "check", "nodes": [own, other, new_random_id()]})

    told = [job["node_id"] for job in reply.json.get("jobs", [])]
    assert (reply.status, told) in ((404, []), (202, [own])), reply.body
    assert world.call(who, "POST", "agent-updates", {"nodes": [own, other]}).status in (404, 409)
    assert not [job for job in world.local("GET", f"jobs?node={other}")["jobs"] if job["created_by"].startswith("limited")]


WITHDRAWN = {"demoted": ("PATCH", "", {"role": "viewer"}), "reset": ("POST", "/password", None)}


@pytest.mark.holds("SAFETY-35", "SAFETY-36", "S-20", "S-21")
@pytest.mark.parametrize("how", WITHDRAWN)
async def test_a_job_ordered_before_a_demotion_never_reaches_a_node(world: World, how: str) -> None:
    """Rights are asked again when something is handed over, not only when it is asked for; and what came under another password
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
            await eventually(lambda job=job: (hub.job(job)["error"] or {}).get("code") == "job.not_allowed", 30.0)  # type: ignore[misc]


# -- what may be listened to (S-22) --------------------------------------------------------------------------


async def talk(agent: TestAgent) -> None:
    for seq in range(100_000):
        await agent.say(pack_of(seq))
        await asyncio.sleep(0.05)


async def told(live: aiohttp.ClientWebSocketResponse) -> tuple[str, Any]:
    async with asyncio.timeout(60):
        kind, body = msgspec.msgpack.decode(await live.receive_bytes())
    return kind, body


async def follow(live: aiohttp.ClientWebSocketResponse, topic: str) -> None:
    await live.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": topic}]))


@pytest.fixture
async def live(world: World) -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, Login]]:
    """The live socket of a user who sees one of two nodes, both of which send."""
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


@pytest.mark.holds("SAFETY-37", "S-22")
async def test_a_stream_of_a_running_hub_shows_granted_nodes_until_the_right_ends(
    world: World, live: tuple[aiohttp.ClientWebSocketResponse, Login]
) -> None:
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


# -- client addresses (S-29) ---------------------------------------------------------------------------------


@pytest.mark.holds("SAFETY-27", "S-29")
async def test_request_headers_give_a_guesser_no_fresh_limit(world: World) -> None:
    """From where no proxy stands, and left of what a named proxy wrote."""
    forged = {
        "X-Forwarded-For": "{}", "X-Real-IP": "{}", "CF-Connecting-IP": "{}", "True-Client-IP": "{}", "X-Client-IP": "{}",
        "Forwarded": "for={}", "Via": "1.1 {}", "X-Forwarded-Host": "{}", "X-Cluster-Client-IP": "{}",
    }  # fmt: skip
    async with attackers(world.hub, ["127.0.0.20", PROXY]) as [stranger, proxy]:

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


# -- what stands on every answer (S-18) ----------------------------------------------------------------------


@pytest.mark.holds("SAFETY-28", "S-18")
async def test_every_answer_of_a_running_hub_has_the_same_headers(world: World) -> None:
    """Of each route and state, of the page, of unknown routes, of refused sockets."""
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
