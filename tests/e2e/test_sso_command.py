"""`stardust sso`: a provider, its groups, and the rule that only providers may be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.command import said_by, stardust
from tests.support.hub import PASSWORD, HubProcess

ISSUER = "http://127.0.0.1:9"
"""Nothing listens there."""


def test_a_provider_is_set_up_and_checked_from_the_console(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a client secret\n")
    with HubProcess(tmp_path / "hub") as hub:

        def run(*words: str, status: int = 0) -> Any:
            done = stardust(hub.folder, "sso", *words, "--json", status=status)
            return json.loads(done.stdout) if status == 0 else json.loads(done.stderr)["error"]

        stardust(hub.folder, "org", "create", "blue")  # providers belong to the hub: their verbs need name no organisation
        made = run("add", "company", "--issuer", ISSUER, "--client-id", "stardust", "--secret-file", str(secret))
        assert (made["title"], made["has_secret"], made["enabled"]) == ("company", True, True)
        assert made["redirect_uri"] == f"http://localhost:{hub.port}/oidc"
        assert "default, blue" in run("map", "company", "groups", "ops", "operator", status=1)["message"]
        run("map", "company", "groups", "ops", "operator", "--tag", "web", "--organisation", "default")
        mapped = run("map", "company", "groups", "dev", "viewer", "--org", "blue")
        assert [(row["value"], row["role"], row["organisation"]) for row in mapped["groups"]] == [
            ("ops", "operator", "default"), ("dev", "viewer", "blue"),
        ]  # fmt: skip
        after = run("set", "company", "--title", "Our company", "--create-accounts", "yes")
        assert (after["title"], after["has_secret"], after["create_accounts"]) == ("Our company", True, True)
        run("map", "company", "groups", "ops", "viewer", "--org", "blue")
        assert "default, blue" in run("unmap", "company", "groups", "ops", status=1)["message"]
        unmapped = run("unmap", "company", "groups", "ops", "--organisation", "default")
        assert [(row["value"], row["organisation"]) for row in unmapped["groups"]] == [("dev", "blue"), ("ops", "blue")]
        assert "back-channel" in said_by(hub, "sso", "show", "company")
        assert run("check", "company", status=1)["code"] == "oidc.unavailable"
        assert "does not answer" in run("list")["providers"][0]["failure"]
        assert run("attempts", "company") == {"attempts": []}
        assert run("only", "on", "--org", "default", status=1)["code"] == "request.invalid"
        assert run("only", "on", "--local-admin", "admin", "--org", "default") == {"sso_only": True, "local_admin": "admin"}
        # the provider does not answer: the owner of the machine lets an admin in
        stardust(hub.folder, "user", "add", "second", "--role", "admin", "--org", "default")
        password = json.loads(stardust(hub.folder, "user", "reset", "second", "--json").stdout)["password"]
        assert hub.login("second", password).token
        refused = hub.request("POST", "/api/v1/auth/login", {"username": "admin", "password": PASSWORD})
        assert (refused.status, refused.json["code"]) == (403, "auth.sso_required")
        assert run("only", "off", "--org", "default")["sso_only"] is False
        assert hub.login().token

        def member(*words: str) -> Any:
            return json.loads(stardust(hub.folder, "member", *words, "--org", "default", "--json").stdout)

        assert member("add", "eve@example.com", "--provider", "company", "--role", "operator") == {"offered": "eve@example.com"}
        [offer] = [one for one in member("list")["members"] if one["source"] == "offered"]
        assert (offer["username"], offer["issuer"], offer["role"]) == ("eve@example.com", ISSUER, "operator")
        assert "is an address of e-mail" in said_by(hub, "member", "add", "eve", "--provider", "company", "--org", "default", status=1)
        member("remove", "eve@example.com", "--issuer", ISSUER)
        assert "offered" not in {one["source"] for one in member("list")["members"]}
        run("remove", "company")
        assert run("list") == {"providers": []}
        assert run("show", "company", status=1)["code"] == "not_found"
        assert "a client secret" not in hub.output
