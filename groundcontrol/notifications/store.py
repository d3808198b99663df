"""The store interfaces of channels and deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from groundcontrol.alerts.interfaces import Decisions
from groundcontrol.alerts.model import Incident, IncidentId, RuleId
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.records import ReadRecords
from groundcontrol.core.scope import Scope
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.events.model import Event
from groundcontrol.notifications.deciding import Usage
from groundcontrol.notifications.model import Channel, ChannelId, Delivery, DeliveryId

SEALED_TABLE: Final = "channel"
"""The table of sealed targets in the vault. The record is the channel's id, the column is `TARGET`."""
TARGET: Final = "target"
SUMMARY: Final = "summary"
"""The reason of messages that are not sent by themselves, since a digest contains them."""


@dataclass(frozen=True)
class Decided(Decisions):
    """Decisions about messages. They are stored as a whole or not at all."""

    new: Sequence[Delivery] = ()
    """To send, to defer or to skip."""
    sooner: Sequence[Delivery] = ()
    """Deferred messages with an earlier time and its reason. Those that are not deferred any more stay unchanged."""
    again: Sequence[Delivery] = ()
    """New decisions about messages that were not sent, since the channel did not work. They replace the stored decisions."""


class Claim(NamedTuple):
    """A delivery that this process is sending, with its channel. It holds until `delivery.lease_until`."""

    delivery: Delivery
    channel: Channel


class Delivered(NamedTuple):
    """The receiver took the message."""

    reason: str = "ready"
    """`late`: the message said that the incident was already over."""
    code: str = "ok"
    shown: str = ""
    """As in `Delivery`."""
    named: tuple[IncidentId, ...] = ()
    """The open incidents that a summary named."""
    is_whole: bool = True
    """False: it took the message for some recipients only, and `code` says which it refused."""


class Retry(NamedTuple):
    """The attempt failed, and is to be repeated."""

    code: str
    after_s: float
    pause: bool = False
    """Whether the whole channel waits, since the receiver asked for the wait."""


class Failed(NamedTuple):
    """The attempt failed, and is not repeated."""

    code: str


class NotSent(NamedTuple):
    """The message was not sent."""

    reason: str
    until: float | None = None
    """When it is due again, in Unix seconds; None: never."""


Result = Delivered | Retry | Failed | NotSent


class Attempt(NamedTuple):
    """One attempt to send a delivery."""

    number: int
    at: float
    ended_at: float | None
    """None: it is under way, or the hub stopped before its end."""
    code: str
    """Such as `ok`, `http:503`, `smtp:451` or `connect`; empty: it is under way."""


class DeliveryFilter(NamedTuple):
    """The filter of a list of deliveries; an empty field matches every delivery."""

    state: str = ""
    channel: ChannelId | None = None
    incident: IncidentId | None = None
    since: float = 0.0
    """Unix seconds; earlier decisions are left out."""


class Missing(NamedTuple):
    """A working channel that the last message about an incident did not reach."""

    incident: IncidentId
    channel: ChannelId
    lost: Delivery | None
    """The message that failed, or that was not sent since the channel took no messages; None: the channel is new."""


class Summary(NamedTuple):
    """Numbers of deliveries."""

    counts: Mapping[tuple[str, str], int]
    """(state, reason) -> number of decisions in the period."""
    oldest_due_at: float | None
    """When the oldest unsent message became due, in Unix seconds; None: no message is due."""


class ChannelStore(ReadRecords[Channel], Protocol):
    async def create_channel(self, scope: Scope, channel: Channel, target: SealedRecord) -> Channel:
        """Store a channel and its sealed target, with an audit row.

        Raises: Conflict: the name is taken, or there are too many channels.
        """
        ...

    async def save_channel(
        self, scope: Scope, channel: Channel, target: SealedRecord | None, *, old_target_notified: bool | None
    ) -> Channel:
        """Change a channel, and its target if one is given.

        Args:   old_target_notified: for the audit row: whether the old receiver was notified; None: the target stays.
        Raises: NotFound; Conflict: `channel.version` is not the stored one, or the name is taken.
        """
        ...

    async def delete_channel(self, scope: Scope, channel: ChannelId, *, old_target_notified: bool) -> None:
        """Delete a channel, shred its target, and end its open deliveries. If the channel is already deleted, nothing changes."""
        ...

    async def target(self, channel: ChannelId) -> SealedRecord | None:
        """The sealed target; None: the channel is deleted."""
        ...


