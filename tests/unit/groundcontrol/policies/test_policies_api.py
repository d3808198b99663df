"""`/api/v1/patch-policies` and `windows`: made, checked, previewed, edited, exported and applied."""

from __future__ import annotations

from typing import Any

import pytest

from groundcontrol.core.scope import SYSTEM, Grants
from groundcontrol.core.tables import SubjectTable
from groundcontrol.nodes.model import NodeIdentity, NodePolicy
from groundcontrol.policies.bodies import NextTimes
from groundcontrol.policies.calendar import Times, When, local_text
from groundcontrol.policies.model import Occurrence, Pair
from groundcontrol.policies.preview import AGENT_TOO_OLD
from groundcontrol.policies.reasons import REMEDIES
from groundcontrol.policies.service import FleetReader
from tests.support.factories import connect
from tests.support.inprocess_hub import Answer, TestHub
from tests.support.rollout_trial import DAY, a_policy, at

POLICY: dict[str, Any] = {
    "name": "security",
    "select": {"all": True},
    "when": {"monthly": {"nth": "second", "day": "tue"}},
    "start": "02:30",
    "length_s": 7200,
    "zone": "Europe/Berlin",
}
WINDOW: dict[str, Any] = {
    "name": "nights",
    "kind": "allow",
    "select": {"all": True},
    "weekly": ["tue"],
    "start": "01:00",
    "length_s": 14_400,
    "zone": "node",
}


async def test_a_policy_is_made_edited_exported_and_deleted(hub: TestHub) -> None:
    admin = await hub.logged_in()
    made = await admin.post("patch-policies", POLICY)
    assert made.status == 201, made.json
    one = made.json
    assert (one["version"], one["what"], one["paused"], one["select"]["not"]) == (1, "security", "", {"tags": [], "nodes": []})
    assert one["owner"].startswith("admin")
    assert one["next_at"] > hub.clock.now()
    assert (await admin.get("patch-policies")).json["patch_policies"] == [one]
    assert (await admin.post("patch-policies", POLICY)).status == 409  # the name is taken

    edit = await admin.request("PATCH", f"patch-policies/{one['id']}", {"version": 1, "leave_out": ["postgresql-*"]})
    assert (edit.status, edit.json["version"], edit.json["leave_out"]) == (200, 2, ["postgresql-*"])
    assert (await admin.request("PATCH", f"patch-policies/{one['id']}", {"version": 1, "kernel": False})).status == 409

    exported = (await admin.get("patch-policies")).json["patch_policies"]
    again = await admin.post("patch-policies/apply", {"policies": exported})
    assert [(row["act"], row["fields"]) for row in again.json["policies"]] == [("keep", [])]
    changed = [{**exported[0], "start": "03:30"}, {**POLICY, "name": "another"}]
    dry = await admin.post("patch-policies/apply", {"policies": changed, "dry_run": True})
    assert [(row["act"], row["fields"]) for row in dry.json["policies"]] == [("change", ["start"]), ("add", [])]
    assert len((await admin.get("patch-policies")).json["patch_policies"]) == 1
    bad = await admin.post("patch-policies/apply", {"policies": [*changed, {**POLICY, "name": "x", "zone": "Mars/Base"}]})
    assert (bad.status, [one["number"] for one in bad.json["facts"]["faults"]]) == (400, [3])
    assert (await admin.post("patch-policies/apply", {"policies": changed})).status == 200
    assert [row["name"] for row in (await admin.get("patch-policies")).json["patch_policies"]] == ["another", "security"]

    assert (await admin.request("DELETE", f"patch-policies/{one['id']}")).status == 204
    assert (await admin.get(f"patch-policies/{one['id']}")).status == 404
    audit = [row["action"] for row in (await admin.get("audit")).json["audit"] if row["action"].startswith("patch_policy")]
    assert audit == ["patch_policy.delete", "patch_policy.create", "patch_policy.edit", "patch_policy.edit", "patch_policy.create"]


