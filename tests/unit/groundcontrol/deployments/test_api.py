"""`/api/v1/deployments`."""

from __future__ import annotations

from typing import Any

from groundcontrol.core.ids import DeploymentId
from groundcontrol.deployments.model import DeploymentOptions, DeploymentOverrides, DeploymentRequest, Jump
from spider.wire.ids import new_random_id
from tests.support.inprocess_hub import ADMIN, TestHub, a_deployment

BODY: dict[str, Any] = {
    "host": "web-3.example",
    "username": "admin",
    "sudo_password": "sudo-canary",
    "private_key": "key-canary",
    "tags": ["eu"],
}


async def test_a_deployment_is_requested(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")

    answer = await operator.post("deployments", BODY, headers={"Idempotency-Key": "k-1"})

    assert (answer.status, answer.json["state"], answer.json["kind"]) == (202, "running", "install")
    assert [step["name"] for step in answer.json["steps"]][:2] == ["connect", "host_key"]
    asked = hub.deployer.asked[0][1]
    assert asked == DeploymentRequest(
        host="web-3.example", username="admin", sudo_password="sudo-canary", private_key="key-canary", tags=("eu",)
    )
    assert b"canary" not in answer.body
    assert b"AAAA" not in answer.body


async def test_a_malformed_deployment_request_is_refused(hub: TestHub) -> None:
    for body in [
        {},
        {"host": "h"},
        {**BODY, "port": "22"},
        {**BODY, "policy": "all"},
        {**BODY, "what": 1},
        {**BODY, "tags": "eu"},
        {**BODY, "host": "a\x00b"},
        {**BODY, "host": "a" * 1025},
        {**BODY, "tags": ["a" * 1025]},
        {**BODY, "password": "a" * 40_000},
        {**BODY, "jump": {"host": "a" * 1025}},
    ]:
        answer = await (await hub.logged_in()).post("deployments", body)

        assert (answer.status, answer.code) == (400, "request.invalid"), body
        assert hub.deployer.asked == [], body


async def test_a_malformed_idempotency_key_is_refused(hub: TestHub) -> None:
    for key in ["", "a b", "x" * 129, "é"]:
        answer = await (await hub.logged_in()).post("deployments", BODY, headers={"Idempotency-Key": key})

        assert (answer.status, answer.code) == (400, "request.invalid"), key


async def test_deployments_are_listed_and_shown(hub: TestHub) -> None:
    viewer = await hub.logged_in("viewer")
    made = [await hub.store.deployments.create_deployment(ADMIN, a_deployment(f"h{number}")) for number in range(3)]

    page = (await viewer.get("deployments?limit=2")).json
    rest = (await viewer.get(f"deployments?limit=2&cursor={page['next']}")).json

    assert {one["id"] for one in page["deployments"] + rest["deployments"]} == {one.id for one in made}
    assert (await viewer.get(f"deployments/{made[0].id}")).json["host_key"]["fingerprint"] == "SHA256:" + "a" * 43
    assert (await viewer.get(f"deployments/{new_random_id()}")).status == 404


async def test_host_keys_of_a_jump_host_and_server_of_one_name_differ_by_port(hub: TestHub) -> None:
    viewer, own = (
        await hub.logged_in("viewer"),
        a_deployment("gw")._replace(port=2222, options=DeploymentOptions(jump=Jump("gw", 22, "ops"))),
    )
    assert own.host_key is not None
    shown = []
    for key in (own.host_key._replace(host="gw"), own.host_key):
        made = await hub.store.deployments.create_deployment(ADMIN, own._replace(id=DeploymentId(new_random_id()), host_key=key))
        told = (await viewer.get(f"deployments/{made.id}")).json["host_key"]
        shown.append((told["host"], told["port"]))

    assert shown == [("gw", 22), ("gw", 2222)]


async def test_a_deployment_is_confirmed_retried_and_cancelled(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")
    made = await hub.store.deployments.create_deployment(ADMIN, a_deployment())

    confirm = await operator.post(f"deployments/{made.id}/host-key", {"fingerprint": "SHA256:x"})
    cancel = await operator.post(f"deployments/{made.id}/cancel")
    retry = await operator.post(f"deployments/{made.id}/retry", {"password": "pw", "tags": []})
    plain = await operator.post(f"deployments/{made.id}/retry")

    assert [confirm.status, cancel.status, retry.status, plain.status] == [200, 200, 202, 202]
    assert hub.deployer.asked == [
        ("confirm", "SHA256:x"),
        ("cancel", made.id),
        ("retry", DeploymentOverrides(password="pw", tags=())),
        ("retry", None),
    ]


async def test_actions_on_a_missing_deployment_are_not_found(hub: TestHub) -> None:
    for what in ["host-key", "cancel", "retry"]:
        answer = await (await hub.logged_in()).post(
            f"deployments/{new_random_id()}/{what}", {"fingerprint": "x"} if what == "host-key" else None
        )

        assert answer.status == 404, what
        assert hub.deployer.asked == [], what


async def test_a_node_is_deployed_again_with_or_without_fields(hub: TestHub) -> None:
    node = await hub.node("web-1")
    operator = await hub.logged_in("operator")

    answer = await operator.post(f"nodes/{node.id}/redeploy")
    assert (answer.status, answer.json["kind"], answer.json["again"], answer.json["node_id"]) == (202, "install", True, node.id)
    assert hub.deployer.asked == [("redeploy", (node.id, None))]
    answer = await operator.post(f"nodes/{node.id}/redeploy", {"password": "canary", "policy": "managed"})
    assert answer.status == 202
    assert hub.deployer.asked[1] == ("redeploy", (node.id, DeploymentOverrides(password="canary", policy="managed")))
    assert b"canary" not in answer.body
    assert (await operator.post(f"nodes/{node.id}/redeploy", {"what": 1})).status == 400
    assert (await operator.post(f"nodes/{new_random_id()}/redeploy")).status == 404
    assert len(hub.deployer.asked) == 2
