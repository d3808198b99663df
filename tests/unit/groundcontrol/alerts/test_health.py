"""The order of a node's findings, and what is not a finding."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Literal, cast

import pytest

from groundcontrol.alerts.health import AlertHealth, worst_first
from groundcontrol.alerts.incidents import Book, Fleet, Names
from groundcontrol.alerts.model import InstanceKey, RuleId, Transition
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.service import AlertService
from groundcontrol.alerts.states import NODE_STATES, NodeFacts
from groundcontrol.core.ids import NodeId
from groundcontrol.core.tables import SubjectTable
from groundcontrol.nodes.interfaces import Presence
from groundcontrol.nodes.model import Finding, Node

NODE, NOW = NodeId("web-1"), 1_000_000.0


def finding(kind: str, level: Literal["notice", "warning", "critical"], since_at: float = 0.0) -> Finding:
    return Finding(kind, "", level, since_at, kind, None)


def test_within_a_level_broken_packages_come_before_a_busy_cpu() -> None:
    found = [
        finding("reboot_due", "notice"), finding("unit_failed", "warning", 9), finding("cpu", "critical", 1), finding("memory", "critical", 2), finding("load", "critical", 0),
        finding("array", "critical", 3), finding("disk", "critical", 5), finding("packages_broken", "critical", 8), finding("disk", "critical", 4),
        finding("offline", "critical", 7),
    ]  # fmt: skip
    assert [(one.kind, one.since_at) for one in sorted(found, key=worst_first)] == [
        ("offline", 7), ("packages_broken", 8), ("array", 3), ("disk", 4), ("disk", 5), ("memory", 2), ("load", 0), ("cpu", 1), ("unit_failed", 9),
        ("reboot_due", 0.0),
    ]  # fmt: skip


def test_a_restarted_hub_without_tables_keeps_the_broken_packages_finding() -> None:
    broken = NODE_STATES["packages_broken"].read
    assert broken(NodeFacts(NODE), NOW) is None
    table = {"package_faults": SubjectTable("package_faults", NOW, 1, ("package", "fault"), ("bash", "incomplete"))}
    assert broken(NodeFacts(NODE, tables=table), NOW) == {"": 1.0}
    assert broken(NodeFacts(NODE, tables=table, silent_s=5.0), NOW) is None


@pytest.mark.holds("SAFETY-102")
def test_a_list_shows_a_nodes_worst_findings_and_counts_the_rest() -> None:
    transitions = [
        Transition(
            InstanceKey(RuleId("disk"), NODE, f"/{number}"),
            "fired",
            "critical" if number == 499 else "warning",
            NOW,
            NOW + number,
            96.0,
            95.0,
        )
        for number in range(500)
    ]
    book, names = Book(1), Names(str, lambda _: None)
    book.accept(book.plan(transitions, NOW, names, Fleet(1)))
    alerts = cast("AlertService", SimpleNamespace(firing=book.of_node, is_loaded=True))
    health = AlertHealth(lambda _org: (alerts, Rules()), cast("Presence", None)).of(cast("Node", SimpleNamespace(id=NODE, org=1)))
    assert (len(health.findings), health.more, health.level) == (20, 480, "critical")
    assert (health.findings[0].object, health.findings[0].level) == ("/499", "critical")
