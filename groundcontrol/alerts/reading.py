"""What a reader with limits may see of texts that are made of several nodes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from groundcontrol.alerts.incidents import Names, last_title, title_of, worst_first
from groundcontrol.alerts.model import Alert, Incident, Rule
from groundcontrol.core.scope import Scope
from groundcontrol.schedules.model import Selector
from groundcontrol.schedules.selecting import VisibleNodes


def title_for(scope: Scope, incident: Incident, alerts: Sequence[Alert], names: Names) -> str:
    """The title of an incident. For a caller with limits it is made of the caller's nodes alone.

    Args: alerts: those of the incident that the caller may see.
    """
    if not scope.grants or incident.group.startswith("node:") or not alerts:
        return incident.title
    if incident.state == "resolved":
        return last_title(incident, alerts, names)
    firing = [alert for alert in alerts if alert.state == "firing"] or list(alerts)
    return title_of(incident.group, worst_first(firing), names)


def seen_rule(rule: Rule, visible: VisibleNodes) -> Rule | None:
    """The rule without the nodes and tags that the caller may not see; None: it selects no node that the caller may see.

    Overrides keep their place, since answers name them by number.
    """
    if visible.view(rule.select) is None:
        return None
    overrides = tuple(one._replace(select=_seen(one.select, visible)) for one in rule.overrides)
    return rule._replace(select=_seen(rule.select, visible), overrides=overrides)


def _seen(select: Selector, visible: VisibleNodes) -> Selector:
    view = visible.view(select)
    return (
        Selector()
        if view is None
        else select._replace(tags=tuple(view.tags), nodes=tuple(node for node in select.nodes if visible.admits(node)))
    )
