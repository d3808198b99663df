"""Bodies and views of channels, deliveries and links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from groundcontrol.alerts.model import Alert
from groundcontrol.notifications.channels import ChannelKind
from groundcontrol.notifications.model import Channel, ChannelState, Delivery, DeliveryState, MessageKind, Severity
from groundcontrol.notifications.store import Attempt, Summary
from groundcontrol.schedules.model import Level
from groundcontrol.web.answer import Answer, Body, view_of

ClockTime = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="wall-clock time, such as 22:00")]
CapsNumber = Annotated[int, msgspec.Meta(ge=1, le=300)]


class QuietHoursBody(Body):
    """Warnings wait until the end of these hours."""

    start: ClockTime
    end: ClockTime
    zone: Annotated[str, msgspec.Meta(max_length=64, description="name of a time zone, such as Europe/Budapest")]
    critical_too: bool = False


class CapsBody(Body):
    """The most messages of a channel in an hour. Critical ones have a cap of their own."""

    per_hour: CapsNumber = 20
    critical_per_hour: CapsNumber = 60


class ChannelBody(Body):
    kind: ChannelKind
    name: Annotated[str, msgspec.Meta(max_length=200)]
    target: dict[str, object]
    """The receiver, in the schema that `GET channels/kinds` gives for the kind."""
    audience: Literal["operator"] = "operator"
    enabled: bool = True
    min_severity: Severity = "warning"
    quiet_hours: QuietHoursBody | None = None
    caps: CapsBody = msgspec.field(default_factory=CapsBody)
    instance: bool | None = None
    """Whether it also tells of the hub itself; only an admin of the hub may say so. Null: it does if one makes it."""


class ChannelPatch(Body):
    """Fields that are left out stay as they are. A target is replaced as a whole."""

    name: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    target: dict[str, object] | None = None
    enabled: bool | None = None
    min_severity: Severity | None = None
    quiet_hours: QuietHoursBody | msgspec.UnsetType | None = msgspec.UNSET
    caps: CapsBody | None = None
    instance: bool | None = None


class FormatPreviewBody(Body):
    kind: ChannelKind
    message: MessageKind = "firing"


class LinkBody(Body):
    token: Annotated[str, msgspec.Meta(max_length=200)]
    verb: Literal["acknowledge", "snooze"] = "acknowledge"
    until_at: float | None = None
    """The end of a snooze in Unix seconds, at most a day from now; null: an hour from now."""


class QuietHoursView(Answer):
    start: str
    end: str
    zone: str
    critical_too: bool


class CapsView(Answer):
    per_hour: int
    critical_per_hour: int


class ChannelView(Answer):
    id: str
    kind: ChannelKind
    name: str
    audience: Literal["operator"]
    enabled: bool
    min_severity: Severity
    quiet_hours: QuietHoursView | None
    caps: CapsView
    state: ChannelState
    state_reason: str
    """The code of the last failure, such as `http:401`, `smtp:550` or `tls_certificate`."""
    state_since_at: float
    tested_at: float | None
    """When the receiver last accepted a test message."""
    target_masked: str
    """Empty for callers who may not manage channels."""
    instance: bool | None
    """Whether it also tells of the hub itself; null for callers who may not decide that."""


class ChannelsView(Answer):
    channels: list[ChannelView]


class ChannelKindView(Answer):
    kind: ChannelKind
    title: str
    hint: str
    """Its purpose."""
    target: dict[str, object]
    """JSON Schema of the target: `title` and `description` of a field are its label and hint; `writeOnly` marks secrets."""


class ChannelKindsView(Answer):
    kinds: list[ChannelKindView]


class FormatPreviewView(Answer):
    kind: ChannelKind
    payload: dict[str, object]
    """The message in the format of this kind, without the target."""


class TestView(Answer):
    delivery_id: str


class AttemptView(Answer):
    number: int
    at: float
    ended_at: float | None
    code: str


class DeliveryView(Answer):
    id: str
    channel_id: str
    kind: MessageKind
    incident_id: str | None
    event_id: str | None
    state: DeliveryState
    reason: str
    critical: bool
    attempts: int
    tries: list[AttemptView]
    at: float
    next_at: float | None
    sent_at: float | None


class DeliveriesView(Answer):
    deliveries: list[DeliveryView]
    next: str | None


class NotificationsView(Answer):
    """Numbers of deliveries in the last 24 hours, and the channels that do not work."""

    since_at: float
    sent: int
    deferred: int
    skipped: int
    failed: int
    due: int
    """The number of messages in the states `due` and `sending`."""
    reasons: dict[str, int]
    """How many messages were skipped, deferred or failed, by reason."""
    oldest_due_at: float | None
    """When the oldest unsent message became due."""
    channels_broken: list[str]
    """Names of channels."""
    channels_retrying: list[str]
    nobody_told: bool
    """Whether an alert fires that channels would be notified of, while no channel ever passed a test or got a message."""


class LinkedAlertView(Answer):
    id: str
    rule_id: str
    object: str
    level: Level
    state: Literal["firing", "resolved"]
    acknowledged: bool
    snoozed_until: float | None


class LinkView(Answer):
    verb: Literal["acknowledge", "snooze"]
    alert: LinkedAlertView


def channel_view(channel: Channel, *, of_hub: bool) -> ChannelView:
    """Args: of_hub: whether the caller may see and mark which channels tell of the hub."""
    hours = channel.quiet_hours
    return view_of(
        ChannelView,
        channel,
        audience="operator",
        quiet_hours=None if hours is None else QuietHoursView(*hours),
        caps=CapsView(*channel.caps),
        instance=channel.instance if of_hub else None,
    )


def delivery_view(delivery: Delivery, attempts: Sequence[Attempt] = ()) -> DeliveryView:
    return view_of(DeliveryView, delivery, tries=[AttemptView(*attempt) for attempt in attempts])


def linked_alert_view(alert: Alert) -> LinkedAlertView:
    return view_of(LinkedAlertView, alert, acknowledged=alert.acknowledged_at is not None)


def notifications_view(summary: Summary, since: float, channels: Sequence[Channel], *, fires: bool) -> NotificationsView:
    """Args: fires: whether an alert fires that channels would be notified of."""
    works = any(channel.enabled and channel.tested_at is not None for channel in channels) or any(
        state == "sent" for state, _ in summary.counts
    )

    def count(*states: str) -> int:
        return sum(number for (state, _), number in summary.counts.items() if state in states)

    reasons: dict[str, int] = {}
    for (state, reason), number in summary.counts.items():
        if state in ("skipped", "deferred", "failed"):
            reasons[reason] = reasons.get(reason, 0) + number
    return NotificationsView(
        since_at=since,
        sent=count("sent"),
        deferred=count("deferred"),
        skipped=count("skipped"),
        failed=count("failed"),
        due=count("due", "sending"),
        reasons=reasons,
        oldest_due_at=summary.oldest_due_at,
        channels_broken=[channel.name for channel in channels if channel.enabled and channel.state == "broken"],
        channels_retrying=[channel.name for channel in channels if channel.enabled and channel.state == "retrying"],
        nobody_told=fires and not works,
    )
