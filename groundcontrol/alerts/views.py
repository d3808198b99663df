"""Bodies and views of alerts, incidents and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from groundcontrol.alerts.expression import MOST_TEXT
from groundcontrol.alerts.incident_reader import IncidentReader
from groundcontrol.alerts.model import Alert, Incident, Override, Rule, RuleId, Threshold
from groundcontrol.alerts.rules import Rules
from groundcontrol.core.ids import NodeId
from groundcontrol.schedules.deadlines_views import SelectBody, SelectView
from groundcontrol.schedules.model import Selector
from groundcontrol.web.answer import Answer, Body, patch_of, view_of

_Level = Literal["warning", "critical"]
_Ids = Annotated[list[str], msgspec.Meta(min_length=1, max_length=500)]


class AlertFlags(Answer):
    acknowledged: bool
    snoozed_until: float | None
    suppressed_by: str | None
    """The rule whose alert explains this one."""
    stale: bool
    """Whether the data of the alert is missing. Until the data is back, the alert neither ends nor changes its level."""
    flapping: bool
    """Whether the alert changes so often that its changes are not sent."""
    maintenance: str | None
    """The open maintenance window that delays the messages of the alert."""


class AlertView(Answer):
    id: str
    rule_id: str
    rule_name: str
    notice: bool
    """Whether the rule of the alert makes notices, which are shown and never sent."""
    node_id: str | None
    """Null: the alert is about the hub itself, or about an event without a server."""
    object: str
    """The part of the node, such as a mount, a unit or an interface; empty: the node as a whole."""
    level: _Level
    state: Literal["firing", "resolved"]
    since_at: float
    """When the value passed the threshold, in Unix seconds."""
    fired_at: float
    """When the value had been past the threshold for `for_s` of the rule."""
    resolved_at: float | None
    reason: Literal["cleared", "object_gone", "rule_disabled", "rule_deleted", "not_selected", "node_removed", "not_repeated"] | None
    """Why the alert ended."""
    value: float | None
    """The value when it fired, or got its present level."""
    present: float | None
    """The value as it is now; null: it is not known, or the alert has ended."""
    threshold: float | None
    flags: AlertFlags
    acknowledged_by: str
    note: str
    retro: bool
    """Whether the alert was already over when late samples showed it. Nobody is notified of such an alert."""
    incident_id: str


class AlertsView(Answer):
    alerts: list[AlertView]
    next: str | None


class IncidentView(Answer):
    id: str
    level: _Level
    state: Literal["open", "resolved"]
    title: str
    since_at: float
    resolved_at: float | None
    group: str
    nodes: list[str]
    """The nodes of `alerts`."""
    alerts: list[AlertView]
    alerts_cut: bool
    """Whether there are more than 500 alerts. Then only the newest are listed."""


class IncidentsView(Answer):
    incidents: list[IncidentView]
    next: str | None


class AcknowledgeBody(Body):
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


class AcknowledgeManyBody(Body):
    ids: _Ids
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""


class SnoozeBody(Body):
    until_at: float
    """Unix seconds; at most 30 days ahead."""


class ThresholdView(Answer):
    trigger: float
    clear: float


class OverrideView(Answer):
    select: SelectView
    enabled: bool | None
    warn: ThresholdView | None
    crit: ThresholdView | None
    for_s: float | None


class RuleView(Answer):
    id: str
    name: str
    enabled: bool
    select: SelectView
    expr: str
    when: Literal["above", "below"]
    warn: ThresholdView | None
    crit: ThresholdView | None
    for_s: float
    clear_s: float
    overrides: list[OverrideView]
    origin: Literal["default", "user"]
    """`default`: the rule comes with the hub. `changed` says whether a user has changed it."""
    changed: bool
    kind: str
    unit: str
    """The unit of the rule's value and thresholds, such as percent, seconds or bytes/s."""
    notice: bool
    """Whether the alerts of the rule are shown and never sent."""
    action: str | None
    editable: bool
    """False: it is about the hub itself, and the caller is no admin of the hub."""
    version: int


class RulesView(Answer):
    rules: list[RuleView]


class EffectiveRuleView(Answer):
    rule: RuleView
    """The rule with the values that apply to this node."""
    override: int | None
    """The index of the override that applies, from 0; null: none applies."""


class EffectiveRulesView(Answer):
    rules: list[EffectiveRuleView]


_Seconds = Annotated[float, msgspec.Meta(ge=0, le=604_800)]
"""At most seven days."""
_Number = Annotated[float, msgspec.Meta(ge=-1e18, le=1e18)]


class ThresholdBody(Body):
    trigger: _Number
    clear: _Number


class OverrideBody(Body):
    select: SelectBody
    enabled: bool | None = None
    warn: ThresholdBody | None = None
    crit: ThresholdBody | None = None
    for_s: _Seconds | None = None


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
_Expr = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_TEXT)]
_Overrides = Annotated[list[OverrideBody], msgspec.Meta(max_length=100)]


class RuleBody(Body):
    name: _Name
    expr: _Expr
    select: SelectBody
    when: Literal["above", "below"] = "above"
    warn: ThresholdBody | None = None
    crit: ThresholdBody | None = None
    for_s: _Seconds = 0.0
    clear_s: _Seconds = 0.0
    enabled: bool = True
    overrides: _Overrides = msgspec.field(default_factory=list)


