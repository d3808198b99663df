"""What a patch policy missed: times, nodes, and an owner who may not act any more."""

from __future__ import annotations

from typing import Any

from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import hub_scope
from groundcontrol.policies.model import Occurrence, PolicyId
from groundcontrol.rollouts.occurrences import missed_in_row
from groundcontrol.rollouts.report import reach_of
from groundcontrol.rollouts.service import RolloutService
from tests.support.inprocess_hub import Client, TestHub
from tests.support.running_rollout import DAYS, POLICY


async def _events(admin: Client, kind: str) -> list[dict[str, Any]]:
    return [row for row in (await admin.get("events")).json["events"] if row["type"] == kind]


async def test_a_node_that_two_roll_outs_in_a_row_did_not_reach_is_counted_and_shown(hub: TestHub) -> None:
    admin = await hub.logged_in()
    away = await hub.node("web-1")
    spared = await hub.node("web-2")
    await admin.request("PATCH", f"nodes/{spared.id}", {"never_by_schedule": "the boss's machine"})
    policy = (await admin.post("patch-policies", POLICY)).json
    service = hub.services[RolloutService]
    for count in (1, 2):
        made = (await admin.post("rollouts", {"policy_id": policy["id"]})).json
        await service.sweep()
        hub.clock.shift += POLICY["length_s"] + 1
        await service.sweep()
        admin = await hub.logged_in(user=admin.user)
        assert (await admin.get(f"rollouts/{made['id']}")).json["state"] == "expired"
        status = {row["node_id"]: row["missed"] for row in (await admin.get("patch-status")).json["nodes"]}
        assert status == {away.id: count, spared.id: 0}
    [last] = (await hub.store.rollouts.rollouts(hub_scope(1), 1)).items
    one = next(one for one in last.targets if one.node == away.id)
    reached = last._replace(targets=(one._replace(state="failed"),))
    assert reach_of(reached) == ((), (NodeId(away.id),))
    assert reach_of(last._replace(state="stopped")).missed == ()


async def test_the_second_missed_time_in_a_row_is_an_error(hub: TestHub) -> None:
    admin = await hub.logged_in()
    await hub.node("web-1")
    body = {**POLICY, "when": {"weekly": DAYS}, "start": "00:00", "length_s": 3600}
    policy = (await admin.post("patch-policies", body)).json
    await hub.sql("UPDATE patch_policy SET considered_at = ? WHERE id = ?", hub.clock.now() - 3 * 86_400, policy["id"])
    await hub.services[RolloutService].sweep()
    told = sorted(await _events(admin, "patch_missed"), key=lambda row: row["details"]["in_a_row"])
    assert [(row["severity"], row["details"]["in_a_row"]) for row in told[:2]] == [("warning", 1), ("error", 2)]
    assert told[1]["message"].endswith("2 times in a row")


def test_a_skipped_time_counts_neither_way() -> None:
    made = [
        Occurrence(PolicyId("p"), 1, float(at), at + 1.0, state)  # type: ignore[arg-type]  # one of the states
        for at, state in enumerate(("missed", "started", "missed", "skipped", "missed"))
    ]
    assert [missed_in_row(made, at) for at in (0.0, 1.0, 2.0, 4.0)] == [1, 0, 1, 2]


async def test_an_owner_who_lost_the_right_pauses_the_policy_says_so_once_and_an_admin_takes_over(hub: TestHub) -> None:
    owner = await hub.logged_in("operator")
    await hub.node("web-1")
    policy = (await owner.post("patch-policies", {**POLICY, "when": {"weekly": DAYS}})).json
    admin = await hub.logged_in()
    changed = await admin.request("PATCH", f"users/{owner.user.username}", {"disabled": True})
    assert changed.status == 200, changed.json
    for _ in range(2):
        await hub.services[RolloutService].sweep()
    one = (await admin.get(f"patch-policies/{policy['id']}")).json
    assert (one["paused"], one["owner"]) == ("owner", owner.user.username)
    [told] = await _events(admin, "patch_paused")
    assert told["severity"] == "error"
    assert "take it over" in told["message"]
    assert (await admin.post("rollouts", {"policy_id": policy["id"]})).status == 409
    for enabled in (False, True):
        one = (await admin.request("PATCH", f"patch-policies/{policy['id']}", {"version": one["version"], "enabled": enabled})).json
        assert one["paused"] == "owner", "switching it off and on is no answer"
    taken = await admin.request("PATCH", f"patch-policies/{policy['id']}", {"version": one["version"], "take_over": True})
    assert (taken.json["paused"], taken.json["owner"]) == ("", admin.user.username)


async def test_an_admin_takes_a_roll_out_over_whose_owner_lost_the_right_and_resumes_it(hub: TestHub) -> None:
    """SAFETY 36: it goes on with the rights of its new owner, of the moment of the take-over."""
    owner = await hub.logged_in("operator")
    await hub.node("web-1")
    policy = (await owner.post("patch-policies", {**POLICY, "when": {"weekly": DAYS}})).json
    made = (await owner.post("rollouts", {"policy_id": policy["id"]})).json
    service, admin = hub.services[RolloutService], await hub.logged_in()
    await service.sweep()
    assert (await owner.post(f"rollouts/{made['id']}/take-over")).status == 403
    await admin.request("PATCH", f"users/{owner.user.username}", {"disabled": True})
    await service.sweep()
    lost = (await admin.get(f"rollouts/{made['id']}")).json
    assert (lost["state"], lost["why"]) == ("paused", "owner")
    assert "an admin takes it over and resumes it" in lost["words"]
    for verb, body in (("resume", None), ("go-on", {"gate": "*", "reason": "a person has looked"})):
        refused = await admin.post(f"rollouts/{made['id']}/{verb}", body)
        assert (refused.status, refused.json["detail"]) == (409, lost["words"]), "without a new owner it would pause again at once"
    taken = await admin.post(f"rollouts/{made['id']}/take-over")
    assert (taken.status, taken.json["state"], taken.json["owner"]) == (200, "paused", admin.user.username), taken.json
    for _ in range(2):
        await service.sweep()
    assert (await admin.get(f"rollouts/{made['id']}")).json["state"] == "paused", "until somebody resumes it"
    await admin.post(f"rollouts/{made['id']}/resume")
    await service.sweep()
    assert (await admin.get(f"rollouts/{made['id']}")).json["state"] == "running"
    rows = (await admin.get("audit")).json["audit"]
    details = [row["detail"] for row in rows if row["action"] == "rollout.move" and "owner_before" in row["detail"]]
    assert [(row["owner_before"], row["owner"]) for row in details] == [(owner.user.username, admin.user.username)]
