"""Who may call what: every route against every role."""

from __future__ import annotations

import pytest
from aiohttp import web

from groundcontrol.core.scope import Role
from groundcontrol.slices import ROUTES
from groundcontrol.web.routes import ROOT
from scripts.gen import api
from tests.support.inprocess_hub import TestHub
from tests.support.route_matrix import address, may, name

A, O, V = "admin", "operator", "viewer"  # noqa: E741  # O is the operator's column
PENDING = {"POST /auth/password", "POST /auth/logout", "POST /auth/oidc/logout", "GET /auth/me"}
GUARDED = [route for route in ROUTES if route.action is not None]


@pytest.mark.holds("SAFETY-34", "S-19")
def test_docs_show_each_route_with_its_right_as_it_is() -> None:
    """A new route, or a changed right, is a visible line of a change."""
    assert api.TARGET.read_text(encoding="utf-8") == api.generate(), "run scripts/gen/api.py"


def test_the_architecture_lists_the_slices_in_their_order() -> None:
    assert api.ARCHITECTURE.read_text(encoding="utf-8") == api.architecture(), "run scripts/gen/api.py"


@pytest.mark.holds("SAFETY-10")
def test_only_listed_routes_are_open_before_the_password_change() -> None:
    assert {name(route) for route in ROUTES if route.pending} == PENDING


def test_only_listed_routes_are_public() -> None:
    assert {name(route) for route in ROUTES if route.action is None} == {
        "POST /auth/login", "POST /auth/refresh", "POST /links/alert", "GET /auth/oidc", "POST /auth/oidc/{provider}/start",
        "POST /auth/oidc/finish", "POST /auth/oidc/{provider}/backchannel",
    }  # fmt: skip


@pytest.mark.holds("SAFETY-34", "S-23")
async def test_the_router_has_only_documented_routes(hub: TestHub) -> None:
    known = {ROOT + route.path for route in ROUTES} | {ROOT + "/openapi.json", ROOT + "/live"}

    assert {resource.canonical for resource in hub.app.router.resources()} == known
    assert not any(isinstance(resource, web.StaticResource) for resource in hub.app.router.resources())


async def test_guarded_routes_need_a_session(hub: TestHub) -> None:
    stranger = hub.anonymous()
    for route in GUARDED:
        answer = await stranger.request(route.method, address(route), {})
        assert (answer.status, answer.code) == (401, "auth.required"), name(route)


@pytest.mark.holds("S-19")
@pytest.mark.parametrize("role", [A, O, V])
async def test_each_role_is_admitted_as_the_table_says(hub: TestHub, role: Role) -> None:
    for route in GUARDED:
        client = await hub.logged_in(role, cookie=route.method == "GET")
        answer = await client.request(route.method, address(route), {})
        refused = answer.status == 403 and answer.code == "auth.forbidden"
        assert refused == (not may(role, name(route))), f"{name(route)} as {role}: {answer.status}"
        assert answer.status < 500


@pytest.mark.holds("SAFETY-10")
async def test_a_session_that_must_change_its_password_is_refused_elsewhere(hub: TestHub) -> None:
    client = await hub.logged_in(must_change=True)
    for route in GUARDED:
        if name(route) in PENDING:
            continue
        answer = await client.request(route.method, address(route), {})
        assert (answer.status, answer.code) == (403, "auth.password_change_required"), name(route)
    assert (await client.get("auth/me")).json["user"]["must_change_password"] is True
    assert (await client.get("live", headers={"Origin": "https://hub.example"})).code == "auth.password_change_required"


async def test_a_node_of_another_organisation_is_not_found(hub: TestHub) -> None:
    node = await hub.node()
    stranger = await hub.logged_in("admin")
    await hub.move(stranger.user)

    answer = await stranger.get(f"nodes/{node.id}")

    assert (answer.status, answer.code) == (404, "not_found")
    assert (await stranger.get("nodes")).json["nodes"] == []


@pytest.mark.holds("SAFETY-24", "S-12")
async def test_a_get_changes_nothing(hub: TestHub) -> None:
    node = await hub.node()
    admin = await hub.logged_in()

    async def content() -> list[tuple[object, ...]]:
        def read(rows: object) -> list[tuple[object, ...]]:
            tables = [row["name"] for row in rows.fetch_all("SELECT name FROM sqlite_schema WHERE type = 'table'")]  # type: ignore[attr-defined]
            return [tuple(row) for table in tables for row in rows.fetch_all(f"SELECT * FROM {table}")]  # type: ignore[attr-defined]

        return await hub.database._control.reader.run(read)

    before = await content()
    for route in GUARDED:
        if route.method == "GET":
            await admin.get(ROOT + route.path.replace("{id}", node.id))
    assert await content() == before
