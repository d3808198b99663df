"""The order of a node's findings, and what is not a finding."""

from __future__ import annotations

from typing import Literal

from groundcontrol.alerts.health import worst_first
from groundcontrol.alerts.states import NODE_STATES, NodeFacts
from groundcontrol.core.ids import NodeId
from groundcontrol.core.tables import SubjectTable
from groundcontrol.nodes.model import Finding

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
