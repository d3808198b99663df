"""Attacks with initial passwords, cookies, tokens and clocks on a running hub."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import sqlite3
from pathlib import Path

import pytest

from groundcontrol.access.access_tokens import TYPE
from groundcontrol.slices import ROUTES
from groundcontrol.web.routes import ROOT
from spider.wire.ids import new_random_id
from tests.support.attack_tools import LOGIN
from tests.support.command import said_by
from tests.support.forged_tokens import FORGED, forge
from tests.support.hub import PASSWORD, SECRET, HubFailed, HubProcess
from tests.support.hub_faults import fault_file


@pytest.mark.holds("SAFETY-10", "SAFETY-11", "S-06")
def test_the_default_password_from_outside_needs_a_code_and_allows_three_routes(tmp_path: Path) -> None:
    outside = {"X-Forwarded-For": "203.0.113.9"}
    first = {"username": "admin", "password": "admin"}
    with HubProcess(tmp_path / "hub", env={"STARDUST_TRUSTED_PROXIES": "127.0.0.1"}, default_admin=True) as hub:
        code = next(re.findall(r"[A-Z2-7]{20}$", line)[0] for line in hub.lines if "setup code" in line)
        for given in (None, "A" * 20, ""):
            reply = hub.request("POST", LOGIN, {**first, "setup_code": given}, headers=outside)
            assert (reply.status, reply.json["code"]) == (403, "auth.setup_code_required")
        reply = hub.request("POST", LOGIN, {**first, "setup_code": code}, headers=outside)
        assert reply.status == 200
        token, open_calls = reply.json["token"], set()
        for route in ROUTES:
            if route.action is None:
                continue
            answer = hub.request(route.method, ROOT + re.sub(r"{\w+}", new_random_id(), route.path), {}, token=token)
            if answer.status != 403 or answer.json["code"] != "auth.password_change_required":
                open_calls.add(route.path)
            if route.path in ("/auth/logout", "/auth/oidc/logout"):
                token = hub.request("POST", LOGIN, {**first, "setup_code": code}, headers=outside).json["token"]
        assert open_calls == {"/auth/password", "/auth/me", "/auth/logout", "/auth/oidc/logout"}
        changed = hub.request("POST", f"{ROOT}/auth/password", {"current": "admin", "new": PASSWORD}, token=token)
        assert changed.status == 200
        assert hub.request("POST", LOGIN, {"username": "admin", "password": "admin"}).status == 401


@pytest.mark.holds("SAFETY-11", "S-06")
@pytest.mark.parametrize(
    ("url", "proxies", "outside"),
    [
        ("wss://hub.example/ws", "", [{}, {"X-Forwarded-For": "203.0.113.9"}, {"X-Forwarded-For": "127.0.0.1"}]),
        (
            "wss://hub.example/ws",
            "127.0.0.1",
            [
                {},
                {"X-Forwarded-For": "unknown"},
                {"X-Forwarded-For": "192.168.0.4, unknown"},
                {"X-Real-IP": "192.168.0.4"},
            ],
        ),
        (
            "wss://hub.example/ws",
            "127.0.0.1",
            [
                {"X-Forwarded-For": "203.0.113.9, 192.168.0.4"},
                {"X-Forwarded-For": "192.168.0.4", "X-Real-IP": "203.0.113.9"},
                {"X-Forwarded-For": "192.168.0.4", "Forwarded": "for=203.0.113.9"},
            ],
        ),
        ("", "", [{"X-Forwarded-For": "203.0.113.9"}]),
    ],
    ids=["no proxy is named", "no client is named", "another client is named", "no address is named"],
)
def test_a_hub_behind_an_unnamed_proxy_needs_its_setup_code(tmp_path: Path, url: str, proxies: str, outside: list[dict[str, str]]) -> None:
    """README's own start behind a proxy: all clients look like the hub's own machine then."""
    first = {"username": "admin", "password": "admin"}
    args = ("--server-url", url) if url else ()
    env = {"STARDUST_TRUSTED_PROXIES": proxies} if proxies else {}
    with HubProcess(tmp_path / "hub", args=args, env=env, default_admin=True) as hub:
        code = next(re.findall(r"[A-Z2-7]{20}$", line)[0] for line in hub.lines if "setup code" in line)
        for headers in outside:
            reply = hub.request("POST", LOGIN, first, headers=headers)
            assert (reply.status, reply.json["code"]) == (403, "auth.setup_code_required"), headers
        assert hub.request("POST", LOGIN, {**first, "setup_code": code}, headers=outside[-1]).status == 200
        if proxies:
            assert hub.request("POST", LOGIN, first, headers={"X-Forwarded-For": "192.168.0.4"}).status == 200
        if url and not proxies:
            hub.wait_event("no_proxy_named")


@pytest.mark.holds("SAFETY-20", "S-09")
def test_over_tls_every_cookie_has_the_host_prefix(tmp_path: Path) -> None:
    """`__Host-`: a browser takes it only by TLS, from this very host, for all of it, so that no neighbour can put one in its place."""
    env = {"STARDUST_TRUSTED_PROXIES": "127.0.0.1"}
    with HubProcess(tmp_path / "hub", args=("--server-url", "wss://hub.example/ws"), env=env) as hub:
        from_page = {"Origin": "https://hub.example", "X-Forwarded-For": "203.0.113.9"}
        told = hub.request("POST", LOGIN, {"username": "admin", "password": PASSWORD}, headers=from_page)
        given = told.headers.get_all("Set-Cookie", [])
        assert [header.partition("=")[0] for header in given] == ["__Host-stardust", "__Host-stardust-refresh", "__Host-stardust-device"]
        for header in given:
            attributes = {part.strip().partition("=")[0].lower(): part.strip().partition("=")[2] for part in header.split(";")[1:]}
            assert {key: attributes.get(key) for key in ("secure", "httponly", "samesite", "path", "domain")} == {
                "secure": "", "httponly": "", "samesite": "Strict", "path": "/", "domain": None,
            }  # fmt: skip
        kept = "; ".join(header.partition(";")[0] for header in given)
        for prefix in ("__Secure-", ""):
            tossed = {**from_page, "Cookie": kept.replace("__Host-", prefix)}
            assert hub.request("POST", "/api/v1/auth/refresh", headers=tossed).status == 401
            assert hub.request("GET", "/api/v1/auth/me", headers=tossed).status == 401
        renewed = hub.request("POST", "/api/v1/auth/refresh", headers={**from_page, "Cookie": kept})
        assert renewed.status == 200
        ended = {**from_page, "Cookie": kept, "X-CSRF-Token": renewed.json["csrf_token"]}
        cleared = hub.request("POST", "/api/v1/auth/logout", headers=ended).headers.get_all("Set-Cookie", [])
        assert {header.partition("=")[0] for header in cleared if "Max-Age=0" in header} == {"__Host-stardust", "__Host-stardust-refresh"}


@pytest.mark.holds("S-09", "F-14")
def test_after_a_clock_set_back_log_ins_need_acceptance_on_the_console(tmp_path: Path) -> None:
    """A token that had ended opens nothing meanwhile, a session is not refreshed, and the acceptance holds for later starts."""
    hub = HubProcess(tmp_path / "hub", faults=["clock"])

    def again(wrong_by_s: float) -> None:
        hub.end()
        fault_file(hub.folder, "clock").write_text(str(wrong_by_s))
        hub.launch()

    def log_in() -> tuple[int, str]:
        reply = hub.request("POST", LOGIN, {"username": "admin", "password": PASSWORD})
        return reply.status, reply.json.get("code", "")

    with hub:
        token = json.loads(said_by(hub, "token", "new", "ci", "--days", "1", "--json"))["token"]
        assert hub.request("GET", f"{ROOT}/nodes", token=token).status == 200
        again(2 * 86_400.0)
        assert hub.request("GET", f"{ROOT}/nodes", token=token).status == 401
        cookie = hub.login().cookie
        again(0.0)
        assert "nobody can log in" in hub.output
        assert log_in() == (503, "auth.clock_behind")
        refresh = hub.request("POST", f"{ROOT}/auth/refresh", headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin"})
        assert (refresh.status, refresh.json["code"]) == (503, "auth.clock_behind")
        assert hub.request("GET", f"{ROOT}/nodes", token=token).status == 401
        assert "stardust clock accept" in said_by(hub, "doctor", status=1)
        again(0.0)
        assert log_in() == (503, "auth.clock_behind"), "what was written meanwhile lifts nothing"
        again(2 * 86_400.0)
        assert log_in()[0] == 200, "a clock that was set right needs no word"
        again(0.0)
        assert "accepted" in said_by(hub, "clock", "accept")
        assert log_in()[0] == 200
        assert hub.request("GET", f"{ROOT}/nodes", token=token).status == 200
        again(0.0)
        assert log_in()[0] == 200
        assert "nothing to accept" in said_by(hub, "clock", "accept")
        [row] = [row for row in hub.local("GET", f"{ROOT}/audit").json["audit"] if row["action"] == "clock.accept"]
        assert row["detail"]["behind_s"] > 86_400
        again(-7200.0)
        assert log_in() == (503, "auth.clock_behind")


@pytest.mark.holds("SAFETY-12", "S-07")
def test_a_hub_cannot_be_set_up_again(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub", default_admin=True)
    with hub:
        hub.first_login()
        for path in (
            "/setup",
            "/setup/",
            "/SETUP",
            "/setup/x",
            "/%2e/setup",
            "//setup",
            "/api/v1/setup",
            "/api/v1/auth/setup",
            "/api/v1/local/reset-user",
        ):
            for body in ({"username": "admin", "password": "a new good password"}, {"username": "admin"}):
                assert hub.request("POST", path, body).status in (401, 404), path
        assert hub.request("POST", LOGIN, {"username": "admin", "password": "admin"}).status == 401
        hub.end()
        with contextlib.closing(sqlite3.connect(hub.folder / "stardust.db")) as database:
            database.executescript("PRAGMA foreign_keys = off; DELETE FROM account;")
        with pytest.raises(HubFailed) as failed:
            hub.launch()
        assert failed.value.status == 78
        assert "set up before" in failed.value.output
        hub.end()
        with contextlib.closing(sqlite3.connect(hub.folder / "stardust.db")) as database, database:
            database.execute("DELETE FROM fact WHERE name = 'initialised_at'")
        with pytest.raises(HubFailed) as failed:
            hub.launch()
        assert failed.value.status == 78
        assert "set up before" in failed.value.output
        assert "Traceback" not in failed.value.output


@pytest.mark.holds("SAFETY-17", "S-13")
def test_no_forged_token_opens_a_running_hub(shared_hub: HubProcess, tmp_path: Path) -> None:
    """Made of a good one, without its key, or taken from another hub; in the header and in the cookie."""
    good = shared_hub.login().token
    claims = json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))
    forged = {name: token for name, token in FORGED.items() if token.isascii() and token.isprintable()}
    for name, header, key, digest in (
        ("none", {"alg": "none", "typ": TYPE}, b"", "sha256"),
        ("no key", {"alg": "HS256", "typ": TYPE}, b"\0", "sha256"),
        ("the documented secret", {"alg": "HS256", "typ": TYPE}, SECRET.encode(), "sha256"),
        ("HS512", {"alg": "HS512", "typ": TYPE}, SECRET.encode(), "sha512"),
        ("a key of its own", {"alg": "HS256", "typ": TYPE, "jwk": {"kty": "oct", "k": "AAAA"}}, b"\0\0\0", "sha256"),
    ):
        forged[name] = forge(header, claims, key, digest)
        forged[f"{name}, an hour more"] = forge(header, {**claims, "exp": claims["exp"] + 3600}, key, digest)
    for position in (1, len(good) // 2, len(good) - 20):
        forged[f"another character at {position}"] = good[:position] + ("A" if good[position] != "A" else "B") + good[position + 1 :]
    with HubProcess(tmp_path / "other") as other:
        forged["another hub's"] = other.login().token
        names = [{one.partition("=")[0] for one in hub.login().cookie.split("; ")} for hub in (shared_hub, other)]
    assert not names[0] & names[1], "on one host name, a log-in at either would end that at the other"
    [access] = [name for name in names[0] if not name.endswith(("-refresh", "-device"))]
    for name, token in forged.items():
        assert shared_hub.request("GET", f"{ROOT}/nodes", token=token).status == 401, name
        cookie = {"Cookie": f"{access}={token}", "Sec-Fetch-Site": "same-origin"}
        assert shared_hub.request("GET", f"{ROOT}/nodes", headers=cookie).status == 401, name
    assert shared_hub.request("GET", f"{ROOT}/nodes", token=good).status == 200
