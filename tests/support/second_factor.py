"""A second factor for users of a running hub."""

from __future__ import annotations

import base64
import time

from groundcontrol.access import totp
from tests.support.hub import HubProcess, Login, Reply

API = "/api/v1"


def call(hub: HubProcess, who: Login, method: str, path: str, body: object = None) -> Reply:
    return hub.request(method, API + path, body, token=who.token)


def enrol(hub: HubProcess, username: str = "admin") -> tuple[bytes, list[str]]:
    """Switch on a user's second factor; returns its seed and the recovery codes."""
    who = hub.login(username)
    text = call(hub, who, "POST", "/auth/totp").json["secret"]
    seed = base64.b32decode(text + "=" * (-len(text) % 8))
    confirmed = call(hub, who, "POST", "/auth/totp/confirm", {"code": totp.code_of(seed, int(time.time() // 30))})
    assert confirmed.status == 200, confirmed.body
    return seed, confirmed.json["codes"]
