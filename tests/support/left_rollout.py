"""A roll-out whose owner may not patch any more."""

from __future__ import annotations

from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.running_rollout import POLICY

OWNER = "olga"
_PASSWORD = "a password of her own"


def left_rollout(hub: HubProcess) -> str:
    """Make and run a patch policy as an operator who then becomes a viewer. Returns: the id of the roll-out, which is paused."""
    made = hub.local("POST", "/api/v1/users", {"username": OWNER, "role": "operator"}).json
    first = hub.login(OWNER, made["password"]).token
    body = {"current": made["password"], "new": _PASSWORD}
    assert hub.request("POST", "/api/v1/auth/password", body, token=first).status < 300
    token = hub.login(OWNER, _PASSWORD).token
    policy = hub.request("POST", "/api/v1/patch-policies", {**POLICY, "name": "by olga"}, token=token)
    assert policy.status == 201, policy.body
    begun = hub.request("POST", "/api/v1/rollouts", {"policy_id": policy.json["id"]}, token=token)
    assert begun.status == 202, begun.body
    rollout: str = begun.json["id"]
    assert hub.local("PATCH", f"/api/v1/users/{OWNER}", {"role": "viewer"}).status == 200
    wait_until(lambda: hub.local("GET", f"/api/v1/rollouts/{rollout}").json["why"] == "owner", 60, what="the roll-out has lost its owner")
    return rollout
