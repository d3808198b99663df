"""`/api/v1/rules`: validation on save, and rule files."""

from __future__ import annotations

from typing import Any

import pytest

from groundcontrol.access.sessions import STEP_UP_S
from groundcontrol.alerts.api import Previews
from groundcontrol.alerts.rules import MOST_RULES
from groundcontrol.cli.rules import FIELDS
from tests.support.inprocess_hub import Client, TestHub

BUSY: dict[str, Any] = {
    "name": "Too busy", "expr": "avg(cpu.total, 5m)", "select": {"all": True}, "warn": {"trigger": 60, "clear": 55}, "for_s": 60,
}  # fmt: skip
SPACE = "filesystem.space"


def an_override(**fields: Any) -> dict[str, Any]:
    return {"overrides": [{"select": {"tags": ["db"]}, **fields}]}


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"name": "a\u202eb"}, "visible"),
    ({"name": "x" * 101}, "100"),
    ({"name": "  "}, "visible"),
    ({"for_s": 604_801}, "604800"),
    ({"clear_s": -1}, "$.clear_s"),
    (an_override(for_s=604_801), "$.overrides[0].for_s"),
    (an_override(warn={"trigger": 1e19, "clear": 1}), "$.overrides[0].warn.trigger"),
    ({"overrides": [{"select": {"tags": ["db"]}}] * 101}, "100"),
    ({"select": {"tags": ["x" * 65]}}, "select.tags"),
    ({"select": {"tags": [f"t{number}" for number in range(33)]}}, "select.tags: at most 32"),
    ({"overrides": [{"select": {"tags": ["a\x07"]}, "for_s": 1}]}, "overrides[0].select.tags"),
    ({"select": {"nodes": ["0" * 26] * 201}}, "use a tag"),
    ({"expr": "last(filesystem.used_percent{mount=/a\u202eb})"}, "one line"),
    ({"select": {"nodes": ["x"]}}, "'x' is not the id of a server"),
    ({"select": {"nodes": ["0" * 26]}}, "there is no server"),
    ({"overrides": [{"select": {"nodes": ["0" * 26]}, "for_s": 1}]}, "there is no server"),
    ({"expr": "event(alert_firing)", "clear_s": 60, "warn": {"trigger": 0, "clear": 0}}, "fire on itself"),
    ({"expr": "event(custom)", "clear_s": 60}, "never more than 1"),
    ({"expr": "avg(cpu.core{core=0,core=1}, 1m)"}, "one value of one label"),
    ({"warn": {"trigger": 100, "clear": 55}}, "never more than 100"),
    ({"when": "below", "warn": {"trigger": 0, "clear": 5}}, "never less than 0"),
    (an_override(crit={"trigger": 200, "clear": 55}), "overrides[0].crit.trigger"),
)


async def test_an_unbounded_or_invalid_rule_is_refused_with_a_remedy(hub: TestHub) -> None:
    admin = await hub.logged_in()
    for changes, said in REFUSED:
        answer = await admin.post("rules", {**BUSY, **changes})
        assert (answer.status, said in answer.json["detail"]) == (400, True), answer.json
    assert (await admin.post("rules/preview", {"rule": BUSY, "from": 1e17, "to": 1e17 + 3600})).status == 400


async def test_two_rules_have_two_names(hub: TestHub) -> None:
    admin = await hub.logged_in()
    first, other = [(await admin.post("rules", {**BUSY, "name": name})).json for name in (BUSY["name"], "Other")]
    wanted = (
        await admin.post("rules", {**BUSY, "name": "TOO busy"}),
        await admin.request("PATCH", f"rules/{other['id']}", {"name": BUSY["name"], "version": other["version"]}),
        await admin.post("rules/apply", {"rules": [{"id": SPACE, "name": "New"}, {**BUSY, "name": "new"}], "dry_run": True}),
    )
    assert {(answer.code, answer.json["detail"].startswith("there is a rule named")) for answer in wanted} == {("conflict", True)}
    swapped = [{"id": first["id"], "name": "Other"}, {"id": other["id"], "name": BUSY["name"]}]
    assert (await admin.post("rules/apply", {"rules": swapped})).status == 200


