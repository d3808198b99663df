"""`/api/v1/users` and `/api/v1/settings`: users, their roles, and the nodes they may see."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.inprocess_hub import Client, TestHub
from tests.support.web_users import Someone, somebody, with_second_factor

NEW = "four yellow herons"


async def added(admin: Client, username: str = "bob", role: str = "viewer", **more: object) -> str:
    answer = await admin.post("users", {"username": username, "role": role, **more})
    assert answer.status == 201, answer.body
    return str(answer.json["password"])


async def test_a_new_users_password_only_allows_choosing_another(hub: TestHub) -> None:
    admin = await hub.logged_in()
    password = await added(admin, grants={"tags": ["web"]})
    bob = Someone(hub, "bob")

    opened = await bob.try_to_log_in(password=password)
    client = hub.anonymous()
    client.bearer = opened.json["token"]

    assert opened.json["user"]["must_change_password"] is True
    assert (opened.json["user"]["limited"], (await admin.get("auth/me")).json["user"]["limited"]) == (True, False)
    assert (await client.get("nodes")).code == "auth.password_change_required"
    assert (await client.post("auth/password", {"current": password, "new": NEW})).status == 200
    assert (await bob.try_to_log_in(password=password)).status == 401
    assert (await bob.try_to_log_in(password=NEW)).json["user"]["must_change_password"] is False
    shown = {user["username"]: user for user in (await admin.get("users")).json["users"]}["bob"]
    assert (shown["role"], shown["grants"], shown["disabled"]) == ("viewer", {"nodes": [], "tags": ["web"]}, False)
    assert shown["last_seen_at"] is not None


async def test_a_one_time_password_expires_after_a_day(hub: TestHub) -> None:
    password = await added(await hub.logged_in())
    hub.clock.shift += 24 * 3600 + 1

    answer = await Someone(hub, "bob").try_to_log_in(password=password)

    assert (answer.status, answer.code) == (403, "auth.forbidden")


async def test_user_names_are_unique_over_spellings(hub: TestHub) -> None:
    admin = await hub.logged_in()
    answers = await asyncio.gather(*(admin.post("users", {"username": name, "role": "viewer"}) for name in ("bob", "Bob", "BOB")))

    assert sorted(answer.status for answer in answers) == [201, 409, 409]


MALFORMED = [
    {},
    {"username": "bob"},
    {"username": "", "role": "viewer"},
    {"username": "a b", "role": "viewer"},
    {"username": "../x", "role": "viewer"},
    {"username": "b" * 65, "role": "viewer"},
    {"username": "bob", "role": "root"},
    {"username": "bob", "role": "viewer", "grants": {}},
    {"username": "bob", "role": "viewer", "grants": {"nodes": [], "tags": []}},
    {"username": "bob", "role": "viewer", "grants": {"nodes": ["x"]}},
    {"username": "bob", "role": "viewer", "grants": {"tags": [" "]}},
    {"username": "bob", "role": "viewer", "grants": {"tags": ["t"] * 501}},
    {"username": "bob", "role": "admin", "grants": {"tags": ["t"]}},
    {"username": "bob", "role": "viewer", "password": "x"},
]


async def test_a_malformed_user_is_refused(hub: TestHub) -> None:
    admin = await hub.logged_in()

    for body in MALFORMED:
        assert (body, (await admin.post("users", body)).code) == (body, "request.invalid")
    assert hub.auth.passwords.hashed == 0


async def test_a_malformed_change_of_a_user_is_refused(hub: TestHub) -> None:
    for body in [{}, {"role": "root"}, {"grants": {}}, {"grants": {"tags": ["a"]}, "all_nodes": True}, {"disabled": 1}, {"role": None}]:
        admin, viewer = await hub.logged_in(), await hub.logged_in("viewer")
        assert (await admin.request("PATCH", f"users/{viewer.user.username}", body)).code == "request.invalid", body


@pytest.mark.holds("S-09")
async def test_changes_of_a_user_take_effect_with_the_next_request(hub: TestHub) -> None:
    admin, bob = await hub.logged_in(), await hub.logged_in("operator")
    place = f"users/{bob.user.username}"
    node = await hub.node()
    assert (await bob.request("PATCH", f"nodes/{node.id}", {"name": "a"})).status == 200

    assert (await admin.request("PATCH", place, {"role": "viewer"})).json["role"] == "viewer"
    assert (await bob.request("PATCH", f"nodes/{node.id}", {"name": "b"})).code == "auth.forbidden"
    await admin.request("PATCH", place, {"grants": {"tags": ["nothing"]}})
    assert (await bob.get(f"nodes/{node.id}")).status == 404
    assert (await admin.request("PATCH", place, {"all_nodes": True})).json["grants"] is None
    assert (await bob.get(f"nodes/{node.id}")).status == 200
    await admin.request("PATCH", place, {"disabled": True})
    assert (await bob.get(f"nodes/{node.id}")).status == 401
    assert (await admin.request("PATCH", place, {"disabled": False})).json["disabled"] is False
    assert (await bob.get(f"nodes/{node.id}")).status == 401  # an ended session does not come back


async def test_an_admin_always_sees_every_node(hub: TestHub) -> None:
    admin = await hub.logged_in()
    await added(admin, grants={"tags": ["web"]})

    promoted = await admin.request("PATCH", "users/bob", {"role": "admin"})

    assert (promoted.json["role"], promoted.json["grants"]) == ("admin", None)
    assert (await admin.request("PATCH", "users/bob", {"grants": {"tags": ["web"]}})).code == "conflict"


async def test_there_is_always_an_admin_left(hub: TestHub) -> None:
    admin = await hub.logged_in()
    for body in ({"role": "viewer"}, {"disabled": True}):
        assert (await admin.request("PATCH", f"users/{admin.user.username}", body)).code == "organisation.last_admin"
    assert (await admin.get("users")).status == 200


async def test_a_reset_password_ends_sessions_and_leaves_the_second_factor(hub: TestHub) -> None:
    admin = await hub.logged_in()
    person, client = await with_second_factor(hub, "operator")

    password = (await admin.post(f"users/{person.username}/password")).json["password"]

    assert (await client.get("auth/me")).status == 401
    assert (await person.try_to_log_in()).status == 401
    assert (await person.try_to_log_in(password=password)).code == "auth.totp_required"
    assert (await person.try_to_log_in(person.next_code(), password)).json["user"]["must_change_password"] is True
    assert (await admin.post("users/nobody/password")).status == 404
    assert (await admin.post("users/%2e%2e/password")).status == 404


async def test_a_second_factor_cannot_be_reset_over_the_network(hub: TestHub) -> None:
    admin = await hub.logged_in()
    person, _ = await with_second_factor(hub, "viewer")

    answer = await admin.post(f"users/{person.username}/totp-reset")

    assert answer.status == 404
    assert (await person.try_to_log_in()).code == "auth.totp_required"


async def test_settings_are_read_and_changed(hub: TestHub) -> None:
    admin = await hub.logged_in()
    assert (await admin.get("settings")).json.items() >= {"require_totp": "none", "require_totp_least": "none"}.items()

    assert (await admin.request("PATCH", "settings", {"require_totp": "admins"})).json["require_totp"] == "admins"

    assert (await admin.get("settings")).code == "auth.totp_enrolment_required"
    person = await somebody(hub, "viewer")
    assert (await (await person.log_in()).get("nodes")).status == 200


async def test_malformed_settings_are_refused(hub: TestHub) -> None:
    for body in [{}, {"require_totp": "1"}, {"require_totp": None}, {"require_totp": ""}, {"other": 1}, []]:
        assert (await (await hub.logged_in()).request("PATCH", "settings", body)).code == "request.invalid", body