BAD_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"select": {}}, "empty selection"),
    ({"zone": "Mars/Base"}, "time zone"),
    ({"length_s": 60}, "length_s"),
    ({"length_s": 900}, "nothing could ever start"),
    ({"when": {"weekly": ["mon"], "once": "2027-01-01"}}, "one of weekly"),
    ({"when": {"once": "2027-02-29"}}, "such as 2026-12-24"),
    ({"when": {"once": "2027-W01-1"}}, "such as 2026-12-24"),
    ({"leave_out": ["a*"], "only": ["a*"]}, "both name a*"),
    ({"leave_out": ["*"]}, "leaves no package"),
    ({"leave_out": ["post*"], "only": ["postgresql"]}, "leaves no package"),
    ({"leave_out": ["a b"]}, "not a name or pattern"),
    ({"what": "full", "kernel": False}, "full takes whole upgrades"),
    ({"what": "nothing", "reboot": "never"}, "does nothing"),
    ({"what": "nothing", "reboot": "if_required", "only": ["nginx"]}, "takes no package"),
    ({"before": [{"name": "../x"}]}, "not the name of an action"),
    ({"probes": [{"kind": "http", "target": "http://evil.example/"}]}, "on the node itself"),
    ({"approval": "person", "notice_h": 0}, "needs a notice"),
    ({"report": ["nowhere"]}, "no channel"),
]


async def test_bad_input_is_refused_in_one_sentence(hub: TestHub) -> None:
    admin = await hub.logged_in()
    for fields, words in BAD_INPUT:
        answer = await admin.post("patch-policies", {**POLICY, **fields})
        assert (fields, answer.status, answer.json["code"]) == (fields, 400, "request.invalid")
        assert words in answer.json["detail"]
    assert (await admin.get("patch-policies")).json["patch_policies"] == []


async def test_a_preview_warns_of_what_can_never_fire(hub: TestHub) -> None:
    admin = await hub.logged_in()
    policy = {**POLICY, "when": {"once": "2020-01-01"}, "approval": "two_persons"}
    answer = (await admin.post("patch-policies/preview", {"policy": policy})).json
    assert {one["code"] for one in answer["warnings"]} == {"no_node", "no_date", "no_approver"}
    answer = (await admin.post("patch-policies/preview", {"policy": {**POLICY, "when": {"weekly": ["sun"]}}})).json
    assert [one["zone"] for one in answer["next"]] == ["Europe/Berlin"] * 5
    assert (answer["nodes"], answer["packages"], answer["held"]) == ([], [], [])


async def test_each_node_knows_its_next_patch_or_is_under_none(hub: TestHub) -> None:
    admin = await hub.logged_in()
    web, db = await hub.node("web-1"), await hub.node("db-1")
    assert (await admin.get("patch-policies/next")).json == {"nodes": []}
    made = [
        (await admin.post("patch-policies", {**POLICY, "name": name, "select": {"nodes": [web.id]}, "when": when})).json
        for name, when in (("late", {"once": "2099-01-01"}), ("soon", {"weekly": ["tue"]}), ("off", {"weekly": ["mon"]}))
    ]
    await admin.request("PATCH", f"patch-policies/{made[2]['id']}", {"version": 1, "enabled": False})
    [one] = (await admin.get("patch-policies/next")).json["nodes"]
    assert (one["node_id"], one["policies"], one["next_at"]) == (web.id, ["late", "soon"], made[1]["next_at"])
    assert db.id != web.id


async def test_a_skipped_time_is_not_the_next_one(hub: TestHub) -> None:
    admin = await hub.logged_in()
    await hub.node("web-1")
    made = (await admin.post("patch-policies", {**POLICY, "when": {"weekly": ["tue"]}})).json
    path = f"patch-policies/{made['id']}"
    first, second = [one["due_at"] for one in (await admin.get(f"{path}/occurrences")).json["occurrences"]][:2]
    assert made["next_at"] == first
    assert (await admin.post(f"{path}/occurrences/{first:.0f}/skip", {})).status == 200
    [listed], [node] = (await admin.get("patch-policies")).json["patch_policies"], (await admin.get("patch-policies/next")).json["nodes"]
    [row] = (await admin.get("patch-status")).json["nodes"]
    assert [(await admin.get(path)).json["next_at"], listed["next_at"], node["next_at"], row["next_at"]] == [second] * 4


