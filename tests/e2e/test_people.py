"""Users, second factors and tokens on a real hub: by its command, by its local socket, and across restarts."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.access import totp
from tests.support.command import said_by, serve, stardust
from tests.support.hub import PASSWORD, SECRET, HubProcess, Login, Reply
from tests.support.second_factor import API, call, enrol


def log_in(hub: HubProcess, code: str | None = None) -> Reply:
    body = {"username": "admin", "password": PASSWORD, **({} if code is None else {"totp": code})}
    return hub.request("POST", f"{API}/auth/login", body)


@pytest.mark.parametrize("value", ["1", "true", "yes", "Admins", "everybody", "all,admins"])
def test_an_invalid_second_factor_setting_refuses_the_start(tmp_path: Path, value: str) -> None:
    (tmp_path / "data").mkdir(mode=0o700)

    done = serve(tmp_path / "data", env={"STARDUST_SECRET": SECRET, "STARDUST_REQUIRE_TOTP": value})

    assert done.returncode == 78
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert "STARDUST_REQUIRE_TOTP" in line
    assert not any((tmp_path / "data").iterdir())


def test_the_command_line_manages_users(hub: HubProcess) -> None:
    assert "one-time password of bob" in said_by(hub, "user", "add", "bob", "--role", "operator", "--tag", "web")
    assert said_by(hub, "user", "role", "bob", "viewer") == "bob is viewer, on tag web\n"
    hub.enrol("db-7")
    assert said_by(hub, "user", "role", "bob", "viewer", "--node", "db-7") == "bob is viewer, on db-7\n"
    assert " db-7 " in said_by(hub, "user", "list")
    assert said_by(hub, "user", "role", "bob", "viewer", "--all-nodes") == "bob is viewer, on every node\n"
    assert said_by(hub, "user", "disable", "bob") == "bob is disabled, on every node\n"
    assert said_by(hub, "user", "enable", "bob") == "bob is viewer, on every node\n"
    password = json.loads(said_by(hub, "user", "passwd", "bob", "--json"))["password"]
    opened = hub.request("POST", f"{API}/auth/login", {"username": "bob", "password": password})
    assert opened.json["user"]["must_change_password"] is True
    users = json.loads(said_by(hub, "user", "list", "--json"))["users"]
    assert {user["username"]: user["role"] for user in users} == {"admin": "admin", "bob": "viewer"}
    assert "last admin" in said_by(hub, "user", "disable", "admin", status=6)
    assert "no user of this name" in said_by(hub, "user", "disable", "nobody", status=1)
    rows = hub.local("GET", f"{API}/audit").json["audit"]
    assert {row["actor"] for row in rows if row["action"].startswith("user.edit")} == {f"local:{os.getuid()}"}


def test_an_api_token_from_the_command_line_is_accepted(hub: HubProcess, tmp_path: Path) -> None:
    token = said_by(hub, "token", "new", "backup", "--days", "7").strip()
    listed: Any = json.loads(said_by(hub, "token", "list", "--json"))["tokens"][0]

    stardust(tmp_path, "nodes", "--json", "--url", hub.url, env={"STARDUST_TOKEN": token})

    assert hub.request("GET", f"{API}/users", token=token).status == 403
    hub.slay()
    hub.launch()
    assert hub.request("GET", f"{API}/nodes", token=token).status == 200
    said_by(hub, "token", "revoke", listed["id"])
    assert hub.request("GET", f"{API}/nodes", token=token).status == 401
    assert token not in hub.output
    assert token.encode() not in b"".join(path.read_bytes() for path in hub.folder.iterdir() if path.is_file())


@pytest.mark.holds("SAFETY-21", "S-14")
def test_a_second_factor_outlives_a_kill_and_its_codes_stay_spent(hub: HubProcess) -> None:
    seed, codes = enrol(hub)
    assert log_in(hub).json["code"] == "auth.totp_required"
    assert log_in(hub, codes[0]).status == 200

    hub.slay()
    hub.launch()

    assert log_in(hub).json["code"] == "auth.totp_required"
    assert log_in(hub, codes[0]).json["code"] == "auth.totp_wrong"
    assert log_in(hub, codes[1]).status == 200
    code = totp.code_of(seed, int(time.time() // 30) + 1)
    assert [log_in(hub, code).status for _ in range(2)] == [200, 401]


def test_a_lost_second_factor_can_be_reset_only_on_the_console(hub: HubProcess) -> None:
    _, codes = enrol(hub)
    who = Login(log_in(hub, codes[0]).json["token"], "", "")
    assert call(hub, who, "POST", "/users/admin/totp-reset").status == 404

    assert "no second factor any more" in said_by(hub, "user", "totp-reset", "admin")

    assert call(hub, who, "GET", "/auth/me").status == 401
    assert log_in(hub).status == 200
    assert "no second factor" in said_by(hub, "user", "totp-reset", "admin", status=1)


def test_the_second_factor_requirement_of_the_environment_applies_from_the_start(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "data", env={"STARDUST_REQUIRE_TOTP": "all"})
    (tmp_path / "data").mkdir(mode=0o700)
    hub.launch()
    try:
        who = hub.login()
        assert call(hub, who, "GET", "/nodes").json["code"] == "auth.totp_enrolment_required"
        assert hub.local("GET", f"{API}/nodes").status == 200
        enrol(hub)
        assert call(hub, who, "GET", "/nodes").status == 401
    finally:
        hub.slay()
