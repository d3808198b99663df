"""Rights of invites and deployments."""

from __future__ import annotations

from tests.support.rights_cases import BODIES, MAKERS, Making, Side

BODIES["POST /deployments/{id}/host-key"] = {"fingerprint": "SHA256:" + "a" * 43}
BODIES["POST /deployments/{id}/retry"] = {}


@MAKERS.of("invite")
def _invite(side: Side) -> Making:
    return Making("invites", {"kind": "node", "tags": [side.tag]}, lambda answer: str(answer["info"]["id"]))