async def test_the_next_patch_of_a_node_is_told_in_its_own_zone_and_never_where_no_schedule_touches_it(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node("web-1")
    session = await connect(hub.store, node.id)
    await hub.store.nodes.save_identity(session, NodeIdentity(timezone="Europe/Berlin"), "1", NodePolicy("managed"), "no", 1.0)
    made = (await admin.post("patch-policies", {**POLICY, "when": {"weekly": ["tue"]}, "zone": "node"})).json
    path = f"patch-policies/{made['id']}/occurrences"
    [one], [row] = (await admin.get("patch-policies/next")).json["nodes"], (await admin.get("patch-status")).json["nodes"]
    assert one["next_at"] == row["next_at"]
    assert local_text(one["next_at"], "Europe/Berlin")[11:] == "02:30"
    assert local_text(one["next_at"], "Europe/Berlin") == (await admin.get(path)).json["occurrences"][0]["local"]
    assert made["next_at"] < one["next_at"], "far in the east it begins earlier"

    await admin.request("PATCH", f"nodes/{node.id}", {"never_by_schedule": "the boss's machine"})
    [one], [row] = (await admin.get("patch-policies/next")).json["nodes"], (await admin.get("patch-status")).json["nodes"]
    assert (one["policies"], one["next_at"], row["next_at"]) == (["security"], None, None)


def test_a_time_that_has_begun_elsewhere_on_earth_is_still_the_next_of_a_node() -> None:
    begun, here = at("2026-11-30 12:30"), at("2026-12-01 01:30")  # 02:30 on Tuesday, first in UTC+14, then in Berlin
    policy = a_policy(times=Times(When(weekly=("tue",)), "02:30", 7200, "node"), considered_at=begun)
    assert NextTimes(begun + 60, {policy.id: {begun: "started"}}).of_policy(policy, "Europe/Berlin") == here
    for state in ("missed", "skipped"):
        assert NextTimes(begun + 60, {policy.id: {begun: state}}).of_policy(policy, "Europe/Berlin") == here + 7 * DAY
    assert NextTimes(begun + 60, {}).of_policy(policy, "Europe/Berlin") == here + 7 * DAY, "it was saved after that"
    assert NextTimes(begun + 60, {}).of_policy(policy, "") is None


async def test_a_preview_holds_nodes_whose_agents_are_too_old(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, node = await hub.logged_in(), await hub.node("web-1")
    session = await connect(hub.store, node.id)
    await hub.store.nodes.save_identity(session, NodeIdentity(), "1", NodePolicy("managed"), "no", 1.0)
    hub.nodes.connected.add(node.id)
    monkeypatch.setattr(hub.services[FleetReader]._looks, "state", lambda _: "too_old")
    columns = ("package", "installed", "candidate", "security", "repository")
    updates = SubjectTable("updates", hub.clock.now(), 1, columns, ("nginx", "1", "2", "yes", "debian"))
    await hub.store.tables.save_table(session, updates)
    monkeypatch.setattr(hub.services[FleetReader]._tables, "tables", lambda _: {"updates": updates})
    answer = (await admin.post("patch-policies/preview", {"policy": {**POLICY, "when": {"weekly": ["sun"]}}})).json
    assert [(one["reason"], one["words"]) for one in answer["held"]] == [AGENT_TOO_OLD]
    assert answer["held"][0]["remedy"] == REMEDIES["agent_too_old"]
    assert (answer["nodes"], answer["packages"]) == ([], []), "nothing is done on it"
    monkeypatch.setattr(hub.services[FleetReader]._looks, "state", lambda _: "asked")
    for tables, codes in (({"updates": updates}, ["no_units"]), ({}, []), ({"updates": updates, "services": updates}, [])):
        monkeypatch.setattr(hub.services[FleetReader]._tables, "tables", lambda _, tables=tables: tables)
        answer = (await admin.post("patch-policies/preview", {"policy": {**POLICY, "when": {"weekly": ["sun"]}}})).json
        assert [one["code"] for one in answer["warnings"] if one["code"] == "no_units"] == codes
    assert [(one["package"], one["nodes"]) for one in answer["packages"]] == [("nginx", 1)]


async def test_a_date_that_was_skipped_is_not_among_the_next(hub: TestHub) -> None:
    admin = await hub.logged_in()
    for zone in ("UTC", "node"):
        policy = {**POLICY, "name": zone, "when": {"weekly": ["tue"]}, "zone": zone}
        made = (await admin.post("patch-policies", policy)).json
        asked = {"policy": policy, "id": made["id"]}
        before = (await admin.post("patch-policies/preview", asked)).json["next"]
        assert (await admin.post(f"patch-policies/{made['id']}/occurrences/{before[0]['due_at']:.0f}/skip")).status == 200
        after = (await admin.post("patch-policies/preview", asked)).json["next"]
        assert [one["local"] for one in after[:4]] == [one["local"] for one in before[1:]]
        assert len(after) == 5


async def test_windows_are_made_edited_and_deleted(hub: TestHub) -> None:
    admin = await hub.logged_in()
    made = await admin.post("windows", WINDOW)
    assert made.status == 201, made.json
    assert (made.json["weekly"], made.json["monthly"], made.json["kind"]) == (["tue"], None, "allow")
    edit = await admin.request(
        "PATCH", f"windows/{made.json['id']}", {"version": 1, "kind": "freeze", "once": "2026-12-24", "length_s": 864_000}
    )
    assert (edit.status, edit.json["once"], edit.json["weekly"], edit.json["kind"]) == (200, "2026-12-24", None, "freeze")
    assert (await admin.post("windows", {**WINDOW, "name": "x", "zone": "node", "monthly": {"nth": "last", "day": "fri"}})).status == 400
    assert [one["name"] for one in (await admin.get("windows")).json["windows"]] == ["nights"]
    assert (await admin.request("DELETE", f"windows/{made.json['id']}")).status == 204
    assert (await admin.get("windows")).json["windows"] == []


EVERYTHING = {"kind": "freeze", "select": {"all": True}, "reason": "the shop burns"}


async def test_freeze_all_now_holds_every_node_until_it_is_ended_and_an_admin_overrides_it_once(hub: TestHub) -> None:
    admin = await hub.logged_in()
    node = await hub.node("web-1")
    made = await admin.post("windows/now", EVERYTHING)
    assert made.status == 201, made.json
    assert (made.json["open"], made.json["until_at"], made.json["reason"]) == (True, None, "the shop burns")
    upgrade = {"action": "upgrade"}
    assert (await admin.post(f"nodes/{node.id}/jobs", upgrade)).json["code"] == "node.frozen"

    operator = await hub.logged_in("operator")
    refused = await operator.post(f"nodes/{node.id}/jobs", {**upgrade, "override_freeze": "a hole in sshd"})
    assert (refused.status, refused.json["code"]) == (403, "auth.forbidden")
    assert (await admin.post(f"nodes/{node.id}/jobs", {**upgrade, "override_freeze": " \u202e"})).status == 400
    job = await admin.post(f"nodes/{node.id}/jobs", {**upgrade, "override_freeze": "a hole in sshd"})
    assert job.status == 202, job.json
    [row] = [row for row in (await admin.get("audit")).json["audit"] if row["action"] == "job.create"]
    assert row["detail"]["freeze_overridden"].endswith(": a hole in sshd")
    assert (await admin.post(f"nodes/{node.id}/jobs", upgrade)).json["code"] == "node.frozen"

    assert (await admin.request("PATCH", f"windows/{made.json['id']}", {"version": 1, "length_s": 900})).status == 409
    assert (await admin.request("DELETE", f"windows/{made.json['id']}")).status == 204
    batch = await admin.post("jobs", {**upgrade, "nodes": [node.id]})
    assert batch.json["refused"] == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": ""}, "reason: 1 to 200"),
        ({"select": {}}, "empty selection"),
        ({"kind": "open"}, "closes by itself"),
        ({"kind": "open", "length_s": 90_000}, "closes by itself"),
        ({"length_s": 5}, "until somebody ends it"),
        ({"select": {"all": True, "not": {"tags": ["a"]}}}, "name the nodes"),
    ],
)
async def test_what_begins_now_is_checked(hub: TestHub, fields: dict[str, Any], words: str) -> None:
    admin = await hub.logged_in()
    answer = await admin.post("windows/now", {**EVERYTHING, **fields})
    assert (answer.status, answer.json["code"]) == (400, "request.invalid")
    assert words in answer.json["detail"]
    assert (await admin.get("windows")).json["windows"] == []


