"""The model of alerts: rules, episodes, incidents, channels and deliveries. Pure values."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, NewType

from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.records import Record
from groundcontrol.core.text import fold
from groundcontrol.events.model import Severity as EventSeverity
from groundcontrol.schedules.model import Level, MaintenanceId, Selector

RuleId = NewType("RuleId", str)
"""A slug such as `filesystem.space` for a default rule, and a time id for a rule of a user."""
AlertId = NewType("AlertId", str)
IncidentId = NewType("IncidentId", str)
ChannelId = NewType("ChannelId", str)
DeliveryId = NewType("DeliveryId", str)

RANK: Final[dict[Level | None, int]] = {None: 0, "warning": 1, "critical": 2}
Severity = Literal["info", "warning", "critical"]
"""The lowest level that a channel sends."""
EVENT_VALUES: Final[dict[EventSeverity, float]] = {"info": 0.25, "warning": 0.5, "error": 1.0}
"""Severity of an event -> the value that the thresholds of rules are compared with."""


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


ChannelState = Literal["ok", "retrying", "broken"]
EXPIRED: Final = "expired"
"""The reason of a message that could not be sent for too long. It is also the `state_reason` of a channel that broke by it."""


class QuietHours(NamedTuple):
    """Wall-clock times in a time zone, such as 22:00 to 07:00 in Europe/Budapest. Messages about warnings wait until the end."""

    start: str
    end: str
    zone: str
    critical_too: bool = False
    """Whether messages about critical alerts wait too."""


class Caps(NamedTuple):
    """The most messages of a channel in an hour. Further ones wait and are joined into one message, the digest, which names each incident."""

    per_hour: int = 20
    critical_per_hour: int = 60


class Channel(NamedTuple):
    """A receiver of messages. Its target is sealed in the vault, and opened only for sending."""

    id: ChannelId
    org: int
    kind: str
    """One of `alerts.channels.KINDS`."""
    name: str
    enabled: bool
    min_severity: Severity
    quiet_hours: QuietHours | None
    caps: Caps
    target_masked: str
    state: ChannelState = "ok"
    state_reason: str = ""
    state_since_at: float = 0.0
    tested_at: float | None = None
    version: int = 1
    probe_at: float = 0.0
    """No message is tried before this time. It is set after failures, or if the receiver asked for a wait."""
    instance: bool = False
    """Whether a channel of the first organisation also tells of the hub itself: its disk, backup, clock, audit log."""


CHANNELS: Final = Record(
    model=Channel,
    table="channel",
    noun="channel",
    edited=("name", "enabled", "min_severity", "quiet_hours", "caps", "instance"),
    audited={
        "name": "name", "kind": "kind", "target": "target_masked", "enabled": "enabled", "min_severity": "min_severity",
        "quiet_hours": "quiet_hours", "caps": "caps", "instance": "instance",
    },
    columns={"caps": ("per_hour", "critical_per_hour")},
    computed={"name_key": lambda channel: fold(channel.name)},
    initial={"failures": 0},
    damaged={"quiet_hours": None},  # so that the channel still sends
    unique="name_key",
    order="name_key",
    most=100,
)  # fmt: skip

MessageKind = Literal["firing", "changed", "repeat", "resolved", "event", "test", "digest"]
DeliveryState = Literal["due", "sending", "sent", "deferred", "skipped", "failed"]


class Delivery(NamedTuple):
    """One decision about one channel: a message to send, or the reason why none is sent."""

    id: DeliveryId
    org: int
    channel_id: ChannelId
    kind: MessageKind
    incident_id: IncidentId | None
    event_id: EventId | None
    revision: int
    """The revision of the incident; 0 for a digest.

    (incident, revision, kind, channel) is unique.
    """
    state: DeliveryState
    reason: str
    """A reason of `deciding.py`, or the code of a failure such as `http:503`."""
    at: float
    """When the decision was made."""
    next_at: float | None
    """When it is due; while it is `sending`, the end of its lease. None: the decision is final."""
    attempts: int = 0
    lease_until: float | None = None
    """Until when the outbox has time for the present attempt; None: there is none."""
    sent_at: float | None = None
    critical: bool = False
    shown: str = ""
    """The result of `messages.seen_of` for the incident as the message showed it."""


def is_summary(delivery: Delivery) -> bool:
    """Whether a delivery is a digest of messages that waited for the end of quiet hours, or for the limit of the channel.

    Digests of older versions have a revision above 0 and no parts.
    """
    return delivery.kind == "digest" and delivery.revision == 0
