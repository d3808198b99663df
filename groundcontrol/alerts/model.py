"""The model of alerts: rules, episodes, incidents, channels and deliveries. Pure values."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, NewType

from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.events.model import Severity as EventSeverity

RuleId = NewType("RuleId", str)
"""A slug for a default rule (`filesystem.space`), a time id for a rule of a user."""
AlertId = NewType("AlertId", str)
IncidentId = NewType("IncidentId", str)
ChannelId = NewType("ChannelId", str)
DeliveryId = NewType("DeliveryId", str)
MaintenanceId = NewType("MaintenanceId", str)

Level = Literal["warning", "critical"]
RANK: Final[dict[Level | None, int]] = {None: 0, "warning": 1, "critical": 2}
Severity = Literal["info", "warning", "critical"]
"""The least level that a channel sends."""
EVENT_VALUES: Final[dict[EventSeverity, float]] = {"info": 0.25, "warning": 0.5, "error": 1.0}
"""The value of an event for the thresholds of its rule, by the severity that its sender gave it."""


class Threshold(NamedTuple):
    """A level starts past `trigger` and ends only behind `clear` (hysteresis). Both have the unit of the rule's value."""

    trigger: float
    clear: float


class Selector(NamedTuple):
    """The nodes of a rule: all, those with one of the tags, and those named. An empty selector is refused and selects none."""

    all: bool = False
    tags: tuple[str, ...] = ()
    nodes: tuple[NodeId, ...] = ()

    def selects(self, node: NodeId, tags: tuple[str, ...]) -> bool:
        return self.all or node in self.nodes or any(tag in tags for tag in self.tags)


class Override(NamedTuple):
    """Other values of a rule for some nodes. None keeps the rule's value. Of several that select a node, the last one holds."""

    select: Selector
    enabled: bool | None = None
    warn: Threshold | None = None
    crit: Threshold | None = None
    for_s: float | None = None


class Rule(NamedTuple):
    """One condition with up to two levels. Each (rule, node, object) has its own state."""

    id: RuleId
    name: str
    """A sentence for people: "File system almost full"."""
    expr: str
    """`avg(cpu.total, 10m)`, `state(unit_failed)`, `event(node_cloned)` or `detector(filesystem_space)`."""
    select: Selector
    when: Literal["above", "below"] = "above"
    warn: Threshold | None = None
    crit: Threshold | None = None
    for_s: float = 0.0
    """A level starts after the value was past its threshold this long."""
    clear_s: float = 0.0
    enabled: bool = True
    overrides: tuple[Override, ...] = ()
    origin: Literal["default", "user"] = "user"
    kind: str = ""
    """The kind of finding that it makes: `filesystem`, `cpu`, `offline` …; rules of users have `rule`."""
    notice: bool = False
    """The finding is shown as a notice and never sent, such as a reboot that is due."""
    action: str | None = None
    """The verb that helps, if there is one."""
    version: int = 1


Reason = Literal["cleared", "object_gone", "rule_disabled", "node_removed", "not_repeated"]
"""Why an episode ended. `not_repeated`: an event was not reported again; whether anything is well, nobody knows."""


class InstanceKey(NamedTuple):
    """The identity of a state: it never moves to another rule, node or object."""

    rule: RuleId
    node: NodeId | None
    """None: the hub itself, or the fleet as a whole."""
    object: str
    """The label of the series (`/var`), the unit, the pool …; empty where a rule has one value a node."""


class Transition(NamedTuple):
    """One change of an instance, with everything that an episode stores."""

    key: InstanceKey
    kind: Literal["fired", "level", "resolved", "stale", "fresh"]
    """`stale`: data of a firing instance is missing; `fresh`: it is back. Neither is sent."""
    level: Level | None
    """The level from now on; None after `resolved`."""
    at: float
    """Unix seconds, true time of the samples that decided."""
    since_at: float
    """When the condition began, before `for_s` had passed."""
    value: float | None
    threshold: float | None
    reason: Reason | None = None


class Alert(NamedTuple):
    """An episode: one firing of an instance, from its start to its end."""

    id: AlertId
    org: int
    rule_id: RuleId
    node_id: NodeId | None
    object: str
    level: Level
    """The present level; after the end the last one."""
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
    """The rule whose episode explains this one; empty: none."""
    maintenance: MaintenanceId | None = None
    stale: bool = False
    flapping: bool = False
    retro: bool = False
    """It began and ended while the hub was away; it is never sent."""


class Incident(NamedTuple):
    """Episodes that are one story: those of a node, or of one rule on many nodes."""

    id: IncidentId
    org: int
    level: Level
    """The highest present level; after the end the highest it had."""
    state: Literal["open", "resolved"]
    title: str
    since_at: float
    resolved_at: float | None
    group: str
    """`node:<id>`, `rule:<id>`, `mass_offline` or `hub`."""
    revision: int
    """Rises with each change that may be sent."""


ChannelKind = Literal["email", "webhook", "ntfy", "telegram", "slack", "discord", "teams", "gotify", "pagerduty"]
ChannelState = Literal["ok", "retrying", "broken"]
EXPIRED: Final = "expired"
"""The reason of a message that was tried for too long, and of its channel's state."""


class QuietHours(NamedTuple):
    """Wall-clock times in a named zone, such as 22:00 to 07:00 in Europe/Budapest. Warnings wait until the end."""

    start: str
    end: str
    zone: str
    critical_too: bool = False


class Caps(NamedTuple):
    """Most messages an hour; what is over becomes one digest."""

    per_hour: int = 20
    critical_per_hour: int = 60


class Channel(NamedTuple):
    """A receiver of messages. Its target is sealed in the vault and never leaves it but to send."""

    id: ChannelId
    org: int
    kind: ChannelKind
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
    """After several failures in a row: no message is tried before."""

    @property
    def refuses(self) -> bool:
        """Whether its receiver refused messages for good: none is tried until somebody mends or tests it."""
        return self.state == "broken" and self.state_reason != EXPIRED


MessageKind = Literal["firing", "changed", "repeat", "resolved", "event", "test", "digest"]
DeliveryState = Literal["due", "sending", "sent", "deferred", "skipped", "failed"]


class Delivery(NamedTuple):
    """One decision about one channel: a message to send, or why there is none."""

    id: DeliveryId
    org: int
    channel_id: ChannelId
    kind: MessageKind
    incident_id: IncidentId | None
    event_id: EventId | None
    revision: int
    """Of the incident. (incident, revision, kind, channel) is unique."""
    state: DeliveryState
    reason: str
    """One of `decide.REASONS`, or `<class>:<code>` of a failure."""
    at: float
    next_at: float | None
    """When it is due, or due again."""
    attempts: int = 0
    lease_until: float | None = None
    sent_at: float | None = None
    critical: bool = False
    shown: str = ""
    """What its receiver saw of the incident, as a digest."""


def is_summary(delivery: Delivery) -> bool:
    """Whether it is the summary after quiet hours. A digest of a limit has a number."""
    return delivery.kind == "digest" and delivery.revision == 0
