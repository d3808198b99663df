"""Incidents: which episodes are grouped, which explain others, and how many incidents a large outage makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from groundcontrol.alerts.incidents import ABOUT_THE_HUB, OF_NO_NODE, OFFLINE, Book, Fleet, Names, Plan
from groundcontrol.alerts.model import InstanceKey, Rule, RuleId, Transition
from groundcontrol.alerts.reading import title_for
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM, Grants
from groundcontrol.schedules.model import Level, Selector

NOW = 1_800_000_000.0
FLEET = Fleet(100)
NAMES = Names(lambda node: f"web-{node}", lambda rule: Rule(rule, f"Rule {rule}", "", Selector(all=True)))


def fired(node: int, rule: str = "cpu", level: Level = "warning", thing: str = "", at: float = NOW) -> Transition:
    return Transition(InstanceKey(RuleId(rule), NodeId(str(node)), thing), "fired", level, at, at - 60, 96.0, 95.0)


def ended(transition: Transition, at: float) -> Transition:
    return transition._replace(kind="resolved", level=None, at=at, reason="cleared")


def took(book: Book, transitions: Sequence[Transition], at: float = NOW, fleet: Fleet = FLEET) -> Plan:
    plan = book.plan(transitions, at, NAMES, fleet)
    book.accept(plan)
    return plan


def test_episodes_of_a_node_are_one_incident_that_ends_with_the_last() -> None:
    book = Book(1)
    one, other = fired(3), fired(3, "disk", "critical", "/var")
    took(book, [one])
    took(book, [other], NOW + 5)
    (incident,) = book.incidents.values()
    assert (incident.level, incident.revision) == ("critical", 2)
    assert incident.title == "web-3: Rule disk (/var) and 1 more"
    took(book, [ended(other, NOW + 9)], NOW + 9)
    (incident,) = book.incidents.values()
    assert (incident.level, incident.state) == ("warning", "open")
    plan = took(book, [ended(one, NOW + 20)], NOW + 20)
    (over,) = plan.incidents.values()
    assert (over.state, over.resolved_at) == ("resolved", NOW + 20)
    assert not book.incidents
    assert not book.alerts


@pytest.mark.parametrize(
    ("expr", "of_hub"),
    [
        ("state(hub_disk_free_percent)", True),
        ("state(hub_backup_age)", True),
        ("event(hub_was_away)", True),
        ("state(hub_channel_broken)", False),
        ("event(backup_failed)", False),
    ],
)
@pytest.mark.parametrize("rule", ["hub.disk", "of my own"])
def test_an_alert_about_the_hub_itself_shares_no_incident(expr: str, of_hub: bool, rule: str) -> None:
    """So that a channel without the mark can tell the whole of any other incident."""
    names = Names(str, lambda one: Rule(one, one, expr if one == rule else "state(hub_channel_broken)", Selector(all=True)))
    book = Book(1)
    for one in (rule, "hub.channel"):
        book.accept(book.plan([Transition(InstanceKey(RuleId(one), None, ""), "fired", "critical", NOW, NOW, 1.0, 1.0)], NOW, names, FLEET))
    groups = {alert.rule_id: book.incidents[alert.incident_id].group for alert in book.alerts.values()}
    assert groups == {rule: ABOUT_THE_HUB if of_hub else OF_NO_NODE, "hub.channel": OF_NO_NODE}


def test_a_plan_that_is_not_accepted_changes_nothing() -> None:
    book = Book(1)
    first = book.plan([fired(3)], NOW, NAMES, FLEET)
    assert not book.alerts
    second = book.plan([fired(3)], NOW, NAMES, FLEET)
    assert len(first.alerts) == len(second.alerts) == 1


@pytest.mark.parametrize(("silent", "incidents", "group"), [(4, 4, "node"), (30, 1, "mass_offline"), (1000, 1, "mass_offline")])
def test_many_nodes_that_go_silent_together_are_one_incident(silent: int, incidents: int, group: str) -> None:
    book = Book(1)
    took(book, [fired(node, OFFLINE, "critical") for node in range(silent)], fleet=Fleet(max(100, silent)))
    assert len(book.incidents) == incidents
    assert {one.group.split(":")[0] for one in book.incidents.values()} == {group}


def test_nodes_that_go_silent_in_turn_join_one_incident() -> None:
    book = Book(1)
    for node in range(30):
        took(book, [fired(node, OFFLINE, "critical", at=NOW + node)], NOW + node)
    assert len(book.incidents) == 1
    (incident,) = book.incidents.values()
    assert len(book.of_incident(incident.id)) == 30
    assert incident.title.startswith("30 servers are offline")


def test_an_incident_whose_alerts_move_to_another_ends_silently() -> None:
    book = Book(1)
    took(book, [fired(node) for node in range(4)])
    before = {one.id: one.revision for one in book.incidents.values()}
    plan = took(book, [fired(4, at=NOW + 20)], NOW + 20)
    assert [one.group for one in book.incidents.values()] == ["rule:cpu"]
    assert {one.id: one.revision for one in plan.incidents.values() if one.state == "resolved" and one.id in before} == before


def test_the_first_of_many_silent_nodes_opens_the_joint_incident() -> None:
    book = Book(1)
    took(book, [fired(3, OFFLINE, "critical")], fleet=Fleet(100, silent=30))
    assert [one.group for one in book.incidents.values()] == ["mass_offline"]


def test_the_same_rule_on_five_nodes_is_one_incident() -> None:
    book = Book(1)
    took(book, [fired(node) for node in range(5)])
    (incident,) = book.incidents.values()
    assert incident.group == "rule:cpu"
    assert incident.title == "Rule cpu on 5 servers"


@pytest.mark.parametrize("over", [False, True])
def test_a_late_or_brief_episode_does_not_join_an_open_incident_of_many_nodes(over: bool) -> None:
    book = Book(1)
    took(book, [fired(node) for node in range(5)])
    last = fired(5, at=NOW + 600 if over else NOW + 300)
    plan = took(book, [last, ended(last, NOW + 600)] if over else [last], NOW + 600)
    assert {alert.state for alert in plan.alerts.values()} == {"resolved" if over else "firing"}
    assert {one.group for one in plan.incidents.values()} == {"node:5"}


def seen_at(at: float) -> Callable[[InstanceKey], float]:
    """All instances were last observed then."""
    return lambda _: at


def test_alerts_explained_by_an_offline_node_are_notified_if_they_outlast_it() -> None:
    book = Book(1)
    offline = fired(3, OFFLINE, "critical")
    took(book, [fired(3), offline])
    assert {alert.rule_id: alert.suppressed_by for alert in book.of_node(NodeId("3"))} == {OFFLINE: "", "cpu": OFFLINE}
    (before,) = book.incidents.values()
    took(book, [ended(offline, NOW + 60)], NOW + 60)
    assert not any(book.settled(NOW + 60 + after, seen_at(NOW + 60 + after)) for after in range(0, 60, 10))
    (alert,) = book.settled(NOW + 120, lambda _: NOW + 120)
    assert alert.suppressed_by == ""
    book.accept(book.renew([alert], {alert.incident_id}))
    (after,) = book.incidents.values()
    assert after.revision > before.revision
    assert not book.settled(NOW + 999, lambda _: NOW + 999)


def test_an_alert_that_fired_before_its_node_became_silent_is_not_explained_by_that() -> None:
    book = Book(1)
    took(book, [fired(3, at=NOW - 100), fired(3, "disk", at=NOW - 30)])
    took(book, [fired(3, OFFLINE, "critical")])
    assert {alert.rule_id: alert.suppressed_by for alert in book.of_node(NodeId("3"))} == {OFFLINE: "", "cpu": "", "disk": OFFLINE}


@pytest.mark.parametrize(("grains", "freed"), [(1, 0), (2, 1)])
def test_an_explained_alert_becomes_new_after_two_new_values(grains: int, freed: int) -> None:
    book = Book(1)
    offline = fired(3, OFFLINE, "critical")
    took(book, [fired(3), offline])
    took(book, [ended(offline, NOW + 60)], NOW + 60)
    book = Book(1, book.alerts.values(), book.incidents.values())  # the hub restarts meanwhile
    book.settled(NOW + 60, lambda _: NOW)
    for grain in range(grains):
        found = book.settled(NOW + 200 + grain, seen_at(NOW + 100 + grain))
    assert len(found) == freed


def test_an_explained_alert_becomes_new_after_fifteen_minutes_without_values() -> None:
    book = Book(1)
    offline = fired(3, OFFLINE, "critical")
    took(book, [fired(3), offline])
    took(book, [ended(offline, NOW + 60)], NOW + 60)
    assert [len(book.settled(NOW + 60 + after, lambda _: NOW)) for after in (0, 60, 899, 900)] == [0, 0, 0, 1]


def test_a_node_that_leaves_again_explains_its_alerts_again() -> None:
    book = Book(1)
    offline = fired(3, OFFLINE, "critical")
    took(book, [fired(3), offline])
    took(book, [ended(offline, NOW + 60)], NOW + 60)
    book.settled(NOW + 60, lambda _: NOW)
    took(book, [fired(3, OFFLINE, "critical", at=NOW + 90)], NOW + 90)
    assert not any(book.settled(NOW + at, seen_at(NOW + at)) for at in range(100, 300, 10))


def test_a_rise_to_critical_ends_acknowledgement_and_snooze() -> None:
    book = Book(1)
    warning = fired(3)
    took(book, [warning])
    (alert,) = book.alerts.values()
    book.replace([alert._replace(acknowledged_at=NOW, snoozed_until=NOW + 999)])
    took(book, [warning._replace(kind="level", level="critical", at=NOW + 9)], NOW + 9)
    (alert,) = book.alerts.values()
    assert (alert.level, alert.acknowledged_at, alert.snoozed_until) == ("critical", None, None)


def test_an_end_without_a_stored_start_changes_nothing() -> None:
    book = Book(1)
    plan = book.plan([ended(fired(3), NOW)], NOW, NAMES, FLEET)
    assert plan == Plan({}, {}, ())


@pytest.mark.holds("SAFETY-104")
def test_a_title_for_a_reader_with_limits_is_made_of_that_readers_nodes() -> None:
    book = Book(1)
    took(book, [fired(node, "disk", thing="/var") for node in range(8)])
    (incident,) = book.incidents.values()
    assert incident.title == "Rule disk (/var) on 8 servers"
    alerts = [alert for alert in book.alerts.values() if alert.node_id == "3"]
    limited = SYSTEM._replace(grants=(Grants(nodes=("3",)),))
    assert title_for(SYSTEM, incident, alerts, NAMES) == incident.title
    assert title_for(limited, incident, alerts, NAMES) == "web-3: Rule disk (/var)"
    named = incident._replace(title="web-7, web-5 and 6 more: Rule disk (/var)", state="resolved")
    assert "web-7" not in title_for(limited, named, alerts, NAMES)