@pytest.mark.holds("SAFETY-22")
async def test_changing_rules_needs_a_recent_password_and_a_preview_does_not(hub: TestHub) -> None:
    admin = await hub.logged_in()
    rule = (await admin.post("rules", BUSY)).json
    hub.clock.shift += STEP_UP_S + 1
    await admin.post("auth/refresh")
    path, file = f"rules/{rule['id']}", {"rules": [{"id": SPACE, "for_s": 900}]}
    answers = (
        await admin.post("rules", {**BUSY, "name": "other"}),
        await admin.request("PATCH", path, {"enabled": False, "version": rule["version"]}),
        await admin.request("DELETE", path),
        await admin.post("rules/apply", file),
    )
    assert {answer.code for answer in answers} == {"auth.step_up_required"}
    assert (await admin.post("rules/apply", {**file, "dry_run": True})).status == 200


async def test_users_make_a_limited_number_of_rules(hub: TestHub) -> None:
    admin = await hub.logged_in()
    body = {"rules": [{**BUSY, "name": f"rule {number}"} for number in range(MOST_RULES)]}
    assert (await admin.post("rules/apply", body)).status == 200
    for refused in (await admin.post("rules", BUSY), await admin.post("rules/apply", {"rules": [BUSY], "dry_run": True})):
        assert (refused.status, "delete some" in refused.json["detail"]) == (409, True)


async def test_previews_at_the_same_time_are_limited(hub: TestHub) -> None:
    admin = await hub.logged_in()
    body, previews = {"rule": BUSY, "from": hub.clock.now() - 3600, "to": hub.clock.now()}, hub.services[Previews]
    previews._patience_s = 0.01
    async with previews.take(admin.user.id, 1), previews.take(admin.user.id, 1):
        assert (await admin.post("rules/preview", body)).code == "unavailable"
    previews._patience_s = 600
    assert (await admin.post("rules/preview", body)).status == 200


async def names(client: Client) -> list[str]:
    return [rule["name"] for rule in (await client.get("rules")).json["rules"]]


async def test_a_file_with_all_rules_of_the_hub_changes_nothing(hub: TestHub) -> None:
    admin = await hub.logged_in()
    exported = [{"id": rule["id"]} | {name: rule[name] for name in FIELDS} for rule in (await admin.get("rules")).json["rules"]]
    answer = (await admin.post("rules/apply", {"rules": exported})).json
    assert ({rule["act"] for rule in answer["rules"]}, answer["left"]) == ({"keep"}, [])


async def test_a_file_of_rules_adds_and_changes_and_leaves_the_others(hub: TestHub) -> None:
    admin = await hub.logged_in()
    before = (await admin.get(f"rules/{SPACE}")).json
    body = {"rules": [BUSY, {"id": SPACE, "for_s": 900}, {"id": "cpu.load", "name": "Too many programs wait for a CPU"}]}
    tried = (await admin.post("rules/apply", {**body, "dry_run": True})).json
    assert BUSY["name"] not in await names(admin)
    assert [(rule["act"], rule["id"]) for rule in tried["rules"]] == [("add", None), ("change", SPACE), ("keep", "cpu.load")]
    assert tried["rules"][1]["fields"] == [{"field": "for_s", "before": before["for_s"], "after": 900}]
    assert len(tried["left"]) == len(await names(admin)) - 2
    done = (await admin.post("rules/apply", body)).json
    assert {**done, "dry_run": True} == {**tried, "rules": [{**tried["rules"][0], "id": done["rules"][0]["id"]}, *tried["rules"][1:]]}
    assert (await admin.get(f"rules/{SPACE}")).json["for_s"] == 900
    again = (await admin.post("rules/apply", body)).json
    assert {rule["act"] for rule in again["rules"]} == {"keep"}


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_file_of_rules_is_applied_as_a_whole_or_every_fault_is_named(hub: TestHub, dry_run: bool) -> None:
    admin = await hub.logged_in()
    faulty = [
        {**BUSY, "name": "Fine"},
        {"id": SPACE, "for_s": 10_000_000},
        {**BUSY, "expr": "avg(cpu.totl, 10m)"},
        {"id": "filesystem.spcae", "for_s": 1},
        {**BUSY, "name": "Fine"},
        {"name": "Lacks all else"},
    ]
    before = (await admin.get("rules")).json
    refused = await admin.post("rules/apply", {"rules": faulty, "dry_run": dry_run})
    assert refused.status == 400
    faults = [(fault["number"], fault["rule"], fault["fault"]) for fault in refused.json["facts"]["faults"]]
    assert [fault[:2] for fault in faults] == [(2, SPACE), (3, BUSY["name"]), (4, "filesystem.spcae"), (5, "Fine"), (6, "Lacks all else")]
    for fault, said in zip(faults, ("$.for_s", "cpu.total", "leave the id out", "twice", "expr"), strict=True):
        assert said in fault[2]
        assert fault[2] in refused.json["detail"]
    assert (await admin.get("rules")).json == before


