"""`/api/v1/metrics`, `events` and `audit`."""

from __future__ import annotations

from groundcontrol.core.ids import EventId
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event
from groundcontrol.samples.derived import DERIVED
from spider.wire.ids import new_time_id
from spider.wire.metrics import CATALOGUE
from tests.support.inprocess_hub import ADMIN, TestHub


async def test_the_catalogue_names_every_metric(hub: TestHub) -> None:
    shown = (await (await hub.logged_in("viewer")).get("metrics")).json["metrics"]

    assert [metric["name"] for metric in shown] == [*(metric.name for metric in CATALOGUE), *DERIVED]
    assert [metric["name"] for metric in shown if metric["derived"]] == [*DERIVED]
    assert {"name": "disk.read", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": ["device"], "derived": False} in shown
    assert next(metric for metric in shown if metric["name"] == "filesystem.used")["rhythm"] == 60


async def test_events_are_paged_and_of_one_node(hub: TestHub) -> None:
    viewer, node = await hub.logged_in("viewer"), await hub.node()
    for number in range(3):
        await hub.store.log.add_event(
            Event(
                EventId(new_time_id(1_790_000_000.0 + number)),
                1,
                "node_online",
                "info",
                "hub",
                float(number),
                node.id if number == 1 else None,
                f"e{number}",
                {"n": number},
            )
        )

    page = (await viewer.get("events?limit=2")).json
    rest = (await viewer.get(f"events?limit=2&cursor={page['next']}")).json
    ones = (await viewer.get(f"events?node={node.id}")).json

    assert [event["message"] for event in page["events"] + rest["events"]] == ["e2", "e1", "e0"]
    assert [event["details"] for event in ones["events"]] == [{"n": 1}]


async def test_an_invalid_query_of_events_is_refused(hub: TestHub) -> None:
    for query in ["node=x", "limit=-1", "before=3", "group=bogus", "severity=fatal", "from=soon", "to=nan"]:
        assert (await (await hub.logged_in()).get(f"events?{query}")).code == "request.invalid", query


async def test_events_are_found_by_type_group_and_time(hub: TestHub) -> None:
    viewer = await hub.logged_in("viewer")
    for at, kind in enumerate(("node_online", "backup_failed", "job_failed"), start=1):
        await hub.store.log.add_event(new_event(kind, float(at), {"action": "check"}, name="web-1", received_at=hub.clock.now(), org=1))

    async def found(query: str) -> list[str]:
        return [one["type"] for one in (await viewer.get(f"events?{query}")).json["events"]]

    assert await found("group=report") == await found("type=backup_failed,health_ok") == await found("from=2&to=3") == ["backup_failed"]
    assert await found("group=node&type=job_failed") == []
    assert (await viewer.get("events?type=node.online")).code == "event.type_unknown"
    assert (await viewer.get("events/summary")).json.items() >= {"info": 1, "warning": 0, "error": 2}.items()


async def test_a_program_reports_an_event_once_by_its_own_id(hub: TestHub) -> None:
    operator, node = await hub.logged_in("operator"), await hub.node()
    report = {"type": "backup_completed", "message": "12 GB", "details": {"repository": "nas"}, "event_id": "nightly-1"}
    first = await operator.post(f"nodes/{node.id}/events", report)
    again = await operator.post("events", report | {"node_id": node.id})
    assert (first.status, again.status, first.json["id"]) == (202, 202, again.json["id"])
    [event] = (await operator.get(f"events?node={node.id}")).json["events"]
    assert event.items() >= {"source": "api", "severity": "info", "message": "12 GB", "details": {"repository": "nas"}, "count": 1}.items()
    custom = {"type": "custom", "message": "done", "details": {"name": "rotate-keys"}, "severity": "warning", "at": 1.0}
    assert (await operator.post("events", custom)).status == 202
    [event] = (await operator.get("events?type=custom")).json["events"]
    assert (event["object"], event["at"], event["retro"], event["node_id"]) == ("rotate-keys", 1.0, True, None)


WRONG: list[tuple[dict[str, object], str]] = [
    ({"type": "node_offline"}, "event.type_unknown"), ({"type": "nothing"}, "event.type_unknown"), ({"type": "custom"}, "event.type_unknown"),
    ({"message": ""}, "request.invalid"), ({"message": "x" * 501}, "request.invalid"), ({"at": 1e11}, "request.invalid"),
    ({"details": {"Bad name": 1}}, "request.invalid"), ({"details": {"text": "x" * 201}}, "request.invalid"),
    ({"event_id": "a b"}, "request.invalid"), ({"node_id": "x"}, "request.invalid"), ({"node_id": "0" * 26}, "not_found"),
]  # fmt: skip


async def test_a_wrong_report_is_refused(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")
    for wrong, code in WRONG:
        assert (wrong, (await operator.post("events", {"type": "health_ok", "message": "fine"} | wrong)).code) == (wrong, code)


async def test_too_many_reports_are_refused_for_a_minute(hub: TestHub) -> None:
    operator, node = await hub.logged_in("operator"), await hub.node()
    for number in range(60):
        own_id = f"{operator.user.id}/{number}"
        made = new_event("health_ok", hub.clock.now(), node=node.id, source="api", message=f"{number}", reported_as=own_id, org=1)
        await hub.store.log.add_event(made)
    refused = await operator.post(f"nodes/{node.id}/events", {"type": "health_ok", "message": "fine"})
    assert (refused.status, refused.code) == (429, "request.too_many")
    assert (await (await hub.logged_in("viewer")).post("events", {"type": "health_ok", "message": "fine"})).code == "auth.forbidden"


async def test_the_audit_log_is_for_admins(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node()
    await hub.store.nodes.edit_node(ADMIN, node.id, name="other", tags=None)

    rows = (await admin.get("audit?limit=1")).json

    assert rows["audit"][0]["action"] == "node.edit"
    assert rows["audit"][0]["actor"] == "admin"
    assert rows["next"] is not None
    checked = (await admin.get("audit/verify")).json
    assert (checked["holds"], checked["fault"]) == (True, None)
    assert [(head["n"], len(head["hash"])) for head in checked["heads"]] == [(rows["audit"][0]["n"], 64)]
    operator = await hub.logged_in("operator")
    assert [(await operator.get(path)).code for path in ("audit", "audit/verify")] == ["auth.forbidden"] * 2
