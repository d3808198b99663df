"""In which order the findings of a node stand."""

from __future__ import annotations

from typing import Literal

from groundcontrol.alerts.health import urgency
from groundcontrol.nodes.model import Finding


def finding(kind: str, level: Literal["notice", "warning", "critical"], since_at: float = 0.0) -> Finding:
    return Finding(kind, "", level, since_at, kind, None)


def test_of_one_level_broken_packages_stand_before_a_busy_cpu_however_old_it_is() -> None:
    found = [
        finding("reboot_due", "notice"), finding("unit_failed", "warning", 9), finding("cpu", "critical", 1), finding("memory", "critical", 2), finding("load", "critical", 0),
        finding("array", "critical", 3), finding("disk", "critical", 5), finding("packages_broken", "critical", 8), finding("disk", "critical", 4),
        finding("offline", "critical", 7),
    ]  # fmt: skip
    assert [(one.kind, one.since_at) for one in sorted(found, key=urgency)] == [
        ("offline", 7), ("packages_broken", 8), ("array", 3), ("disk", 4), ("disk", 5), ("memory", 2), ("load", 0), ("cpu", 1), ("unit_failed", 9),
        ("reboot_due", 0.0),
    ]  # fmt: skip
