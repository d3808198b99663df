"""The model of notifications: channels and deliveries. Pure values."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, NewType

from groundcontrol.alerts.model import IncidentId
from groundcontrol.core.ids import EventId
from groundcontrol.core.records import Record
from groundcontrol.core.text import fold

ChannelId = NewType("ChannelId", str)
DeliveryId = NewType("DeliveryId", str)
Severity = Literal["info", "warning", "critical"]
"""The lowest level that a channel sends."""
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
    """One of `notifications.channels.KINDS`."""
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
    """The result of `seen_of` for the incident as the message showed it."""


def is_summary(delivery: Delivery) -> bool:
    """Whether a delivery is a digest of messages that waited for the end of quiet hours, or for the limit of the channel.

    Digests of older versions have a revision above 0 and no parts.
    """
    return delivery.kind == "digest" and delivery.revision == 0