async def test_an_occurrence_is_skipped_once_and_an_edit_keeps_the_skip(hub: TestHub) -> None:
    admin = await hub.logged_in()
    one = (await admin.post("patch-policies", {**POLICY, "when": {"weekly": ["tue", "thu"]}})).json
    listed = (await admin.get(f"patch-policies/{one['id']}/occurrences")).json["occurrences"]
    assert [row["state"] for row in listed] == ["planned"] * 20
    due = listed[0]["due_at"]
    skipped = await admin.post(f"patch-policies/{one['id']}/occurrences/{due:.0f}/skip", {"reason": "fair"})
    assert (skipped.status, skipped.json["state"], skipped.json["why"]) == (200, "skipped", f"skipped by {one['owner']}: fair")
    assert (await admin.post(f"patch-policies/{one['id']}/occurrences/{due:.0f}/skip")).status == 409
    assert (await admin.post(f"patch-policies/{one['id']}/occurrences/{due + 77:.0f}/skip")).status == 400
    for never in ("1e12", "1e300", "-1", "nan", "x"):
        assert (await admin.post(f"patch-policies/{one['id']}/occurrences/{never}/approve")).status == 400, never
    assert (await admin.post(f"patch-policies/{one['id']}/occurrences/{listed[1]['due_at']:.0f}/approve")).status == 409
    await admin.request("PATCH", f"patch-policies/{one['id']}", {"version": 1, "start": "02:30"})
    listed = (await admin.get(f"patch-policies/{one['id']}/occurrences")).json["occurrences"]
    assert [row["state"] for row in listed[:2]] == ["skipped", "planned"]


