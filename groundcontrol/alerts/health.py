"""The health of a node: its firing alerts and what is due, as one ranked list."""

from __future__ import annotations

from typing import Final

from groundcontrol.alerts.model import Alert, Rule
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.service import AlertService
from groundcontrol.nodes.interfaces import Presence
from groundcontrol.nodes.model import Finding, Health, HealthLevel, Node

_RANK: Final[dict[str, int]] = {"critical": 0, "warning": 1, "notice": 2}
_FIRST: Final = ("offline", "cloned", "packages_broken", "array", "unit_failed", "filesystem", "job_failed")
"""Of one level, these kinds stand first, in this order."""
_LAST: Final = ("reboot_due", "memory", "load", "cpu")
"""And these last: a busy server still works."""


def urgency(one: Finding) -> tuple[int, int, float]:
    """Smaller is worse."""
    middle = len(_FIRST)
    place = _FIRST.index(one.kind) if one.kind in _FIRST else middle + 1 + _LAST.index(one.kind) if one.kind in _LAST else middle
    return _RANK[one.level], place, one.since_at


class AlertHealth:
    """`NodeHealth` from the alerts that fire."""

    def __init__(self, alerts: AlertService, rules: Rules, presence: Presence) -> None:
        self._alerts = alerts
        self._rules = rules
        self._presence = presence

    def of(self, node: Node) -> Health:
        """The findings of a node, worst first. Costs a dictionary lookup where nothing fires."""
        firing = self._alerts.firing(node.id)
        if not firing:
            return _UNKNOWN if not self._presence.online(node.id) else _OK
        findings = sorted((self._finding(alert) for alert in firing), key=urgency)
        level: HealthLevel = findings[0].level
        return Health(level, tuple(findings))

    def _finding(self, alert: Alert) -> Finding:
        rule = self._rules.get(alert.rule_id)
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
    """The rule, and what of the node it is about. Without the value: it is that of the moment when the alert fired, and a list beside it
    shows the present one.
    """
    name = alert.rule_id if rule is None else rule.name
    return f"{name} ({alert.object})" if alert.object else name
