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
        assert run("org", "edit", "blue", "--no-quota")["node_quota"] is None
        assert [one["slug"] for one in run("org", "list")["organisations"]] == ["default", "blue"]
        assert run("org", "show", "blue")["members"] == 1

        assert [one["username"] for one in run("org", "admins")["admins"]] == ["admin"]
        assert run("org", "remove-admin", "admin", status=6)["code"] == "organisation.last_admin"
        assert run("org", "add-admin", "nobody", status=1)["code"] == "not_found"
        assert run("org", "add-admin", "eve") == {"username": "eve", "admin": True}
        assert "eve" in said_by(hub, "org", "admins")
        assert run("org", "remove-admin", "eve") == {"username": "eve", "admin": False}

        run("member", "add", "admin", "--role", "viewer", "--org", "blue")
        assert {"eve", "admin"} <= {one["username"] for one in run("member", "list", "--org", "blue")["members"]}
        assert run("member", "remove", "eve", "--org", "blue", status=6)["code"] == "organisation.last_admin"

        assert run("org", "suspend", "blue")["state"] == "suspended"
        assert run("org", "resume", "blue")["state"] == "active"
        assert run("org", "delete", "blue", "--typed", "green", status=1)["code"] == "request.invalid"
        run("org", "delete", "blue", "--typed", "blue")
        assert [one["slug"] for one in run("org", "list")["organisations"]] == ["default"]
        told = [row["action"] for row in run("org", "audit")["audit"]]
        for done in ("create", "edit", "delete"):
            assert f"organisation.{done}" in told
        assert told.count("user.instance_admin") == 2
        assert "organisation.delete" in said_by(hub, "org", "audit", "--limit", "1")
