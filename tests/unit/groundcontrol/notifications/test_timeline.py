"""The timeline of an incident: its entries, their order and their limit."""

from __future__ import annotations

from groundcontrol.alerts.model import Alert, AlertId, Incident
from groundcontrol.alerts.store import AlertChange, Handling
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Grants
from groundcontrol.events.making import new_event
from groundcontrol.notifications.model import ChannelId, Delivery, DeliveryId
from groundcontrol.notifications.store import Decided
from groundcontrol.notifications.timeline import timeline_of
from spider.wire.ids import new_time_id
from tests.support.factories import SCOPE
from tests.support.inprocess_hub import TestHub
from tests.support.race_cases_alerts import an_alert

NOW = 1_790_000_000.0


def a_delivery(incident: Incident, at: float) -> Delivery:
    id_ = DeliveryId(new_time_id(at))
    return Delivery(id_, 1, ChannelId("ops"), "firing", incident.id, None, 1, "skipped", "below_severity", at, None)


async def an_incident(hub: TestHub, node: NodeId, at: float) -> tuple[Alert, Incident]:
    alert, incident = an_alert(at, node)
    await hub.store.alerts.commit(AlertChange([alert], [incident], decisions=Decided([a_delivery(incident, at + 30)])))
    return alert, incident


async def test_the_timeline_of_an_incident_lists_events_of_its_node(hub: TestHub) -> None:
    node, other, now = await hub.node("web-1"), await hub.node("web-2"), hub.clock.now() - 400
    alert, incident = await an_incident(hub, node.id, now)
    neighbour, _ = await an_incident(hub, other.id, now)
    for at, kind, of in ((-3600, "node_online", node), (-100, "job_started", node), (5, "unit_failed", node), (6, "unit_failed", other)):
        await hub.store.log.add_event(
            new_event(kind, now + at, {"action": "upgrade", "unit": "a.service"}, node=of.id, name=of.name, org=1)
        )
    await hub.store.log.add_event(new_event("alert_firing", now, {"alert": alert.id, "rule": "CPU"}, node=node.id, name="web-1", org=1))
    await hub.store.log.add_event(new_event("invite_used", now, name="web-9", org=1))
    await hub.store.alerts.handle(SCOPE, [alert.id, neighbour.id], Handling(acknowledge=True))

    shown = (await (await hub.logged_in("viewer")).get(f"incidents/{incident.id}")).json
    told = [entry["event"]["type"] if entry["event"] else entry["kind"] for entry in shown["timeline"]]
    assert told == ["job_started", "fired", "unit_failed", "delivery", "alert_acknowledged"]
    assert [entry["at"] for entry in shown["timeline"]] == sorted(entry["at"] for entry in shown["timeline"])
    assert shown["timeline_cut"] is False
    assert shown["timeline"][1]["alert_id"] == alert.id
    assert shown["timeline"][3]["delivery"]["reason"] == "below_severity"


async def test_an_incident_lists_its_newest_500_alerts_and_says_that_there_are_more(hub: TestHub) -> None:
    node, other, now = await hub.node("web-1"), await hub.node("web-2"), hub.clock.now() - 400
    first, joint = an_alert(now, node.id, object="0", id=AlertId(new_time_id(now - 1)))
    newer = [first._replace(id=AlertId(new_time_id(now)), object=f"{at}", node_id=other.id if at == 1 else node.id) for at in range(1, 501)]
    await hub.store.alerts.commit(AlertChange([first, *newer], [joint]))
    small, single = await an_incident(hub, node.id, now)

    viewer = await hub.logged_in("viewer")
    listed = {one["id"]: one for one in (await viewer.get("incidents")).json["incidents"]}
    detail = (await viewer.get(f"incidents/{joint.id}")).json
    async with viewer.live() as live:
        await live.subscribe("incidents")
        shown = {one["id"]: one for one in (await live.expect("snapshot"))["data"]["incidents"]}

    assert ([one["id"] for one in listed[single.id]["alerts"]], listed[single.id]["alerts_cut"]) == ([small.id], False)
    for joined in (listed[joint.id], shown[joint.id], detail):
        assert [one["object"] for one in joined["alerts"]] == [f"{at}" for at in range(500, 0, -1)]
        assert joined["alerts_cut"] is True
    limited = SCOPE._replace(grants=(Grants(nodes=(other.id,)),))
    assert await hub.store.alerts.alerts_of(limited, [joint.id, single.id], 9) == {joint.id: [newer[0]]}


async def test_a_limited_user_sees_no_event_of_other_nodes_or_the_fleet(hub: TestHub) -> None:
    mine, other, now = await hub.node("web-1"), await hub.node("web-2"), hub.clock.now()
    for node in (mine.id, other.id, None):
        await hub.store.log.add_event(new_event("node_online", now, node=node, name="one", org=1))
    limited = SCOPE._replace(grants=(Grants(nodes=(mine.id,)),))
    for scope, seen in ((SCOPE, {mine.id, other.id, None}), (limited, {mine.id})):
        found = await hub.store.log.events_of(scope, [mine.id, other.id], (now - 1, now + 1), 10, without=(), fleet=True)
        assert {one.node_id for one in found} == seen


def test_a_long_timeline_keeps_its_first_and_newest_entries() -> None:
    alert, incident = an_alert(NOW, NodeId("web-1"))
    events = [new_event("node_online", NOW + at, node=NodeId("web-1"), org=1) for at in range(9, 0, -1)]
    entries, cut = timeline_of([alert], events, [a_delivery(incident, NOW + 20)], most=4)
    assert ([entry.at - NOW for entry in entries], cut) == ([0, 7, 8, 9], True), "a message that was not sent goes first"
    entries, cut = timeline_of([alert], events, [a_delivery(incident, NOW + 20)], most=10)
    assert ([entry.at - NOW for entry in entries], cut) == (list(range(10)), True)
    entries, cut = timeline_of([alert._replace(resolved_at=NOW + 30)], events, [], most=11)
    assert ([entry.kind for entry in entries[:1] + entries[-1:]], len(entries), cut) == (["fired", "resolved"], 11, False)
