"""Rights of users and tokens: a session is made by a log-in."""

from __future__ import annotations

from tests.support.rights_cases import BODIES, MAKERS, Making, Side

BODIES["PATCH /users/{username}"] = {"disabled": False}


@MAKERS.of("token")
def _token(_: Side) -> Making:
    return Making("tokens", {"name": "x"}, lambda answer: str(answer["info"]["id"]))
