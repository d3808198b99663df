"""A lab host that joins a hub with an invite."""

from __future__ import annotations

from typing import Any

from tests.support.deploy_client import END_LIMIT_S
from tests.support.eventually import wait_until
from tests.support.hub import ROOT, HubProcess

EXAMPLES = ROOT / "groundcontrol/examples"


def invited(hub: HubProcess, **body: Any) -> Any:
    reply = hub.local("POST", "/api/v1/invites", body)
    assert reply.status == 201, reply.body
    return reply.json


def until_online(hub: HubProcess, node: str, limit_s: float = END_LIMIT_S) -> None:
    wait_until(lambda: hub.node(node)["state"] == "online", limit_s, lambda: hub.output[-3000:])


def filled(example: str, made: Any) -> str:
    hub = made["installer"]["url"].removesuffix("/install.sh")
    text = (EXAMPLES / example).read_text()
    for mark, value in (("@HUB@", hub), ("@SHA256@", made["installer"]["sha256"]), ("@INVITE@", made["invite"])):
        assert mark in text or mark == "@INVITE@"
        text = text.replace(mark, value)
    return text
