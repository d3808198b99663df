"""`/api/v1/expectations`: expected events, their deadlines and calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from groundcontrol.access.sessions import STEP_UP_S
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.events.making import new_event
from groundcontrol.schedules.deadlines import Expectation, ExpectationId, JudgedDay, Report, deadline
from groundcontrol.schedules.expectations_api import MAX_NODES_OF_A_DAY, _day_view
from groundcontrol.schedules.model import Selector
from groundcontrol.schedules.wall_clock import DAYS
from tests.support.inprocess_hub import TestHub
from tests.support.some import some

BODY = {"name": "Nightly backup", "select": {"all": True}, "event": "backup_completed", "by": "05:00", "zone": "Europe/Budapest"}


async def test_an_expectation_is_created_changed_and_deleted(hub: TestHub) -> None:
    admin = await hub.logged_in()
    made = await admin.post("expectations", {**BODY, "from": "22:00", "days": ["fri", "mon"]})
    assert made.status == 201
    select = {"all": True, "tags": [], "nodes": []}
    given = {"from": "22:00", "days": ["mon", "fri"], "grace_s": 900.0, "severity": "critical", "select": select}
    assert made.json == {**BODY, **given, "id": made.json["id"]}
    assert (await admin.post("expectations", BODY)).code == "conflict"

    path = f"expectations/{made.json['id']}"
    changed = await admin.request("PATCH", path, {"by": "06:00", "severity": "warning"})
    assert changed.json == {**made.json, "by": "06:00", "severity": "warning"}
    assert (await admin.get("expectations")).json["expectations"] == [changed.json]
    (stored,) = await hub.store.expectations.of_every_org()
    assert stored.valid_from == pytest.approx(hub.clock.now(), abs=60)
    assert (await admin.request("PATCH", path, {})).json == changed.json

    assert [(await admin.request("DELETE", path)).status for _ in range(2)] == [204, 404]
    actions = [row["action"] for row in (await admin.get("audit")).json["audit"]]
    assert [action for action in actions if action.startswith("expectation")] == [
        "expectation.delete", "expectation.edit", "expectation.create",
    ]  # fmt: skip


WRONG: tuple[tuple[dict[str, object], str], ...] = (
    ({"select": {}}, "select"),
    ({"name": " "}, "name"),
    ({"event": "Backup Completed"}, "event"),
    ({"event": "bakup_completed"}, "did you mean backup_completed?"),
    ({"event": "hub_started"}, "no server reports"),
    ({"event": "alert_firing"}, "no server reports"),
    ({"event": "custom"}, "name of the custom event itself"),
    ({"by": "5"}, "by"),
    ({"from": "24:00"}, "from"),
    ({"zone": "Europe/Atlantis"}, "zone"),
    ({"days": []}, "days"),
    ({"days": ["monday"]}, "days"),
    ({"grace_s": -1}, "grace_s"),
    ({"grace_s": 86_400}, "grace_s"),
    ({"severity": "info"}, "severity"),
)


async def test_an_invalid_expectation_is_refused_with_its_field(hub: TestHub) -> None:
    admin = await hub.logged_in()
    for change, word in WRONG:
        answer = await admin.post("expectations", {**BODY, **change})
        assert (answer.status, answer.code) == (400, "request.invalid"), change
        assert word in answer.json["detail"]


async def test_a_custom_event_can_be_expected_by_any_name_that_was_reported(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node()
    assert (await admin.post("expectations", {**BODY, "event": "certificates-renewed"})).status == 201
    near = {**BODY, "name": "Other", "event": "backup2_completed"}
    assert (await admin.post("expectations", near)).status == 400
    await hub.store.log.add_event(new_event("custom", hub.clock.now(), {"name": near["event"]}, node=node.id, name=node.name, org=1))
    assert (await admin.post("expectations", near)).status == 201


@pytest.mark.holds("SAFETY-22")
async def test_changing_an_expectation_needs_a_recent_password(hub: TestHub) -> None:
    admin = await hub.logged_in()
    path = f"expectations/{(await admin.post('expectations', BODY)).json['id']}"
    hub.clock.shift += STEP_UP_S + 1
    await admin.post("auth/refresh")
    answers = (
        await admin.post("expectations", {**BODY, "name": "other"}),
        await admin.request("PATCH", path, {"severity": "warning"}),
        await admin.request("DELETE", path),
    )
    assert {answer.code for answer in answers} == {"auth.step_up_required"}


async def test_the_calendar_counts_all_nodes_and_names_those_that_did_not_meet_it(hub: TestHub) -> None:
    admin, good, bad = await hub.logged_in(), await hub.node("good"), await hub.node("bad")
    made = (await admin.post("expectations", {**BODY, "zone": "UTC"})).json
    (one,) = await hub.store.expectations.of_every_org()
    day = datetime.fromtimestamp(hub.clock.now(), UTC).date() - timedelta(days=1)
    by = datetime(day.year, day.month, day.day, 5, tzinfo=UTC).timestamp()
    met = JudgedDay(ExpectationId(made["id"]), good.id, day, "met", by, by + 900, by + 960, Report(EventId("e1"), by - 60, by))
    missed = met._replace(node=bad.id, state="missed", report=None)
    await hub.store.expectations.save_judgements(one, [met, missed])
    await hub.store.expectations.save_judgements(one, [missed._replace(state="late", report=Report(EventId("e2"), by + 4800, by + 4801))])

    days = (await admin.get(f"expectations/{made['id']}/days")).json["days"]
    assert len(days) == 28
    (found,) = [row for row in days if row["date"] == day.isoformat()]
    assert (found["by_at"], found["met"], found["late"], found["missed"]) == (by, 1, 1, 0)
    assert found["nodes"] == [{"node_id": bad.id, "state": "late", "at": by + 4800, "received_at": by + 4801, "late_s": 4800.0}]
    (found,) = (await admin.get(f"expectations/{made['id']}/days?from={day}&to={day}&node={good.id}")).json["days"]
    assert [row["state"] for row in found["nodes"]] == ["met"]

    other_days = [name for name in DAYS if name != DAYS[day.weekday()]]
    await admin.request("PATCH", f"expectations/{made['id']}", {"by": "09:00", "days": other_days})
    (found,) = (await admin.get(f"expectations/{made['id']}/days?from={day}&to={day}")).json["days"]
    assert (found["by_at"], found["due_at"], found["late"]) == (by, by + 900, 1), "a judged day keeps its deadline"


def test_a_day_names_those_that_missed_it_first() -> None:
    made = Expectation(ExpectationId("x"), 1, "Backup", Selector(all=True), "backup", "05:00", "UTC", DAYS)
    due = some(deadline(made, date(2026, 11, 20)))
    late = [
        JudgedDay(made.id, NodeId(f"late-{at}"), due.date, "arrived_late", due.by_at, due.due_at, 0.0) for at in range(MAX_NODES_OF_A_DAY)
    ]
    missed = late[0]._replace(node=NodeId("missed"), state="missed")
    shown = _day_view(due, [*late, missed], whole=False)
    assert (len(shown.nodes), shown.nodes[0].node_id, shown.missed) == (MAX_NODES_OF_A_DAY, "missed", 1)


async def test_an_invalid_calendar_range_is_refused(hub: TestHub) -> None:
    admin = await hub.logged_in()
    made = (await admin.post("expectations", BODY)).json
    for query in (
        "from=yesterday",
        "from=2026-11-20&to=2026-11-19",
        "from=2026-01-01&to=2026-11-19",
        "to=9999-12-31",
        "to=20261120",
        "to=2026-W47-5",
        "node=x",
    ):
        assert (await admin.get(f"expectations/{made['id']}/days?{query}")).code == "request.invalid", query
