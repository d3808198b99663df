"""Attacks with ended or still open sessions on a running hub."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest

from groundcontrol.access import totp
from groundcontrol.slices import ROUTES
from groundcontrol.web.routes import ROOT as API
from spider.wire.ids import new_random_id
from tests.support.attack_tools import LOGIN, addresses, ask, attackers, page_headers, try_password
from tests.support.eventually import eventually
from tests.support.hub import PASSWORD, HubProcess, Reply
from tests.support.rights_fixture import World
from tests.support.route_matrix import THINGS, path_of

STEP_UP_S = 900


# -- the moment of an end (S-09) -----------------------------------------------------------------------------


def log_out(world: World, session: str, _token: str) -> None:
    assert world.call(session, "POST", "auth/logout").status == 204


def revoke(world: World, _session: str, token: str) -> None:
    assert world.call(world.people["admin"], "DELETE", f"tokens/{token}").status == 204


def disable(world: World, _session: str, _token: str) -> None:
    world.local("PATCH", "users/ends-often", {"disabled": True})


def demote(world: World, _session: str, _token: str) -> None:
    world.local("PATCH", "users/ends-often", {"role": "viewer"})


@pytest.mark.holds("SAFETY-18", "S-09")
@pytest.mark.parametrize("end", [log_out, revoke, *(pytest.param(end, marks=pytest.mark.slow) for end in (disable, demote))])
async def test_requests_after_the_end_of_a_session_are_refused(world: World, end: Callable[[World, str, str], None]) -> None:
    """While requests arrive as fast as possible; one sent earlier may still be answered."""
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
        await eventually(lambda: len(told) > 40)
        await asyncio.to_thread(end, world, session, made["info"]["id"])
        ended, before = time.monotonic(), len(told)
        await eventually(lambda: len(told) > before + 40)
        over.set()
        await asyncio.gather(*asking)
    refused = 403 if end is demote else 401
    assert {status for _, status in told} == {200, refused}
    assert {status for began, status in told if began > ended} == {refused}


def held_open(hub: HubProcess, token: str, path: str, body: bytes) -> socket.socket:
    """A change whose head has arrived and whose body has not: the hub has requested it."""
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


@pytest.mark.holds("SAFETY-18", "S-09")
@pytest.mark.parametrize("end", [keep_all, log_out, disable, demote, revoke, reset])
@pytest.mark.parametrize("by", ["session", "token"])
def test_a_request_whose_body_arrives_after_the_session_ended_does_nothing(
    world: World, end: Callable[[World, str, str], None], by: str
) -> None:
    """Let in by its head, and held open until the rights are gone; a thief keeps one such at hand."""
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


@pytest.mark.holds("SAFETY-20", "S-09")
@pytest.mark.parametrize("end", [out_of_the_page, disable_and_let_in_again, reset_by_an_admin, reset_on_the_console, change_elsewhere])
def test_a_refresh_cookie_does_not_reopen_an_ended_session(world: World, end: Callable[[World, str, str], None], shift_clock: Any) -> None:
    """Copied before the end, used or not, immediately and later: 401, and the cookies are cleared."""
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
            assert cookies_of(reply) == "; ".join(f'{one.partition("=")[0]}=""' for one in spent.split("; ")[:2])
            assert hub.request("GET", f"{API}/nodes", headers={"Cookie": stolen, "Origin": hub.url}).status == 401


@pytest.mark.holds("S-09")
def test_a_reused_refresh_cookie_ends_the_session_of_a_running_hub(world: World, shift_clock: Any) -> None:
    """One of the two has stolen it; it is unknown which, so both are signed out."""
    hub = world.hub
    spent = cookies_of(hub.request("POST", LOGIN, {"username": "admin", "password": PASSWORD}))
    page = {"Origin": hub.url}
    fresh = cookies_of(hub.request("POST", f"{API}/auth/refresh", headers={**page, "Cookie": spent}))
    shift_clock(11)
    for cookies in (spent, fresh):
        assert hub.request("POST", f"{API}/auth/refresh", headers={**page, "Cookie": cookies}).status == 401
        assert hub.request("GET", f"{API}/nodes", headers={**page, "Cookie": cookies}).status == 401


# -- a session left open (S-15), a code that was seen (S-14) --------------------------------------------------


@pytest.mark.holds("SAFETY-22", "S-15")
def test_an_old_session_needs_the_password_for_dangerous_actions(world: World, shift_clock: Any) -> None:
    """With the page's cookie, its token for forms and its Origin, 15 minutes after the last proof."""
    hub, own = world.hub, world.ids["node", "own"]
    victim = hub.login()
    page = page_headers(hub, victim)
    shift_clock(STEP_UP_S + 1)
    rows: list[tuple[str, str, Any]] = [
        (route.method, path_of(route, own if "nodes" in route.path else world.ids[THINGS[name][0], "other"] if name in THINGS else "none"),
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


@pytest.mark.holds("SAFETY-21", "S-14")
async def test_of_many_concurrent_equal_codes_a_running_hub_accepts_one(world: World) -> None:
    """Over the network and from as many addresses."""
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
