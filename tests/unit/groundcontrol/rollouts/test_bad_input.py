"""What people get wrong with patch policies and roll-outs: each is one clear sentence with a code, and nothing is half-started."""

from __future__ import annotations

from typing import Any

import pytest

from groundcontrol.core.tables import SubjectTable
from groundcontrol.nodes.model import NodeIdentity, NodePolicy
from groundcontrol.rollouts.service import RolloutService
from tests.support.factories import connect
from tests.support.inprocess_hub import Client, TestHub
from tests.support.running_rollout import DAYS, POLICY

COLUMNS = ("package", "installed", "candidate", "security", "repository")


async def a_node(hub: TestHub, name: str = "web-1") -> str:
    """A node that waits for two updates."""
    node = await hub.node(name)
    session = await connect(hub.store, node.id)
    await hub.store.nodes.save_identity(session, NodeIdentity(os_id="debian", package_manager="apt"), "1", NodePolicy("managed"), "no", 1.0)
    rows = ("nginx", "1", "2", "yes", "debian", "less", "1", "2", "no", "debian")
    await hub.store.tables.save_table(session, SubjectTable("updates", hub.clock.now(), 2, COLUMNS, rows))
    return str(node.id)


async def warned(admin: Client, fields: dict[str, Any]) -> dict[str, str]:
    answer = await admin.post("patch-policies/preview", {"policy": {**POLICY, **fields}})
    assert answer.status == 200, answer.json
    return {one["code"]: one["words"] for one in answer.json["warnings"]}


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"select": {"tags": ["gone"]}}, "no_node", "no node is selected now"),
        ({"only": ["postgresql-*"]}, "leaves_nothing", "none of the 2 updates"),
        ({"leave_out": ["nginx", "less*"]}, "leaves_nothing", "none of the 2 updates"),
        ({"when": {"once": "2020-02-29"}}, "no_date", "no date comes any more"),
        ({"length_s": 960, "watch_s": 900}, "too_short", "1 of 1 nodes do not fit into 16 minutes"),
        ({"order": {"groups": ["wbe"]}}, "unused_group", "none of these nodes has the tag wbe of the order"),
        ({"order": {"groups": ["wbe"]}}, "no_group", "1 of 1 nodes have no tag of the order: they come last, in one wave"),
        ({"approval": "two_persons"}, "no_approver", "1 may: it never starts"),
        ({"before": [{"name": "drain"}]}, "actions", "1 of 1 nodes do not name the action drain"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)
async def test_what_can_never_work_is_said_before_it_is_saved(hub: TestHub, fields: dict[str, Any], code: str, words: str) -> None:
    admin = await hub.logged_in()
    await a_node(hub)
    found = await warned(admin, fields)
    assert words in found.get(code, ""), found
    assert code not in await warned(admin, {})


async def test_a_window_that_never_opens_is_said_before_it_is_saved(hub: TestHub) -> None:
    admin = await hub.logged_in()
    await a_node(hub)
    window = {
        "name": "past",
        "kind": "allow",
        "select": {"all": True},
        "start": "02:00",
        "length_s": 3600,
        "zone": "UTC",
        "once": "2020-01-01",
    }
    assert (await admin.post("windows", window)).status == 201
    assert "shut at each of the next" in (await warned(admin, {}))["window_never_opens"]


@pytest.mark.parametrize(
    ("start", "zone", "dates"),
    [("02:30", "Europe/Berlin", {"2027-03-28": "skipped"}), ("02:30", "Europe/Berlin", {"2027-10-31": "repeated"})],
)
async def test_a_time_that_a_zone_skips_or_repeats_is_shown_and_runs_once(
    hub: TestHub, start: str, zone: str, dates: dict[str, str]
) -> None:
    admin = await hub.logged_in()
    for date, shifted in dates.items():
        policy = {**POLICY, "when": {"once": date}, "start": start, "zone": zone}
        [one] = (await admin.post("patch-policies/preview", {"policy": policy})).json["next"]
        assert (one["local"][:10], one["shifted"]) == (date, shifted)


HELD: dict[str, tuple[dict[str, Any], str]] = {
    "action_missing": ({"before": [{"name": "drain"}]}, "does not name the action drain"),
    "needs_event": ({"needs_event": {"type": "backup_completed", "within_s": 86_400}}, "backup_completed was not reported within 24 h"),
    "frozen": ({}, "frozen by"),
    "window": ({}, "outside its window later, which opens at 2099-01-01 02:00 (UTC), after the end of this roll-out"),
    "in_another_rollout": ({}, "the roll-out other has not finished it"),
}


@pytest.mark.parametrize("code", HELD)
async def test_a_node_that_cannot_begin_is_held_with_its_reason_and_remedy(
    hub: TestHub, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await hub.logged_in()
    node = await a_node(hub)
    monkeypatch.setattr(type(hub.services[RolloutService]._presence), "online", lambda _self, _node: True)
    fields, words = HELD[code]
    service = hub.services[RolloutService]
    if code == "frozen":
        await admin.post("windows/now", {"kind": "freeze", "select": {"all": True}, "reason": "the fair"})
    if code == "window":
        window = {"name": "later", "kind": "allow", "select": {"all": True}, "start": "02:00", "length_s": 3600, "zone": "UTC"}
        await admin.post("windows", {**window, "once": "2099-01-01"})
    if code == "in_another_rollout":
        other = (await admin.post("patch-policies", {**POLICY, "name": "other", "before": [{"name": "drain"}]})).json
        await admin.post("rollouts", {"policy_id": other["id"]})
        await service.sweep()
    policy = (await admin.post("patch-policies", {**POLICY, **fields})).json
    made = (await admin.post("rollouts", {"policy_id": policy["id"]})).json
    for _ in range(2):
        await service.sweep()
    [target] = (await admin.get(f"rollouts/{made['id']}/targets")).json["targets"]
    assert (target["node_id"], target["state"], target["why"]) == (node, "held", code), target
    assert words in target["words"]
    assert target["remedy"]
    assert [job["action"] for job in (await admin.get("jobs")).json["jobs"]] == []


async def test_a_selection_that_vanished_misses_its_time_and_starts_nothing(hub: TestHub) -> None:
    admin = await hub.logged_in()
    await a_node(hub)
    body = {**POLICY, "select": {"tags": ["gone"]}, "when": {"weekly": DAYS}, "start": "00:00", "length_s": 86_400, "hub_missed": "once"}
    policy = (await admin.post("patch-policies", body)).json
    await hub.sql("UPDATE patch_policy SET considered_at = ? WHERE id = ?", hub.clock.now() - 86_400, policy["id"])
    await hub.services[RolloutService].sweep()
    assert (await admin.get("rollouts")).json["rollouts"] == []
    occurrences = (await admin.get(f"patch-policies/{policy['id']}/occurrences")).json["occurrences"]
    assert [(row["state"], row["why"]) for row in occurrences if row["state"] != "planned"][-1:] == [("missed", "no node is selected")]
    refused = await admin.post("rollouts", {"policy_id": policy["id"]})
    assert (refused.status, refused.json["code"], refused.json["detail"]) == (
        400,
        "request.invalid",
        "this patch policy selects no server now",
    )
