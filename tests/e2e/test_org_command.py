"""`stardust org` and `stardust member`: organisations, their members and the admins of the hub from the console."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import said_by, stardust
from tests.support.hub import HubProcess


@pytest.mark.holds("SAFETY-108")
def test_organisations_and_admins_of_the_hub_are_managed_on_the_console(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:

        def run(*words: str, status: int = 0) -> Any:
            done = stardust(hub.folder, *words, "--json", status=status)
            return json.loads(done.stdout) if status == 0 else json.loads(done.stderr)["error"]

        made = run("org", "create", "blue", "--title", "Blue Team", "--admin", "eve", "--quota", "5")
        assert (made["organisation"]["slug"], made["first_admin"]["how"]) == ("blue", "created")

        def enrol() -> Any:
            return hub.local("POST", "/api/v1/local/enrol", {"names": ["web-1"]}, {"Stardust-Organisation": "blue"})

        assert run("org", "edit", "blue", "--quota", "0")["node_quota"] == 0
        assert (enrol().status, enrol().json["code"]) == (409, "organisation.quota")
        assert run("org", "edit", "blue", "--no-quota")["node_quota"] is None
        assert enrol().status == 201
        assert [one["slug"] for one in run("org", "list")["organisations"]] == ["default", "blue"]
        assert run("org", "show", "blue")["members"] == 1

        assert [one["username"] for one in run("org", "admins")["admins"]] == ["admin"]
        assert run("org", "remove-admin", "admin", status=6)["code"] == "organisation.last_admin"
        assert run("org", "add-admin", "nobody", status=1)["code"] == "not_found"
        assert run("org", "add-admin", "eve") == {"username": "eve", "admin": True}
        assert "eve" in said_by(hub, "org", "admins")
        assert run("org", "remove-admin", "eve") == {"username": "eve", "admin": False}

        # an account of another organisation: not a member, then offered, then a member
        a_token = ("token", "new", "ci", "--user", "admin", "--org", "blue")
        for words in (a_token, ("user", "role", "admin", "viewer", "--org", "blue"), ("token", "list", "--user", "admin", "--org", "blue")):
            refused = run(*words, status=1)
            assert (refused["code"], "no member of blue" in refused["message"]) == ("not_found", True), words
            assert "stardust member add admin --org blue" in refused["message"]
        assert "offer" in run("user", "add", "admin", "--org", "blue", status=6)["message"]
        assert run("token", "new", "ci", "--user", "nobody", "--org", "blue", status=1)["message"] == "there is no user of this name"
        run("member", "add", "admin", "--role", "viewer", "--org", "blue")
        for words in (a_token, ("member", "role", "admin", "operator", "--org", "blue")):
            assert "must accept it first" in run(*words, status=1)["message"]
        login = hub.login()
        accepted = hub.request("POST", "/api/v1/auth/offers", {"organisation": "blue", "accept": True}, token=login.token)
        assert accepted.status == 204, accepted.body
        made = run(*a_token)
        assert [one["id"] for one in run("token", "list", "--user", "admin", "--org", "blue")["tokens"]] == [made["info"]["id"]]
        as_program = {"Authorization": f"Bearer {made['token']}", "Stardust-Organisation": "default"}
        assert hub.request("GET", "/api/v1/nodes", headers=as_program).json["code"] == "organisation.unknown"
        assert hub.request("GET", "/api/v1/nodes", headers={**as_program, "Stardust-Organisation": "blue"}).status == 200

        # a channel of the first organisation also tells of the hub, one of another never does
        for slug in ("default", "blue"):
            body = {
                "kind": "webhook",
                "name": "ops",
                "target": {"url": "https://ops.example/hook"},
                **({"instance": False} if slug == "default" else {}),
            }
            assert hub.local("POST", "/api/v1/channels", body, {"Stardust-Organisation": slug}).status == 201
        assert run("channels", "hub", "ops", "on", "--org", "default")["instance"] is True
        assert "does not tell of the hub" in said_by(hub, "channels", "hub", "ops", "off", "--org", "default")
        assert run("channels", "hub", "ops", "on", "--org", "blue", status=6)["code"] == "auth.forbidden"
        assert run("channels", "hub", "ops-2", "on", "--org", "default", status=1)["code"] == "not_found"

        assert {"eve", "admin"} <= {one["username"] for one in run("member", "list", "--org", "blue")["members"]}
        assert run("member", "remove", "eve", "--org", "blue", status=6)["code"] == "organisation.last_admin"

        # what the console does in an organisation stands in that organisation's audit log
        logs = {slug: hub.local("GET", "/api/v1/audit?limit=200", headers={"Stardust-Organisation": slug}) for slug in ("default", "blue")}
        assert {slug: answer.status for slug, answer in logs.items()} == {"default": 200, "blue": 200}
        assert hub.local("GET", "/api/v1/audit").json["code"] == "organisation.required", "an absent one is never all"
        of_members = {slug: [row for row in answer.json["audit"] if row["action"].startswith("member.")] for slug, answer in logs.items()}
        assert of_members["default"] == []
        assert any("local:" in str(row) for row in of_members["blue"])

        assert run("org", "suspend", "blue")["state"] == "suspended"
        assert run("org", "resume", "blue")["state"] == "active"
        assert run("org", "delete", "blue", "--typed", "green", status=1)["code"] == "request.invalid"
        assert run("org", "remove-agents", "blue") == {"removing": [], "unreached": ["web-1"]}
        assert run("org", "delete", "blue", "--typed", "blue", status=6)["code"] == "organisation.has_nodes"
        run("org", "delete", "blue", "--typed", "blue", "--abandon")
        assert [one["slug"] for one in run("org", "list")["organisations"]] == ["default"]
        told = [row["action"] for row in run("org", "audit")["audit"]]
        for done in ("create", "edit", "delete"):
            assert f"organisation.{done}" in told
        assert told.count("user.instance_admin") == 2
        assert "organisation.delete" in said_by(hub, "org", "audit", "--limit", "1")