async def test_a_freeze_refuses_upgrades_and_reboots_by_hand_and_nothing_else(hub: TestHub) -> None:
    admin = await hub.logged_in()
    node = await hub.node("web-1")
    freeze = {**WINDOW, "name": "fair", "kind": "freeze", "zone": "UTC", "start": "00:00", "length_s": 86_400}
    freeze["weekly"] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    assert (await admin.post("windows", freeze)).status == 201
    for action in ("upgrade", "reboot"):
        answer = await admin.post(f"nodes/{node.id}/jobs", {"action": action})
        assert (answer.status, answer.json["code"]) == (409, "node.frozen"), answer.json
        assert "fair" in answer.json["detail"]
    assert (await admin.post(f"nodes/{node.id}/jobs", {"action": "check"})).status == 202
    batch = await admin.post("jobs", {"action": "upgrade", "nodes": [node.id]})
    assert [one["code"] for one in batch.json["refused"]] == ["node.frozen"]


async def test_windows_and_freezes_have_a_live_topic(hub: TestHub) -> None:
    admin = await hub.logged_in()
    await hub.node("web-1")
    async with admin.live() as live:
        assert (await live.follow("windows"))["data"]["windows"] == []
        made = (await admin.post("windows/now", {"kind": "freeze", "select": {"all": True}, "reason": "the fair"})).json
        [shown] = (await live.expect("change"))["data"]["windows"]
        assert (shown["id"], shown["open"], shown["reason"]) == (made["id"], True, "the fair")
        assert (await admin.request("DELETE", f"windows/{made['id']}")).status == 204
        assert (await live.expect("change"))["data"]["windows"] == []


async def test_a_policy_that_waits_since_a_restore_is_freed_by_resume_alone(hub: TestHub) -> None:
    admin = await hub.logged_in()
    one = (await admin.post("patch-policies", POLICY)).json
    await hub.store.policies.pause_policy(1, one["id"], "restored")
    for enabled in (False, True):
        one = (await admin.request("PATCH", f"patch-policies/{one['id']}", {"version": one["version"], "enabled": enabled})).json
        assert one["paused"] == "restored", one
    refused = await admin.post("rollouts", {"policy_id": one["id"]})
    assert (refused.status, "restored from a backup" in refused.json["detail"]) == (409, True)
    [resumed] = (await admin.post("patch-policies/resume")).json["patch_policies"]
    assert resumed["paused"] == ""


