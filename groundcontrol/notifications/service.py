"""Channels: seals their targets in the vault, tests them, and sends single messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from groundcontrol.alerts.hub_facts import may_tell_of_the_hub
from groundcontrol.core.errors import BadRequest, Forbidden, VaultError
from groundcontrol.core.scope import Scope
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.notifications.channels import KINDS
from groundcontrol.notifications.channels.kind import Kind, Outcome, Permanent, Sent, Target, sent_by, with_label
from groundcontrol.notifications.egress import Egress
from groundcontrol.notifications.links import LINK_S, Link, Links
from groundcontrol.notifications.messages import Address, Message, MessageContent, build_message, notice
from groundcontrol.notifications.model import Caps, Channel, ChannelId, Delivery, DeliveryId, QuietHours, Severity
from groundcontrol.notifications.outbox import DueBell
from groundcontrol.notifications.store import SEALED_TABLE, TARGET, ChannelStore, DeliveryStore
from spider.clock import Clock
from spider.wire.ids import new_time_id

MOST_TARGET_BYTES: Final = 16 << 10
NOTICE_LIMIT_S: Final = 10.0
"""How long a receiver has to take the notice that it gets no more messages."""


class TargetSealer(Protocol):
    """The part of `groundcontrol.vault.Vault` that channels use."""

    def seal(self, table: str, record: str, column: str, version: int, plaintext: bytes) -> SealedRecord: ...
    def open(self, record: SealedRecord) -> bytes: ...


class ChannelEdit(NamedTuple):
    """The settings of a channel without its target. None keeps the stored value."""

    name: str | None = None
    enabled: bool | None = None
    min_severity: Severity | None = None
    caps: Caps | None = None
    quiet_hours: QuietHours | None = None
    change_quiet_hours: bool = False
    """Whether `quiet_hours` replaces the stored ones; None then removes them."""
    instance: bool | None = None
    """As in `Channel`. Of a new channel, None: as its maker may."""

    def apply(self, channel: Channel) -> Channel:
        return channel._replace(
            name=channel.name if self.name is None else self.name,
            enabled=channel.enabled if self.enabled is None else self.enabled,
            min_severity=self.min_severity or channel.min_severity,
            caps=self.caps or channel.caps,
            quiet_hours=self.quiet_hours if self.change_quiet_hours else channel.quiet_hours,
            instance=channel.instance if self.instance is None else self.instance,
        )


class ChannelService:
    """Creates, changes and tests channels. It is the `Sender` of the outbox."""

    def __init__(
        self,
        channels: ChannelStore,
        deliveries: DeliveryStore,
        sealer: TargetSealer,
        links: Links,
        egress: Egress,
        bell: DueBell,
        clock: Clock,
        hub: Callable[[], str],
    ) -> None:
        """Args: hub: gives the web origin of the page."""
        self._channels = channels
        self._deliveries = deliveries
        self._sealer = sealer
        self._links = links
        self._egress = egress
        self._clock = clock
        self._hub = hub
        self._bell = bell

    async def create(self, scope: Scope, kind: str, target: object, edit: ChannelEdit) -> Channel:
        """Create a channel. Args: target: as in `read_target`. Raises: BadRequest; Conflict: the name is taken, or there are too many."""
        checked = self._read(kind, target)
        _check_instance(scope, edit)
        made = ChannelId(new_time_id(self._clock.now()))
        blank = Channel(
            *(made, scope.org, kind, "", True, "warning", None, Caps(), KINDS[kind].mask(checked)),
            state_since_at=self._clock.now(),
            instance=may_tell_of_the_hub(scope),
        )
        return await self._channels.create_channel(scope, edit.apply(blank), self._seal(made, 1, checked))

    async def edit(self, scope: Scope, channel: ChannelId, target: object | None, edit: ChannelEdit) -> Channel:
        """Change a channel. Before a change of the target its old receiver is notified, even if the change then fails.

        Raises: BadRequest; Conflict: somebody else has changed the channel, or its name is taken; Forbidden: it tells of the hub, and the
                caller is no admin of the hub; NotFound.
        """
        _check_instance(scope, edit)
        before = await self._channels.get(scope, channel)
        _check_not_of_the_hub(scope, before)
        after = edit.apply(before)
        if target is None:
            return await self._channels.save_channel(scope, after, None, old_target_notified=None)
        checked = self._read(before.kind, target)
        stored = await self._channels.target(channel)
        notified = await self._notify_old_target(before, f"{scope.actor.name} gave this channel another receiver")
        sealed = self._seal(channel, 1 if stored is None else stored.version + 1, checked)
        return await self._channels.save_channel(
            scope, after._replace(target_masked=KINDS[before.kind].mask(checked)), sealed, old_target_notified=notified
        )

    async def delete(self, scope: Scope, channel: ChannelId) -> None:
        """Notify the receiver, then delete the channel. Raises: Forbidden: as `edit`; NotFound."""
        before = await self._channels.get(scope, channel)
        _check_not_of_the_hub(scope, before)
        notified = await self._notify_old_target(before, f"{scope.actor.name} deleted this channel")
        await self._channels.delete_channel(scope, channel, old_target_notified=notified)

    async def test(self, scope: Scope, channel: ChannelId) -> Delivery:
        """Queue a test message. The outbox sends it like any other message. Raises: NotFound, TooManyRequests."""
        made = await self._deliveries.add_test(scope, channel, DeliveryId(new_time_id(self._clock.now())))
        self._bell.set()
        return made

    async def retry(self, scope: Scope, delivery: DeliveryId) -> Delivery:
        """As `DeliveryStore.retry`. Raises: NotFound, Conflict."""
        again = await self._deliveries.retry(scope, delivery)
        self._bell.set()
        return again

    async def prepare(self, channel: Channel, delivery: Delivery, content: MessageContent) -> Message:
        now = self._clock.now()
        return build_message(delivery, content, Address(self._hub(), channel.name, self._token(channel, content, now)), now)

    async def send(self, channel: Channel, message: Message) -> Outcome:
        return await self._send(channel, message, KINDS[channel.kind].limit_s)

    def _token(self, channel: Channel, content: MessageContent, now: float) -> str:
        """The token of a link for the worst firing episode that nobody acknowledged; empty: there is none."""
        left = (one.alert for one in content.alerts if one.alert.state == "firing" and one.alert.acknowledged_at is None)
        alert = None if content.incident is None else next(left, None)
        return "" if alert is None else self._links.token(Link(channel.org, alert.id, channel.id, now + LINK_S))

    async def _send(self, channel: Channel, message: Message, limit_s: float) -> Outcome:
        record = await self._channels.target(channel.id)
        if record is None:
            return Permanent("no_target")
        try:
            opened = msgspec.json.decode(self._sealer.open(record), type=KINDS[channel.kind].target)
        except (VaultError, msgspec.MsgspecError, KeyError):
            return Permanent("target_unreadable")
        return await sent_by(KINDS[channel.kind], opened, message, self._egress, limit_s)

    async def _notify_old_target(self, channel: Channel, what: str) -> bool:
        """Notify the receiver that it gets no more messages, so that nobody silences a hub unnoticed. Returns: whether it was notified."""
        now = self._clock.now()
        title = f"{channel.name}: this receiver gets no more messages of the hub"
        message = notice(
            DeliveryId(new_time_id(now)), title, f"{what}. If nobody of you did it, look at the hub's audit log.", hub=self._hub(), now=now
        )
        return isinstance(await self._send(channel, message, NOTICE_LIMIT_S), Sent)

    def _read(self, kind: str, target: object) -> Any:
        """Check a target. Raises: BadRequest: it is invalid, or no message may be sent to it."""
        checked = read_target(kind, target)
        try:
            self._egress.check_receiver(*KINDS[kind].receiver(checked))
        except BadRequest as exc:
            raise with_label(KINDS[kind].target, exc) from None
        return checked

    def _seal(self, channel: ChannelId, version: int, target: Target) -> SealedRecord:
        return self._sealer.seal(SEALED_TABLE, channel, TARGET, version, msgspec.json.encode(target))


def _check_instance(scope: Scope, edit: ChannelEdit) -> None:
    if edit.instance is not None and not may_tell_of_the_hub(scope):
        raise Forbidden("an admin of this hub decides, in its first organisation, which channels tell of the hub itself", field="instance")


def _check_not_of_the_hub(scope: Scope, channel: Channel) -> None:
    """Nobody else silences the hub's own alerts, or gives them another receiver. Raises: Forbidden."""
    if channel.instance and not may_tell_of_the_hub(scope):
        raise Forbidden("this channel tells of the hub itself: only an admin of this hub may change or delete it", field="instance")


def kind_of(name: str) -> Kind:
    """The kind of this name. Raises: BadRequest: this hub has no such kind."""
    if name not in KINDS:
        raise BadRequest(f"this hub has no channels of the kind {name[:40]!r}; it has {', '.join(KINDS)}", field="kind")
    return KINDS[name]


def read_target(kind: str, target: object) -> Any:
    """Check a target, and convert it to the struct of its kind. Args: target: as decoded from JSON.

    Raises: BadRequest: the target is invalid. The text names the field as the form does, and does not repeat its value.
    """
    row = kind_of(kind)
    if len(msgspec.json.encode(target)) > MOST_TARGET_BYTES:
        raise BadRequest(f"a target has at most {MOST_TARGET_BYTES} bytes", field="target")
    try:
        read = msgspec.convert(target, row.target)
        row.check(read)
    except msgspec.ValidationError as exc:
        why, _, path = str(exc).partition(" - at `$.")
        at = f"target.{path.rstrip('`')}" if path else "target"
        raise with_label(row.target, BadRequest(f"{at}: {why[0].lower()}{why[1:]}", field=at)) from None
    except BadRequest as exc:
        raise with_label(row.target, exc) from None
    return read
