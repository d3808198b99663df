"""`POST agent-updates` and `POST nodes/{id}/rekey`: permissions, selected nodes, and the order sent to the node."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from groundcontrol.core.scope import Role
from spider.wire.ids import new_random_id
from tests.support.background import in_background
from tests.support.eventually import ask_until
from tests.support.inprocess_hub import TestHub
from tests.support.some import some


@contextlib.asynccontextmanager
async def serving(hub: TestHub) -> AsyncIterator[None]:
    """While updates are taken."""
    async with in_background(hub.updates.run()):
        await hub.updates.ready.wait()
        yield


MONITOR = '{"mode": "monitor", "verbs": []}'


async def test_a_rekey_needs_the_admin_role(hub: TestHub) -> None:
    node, admin = await hub.node("web-1"), await hub.logged_in("admin")
    answer = await admin.post(f"nodes/{node.id}/rekey")
    assert (answer.status, answer.json["action"], answer.json["state"]) == (202, "rekey", "queued")
    first, again = [(await admin.post(f"nodes/{node.id}/rekey", headers={"Idempotency-Key": "k"})).json["id"] for _ in range(2)]
    assert first == again != answer.json["id"]
    roles: tuple[Role, Role] = ("operator", "viewer")
    for role in roles:
        assert (await (await hub.logged_in(role)).post(f"nodes/{node.id}/rekey")).status == 403
    for policy, status in (
        (MONITOR, 409),
        ('{"mode": "readonly", "verbs": ["refresh", "check", "plan"]}', 409),
        ('{"mode": "invalid", "verbs": []}', 409),
        ('{"mode": "readonly", "verbs": ["refresh", "check", "plan", "rekey"]}', 202),
        ('{"mode": "managed", "verbs": ["check"]}', 202),  # it does not say: the node decides
    ):
        await hub.sql("UPDATE node SET policy = ? WHERE id = ?", policy, node.id)
        answer = await admin.post(f"nodes/{node.id}/rekey")
        assert answer.status == status, policy
        if status == 409:
            assert answer.json["code"] == "node.policy_refuses"
            assert "web-1" in answer.json["detail"]
            assert "rekey = yes" in answer.json["detail"]
    assert (await admin.post(f"nodes/{new_random_id()}/rekey")).status == 404
    # Neither can be ordered as a job.
    for action in ("update", "rekey"):
        assert (await admin.post(f"nodes/{node.id}/jobs", {"action": action})).status == 400


async def test_an_update_needs_an_explicit_choice_of_nodes(hub: TestHub) -> None:
    node, operator = await hub.node("web-1"), await hub.logged_in("operator")
    bodies: list[dict[str, object]] = [
        {"nodes": []},
        {"nodes": ["x"]},
        {"nodes": None},
        {},
        {"nodes": ["OWN"], "at_once": 0},
        {"nodes": ["OWN"], "canaries": -1},
    ]
    async with serving(hub):
        for body in bodies:
            sent = {**body, **({"nodes": [node.id]} if body.get("nodes") == ["OWN"] else {})}
            assert (await operator.post("agent-updates", sent)).status == 400, body
    assert (await operator.get("deployments")).json["deployments"] == []


async def test_nodes_of_others_are_not_updated_and_nothing_is_begun_for_the_rest(hub: TestHub) -> None:
    node, operator = await hub.node("web-1"), await hub.logged_in("operator")
    async with serving(hub):
        assert (await operator.post("agent-updates", {"nodes": [node.id, new_random_id()]})).status == 404
        assert (await operator.get("deployments")).json["deployments"] == []
        begun = await operator.post("agent-updates", {"nodes": [node.id]})
        assert (begun.status, begun.json["deployments"][0]["kind"]) == (202, "update")
        viewer = await hub.logged_in("viewer")
        assert (await viewer.post("agent-updates", {"nodes": [node.id]})).status == 403


async def test_a_failed_canary_stops_the_other_updates(hub: TestHub) -> None:
    nodes = [await hub.node(f"web-{number}") for number in range(4)]  # none of them ever connects
    operator = await hub.logged_in("operator")
    async with serving(hub):
        wave = await operator.post("agent-updates", {"nodes": [node.id for node in nodes], "canaries": 1, "at_once": 2})
        assert wave.status == 202

        async def ended() -> dict[str, Any] | None:
            rows = {row["name"]: row for row in (await operator.get("deployments")).json["deployments"]}
            return rows if all(row["ended_at"] for row in rows.values()) else None

        rows = some(await ask_until(ended))
    assert rows["web-0"]["state"] == "failed"
    assert rows["web-0"]["error"]["code"] == "node.offline"
    assert {rows[f"web-{number}"]["state"] for number in (1, 2, 3)} == {"cancelled"}
    assert {rows[f"web-{number}"]["error"]["code"] for number in (1, 2, 3)} == {"deployment.stopped_short"}
