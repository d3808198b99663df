"""The health of a node: its firing alerts, notices included, as one ranked list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from groundcontrol.alerts.model import Alert, Rule
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.service import AlertService
from groundcontrol.nodes.interfaces import Presence
from groundcontrol.nodes.model import Finding, Health, HealthLevel, Node

MOST_FINDINGS: Final = 20
"""The most findings of a node that lists show: one node must not weigh as much as the rest of the fleet."""
_RANK: Final[dict[str, int]] = {"critical": 0, "warning": 1, "notice": 2}
_FIRST: Final = ("offline", "cloned", "packages_broken", "array", "unit_failed", "filesystem", "job_failed")
_LAST: Final = ("reboot_due", "memory", "load", "cpu")
_ORDER: Final = {kind: rank for rank, kind in enumerate(_FIRST, -len(_FIRST))} | {kind: rank for rank, kind in enumerate(_LAST, 1)}
"""Kind -> its rank among findings of the same level. Other kinds have rank 0. Load comes last, since a busy server still works."""


def worst_first(finding: Finding) -> tuple[int, int, float]:
    """Sort key: the worst finding comes first."""
    return _RANK[finding.level], _ORDER.get(finding.kind, 0), finding.since_at


class AlertHealth:
    """Implements `NodeHealth` by firing alerts."""

    def __init__(self, of_org: Callable[[int], tuple[AlertService, Rules]], presence: Presence) -> None:
        """Args: of_org: gives the alerts and rules of an organisation."""
        self._of_org = of_org
        self._presence = presence

    def of(self, node: Node) -> Health:
        """The health of a node, with its findings worst first. If nothing fires it costs one dictionary lookup."""
        alerts, rules = self._of_org(node.org)
        firing = alerts.firing(node.id)
        if not firing:
            return _OK if alerts.is_loaded and self._presence.online(node.id) else _UNKNOWN
        findings = sorted((_finding(alert, rules.get(alert.rule_id)) for alert in firing), key=worst_first)
        told = {(one.kind, one.object) for one in findings if one.level != "notice"}
        findings = [one for one in findings if one.level != "notice" or (one.kind, one.object) not in told]
        level: HealthLevel = findings[0].level
        return Health(level, tuple(findings[:MOST_FINDINGS]), max(0, len(findings) - MOST_FINDINGS))


def _finding(alert: Alert, rule: Rule | None) -> Finding:
    return Finding(
        kind=alert.rule_id if rule is None else rule.kind,
        object=alert.object,
        level="notice" if rule is not None and rule.notice else alert.level,
        since_at=alert.since_at,
        cause=cause_of(alert, rule),
        action=None if rule is None else rule.action,
        alert_id=alert.id,
    )


_OK: Final = Health("ok")
_UNKNOWN: Final = Health("unknown")


def cause_of(alert: Alert, rule: Rule | None) -> str:
    """The name of the rule and the object of the alert.

    It has no value, since the alert stores that of its start, and the page shows the present one.
    """
    name = alert.rule_id if rule is None else rule.name
    return f"{name} ({alert.object})" if alert.object else name
