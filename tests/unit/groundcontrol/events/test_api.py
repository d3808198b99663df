"""`/api/v1/metrics`, `events` and `audit`."""

from __future__ import annotations

import pytest

from groundcontrol.core.ids import EventId
from groundcontrol.events.model import Event
from spider.wire.ids import new_time_id
from spider.wire.metrics import CATALOGUE
from tests.support.inprocess_hub import ADMIN, TestHub


async def test_the_catalogue_names_every_metric(hub: TestHub) -> None:
    shown = (await (await hub.logged_in("viewer")).get("metrics")).json["metrics"]

    assert [metric["name"] for metric in shown] == [metric.name for metric in CATALOGUE]
    assert {"name": "disk.read", "unit": "bytes/s", "rhythm": 1, "kind": "gauge", "labels": ["device"]} in shown
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


@pytest.mark.parametrize("query", ["node=x", "limit=-1", "before=3"])
async def test_a_wrong_question_about_events_is_refused(hub: TestHub, query: str) -> None:
    assert (await (await hub.logged_in()).get(f"events?{query}")).code == "request.invalid"


async def test_the_audit_log_is_for_admins(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node()
    await hub.store.nodes.edit_node(ADMIN, node.id, name="other", tags=None)

    rows = (await admin.get("audit?limit=1")).json

    assert rows["audit"][0]["action"] == "node.edit"
    assert rows["audit"][0]["actor"] == "admin"
    assert rows["next"] is not None
    assert (await (await hub.logged_in("operator")).get("audit")).code == "auth.forbidden"
