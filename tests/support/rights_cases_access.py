"""Rights of users and tokens: a session is made by a log-in."""

from __future__ import annotations

from tests.support.rights_cases import BODIES, MAKERS, Making, Side

BODIES["PATCH /users/{username}"] = {"disabled": False}
BODIES["PUT /auth/oidc/providers/{provider}"] = {"title": "Another", "issuer": "https://sso.example", "client_id": "stardust"}
BODIES["PATCH /auth/oidc/providers/{provider}"] = {"version": 1, "title": "Another"}


@MAKERS.of("token")
def _token(_: Side) -> Making:
    return Making("tokens", {"name": "x"}, lambda answer: str(answer["info"]["id"]))


@MAKERS.of("provider")
def _provider(side: Side) -> Making:
    body = {"name": side.tag, "title": "Company", "issuer": "http://127.0.0.1:9", "client_id": "stardust"}
    return Making("auth/oidc/providers", body, lambda answer: str(answer["name"]))