async def test_a_token_that_may_not_change_rules_gets_a_hint(hub: TestHub) -> None:
    admin = await hub.logged_in()
    token = (await admin.post("tokens", {"name": "ci", "role": "admin", "sensitive": True})).json["token"]
    program = hub.anonymous()
    program.bearer = token
    refused = await program.post("rules/apply", {"rules": []})
    assert (refused.status, "stardust on the hub's machine" in refused.json["detail"]) == (403, True)


async def test_a_rule_on_an_event_is_previewed_by_the_stored_events(hub: TestHub) -> None:
    admin = await hub.logged_in("admin")
    node = await hub.node("web-1")
    for about in (node.id, None):
        told = {"type": "backup_failed", "message": "no space", "node_id": about}
        assert (await admin.post("events", told)).status == 202
    now = hub.clock.now()
    rule = {"name": "Backups", "expr": "event(backup_failed)", "select": {"all": True}, "crit": {"trigger": 0, "clear": 0}, "clear_s": 60}
    found = await admin.post("rules/preview", {"rule": rule, "from": now - 86_400, "to": now + 1})
    assert (found.status, [(one["node_id"], one["level"], one["told"]) for one in found.json["would_fire"]]) == (
        200,
        [(node.id, "critical", True), (None, "critical", True)],
    )
    state = await admin.post("rules/preview", {"rule": rule | {"expr": "state(offline)"}, "from": now - 86_400, "to": now})
    assert (state.status, "keeps no history of states" in state.json["detail"]) == (400, True)


async def test_a_preview_reports_an_incomplete_history(hub: TestHub) -> None:
    admin = await hub.logged_in("admin")
    await hub.node("web-1")
    now = hub.clock.now()
    found = await admin.post("rules/preview", {"rule": BUSY, "from": now - 7 * 86_400, "to": now})
    assert (found.status, found.json["would_fire"], found.json["complete"]) == (200, [], False)


async def test_only_an_admin_of_the_hub_changes_rules_about_the_hub(hub: TestHub) -> None:
    """When the hub's own alerts fire is not up to an admin of its first organisation."""
    await hub.second()
    boss, other = await hub.logged_in("admin"), await hub.logged_in("admin")
    await hub.sql("UPDATE account SET instance_admin = 0 WHERE id = ?", other.user.id)
    off = {"version": 0, "enabled": False}
    mine = {
        "name": "disk",
        "expr": "state(hub_disk_free_percent)",
        "select": {"all": True},
        "when": "below",
        "warn": {"trigger": 1, "clear": 2},
    }
    assert (await other.request("PATCH", "rules/hub.disk", off)).status == 403
    assert (await other.post("rules", mine)).status == 403
    assert (await other.request("DELETE", "rules/hub.disk")).status == 403
    assert (await other.request("PATCH", "rules/hub.channel", off)).status == 200, "its channels are its own"
    for who, expected in ((other, {"hub.disk": False, "hub.channel": True}), (boss, {"hub.disk": True, "hub.channel": True})):
        shown = {rule["id"]: rule["editable"] for rule in (await who.get("rules")).json["rules"]}
        assert {ident: shown[ident] for ident in expected} == expected
    assert (await boss.request("PATCH", "rules/hub.disk", off)).status == 200
