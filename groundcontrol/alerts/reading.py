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

    Overrides that select no such node are left out: `seen_place` gives the places of the others.
    """
    select = _seen(rule.select, visible)
    if select is None:
        return None
    overrides = tuple(one._replace(select=seen) for one in rule.overrides if (seen := _seen(one.select, visible)) is not None)
    return rule._replace(select=select, overrides=overrides)


def seen_place(rule: Rule, visible: VisibleNodes, override: int | None) -> int | None:
    """The place of an override in `seen_rule`. Args: override: its place in the rule, which selects a node that the caller may see."""
    return None if override is None else sum(visible.view(one.select) is not None for one in rule.overrides[:override])


def _seen(select: Selector, visible: VisibleNodes) -> Selector | None:
    view = visible.view(select)
    if view is None:
        return None
    return select._replace(tags=tuple(view.tags), nodes=tuple(node for node in select.nodes if visible.admits(node)))