async def test_limited_rights_neither_change_nor_learn_of_what_is_beyond_them(hub: TestHub) -> None:
    own, secret = await hub.node("web-1", tags=("mine",)), await hub.node("pay-1")
    admin, user = await hub.logged_in(), await hub.user("lim", "operator")
    await hub.store.user_admin.edit_user(SYSTEM, user.id, role=None, disabled=None, grants=Grants(tags=("mine",)))
    limited = await hub.logged_in(user=user)
    hidden = (await admin.post("patch-policies", {**POLICY, "name": "payroll", "select": {"nodes": [secret.id]}})).json
    shared = (await admin.post("patch-policies", {**POLICY, "name": "both", "select": {"nodes": [own.id, secret.id]}})).json
    await admin.post("patch-policies", {**POLICY, "name": "others", "select": {"all": True, "not": {"tags": ["mine"]}}})

    async def applied(*, dry_run: bool = True, **fields: object) -> Answer:
        return await limited.post(
            "patch-policies/apply", {"policies": [{**POLICY, "select": {"nodes": [own.id]}, **fields}], "dry_run": dry_run}
        )

    unknown = await applied(id=hidden["id"])
    assert (unknown.status, unknown.json["policies"][0]["act"]) == (200, "add"), "as if it did not exist"
    assert unknown.json["policies"][0]["id"] != hidden["id"]
    assert unknown.json["left"] == [shared["id"]]
    taken = [await applied(name="payroll", dry_run=dry) for dry in (True, False)]
    assert [(one.status, "there is a patch policy named payroll already" in one.json["detail"]) for one in taken] == [(400, True)] * 2
    whole = {one["name"]: one["whole"] for one in (await limited.get("patch-policies")).json["patch_policies"]}
    mine = (await limited.post("patch-policies", {**POLICY, "name": "mine", "select": {"tags": ["mine"]}})).json
    assert (whole, (await limited.get(f"patch-policies/{mine['id']}")).json["whole"]) == ({"both": False}, True)
    assert (await applied(**mine)).json["policies"][0]["act"] == "keep", "what is whole is exported and imported"
    beyond = "servers beyond your rights"
    refused = await applied(id=shared["id"], enabled=False)
    assert (refused.status, beyond in refused.json["detail"], secret.id in refused.json["detail"]) == (400, True, False)
    due = (await admin.get(f"patch-policies/{shared['id']}/occurrences")).json["occurrences"][0]["due_at"]
    for method, path, body in (
        ("PATCH", "", {"version": shared["version"], "enabled": False}),
        ("DELETE", "", None),
        ("POST", f"/occurrences/{due:.0f}/skip", None),
    ):
        refused = await limited.request(method, f"patch-policies/{shared['id']}{path}", body)
        assert (refused.status, beyond in refused.json["detail"]) == (403, True), refused.json
    assert (await limited.post("rollouts", {"policy_id": hidden["id"]})).status == 404
    pairs = (Pair("nginx", "2"), Pair("payroll-server", "7"))
    noticed = Occurrence(shared["id"], 1, due, due + 60, "waiting_approval", pairs=pairs)
    await hub.store.policies.save_occurrence(SYSTEM, None, noticed)
    rows = ("nginx", "1", "2", "yes", "debian")
    table = SubjectTable("updates", hub.clock.now(), 1, ("package", "installed", "candidate", "security", "repository"), rows)
    await hub.store.tables.save_table(await connect(hub.store, own.id), table)
    for client, seen in ((admin, ["nginx", "payroll-server"]), (limited, ["nginx"])):
        first = (await client.get(f"patch-policies/{shared['id']}/occurrences")).json["occurrences"][0]
        assert [one["package"] for one in first["packages"]] == seen


async def test_limited_rights_on_no_server_show_no_policy_window_or_rule_for_all(hub: TestHub) -> None:
    await hub.node("web-1")
    admin, user = await hub.logged_in(), await hub.user("lim", "operator")
    await admin.post("patch-policies", {**POLICY, "select": {"all": True}})
    await admin.post("windows/now", {"kind": "freeze", "select": {"all": True}, "reason": "stocktaking"})
    lists = ("patch-policies", "patch_policies"), ("windows", "windows"), ("rules", "rules")
    assert all([(await admin.get(path)).json[key] for path, key in lists])
    await hub.store.user_admin.edit_user(SYSTEM, user.id, role=None, disabled=None, grants=Grants(tags=("of-no-server",)))
    limited = await hub.logged_in(user=user)
    assert [(await limited.get(path)).json[key] for path, key in lists] == [[], [], []]
