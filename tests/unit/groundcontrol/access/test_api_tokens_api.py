"""`/api/v1/tokens`: programs act with the current rights of their owner, or fewer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.core.permissions import FOR_TOKENS
from groundcontrol.core.scope import Role
from groundcontrol.slices import ROUTES
from spider.wire.ids import new_random_id
from tests.support.inprocess_hub import Client, TestHub
from tests.support.route_matrix import address, name
from tests.support.web_users import somebody


async def a_token(owner: Client, role: Role = "viewer", **more: object) -> tuple[Client, Any]:
    answer = await owner.post("tokens", {"name": "backup", "role": role, **more})
    assert answer.status == 201, answer.body
    program = owner.hub.anonymous()
    program.bearer = answer.json["token"]
    return program, answer.json["info"]


async def test_a_token_is_shown_once_and_stored_as_a_hash(hub: TestHub, tmp_path: Path) -> None:
    owner = await hub.logged_in("operator")
    program, info = await a_token(owner, days=30)

    (listed,) = (await owner.get("tokens")).json["tokens"]

    assert re.fullmatch("sdp_[A-Za-z0-9_-]{43}", program.bearer)
    assert listed == info
    assert listed["expires_at"] == pytest.approx(hub.clock.now() + 30 * 86_400, abs=5)
    assert (await program.get("nodes")).status == 200
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert program.bearer[4:].encode() not in kept


async def test_its_last_use_is_noted(hub: TestHub) -> None:
    owner = await hub.logged_in()
    program, info = await a_token(owner)
    assert info["last_used_at"] is None

    await program.get("nodes")

    (listed,) = (await owner.get("tokens")).json["tokens"]
    assert listed["last_used_at"] == pytest.approx(hub.clock.now(), abs=5)
    assert listed["last_address"] == "127.0.0.1"


async def test_a_malformed_token_request_is_refused(hub: TestHub) -> None:
    for body in [
        {},
        {"name": ""},
        {"name": "x" * 65},
        {"name": "a\nb\x07"},
        {"name": "x", "days": 0},
        {"name": "x", "days": 366},
        {"name": "x", "role": "root"},
        {"name": "x", "grants": {}},
        {"name": "x", "username": "admin"},
    ]:
        assert (await (await hub.logged_in()).post("tokens", body)).code == "request.invalid", body


async def test_a_token_cannot_have_a_higher_role_than_its_owner(hub: TestHub) -> None:
    viewer = await hub.logged_in("viewer")

    assert (await viewer.post("tokens", {"name": "x", "role": "operator"})).code == "auth.forbidden"


@pytest.mark.holds("SAFETY-36", "S-19")
async def test_a_token_has_only_the_current_rights_of_its_owner(hub: TestHub) -> None:
    boss, owner = await hub.logged_in("admin"), await hub.logged_in("operator")
    program, _ = await a_token(owner, "operator")
    place, node = f"users/{owner.user.username}", await hub.node()
    assert (await program.request("PATCH", f"nodes/{node.id}", {"name": "a"})).status == 200

    await boss.request("PATCH", place, {"role": "viewer"})
    assert (await program.request("PATCH", f"nodes/{node.id}", {"name": "b"})).code == "auth.forbidden"
    await boss.request("PATCH", place, {"grants": {"tags": ["other"]}})
    assert (await program.get(f"nodes/{node.id}")).status == 404
    await boss.request("PATCH", place, {"disabled": True})
    assert (await program.get("nodes")).status == 401


async def test_a_token_has_only_the_rights_it_was_created_with(hub: TestHub) -> None:
    admin = await hub.logged_in("admin")
    mine, other = await hub.node("mine"), await hub.node("other")
    program, info = await a_token(admin, "viewer", grants={"nodes": [mine.id]})

    assert info["grants"] == {"nodes": [mine.id], "tags": []}
    assert [node["id"] for node in (await program.get("nodes")).json["nodes"]] == [mine.id]
    assert (await program.get(f"nodes/{other.id}")).status == 404
    assert (await program.request("PATCH", f"nodes/{mine.id}", {"name": "x"})).code == "auth.forbidden"
    assert (await program.get("audit")).code == "auth.forbidden"


@pytest.mark.holds("S-19")
async def test_an_api_token_cannot_reach_routes_of_users_and_rights(hub: TestHub) -> None:
    admin = await hub.logged_in("admin")
    program, _ = await a_token(admin, "admin", sensitive=True)
    for route in ROUTES:
        if route.action is None:
            continue
        answer = await program.request(route.method, address(route), {})
        refused = answer.status == 403 and answer.code == "auth.forbidden"
        assert refused == (route.action not in FOR_TOKENS), f"{name(route)}: {answer.status}"


async def test_actions_that_need_a_password_need_a_sensitive_token(hub: TestHub) -> None:
    admin = await hub.logged_in("admin")
    node = await hub.node()
    (plain, _), (sensitive, _) = await a_token(admin, "operator"), await a_token(admin, "operator", sensitive=True)

    assert (await plain.request("DELETE", f"nodes/{node.id}")).code == "auth.step_up_required"
    assert (await sensitive.request("DELETE", f"nodes/{node.id}")).status == 202


async def test_a_token_is_accepted_only_in_the_header(hub: TestHub) -> None:
    program, _ = await a_token(await hub.logged_in("admin"))
    thief = hub.anonymous()
    thief.session.cookie_jar.update_cookies({"__Host-stardust": program.bearer}, hub.url("/"))

    assert (await thief.get("nodes")).status == 401
    assert (await hub.anonymous().get(f"nodes?token={program.bearer}")).status == 401


async def test_an_unknown_token_is_refused(hub: TestHub) -> None:
    for text in ["sdp_", "sdp_" + "A" * 43, "sdp_" + "A" * 42, "sdp_" + "A" * 44, "sdp_" + "é" * 43, "SDP_" + "A" * 43]:
        stranger = hub.anonymous()
        stranger.bearer = text.encode().decode("latin-1")

        assert (await stranger.get("nodes")).status == 401, text


async def test_a_revoked_token_is_invalid_and_its_sockets_are_closed(hub: TestHub) -> None:
    owner = await hub.logged_in("viewer")
    program, info = await a_token(owner)
    async with program.live() as live:
        await live.follow("fleet")
        assert (await owner.request("DELETE", f"tokens/{info['id']}")).status == 204
        assert await live.closed() == 4401
    assert (await program.get("nodes")).status == 401
    assert (await owner.get("tokens")).json["tokens"] == []
    assert (await owner.request("DELETE", f"tokens/{info['id']}")).status == 404


async def test_a_token_of_another_user_is_not_found(hub: TestHub) -> None:
    owner, stranger, admin = await hub.logged_in("operator"), await hub.logged_in("operator"), await hub.logged_in("admin")
    _, info = await a_token(owner)

    answers = [await stranger.request("DELETE", f"tokens/{one}") for one in (info["id"], new_random_id())]

    assert [(answer.status, answer.code) for answer in answers] == [(404, "not_found")] * 2
    assert (await stranger.get("tokens")).json["tokens"] == []
    assert (await stranger.get(f"tokens?user={owner.user.username}")).code == "auth.forbidden"
    assert [one["id"] for one in (await admin.get(f"tokens?user={owner.user.username}")).json["tokens"]] == [info["id"]]
    assert len((await admin.get("tokens?user=*")).json["tokens"]) == 1
    assert (await admin.request("DELETE", f"tokens/{info['id']}")).status == 204


async def test_a_token_waits_until_its_owner_has_enrolled_a_second_factor(hub: TestHub) -> None:
    person = await somebody(hub, "operator")
    client = await person.log_in()
    program, _ = await a_token(client)
    boss = await hub.logged_in("admin")
    await boss.request("PATCH", "settings", {"require_totp": "all"})
    assert (await program.get("nodes")).code == "auth.totp_enrolment_required"

    await person.enrol(client)

    assert (await program.get("nodes")).status == 200


async def test_a_token_expires_after_its_days(hub: TestHub) -> None:
    program, _ = await a_token(await hub.logged_in(), days=1)
    hub.clock.shift += 86_401

    assert (await program.get("nodes")).status == 401
