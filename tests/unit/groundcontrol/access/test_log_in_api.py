"""`/api/v1/auth`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.core.errors import StoreFull
from tests.support.inprocess_hub import PASSWORD, Client, TestHub, a_config, running
from tests.support.web_users import somebody

NEW = "four yellow herons"


async def log_in(hub: TestHub, password: str = PASSWORD, **more: str) -> tuple[Client, object]:
    client = hub.anonymous()
    answer = await client.post("auth/login", {"username": "admin", "password": password, **more})
    assert answer.status == 200, answer.body
    client.csrf = answer.json["csrf_token"]
    return client, answer


def cookies(answer: object) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for header in answer.headers.getall("Set-Cookie"):  # type: ignore[attr-defined]
        for name, morsel in SimpleCookie(header).items():
            found[name] = {"value": morsel.value, **{key: str(value) for key, value in morsel.items() if value}}
    return found


@pytest.mark.holds("SAFETY-20")
async def test_a_log_in_gives_a_token_and_three_cookies(hub: TestHub) -> None:
    await hub.auth.first_log_in.create_admin("admin", PASSWORD)

    client, answer = await log_in(hub)

    assert answer.json["user"] == {  # type: ignore[attr-defined]
        "username": "admin",
        "role": "admin",
        "must_change_password": False,
        "totp_enabled": False,
        "must_enrol_totp": False,
        "has_password": True,
        "limited": False,
    }
    given = cookies(answer)
    assert list(given) == ["__Host-stardust", "__Host-stardust-refresh", "__Host-stardust-device"]
    for cookie in given.values():  # what the prefix asks for, and more
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == ("True", "True", "Strict", "/")
        assert "domain" not in cookie
    assert given["__Host-stardust"]["max-age"] == "600"
    assert (await client.get("auth/me")).json["csrf_token"] == client.csrf
    program = hub.anonymous()
    program.bearer = answer.json["token"]  # type: ignore[attr-defined]
    assert (await program.get("nodes")).status == 200


@pytest.mark.holds("SAFETY-20", "S-09")
async def test_over_plain_http_the_cookies_have_other_names(tmp_path: Path) -> None:
    async with running(tmp_path, config=a_config(tmp_path, server_url=None)) as hub:
        await hub.auth.first_log_in.create_admin("admin", PASSWORD)
        answer = await hub.anonymous().post(
            "auth/login", {"username": "admin", "password": PASSWORD}, headers={"Origin": "http://127.0.0.1:8933"}
        )

        assert answer.status == 200
        assert set(cookies(answer)) == {"stardust-plain-test-hub", "stardust-plain-test-hub-refresh", "stardust-plain-test-hub-device"}
        assert all("secure" not in cookie and cookie["httponly"] for cookie in cookies(answer).values())
        paths = [cookie["path"] for cookie in cookies(answer).values()]
        assert paths == ["/", "/api/v1/auth/refresh", "/api/v1/auth/login"], "other servers of the machine share them"
        assert "Strict-Transport-Security" not in answer.headers


async def test_wrong_passwords_and_unknown_users_get_equal_answers(hub: TestHub) -> None:
    await hub.auth.first_log_in.create_admin("admin", PASSWORD)
    client = hub.anonymous()

    wrong = await client.post("auth/login", {"username": "admin", "password": "wrong"})
    unknown = await client.post("auth/login", {"username": "nobody", "password": "wrong"})

    assert (wrong.status, unknown.status, wrong.code) == (401, 401, "auth.bad_credentials")
    assert {**wrong.json, "instance": ""} == {**unknown.json, "instance": ""}
    assert set(wrong.headers) == set(unknown.headers)


async def test_rate_limited_log_ins_have_a_retry_after(hub: TestHub) -> None:
    client = hub.anonymous()
    for _ in range(5):
        await client.post("auth/login", {"username": "admin", "password": "wrong"})

    answer = await client.post("auth/login", {"username": "admin", "password": "wrong"})

    assert (answer.status, answer.code) == (429, "auth.rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 61


@pytest.mark.holds("S-48")
async def test_wrong_passwords_of_one_address_are_one_row_a_minute_and_in_no_chain(hub: TestHub) -> None:
    await hub.auth.first_log_in.create_admin("admin", PASSWORD)
    for _ in range(3):
        await hub.anonymous().post("auth/login", {"username": "admin", "password": "wrong"})

    rows = [row for row in (await (await hub.logged_in()).get("audit")).json["audit"] if row["result"] == "refused"]

    assert [(row["action"], row.get("chain"), row["detail"]["why"]) for row in rows] == [("auth.login", "", "password")]


@pytest.mark.holds("S-48")
async def test_strangers_do_not_fill_the_log_while_the_disk_is_full(
    hub: TestHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_given: object) -> float:
        raise StoreFull("no space is left")

    monkeypatch.setattr(hub.store.users, "reserve_attempt", full)
    for _ in range(20):
        assert (await hub.anonymous().post("auth/login", {"username": "admin", "password": "wrong"})).status == 507
    await hub.refusals.flush()
    assert [record.getMessage() for record in caplog.records] == ["request_failed", "repeated"]
    assert caplog.records[1].__dict__["facts"]["count"] == 20


async def test_the_default_password_opens_three_calls(hub: TestHub) -> None:
    code = await hub.auth.first_log_in.create_admin("admin", None)

    client, _ = await log_in(hub, "admin", setup_code=str(code))

    assert (await client.get("nodes")).code == "auth.password_change_required"
    assert (await client.post("auth/refresh")).code == "auth.password_change_required"
    changed = await client.post("auth/password", {"current": "admin", "new": NEW})
    assert changed.json["user"]["must_change_password"] is False
    assert (await client.get("nodes")).status == 200


async def test_from_outside_the_default_password_needs_the_code(tmp_path: Path) -> None:
    async with running(tmp_path, config=a_config(tmp_path, proxies="127.0.0.1")) as hub:
        code = await hub.auth.first_log_in.create_admin("admin", None)
        outside = {"X-Forwarded-For": "203.0.113.9"}
        body = {"username": "admin", "password": "admin"}

        refused = await hub.anonymous().post("auth/login", body, headers=outside)
        taken = await hub.anonymous().post("auth/login", {**body, "setup_code": code}, headers=outside)

        assert (refused.status, refused.code, taken.status) == (403, "auth.setup_code_required", 200)


async def test_a_new_password_ends_the_other_sessions(hub: TestHub) -> None:
    await hub.auth.first_log_in.create_admin("admin", PASSWORD)
    (here, _), (there, _) = await log_in(hub), await log_in(hub)
    assert (await there.get("auth/me")).status == 200

    changed = await here.post("auth/password", {"current": PASSWORD, "new": NEW})

    assert changed.status == 200
    assert (await there.get("auth/me")).status == 401
    assert (await here.get("auth/me")).status == 200
    assert (await here.post("auth/refresh")).status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [({"current": PASSWORD, "new": "short"}, "auth.weak_password"), ({"current": "x", "new": NEW}, "auth.bad_credentials")],
)
async def test_a_failed_change_keeps_the_old_password(hub: TestHub, body: dict[str, str], code: str) -> None:
    await hub.auth.first_log_in.create_admin("admin", PASSWORD)
    client, _ = await log_in(hub)

    answer = await client.post("auth/password", body)

    assert answer.code == code
    assert (await client.get("auth/me")).status == 200


async def test_a_refresh_rotates_and_a_spent_one_ends_everything(hub: TestHub) -> None:
    await hub.auth.first_log_in.create_admin("admin", PASSWORD)
    client, _ = await log_in(hub)
    stolen = client.session.cookie_jar.kept["__Host-stardust-refresh"]  # type: ignore[attr-defined]

    assert (await client.post("auth/refresh", headers={"X-CSRF-Token": None})).status == 200
    assert client.session.cookie_jar.kept["__Host-stardust-refresh"] != stolen  # type: ignore[attr-defined]
    hub.clock.shift += 11
    thief = hub.anonymous()
    thief.session.cookie_jar.update_cookies({"__Host-stardust-refresh": stolen}, hub.url("/"))
    answer = await thief.post("auth/refresh")

    assert answer.status == 401
    assert cookies(answer)["__Host-stardust-refresh"]["max-age"] == "0"
    assert (await client.get("auth/me")).status == 401


async def test_a_refresh_without_cookie_is_refused(hub: TestHub) -> None:
    assert (await hub.anonymous().post("auth/refresh")).status == 401


async def test_a_refresh_from_another_site_is_refused(hub: TestHub) -> None:
    admin = await hub.logged_in()

    assert (await admin.post("auth/refresh", headers={"Origin": "https://evil.example"})).code == "auth.cross_site"
    assert (await admin.post("auth/refresh", headers={"Origin": None, "Sec-Fetch-Site": None})).code == "auth.cross_site"


async def test_a_copied_cookie_is_invalid_after_log_out(hub: TestHub) -> None:
    admin = await hub.logged_in()
    copied = dict(admin.session.cookie_jar.kept)  # type: ignore[attr-defined]

    answer = await admin.post("auth/logout")
    thief = hub.anonymous()
    thief.session.cookie_jar.update_cookies(copied, hub.url("/"))

    assert answer.status == 204
    assert {name: cookie["max-age"] for name, cookie in cookies(answer).items()} == {
        "__Host-stardust": "0",
        "__Host-stardust-refresh": "0",
    }
    assert (await thief.get("auth/me")).status == 401
    assert (await thief.post("auth/refresh")).status == 401


@pytest.mark.holds("SAFETY-18", "S-09")
async def test_a_demotion_takes_effect_with_the_next_request(hub: TestHub) -> None:
    admin = await hub.logged_in()
    assert (await admin.get("audit")).status == 200

    await hub.sql("UPDATE membership SET role = 'viewer' WHERE account = (SELECT no FROM account WHERE id = ?)", admin.user.id)

    assert (await admin.get("audit")).code == "auth.forbidden"
    assert (await admin.get("auth/me")).json["user"]["role"] == "viewer"


async def test_step_up_verifies_the_password_again(hub: TestHub) -> None:
    await hub.auth.first_log_in.create_admin("admin", PASSWORD)
    client, _ = await log_in(hub)
    node = await hub.node()
    hub.clock.shift += 301
    assert (await client.request("DELETE", f"nodes/{node.id}")).code == "auth.step_up_required"

    assert (await client.post("auth/step-up", {"password": "wrong"})).status == 401
    assert (await client.post("auth/step-up", {"password": PASSWORD})).status == 204
    assert (await client.request("DELETE", f"nodes/{node.id}")).status == 202


async def test_a_malformed_log_in_is_refused(hub: TestHub) -> None:
    for body in [
        {},
        {"username": "a"},
        {"username": 1, "password": "b"},
        {"username": "a", "password": None},
        [],
        "x",
        {"username": "a\x00", "password": "b"},
    ]:
        answer = await hub.anonymous().post("auth/login", body)

        assert (answer.status, answer.code) == (400, "request.invalid"), body
        assert hub.auth.passwords.hashed == 0, body


@pytest.mark.holds("SAFETY-18", "S-09")
async def test_a_log_in_during_a_password_change_opens_no_session(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log-in under way fails when the owner changes the password, or switches a second factor on."""
    owner, thief = await (ada := await somebody(hub)).log_in(), hub.anonymous()
    looked_at = hub.auth.passwords.verify

    def meanwhile(act: Callable[[], Awaitable[object]]) -> None:
        async def verify(*args: Any, **more: Any) -> bool:
            monkeypatch.setattr(hub.auth.passwords, "verify", looked_at)
            right = await looked_at(*args, **more)
            await act()
            return right

        monkeypatch.setattr(hub.auth.passwords, "verify", verify)

    meanwhile(lambda: ada.enrol(owner))
    answer = await thief.post("auth/login", {"username": "ada", "password": PASSWORD})
    assert (answer.status, answer.code) == (401, "auth.bad_credentials")

    meanwhile(lambda: owner.post("auth/password", {"current": PASSWORD, "new": "four blue herons at dawn"}))
    answer = await thief.post("auth/login", {"username": "ada", "password": PASSWORD, "totp": ada.next_code()})
    assert (answer.status, answer.code) == (401, "auth.bad_credentials")
    assert (await thief.post("auth/refresh")).status == 401
    assert (await owner.get("nodes")).status == 200
    assert len((await owner.get("auth/sessions")).json["sessions"]) == 1


@pytest.mark.holds("S-09")
async def test_of_two_concurrent_password_changes_the_first_wins(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thief with the old password and a session of it does not overwrite the owner's new one."""
    ada = await somebody(hub)
    owner, thief = await ada.log_in(), await ada.log_in()
    hashed = hub.auth.passwords.hash

    async def hash_late(password: str) -> str:
        monkeypatch.setattr(hub.auth.passwords, "hash", hashed)
        assert (await owner.post("auth/password", {"current": PASSWORD, "new": "four blue herons at dawn"})).status == 200
        return await hashed(password)

    monkeypatch.setattr(hub.auth.passwords, "hash", hash_late)
    answer = await thief.post("auth/password", {"current": PASSWORD, "new": "nine grey wolves at dusk"})
    assert (answer.status, answer.code) == (401, "auth.required")
    assert (await ada.try_to_log_in(password="nine grey wolves at dusk")).status == 401
    assert (await ada.try_to_log_in(password="four blue herons at dawn")).status == 200
    assert (await owner.get("nodes")).status == 200
