"""The model of alerts: rules, episodes and incidents. Pure values."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, NewType

from groundcontrol.core.ids import NodeId
from groundcontrol.core.records import Record
from groundcontrol.events.model import Severity as EventSeverity
from groundcontrol.schedules.model import Level, MaintenanceId, Selector

RuleId = NewType("RuleId", str)
"""A slug such as `filesystem.space` for a default rule, and a time id for a rule of a user."""
AlertId = NewType("AlertId", str)
IncidentId = NewType("IncidentId", str)

RANK: Final[dict[Level | None, int]] = {None: 0, "warning": 1, "critical": 2}
EVENT_VALUES: Final[dict[EventSeverity, float]] = {"info": 0.25, "warning": 0.5, "error": 1.0}
"""Severity of an event -> the value that the thresholds of rules are compared with."""
COOL_DOWN_S: Final = 3600.0
"""After a message about a rule and node, the first message about another incident of them waits for this long. A critical one does not."""


class Threshold(NamedTuple):
    """A level starts when the value passes `trigger`, and ends when it is back past `clear`. Both have the unit of the value."""

    trigger: float
    clear: float


class Override(NamedTuple):
    """Other values of a rule for some nodes. None keeps the rule's value. If several overrides select a node, the last one applies."""

    select: Selector
    enabled: bool | None = None
    warn: Threshold | None = None
    crit: Threshold | None = None
    for_s: float | None = None


class Rule(NamedTuple):
    """One condition with up to two levels. Each (rule, node, object) has its own state."""

    id: RuleId
    name: str
    """Such as "File system almost full"."""
    expr: str
    """Such as `avg(cpu.total, 10m)`, `state(unit_failed)`, `event(node_cloned)` or `detector(filesystem_space)`."""
    select: Selector
    when: Literal["above", "below"] = "above"
    warn: Threshold | None = None
    crit: Threshold | None = None
    for_s: float = 0.0
    """How long the value must be past the trigger before a level starts."""
    clear_s: float = 0.0
    """How long the value must be back past the clear value before a level ends."""
    enabled: bool = True
    overrides: tuple[Override, ...] = ()
    origin: Literal["default", "user"] = "user"
    kind: str = ""
    """The kind of its findings, such as `filesystem`, `cpu` or `offline`; `rule` for rules of users."""
    notice: bool = False
    """Whether its alerts are notices, such as a due reboot. Notices are shown and never sent."""
    action: str | None = None
    """The verb of the job that helps; None: there is none."""
    version: int = 1


RULES: Final = Record(
    model=Rule,
    table="alert_rule",
    noun="rule",
    edited=tuple(name for name in Rule._fields if name not in ("id", "version")),
    audited={"name": "name", "expr": "expr", "enabled": "enabled"},
    body="body",
    actions=("create", "change", "delete"),
)
"""A default rule is stored once somebody changed it; its deletion gives it the original values back. `Rules.check_room` limits them."""

Reason = Literal["cleared", "object_gone", "rule_disabled", "rule_deleted", "not_selected", "node_removed", "not_repeated"]
"""Why an episode ended. `not_repeated`: an event was not reported again, and its trouble may continue. `not_selected`: its rule no longer
covers the node, since the rule or the node's tags were changed."""


class InstanceKey(NamedTuple):
    """The identity of an instance: one rule for one object of one node."""

    rule: RuleId
    node: NodeId | None
    """None: the hub itself, or an event of no node."""
    object: str
    """Such as the label of a series (`/var`) or a unit; empty: the rule has one value for each node."""


class Transition(NamedTuple):
    """One change of an instance, with the values that an episode stores."""

    key: InstanceKey
    kind: Literal["fired", "level", "resolved", "stale", "fresh"]
    """`stale`: data of a firing instance is missing. `fresh`: the data is back. Neither is sent."""
    level: Level | None
    """The new level; None: the instance is resolved."""
    at: float
    """Unix seconds, by the time of the samples that caused the change."""
    since_at: float
    """When the condition began. The instance fires only after it has lasted for `for_s` of the rule."""
    value: float | None
    threshold: float | None
    reason: Reason | None = None


class Alert(NamedTuple):
    """An episode: one firing of an instance, from its start to its end. Times are in Unix seconds."""

    id: AlertId
    org: int
    rule_id: RuleId
    node_id: NodeId | None
    object: str
    level: Level
    """The present level, or the last one before the end."""
    state: Literal["firing", "resolved"]
    since_at: float
    fired_at: float
    resolved_at: float | None
    reason: Reason | None
    value: float | None
    threshold: float | None
    incident_id: IncidentId
    acknowledged_at: float | None = None
    acknowledged_by: str = ""
    note: str = ""
    snoozed_until: float | None = None
    suppressed_by: str = ""
    """The rule whose episode explains this one; empty: there is none."""
    maintenance: MaintenanceId | None = None
    """The open maintenance window of its node."""
    stale: bool = False
    """Whether the data of a firing instance is missing."""
    flapping: bool = False
    """Whether its instance is in a quiet time (`Flapping`), since it changes too often."""
    retro: bool = False
    """Whether it was already over when late samples showed it. Such an episode is never sent."""


class Incident(NamedTuple):
    """Episodes that are notified together: those of a node, or of one rule on many nodes."""

    id: IncidentId
    org: int
    level: Level
    """The highest present level, or the last one before the end."""
    state: Literal["open", "resolved"]
    title: str
    since_at: float
    resolved_at: float | None
    group: str
    """`node:<id>`, `notices:<id>`, `rule:<id>`, `mass_offline` or `hub`."""
    revision: int
    """It rises with each change that channels may be told of."""
