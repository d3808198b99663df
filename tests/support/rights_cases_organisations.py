"""Rights of organisations and members: a member is a user, whom the tests make by themselves."""

from __future__ import annotations

from tests.support.rights_cases import BODIES, MAKERS, Making, Side

BODIES["PATCH /members/{username}"] = {"role": "viewer"}
BODIES["PATCH /organisations/{slug}"] = {"version": 0, "name": "Another"}
BODIES["DELETE /organisations/{slug}"] = {"typed": "own"}
BODIES["POST /organisations/{slug}/break-glass"] = {"reason": "a look"}


@MAKERS.of("organisation")
def _organisation(side: Side) -> Making:
    return Making("organisations", {"slug": side.tag, "name": side.tag}, lambda answer: str(answer["organisation"]["slug"]))
