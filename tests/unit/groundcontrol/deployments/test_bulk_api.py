"""`/api/v1/deployments/preview`, `many` and `host-keys`."""

from __future__ import annotations

from typing import Any

from groundcontrol.deployments.model import Confirmation, DeploymentOverrides, DeploymentRequest, Jump, JumpRequest
from spider.wire.ids import new_random_id
from tests.support.inprocess_hub import ADMIN, TestHub, a_deployment

BODY: dict[str, Any] = {
    "servers": [
        {"host": "web-1.example"},
        {"host": "web-2.example", "port": 2222, "username": "ops", "name": "two", "tags": ["b", "a"], "jump": None},
        {"host": "web-3.example", "jump": {"host": "Gate.example", "port": 2200}},
        {"host": "web-4.example", "jump": {"host": "other.example"}},
    ],
    "username": "root",
    "private_key": "key-canary",
    "tags": ["a"],
    "policy": "readonly",
    "jump": {"host": "gate.example", "port": 2200, "username": "jump", "password": "jump-canary", "host_key": "SHA256:" + "a" * 43},
}


async def test_many_deployments_take_common_and_own_fields(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")

    answer = await operator.post("deployments/many", BODY, headers={"Idempotency-Key": "k-1"})

    assert (answer.status, len(answer.json["deployments"])) == (202, 4)
    assert b"canary" not in answer.body
    gate = JumpRequest(host="gate.example", port=2200, username="jump", password="jump-canary", host_key="SHA256:" + "a" * 43)
    common: dict[str, Any] = {"private_key": "key-canary", "policy": "readonly"}
    assert hub.deployer.asked == [
        (
            "install_many",
            [
                DeploymentRequest(host="web-1.example", username="root", tags=("a",), jump=gate, **common),
                DeploymentRequest(host="web-2.example", port=2222, username="ops", name="two", tags=("a", "b"), **common),
                DeploymentRequest(
                    host="web-3.example", username="root", tags=("a",),
                    jump=JumpRequest(host="Gate.example", port=2200, username="jump", password="jump-canary", host_key="SHA256:" + "a" * 43), **common,
                ),
                DeploymentRequest(host="web-4.example", username="root", tags=("a",), jump=JumpRequest(host="other.example"), **common),
            ],
        )
    ]  # fmt: skip
    batch = answer.json["deployments"][0]["batch_id"]
    listed = await operator.get(f"deployments?batch={batch}")
    assert len(listed.json["deployments"]) == 4
    assert not (await operator.get("deployments?batch=none")).json["deployments"]


async def test_malformed_bulk_requests_are_refused(hub: TestHub) -> None:
    for body in [{}, {"servers": "web-1"}, {"servers": [{"port": 22}]}, {**BODY, "what": 1}]:
        answer = await (await hub.logged_in()).post("deployments/many", body)

        assert (answer.status, answer.code, hub.deployer.asked) == (400, "request.invalid", []), body


async def test_a_list_is_shown_as_it_is_understood(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")

    answer = await operator.post("deployments/preview", {"text": "host,user,jump,x\nweb-1,root,ops@gate:2200,y\nweb-2:0,,,"})

    assert answer.status == 200
    assert answer.json["format"] == "csv"
    first, second = answer.json["servers"]
    assert first == {
        "line": 2, "host": "web-1", "port": 22, "username": "root", "name": None, "tags": [], "host_key": None,
        "jump": {"host": "gate", "port": 2200, "username": "ops"}, "notes": [], "problems": [],
    }  # fmt: skip
    assert [problem["code"] for problem in second["problems"]] == ["port_invalid"]
    assert [note["line"] for note in answer.json["notes"]] == [1]
    long = await operator.post("deployments/preview", {"text": "a" * ((256 << 10) + 1)})
    assert (long.status, long.code) == (413, "request.too_large")
    assert (await operator.post("deployments/preview", {"text": "", "format": "yaml"})).status == 400


async def test_host_keys_are_confirmed_only_as_they_were_shown(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")
    made = await hub.store.deployments.create_deployment(ADMIN, a_deployment())
    stranger = new_random_id()
    shown = "SHA256:" + "a" * 43

    wanted = [{"deployment": made.id, "fingerprint": shown}, {"deployment": stranger, "fingerprint": shown}]
    answer = await operator.post("deployments/host-keys", {"host_keys": wanted})

    assert [one["id"] for one in answer.json["deployments"]] == [made.id]
    assert [(one["deployment"], one["code"]) for one in answer.json["refused"]] == [(stranger, "not_found")]
    assert hub.deployer.asked == [("confirm_host_keys", [Confirmation(made.id, shown), Confirmation(stranger, shown)])]  # type: ignore[arg-type]  # an id
    assert (await operator.post("deployments/host-keys", {"host_keys": [{"deployment": "x", "fingerprint": shown}]})).status == 400


async def test_deployments_are_retried_together_with_one_log_in(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")
    made = await hub.store.deployments.create_deployment(ADMIN, a_deployment())
    stranger = new_random_id()

    answer = await operator.post("deployments/retry", {"deployments": [made.id, stranger], "password": "canary", "username": "ops"})

    assert (answer.status, [one["id"] for one in answer.json["deployments"]]) == (202, [made.id])
    assert [(one["deployment"], one["code"]) for one in answer.json["refused"]] == [(stranger, "not_found")]
    assert hub.deployer.asked == [("retry", DeploymentOverrides(password="canary", username="ops"))]
    assert b"canary" not in answer.body
    await operator.post("deployments/retry", {"deployments": [made.id], "jumps": [{"host": "gate", "port": 2200, "password": "canary"}]})
    assert hub.deployer.asked[-1] == ("retry", DeploymentOverrides(jumps=(JumpRequest(host="gate", port=2200, password="canary"),)))
    wrong: tuple[dict[str, Any], ...] = (
        {},
        {"deployments": []},
        {"deployments": [made.id, made.id]},
        {"deployments": [made.id], "host": "other.example"},
        {"deployments": [made.id], "jumps": [{"host": "gate", "host_key": "SHA256:" + "a" * 43}]},
    )
    for body in wrong:
        assert (await operator.post("deployments/retry", body)).status == 400, body


async def test_the_jump_host_of_a_deployment_is_shown_and_can_be_omitted(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")
    row = a_deployment()
    row = await hub.store.deployments.create_deployment(
        ADMIN, row._replace(options=row.options._replace(jump=Jump("gate.example", 2200, "ops")))
    )

    told = (await operator.get(f"deployments/{row.id}")).json

    assert told["jump"] == {"host": "gate.example", "port": 2200, "username": "ops", "fingerprint": None}
    for body, direct in (({"jump": None}, True), ({}, False)):
        await operator.post(f"deployments/{row.id}/retry", body)
        name, given = hub.deployer.asked[-1]
        assert isinstance(given, DeploymentOverrides)
        assert (name, given.direct, given.jump) == ("retry", direct, None)
