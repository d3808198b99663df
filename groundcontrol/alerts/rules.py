"""The present rules: the default ones, and those that users made or changed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final

from groundcontrol.alerts.defaults import DEFAULT_RULES
from groundcontrol.alerts.detectors import DETECTORS
from groundcontrol.alerts.expression import Detector, EventOf, Expression, MetricWindow, State, parse
from groundcontrol.alerts.model import Rule, RuleId, Threshold
from groundcontrol.alerts.states import STATES
from groundcontrol.core.errors import BadRequest, Conflict, NotFound
from groundcontrol.core.text import is_visible
from groundcontrol.events.catalogue import ROWS
from groundcontrol.nodes.checks import checked_tags
from groundcontrol.samples.derived import metric_of
from groundcontrol.schedules.model import Selector
from groundcontrol.schedules.selecting import check_named

MOST_RULES: Final = 500
"""The limit for rules that users made."""
OF_ALERTS: Final = frozenset(row.name for row in ROWS if row.name.startswith("alert_"))
"""Types of events that alerts cause."""
SPANS: Final[dict[str, tuple[float, float]]] = {"flag": (0.0, 1.0), "percent": (0.0, 100.0)}
"""Unit -> the lowest and highest value."""
_OVER_100: Final = frozenset({"service.cpu", "container.cpu", "disk.life_used"})
"""Percentages that may exceed 100: the load of several cores is a percentage of one core, and a disk may outlast its rated life."""
_DEFAULTS: Final = {rule.id: rule._replace(version=0) for rule in DEFAULT_RULES}
"""Default rules that nobody has changed have version 0."""


class Rules:
    """All rules by id. A stored rule replaces the default rule with the same id."""

    def __init__(self) -> None:
        self._rules: dict[RuleId, Rule] = dict(_DEFAULTS)
        self._names: dict[RuleId, str] = {}
        """Names of rules, also of those that were deleted since the start. Their alerts end after the deletion."""

    def load(self, stored: Iterable[Rule]) -> None:
        """Set the stored rules."""
        self._rules = _DEFAULTS | {rule.id: rule for rule in stored}
        self._names |= {rule.id: rule.name for rule in self._rules.values()}

    def put(self, saved: Iterable[Rule]) -> None:
        """Add or replace stored rules."""
        self.load([*self._stored(), *saved])

    def remove(self, rule: RuleId) -> None:
        """Remove a stored rule. A default rule gets its original values back."""
        self.load(one for one in self._stored() if one.id != rule)

    def _stored(self) -> list[Rule]:
        return [rule for rule in self._rules.values() if rule.version > 0]

    def check_room(self, new: int) -> None:
        """Raises: Conflict: with `new` more rules users would have too many."""
        if new and sum(rule.origin == "user" for rule in self._rules.values()) + new > MOST_RULES:
            raise Conflict(f"users may make {MOST_RULES} rules: delete some first, or use overrides")

    def check_names(self, rules: Iterable[Rule]) -> None:
        """Check that no rule to be saved takes the name of another rule.

        Raises: Conflict.
        """
        saved = {rule.id: rule.name for rule in rules}
        after = {rule.id: rule.name for rule in self._rules.values()} | saved
        holders = Counter(name.casefold() for name in after.values())
        for rule, name in saved.items():
            before = self._rules.get(rule)
            if holders[name.casefold()] > 1 and (before is None or before.name != name):
                raise Conflict(f"there is a rule named {name} already: choose another name", field="name")

    def all(self) -> list[Rule]:
        return list(self._rules.values())

    def get(self, rule: RuleId) -> Rule | None:
        return self._rules.get(rule)

    def name(self, rule: RuleId) -> str:
        """The name of a rule, or its id if the rule is unknown."""
        return self._names.get(rule, rule)

    def is_notice(self, rule: RuleId) -> bool:
        """Whether alerts of a rule are shown and never sent. False: they are sent, or the rule is unknown."""
        found = self._rules.get(rule)
        return found is not None and found.notice

    def find(self, rule: RuleId) -> Rule:
        """Raises: NotFound."""
        found = self._rules.get(rule)
        if found is None:
            raise NotFound(f"there is no rule {rule[:80]}")
        return found

    def unit(self, rule: Rule) -> str:
        """The unit of the value and thresholds of a rule; empty: it has no unit, or this hub cannot parse its expression."""
        try:
            return unit_of(parse(rule.expr))
        except BadRequest:  # another version of the hub stored the rule, such as with a metric that this one does not have
            return ""


def unit_of(expression: Expression) -> str:
    """The unit of the value of an expression."""
    match expression:
        case MetricWindow(function=function, metric=name):
            metric = metric_of(name)
            unit = "" if metric is None else metric.unit
            return f"{unit}/s" if function == "rate" else unit
        case State(kind=kind):
            return STATES[kind].unit
        case Detector(name=name):
            return DETECTORS[name].unit
        case _:
            return "flag"


def checked_rule(rule: Rule) -> Rule:
    """Check a rule that a user makes or changes. Returns: the rule with its name and selections in stored form.

    Raises: BadRequest: the text says what to change.
    """
    expression = parse(rule.expr, [row.name for row in ROWS])
    if isinstance(expression, EventOf) and expression.type in OF_ALERTS:
        raise BadRequest(
            f"{expression.type} is written for each alert, so this rule would fire on itself: choose what the alert is about", field="expr"
        )
    if isinstance(expression, EventOf) and rule.clear_s <= 0:
        raise BadRequest("an event has no duration: clear_s says how long its alert lasts, such as 3600", field="clear_s")
    if rule.warn is None and rule.crit is None:
        raise BadRequest("a rule needs a threshold: give warn, crit or both", field="warn")
    span = _span(expression)
    _check_thresholds(rule, rule.warn, rule.crit, span, "")
    for number, one in enumerate(rule.overrides):
        _check_thresholds(rule, one.warn or rule.warn, one.crit or rule.crit, span, f"overrides[{number}].")
    return rule._replace(
        name=_checked_name(rule.name),
        select=_checked_select(rule.select, "select"),
        overrides=tuple(
            one._replace(select=_checked_select(one.select, f"overrides[{number}].select")) for number, one in enumerate(rule.overrides)
        ),
    )


def _span(expression: Expression) -> tuple[float, float]:
    """The lowest and highest value of an expression."""
    match expression:
        case EventOf():
            return 0.0, 1.0
        case State(kind="deadline_missed"):
            return 0.0, 2.0
        case MetricWindow(function=function, metric=name) if function == "rate" or name in _OVER_100:
            return -math.inf, math.inf
        case _:
            return SPANS.get(unit_of(expression), (-math.inf, math.inf))


def _checked_name(name: str) -> str:
    """Not `core.text.checked_name`: the name of a rule may be a comparison, such as `load > 4`."""
    text = " ".join(name.split())
    if not text or not is_visible(text):
        raise BadRequest("name: give it visible characters only", field="name")
    return text


def _checked_select(select: Selector, field: str) -> Selector:
    if not (select.all or select.tags or select.nodes):
        raise BadRequest(f"{field} selects no server: set all, or name tags or nodes", field=field)
    if select.all and (select.tags or select.nodes):
        raise BadRequest(f"{field} says all and names some: choose one", field=field)
    check_named(select.nodes, field)
    try:
        tags = checked_tags(list(select.tags))
    except BadRequest as exc:
        raise BadRequest(f"{field}.tags: {exc.message}", field=field) from None
    return Selector(select.all, tags, tuple(dict.fromkeys(select.nodes)))


def _check_thresholds(rule: Rule, warn: Threshold | None, crit: Threshold | None, span: tuple[float, float], where: str) -> None:
    sign = 1 if rule.when == "above" else -1
    last = span[1] if rule.when == "above" else span[0]
    for name, level in (("warn", warn), ("crit", crit)):
        if level is not None and sign * (last - level.trigger) <= 0:
            most = "more" if rule.when == "above" else "less"
            raise BadRequest(
                f"{where}{name}.trigger: the value of this rule is never {most} than {last:g}, so it would never fire",
                field=f"{where}{name}",
            )
        if level is not None and sign * (level.trigger - level.clear) < 0:
            side = "below" if rule.when == "above" else "above"
            raise BadRequest(
                f"{where}{name}.clear must not lie {'above' if side == 'below' else 'below'} its trigger", field=f"{where}{name}"
            )
    if warn is not None and crit is not None and sign * (crit.trigger - warn.trigger) < 0:
        raise BadRequest(f"{where}crit.trigger must not be less bad than warn.trigger", field=f"{where}crit")
