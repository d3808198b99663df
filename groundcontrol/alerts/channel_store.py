"""The store interfaces of channels and deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from groundcontrol.alerts.model import Channel, ChannelId, Delivery, DeliveryId, IncidentId
from groundcontrol.core.ids import EventId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.events.model import Event

SEALED_TABLE: Final = "channel"
"""The table of sealed targets in the vault; the record is the channel's id, the column `TARGET`."""
TARGET: Final = "target"
MOST_CHANNELS: Final = 100
SUMMARY: Final = "summary"
"""The reason of messages that are part of the summary after quiet hours."""


class Claim(NamedTuple):
    """A delivery that this process sends now, and its channel. It expires with its lease."""

    delivery: Delivery
    channel: Channel
    notified: bool
    """The channel took a message that this incident fires."""
    notified_late: bool
    """That message said already that it was over."""


class Delivered(NamedTuple):
    """The receiver took the message."""

    reason: str = "ready"
    """`late`: the message said that it was over already."""
    code: str = "ok"
    shown: str = ""
    """What the message showed of the incident, as a digest."""
    named: tuple[IncidentId, ...] = ()
    """The open incidents that a summary named."""


class Retry(NamedTuple):
    """It failed for now."""

    code: str
    after_s: float
    pause: bool = False
    """The receiver asked for the wait, so the whole channel waits."""


class Failed(NamedTuple):
    """It failed for good."""

    code: str


class Left(NamedTuple):
    """Nothing was sent: until a time, or (None) for good."""

    reason: str
    until: float | None = None


Result = Delivered | Retry | Failed | Left


class Attempt(NamedTuple):
    """One attempt to send a delivery."""

    number: int
    at: float
    ended_at: float | None
    """None: under way, or its hub ended."""
    code: str
    """`ok`, `http:503`, `smtp:451`, `connect` …; empty while it is under way."""


class DeliveryFilter(NamedTuple):
    """The filter of a list of deliveries; an empty field matches every delivery."""

    state: str = ""
    channel: ChannelId | None = None
    incident: IncidentId | None = None
    since: float = 0.0


class Missing(NamedTuple):
    """An incident and a channel that takes messages, and that the last message about it did not reach."""

    incident: IncidentId
    channel: ChannelId
    lost: Delivery | None
    """The last decision: it failed, or the channel took no messages then. None: the channel is new."""


class Summary(NamedTuple):
    """Numbers of deliveries."""

    counts: Mapping[tuple[str, str], int]
    """(state, reason) -> number of decisions since the asked time."""
    oldest_due_at: float | None
    """When the oldest message became due that is not sent yet."""


class ChannelStore(Protocol):
    async def channels(self, org: int) -> Sequence[Channel]:
        """All channels, by name."""
        ...

    async def channel(self, scope: Scope, channel: ChannelId) -> Channel:
        """Raises: NotFound."""
        ...

    async def create_channel(self, scope: Scope, channel: Channel, target: SealedRecord) -> Channel:
        """Store a channel and its sealed target, with an audit row.

        Raises: Conflict: the name is taken, or there are `MOST_CHANNELS`.
        """
        ...

    async def save_channel(
        self, scope: Scope, channel: Channel, target: SealedRecord | None, *, old_target_notified: bool | None
    ) -> Channel:
        """Change a channel, and its target unless it is None.

        Raises: NotFound; Conflict: `channel.version` is not the stored one, or the name is taken.
        """
        ...

    async def delete_channel(self, scope: Scope, channel: ChannelId, *, old_target_notified: bool) -> None:
        """Delete a channel, shred its target, and end its open deliveries. One that is gone already is no error."""
        ...

    async def target(self, channel: ChannelId) -> SealedRecord | None:
        """The sealed target; None: the channel is gone."""
        ...


class DeliveryStore(Protocol):
    async def next_due(self) -> float | None:
        """When the next open delivery is due, in Unix seconds; None: none is open."""
        ...

    async def claim(self, most: int) -> Sequence[Claim]:
        """Take up to so many due deliveries, each with a lease of `LEASE_S` and a row for the attempt.

        Messages about one incident keep their order within a channel. Of one channel at most `MOST_OF_CHANNEL` are under way. What is over a
        channel's limit, or was tried for too long, is ended here. Several that quiet hours held until now are one summary.
        """
        ...

    async def finish(self, claim: Claim, result: Result) -> bool:
        """Record what became of a claim, and what that says of its channel.

        Returns: False: the lease was over, and another took the delivery; nothing was changed.
        """
        ...

    async def parts(self, summary: Delivery) -> Sequence[Delivery]:
        """The messages that a summary stands for, oldest first."""
        ...

    async def add_test(self, scope: Scope, channel: ChannelId, delivery: DeliveryId) -> Delivery:
        """A test message, due now. Raises: NotFound; TooManyRequests."""
        ...

    async def retry(self, scope: Scope, delivery: DeliveryId) -> Delivery:
        """Try a failed delivery once more, or a waiting one now. Raises: NotFound; Conflict: it is neither."""
        ...

    async def delivery(self, scope: Scope, delivery: DeliveryId) -> Delivery: ...

    async def deliveries(self, scope: Scope, limit: int, cursor: str | None = None, only: DeliveryFilter | None = None) -> Page[Delivery]:
        """The newest decisions first."""
        ...

    async def history(self, org: int, incident: IncidentId) -> Sequence[Delivery]:
        """All deliveries of an incident, oldest first."""
        ...

    async def missing(self, org: int, since: float) -> Sequence[Missing]:
        """What channels that are new, or that work again, have to be notified of: open incidents, and ends that were decided since then."""
        ...

    async def attempts(self, scope: Scope, deliveries: Sequence[DeliveryId]) -> Mapping[DeliveryId, Sequence[Attempt]]: ...

    async def summary(self, scope: Scope, since: float, now: float) -> Summary: ...

    async def event_to_send(self, org: int, event: EventId) -> tuple[Event, str] | None:
        """An event and the name of its node; None: it is gone."""
        ...

    async def expire_deliveries(self, before: float) -> int:
        """Delete some final deliveries from before this time. Returns their number; call again until 0."""
        ...
