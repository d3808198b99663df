"""The health of a node: its firing alerts and what is due, as one ranked list."""

from __future__ import annotations

from typing import Final

from groundcontrol.alerts.model import Alert, Rule
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.service import AlertService
from groundcontrol.alerts.values import in_words
from groundcontrol.nodes.interfaces import Presence
from groundcontrol.nodes.model import Finding, Health, HealthLevel, Node

_RANK: Final[dict[str, int]] = {"critical": 0, "warning": 1, "notice": 2}


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
        findings = sorted((self._finding(alert) for alert in firing), key=lambda one: (_RANK[one.level], one.since_at))
        level: HealthLevel = findings[0].level
        return Health(level, tuple(findings))

    def _finding(self, alert: Alert) -> Finding:
        rule = self._rules.get(alert.rule_id)
        return Finding(
            kind=alert.rule_id if rule is None else rule.kind,
            object=alert.object,
            level="notice" if rule is not None and rule.notice else alert.level,
            since_at=alert.since_at,
            cause=cause_of(alert, rule, "" if rule is None else self._rules.unit(rule)),
            action=None if rule is None else rule.action,
            alert_id=alert.id,
        )


_OK: Final = Health("ok")
_UNKNOWN: Final = Health("unknown")


def cause_of(alert: Alert, rule: Rule | None, unit: str) -> str:
    """One sentence: the rule, what of the node, and the value that it has."""
    name = alert.rule_id if rule is None else rule.name
    where = f" ({alert.object})" if alert.object else ""
    if alert.value is None or unit in ("", "flag"):
        return name + where
    return f"{name}{where}: {in_words(alert.value, unit)}"