@patch_of(RuleBody)
class RuleFields(Body):
    """Fields that are left out stay as they are."""


class RulePatch(RuleFields, kw_only=True):
    version: int
    """The version of the rule on which the change is based. Another stored version is a conflict. 0: an unchanged default rule."""


class RulesBody(Body):
    """A file of rules, as `stardust rules export` prints it. The hub applies all rules or none."""

    rules: Annotated[list[dict[str, object]], msgspec.Meta(max_length=1000)]
    """Rules with `id` and the fields of `PATCH rules/{id}`. A rule without a known id changes that of the same name, or is new."""
    dry_run: bool = False
    """True: check and compare the rules without a change."""


class FieldChange(Answer):
    field: str
    before: object
    after: object


class AppliedRule(Answer):
    act: Literal["add", "change", "keep"]
    id: str | None
    """Null: a new rule in a dry run."""
    name: str
    fields: list[FieldChange]
    """The changed fields."""


class AppliedRulesView(Answer):
    dry_run: bool
    rules: list[AppliedRule]
    """The rules in the order of the file."""
    left: list[str]
    """Ids of rules of the hub that are not in the file. They stay unchanged."""


_Moment = Annotated[float, msgspec.Meta(ge=0, le=1e11)]


class PreviewBody(Body):
    rule: RuleBody
    from_: _Moment = msgspec.field(name="from")
    to: _Moment


class PreviewEpisode(Answer):
    node_id: str | None
    """Null: the event was about no server."""
    object: str
    level: _Level
    since_at: float
    until_at: float | None
    told: bool
    """Whether the rule, if it had been in force, would have sent a message of the episode."""


class PreviewView(Answer):
    would_fire: list[PreviewEpisode]
    told: int
    """How many messages the rule, if it had been in force, would have sent to a channel without quiet hours."""
    per_day: float
    """Episodes per day with samples. Less than a day counts as one day."""
    complete: bool
    """False: there were more servers, events or episodes than a preview reads, or the samples of a server begin later."""


def alert_view(alert: Alert, rules: Rules, reader: IncidentReader) -> AlertView:
    flags = AlertFlags(
        acknowledged=alert.acknowledged_at is not None,
        snoozed_until=alert.snoozed_until,
        suppressed_by=alert.suppressed_by or None,
        stale=alert.stale,
        flapping=alert.flapping,
        maintenance=alert.maintenance,
    )
    return view_of(
        AlertView,
        alert,
        flags=flags,
        rule_name=rules.name(alert.rule_id),
        notice=rules.is_notice(alert.rule_id),
        present=reader.present_value(alert, rules.get(alert.rule_id)),
    )


def incident_view(incident: Incident, alerts: Sequence[AlertView], *, cut: bool) -> IncidentView:
    nodes = list(dict.fromkeys(alert.node_id for alert in alerts if alert.node_id is not None))
    return view_of(IncidentView, incident, nodes=nodes, alerts=list(alerts), alerts_cut=cut)


def rule_view(rule: Rule, unit: str, *, editable: bool = True) -> RuleView:
    return view_of(
        RuleView,
        rule,
        select=view_of(SelectView, rule.select),
        warn=_threshold(rule.warn),
        crit=_threshold(rule.crit),
        overrides=[
            OverrideView(view_of(SelectView, one.select), one.enabled, _threshold(one.warn), _threshold(one.crit), one.for_s)
            for one in rule.overrides
        ],
        changed=rule.origin == "default" and rule.version > 0,
        unit=unit,
        editable=editable,
    )


def _threshold(threshold: Threshold | None) -> ThresholdView | None:
    return None if threshold is None else ThresholdView(*threshold)


def rule_of(body: RuleBody, rule_id: RuleId) -> Rule:
    """The rule in a body, before `checked_rule` checks it."""
    return Rule(id=rule_id, version=0, kind="rule", **_fields(msgspec.structs.asdict(body)))


def patched(rule: Rule, patch: RuleFields) -> Rule:
    """The rule with the changes of a body."""
    given = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not msgspec.UNSET}
    return rule._replace(**_fields(given))


_COMPARED: Final = ("name", "enabled", "select", "expr", "when", "warn", "crit", "for_s", "clear_s", "overrides")


def changes_of(before: Rule, after: Rule) -> list[FieldChange]:
    """The fields that differ between two versions of a rule, with their values in views."""
    old, new = (msgspec.to_builtins(rule_view(rule, "")) for rule in (before, after))
    return [FieldChange(name, old[name], new[name]) for name in _COMPARED if old[name] != new[name]]


def _fields(given: Mapping[str, object]) -> dict[str, Any]:
    """The fields of a body as values of the model."""
    return {name: _value(value) for name, value in given.items()}


def _value(value: object) -> object:
    match value:
        case ThresholdBody():
            return Threshold(value.trigger, value.clear)
        case SelectBody():
            return Selector(value.all, tuple(value.tags), tuple(map(NodeId, value.nodes)))
        case OverrideBody():
            return Override(**_fields(msgspec.structs.asdict(value)))
        case list():
            return tuple(_value(one) for one in value)
        case _:
            return value