class DeliveryStore(Protocol):
    async def decide(self, decided: Decided) -> None:
        """Store decisions. A repeated call changes nothing."""
        ...

    async def last_notified(self, org: int, rule: RuleId, node: NodeId | None, since: float) -> dict[ChannelId, float]:
        """Channel -> when it last got a message about an incident with an alert of this rule and node. Messages about ends do not count.

        Args: since: earlier messages are left out. Times are in Unix seconds.
        """
        ...

    async def next_due(self) -> float | None:
        """When the next open delivery may be claimed, in Unix seconds; None: no delivery is open.

        A delivery is not claimed before the `probe_at` of its channel.
        """
        ...

    async def claim(self, most: int) -> Sequence[Claim]:
        """Take at most `most` due deliveries, for a minute each. A delivery that is neither finished nor extended by then can be claimed
        again.

        Messages about one incident keep their order within a channel, and critical ones come first. At most two messages of a channel are
        under way. Messages that quiet hours or the limit of the channel delayed until now are joined into one digest. A delivery that was
        tried for too long ends here.
        """
        ...

    async def extend(self, claim: Claim) -> bool:
        """Hold a claim for another minute, since its attempt goes on. Returns: as `finish`."""
        ...

    async def finish(self, claim: Claim, result: Result) -> bool:
        """Record the result of a claim, and the new state of its channel.

        Returns: False: the lease has expired and another process took the delivery; nothing was changed.
        """
        ...

    async def present_channel(self, org: int, channel: ChannelId) -> Channel | None:
        """The channel as it is now; None: it is deleted or off, or its organisation is suspended."""
        ...

    async def note_repetition(self, claim: Claim, code: str, lacking: str) -> None:
        """Record an attempt to reach the recipients that a sent message did not reach.

        Args: lacking: which ones it still does not reach; empty: it has reached all.
        """
        ...

    async def correct_times(self) -> None:
        """Correct times that lie further in the future than their rule can yield: the clock was ahead when they were computed.

        Such a message is due now, and the decision about it is made again. A message counts as sent now if it was sent in the future.
        Events that the hub stored in the future, and its absences until then, are dated now.
        """
        ...

    async def parts(self, summary: Delivery) -> Sequence[Delivery]:
        """The messages that a summary contains, oldest first."""
        ...

    async def add_test(self, scope: Scope, channel: ChannelId, delivery: DeliveryId) -> Delivery:
        """Add a test message that is due now. Raises: NotFound; TooManyRequests."""
        ...

    async def retry(self, scope: Scope, delivery: DeliveryId) -> Delivery:
        """Make a delivery due now that has failed, or that waits for its next attempt.

        Raises: NotFound; Conflict: its state is neither `failed` nor `due`.
        """
        ...

    async def delivery(self, scope: Scope, delivery: DeliveryId) -> Delivery:
        """Raises: NotFound."""
        ...

    async def deliveries(self, scope: Scope, limit: int, cursor: str | None = None, only: DeliveryFilter | None = None) -> Page[Delivery]:
        """A page of deliveries, newest first."""
        ...

    async def history(self, org: int, incident: IncidentId) -> Sequence[Delivery]:
        """All deliveries of an incident, oldest first."""
        ...

    async def usage(
        self, channels: Sequence[Channel], incident: Incident, now: float, before: DeliveryId | None = None
    ) -> Mapping[ChannelId, Usage]:
        """What channels sent in the last hour. Args: before: messages under way count if their id is lower; None: all count."""
        ...

    async def held(self, org: int, reason: str) -> Sequence[IncidentId]:
        """The incidents with a message that is deferred for this reason."""
        ...

    async def missing(self, org: int, since: float, now: float) -> Sequence[Missing]:
        """Messages that working channels have missed: about open incidents, and about the ends of incidents since this time (Unix seconds).

        A refused message is among them after its channel has recovered, and now and then before.
        """
        ...

    async def attempts(self, scope: Scope, deliveries: Sequence[DeliveryId]) -> Mapping[DeliveryId, Sequence[Attempt]]:
        """Delivery -> its attempts, oldest first."""
        ...

    async def summary(self, scope: Scope, since: float, now: float) -> Summary:
        """The numbers of deliveries since a time. Args: since, now: Unix seconds."""
        ...

    async def event_to_send(self, org: int, event: EventId) -> tuple[Event, str] | None:
        """An event and the name of its node (empty: it has none); None: the event is deleted."""
        ...

    async def expire_deliveries(self, before: float) -> int:
        """Delete some final deliveries from before this time (Unix seconds). Returns: their number; 0: none is left."""
        ...
