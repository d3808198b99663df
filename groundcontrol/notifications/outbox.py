"""Sends due deliveries. Their rows hold all state, so no message is lost if the process ends.

A claim has a lease, which is extended while the attempt goes on. If the process ends, or cannot store the result, the lease expires and
the message is sent again with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from groundcontrol.core.errors import HubError, NotFound, StoreError
from groundcontrol.notifications.channels.kind import Outcome, Permanent, Sent, Transient
from groundcontrol.notifications.deciding import LATE
from groundcontrol.notifications.messages import Message, MessageContent, Withheld
from groundcontrol.notifications.model import Channel, Delivery
from groundcontrol.notifications.repetitions import Repetition, Repetitions
from groundcontrol.notifications.retry_delays import retry_delay_s
from groundcontrol.notifications.seen import seen_of
from groundcontrol.notifications.store import Claim, Delivered, DeliveryStore, Failed, NotSent, Result, Retry
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 16
SLOW_S: Final = 20.0
"""An attempt that takes longer does not count among `MOST_AT_ONCE`: a mail server may take minutes for an answer."""
MOST_WITH_SLOW: Final = 64
EXTEND_S: Final = 20.0
"""How often a lease of a minute is extended."""
SWEEP_S: Final = 5.0
"""How often the outbox looks for due messages without the bell."""
CORRECT_S: Final = 60.0
"""How often the outbox corrects times in the future."""
BLOCKED_S: Final = 0.5
"""The wait of the outbox if messages are due and no more may be sent now."""


class DueBell(asyncio.Event):
    """Set when a message may be due now. The outbox then looks."""


class ContentSource(Protocol):
    async def content(self, delivery: Delivery) -> MessageContent | Withheld:
        """The present content of a message about an incident or of a digest, or the reason not to send it now.

        Raises: NotFound: the incident or the channel is deleted; StoreError.
        """
        ...

    async def again(self, delivery: Delivery) -> MessageContent | Withheld:
        """The present content of a message about an incident that some recipients got already, for the others. Raises: as `content`."""
        ...


class Sender(Protocol):
    async def prepare(self, channel: Channel, delivery: Delivery, content: MessageContent) -> Message:
        """Build a message, with its link for acknowledging."""
        ...

    async def send(self, channel: Channel, message: Message) -> Outcome:
        """Make one attempt within the limit of its kind. A failure of the receiver is an outcome.

        Raises: StoreError: the target cannot be read.
        """
        ...


class Outbox:
    """Sends due deliveries, at most `MOST_AT_ONCE` at the same time besides slow attempts. A broken channel does not delay the messages of
    other channels."""

    def __init__(
        self,
        store: DeliveryStore,
        contents: Callable[[int], ContentSource],
        sender: Sender,
        bell: DueBell,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Args: contents: gives the source of the messages of an organisation."""
        self._store = store
        self._bell = bell
        self._contents = contents
        self._sender = sender
        self._clock = clock
        self._jitter = jitter
        self.ended: Counter[tuple[str, str]] = Counter()
        """(State, reason) -> number of attempts since the start. The states are `sent`, `retried`, `failed`, `skipped` and `deferred`."""
        self._due_at: float | None = None
        """When the oldest unsent message is due, as the last round read it, in Unix seconds; None: there is none."""
        self._corrected: float | None = None
        """When times in the future were last corrected, by the monotonic clock."""
        self._repetitions = Repetitions(store, self._made_again, sender.send, clock, jitter)
        self._under_way: dict[asyncio.Task[None], float] = {}
        """Attempts, and when each began, in monotonic seconds."""

    @property
    def oldest_s(self) -> float:
        """For how many seconds the oldest due message has waited; 0: none is due."""
        return 0.0 if self._due_at is None else max(0.0, self._clock.now() - self._due_at)

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._bell.clear()
                try:
                    wait_s = await self._round(group)
                except StoreError as exc:
                    event(log, "outbox_waits", logging.WARNING, why=exc.code)
                    wait_s = SWEEP_S
                except Exception:  # the boundary: a bug that one delivery hits must not end the hub
                    event(log, "outbox_failed", logging.ERROR, exc_info=True)
                    wait_s = SWEEP_S
                await self._pause(wait_s)

    async def _round(self, group: asyncio.TaskGroup) -> float:
        """Start the attempts that may start now. Returns: seconds until the next round."""
        if self._corrected is None or self._clock.monotonic() - self._corrected >= CORRECT_S:
            self._corrected = self._clock.monotonic()
            await self._store.correct_times()
        self._repetitions.start_due(group)
        due_at = self._due_at = await self._store.next_due()
        if due_at is None or due_at > self._clock.now():
            return SWEEP_S if due_at is None else min(SWEEP_S, due_at - self._clock.now())
        began_after = self._clock.monotonic() - SLOW_S
        quick = sum(began > began_after for began in self._under_way.values())
        free = min(MOST_AT_ONCE - quick, MOST_WITH_SLOW - len(self._under_way))
        claims = await self._store.claim(free) if free > 0 else ()
        for claim in claims:
            task = group.create_task(self._deliver(claim), name=f"delivery-{claim.delivery.id}")
            self._under_way[task] = self._clock.monotonic()
            task.add_done_callback(self._ended)
        return 0.0 if claims and len(claims) < free else BLOCKED_S

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._bell.set()

    async def _pause(self, seconds: float) -> None:
        """Wait for the bell, at most this long."""
        woken = asyncio.ensure_future(self._bell.wait())
        slept = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((woken, slept), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (woken, slept):
                task.cancel()

    async def _deliver(self, claim: Claim) -> None:
        """Make one attempt and record it. If it cannot be recorded, the lease expires and the message is sent again."""
        holder = asyncio.create_task(self._hold(claim), name=f"lease-{claim.delivery.id}")
        try:
            result, message, later = await self._attempt(claim)
            if await self._store.finish(claim, result):
                self.ended[_word_of(result)] += 1
                if message is not None and later:
                    self._repetitions.add(claim, message, later)
        except HubError as exc:
            event(log, "delivery_not_recorded", logging.WARNING, delivery=claim.delivery.id, why=exc.code)
        except Exception:  # the boundary of one message: a mistake in its content must not stop the others
            event(log, "delivery_failed", logging.ERROR, delivery=claim.delivery.id, exc_info=True)
        finally:
            holder.cancel()

    async def _hold(self, claim: Claim) -> None:
        """Extend the lease of a claim until cancelled. If it is lost, the message is sent again with the same id."""
        while True:
            await self._clock.sleep(EXTEND_S)
            try:
                if not await self._store.extend(claim):
                    return
            except StoreError as exc:
                event(log, "lease_not_extended", logging.WARNING, delivery=claim.delivery.id, why=exc.code)

    async def _attempt(self, claim: Claim) -> tuple[Result, Message | None, tuple[str, ...]]:
        """Make one attempt. Returns: its result, the message, and the recipients that were refused for now."""
        delivery = claim.delivery
        content = await self._content(delivery, claim.channel)
        if isinstance(content, Withheld):
            return NotSent(content.reason, content.until), None, ()
        message = await self._sender.prepare(claim.channel, delivery, content)
        outcome = await self._sender.send(claim.channel, message)
        event(log, "delivery_attempted", delivery=delivery.id, channel=claim.channel.id, attempt=delivery.attempts, code=outcome.code)
        return self._result_of(outcome, delivery.attempts, content), message, outcome.later if isinstance(outcome, Sent) else ()

    async def _made_again(self, one: Repetition, channel: Channel) -> Message | None:
        """The message as it is true now; None: nothing is left to say. A digest, and a message about an event, tell of the past and stay."""
        if one.message.content.incident is None:
            return one.message
        try:
            content = await self._contents(one.claim.delivery.org).again(one.claim.delivery)
        except NotFound:
            return None
        return None if isinstance(content, Withheld) else await self._sender.prepare(channel, one.claim.delivery, content)

    async def _content(self, delivery: Delivery, channel: Channel) -> MessageContent | Withheld:
        """The present content of a delivery. A test message has none, and is sent to a channel that is off too."""
        if delivery.kind == "test":
            return MessageContent()
        if not channel.enabled:
            return Withheld("channel_disabled")
        if delivery.event_id is not None:
            found = await self._store.event_to_send(delivery.org, delivery.event_id)
            return Withheld("nothing_left") if found is None else MessageContent(event=found[0], node_name=found[1])
        try:
            return await self._contents(delivery.org).content(delivery)
        except NotFound:
            return Withheld("nothing_left")

    def _result_of(self, outcome: Outcome, attempts: int, content: MessageContent) -> Result:
        match outcome:
            case Sent(code, is_whole, _):
                shown = "" if content.incident is None else seen_of(content.incident, [one.alert for one in content.alerts])
                return Delivered(LATE if content.late else "ready", code, shown, content.named, is_whole)
            case Transient(code, asked_s):
                return Retry(code, retry_delay_s(attempts, self._jitter(), asked_s), pause=asked_s is not None)
            case Permanent(code):
                return Failed(code)


def _word_of(result: Result) -> tuple[str, str]:
    """State and reason for `Outbox.ended`. Numbers in codes are left out, since receivers may send any."""
    match result:
        case Delivered(reason=reason):
            return "sent", reason
        case Retry(code=code):
            return "retried", code.partition(":")[0]
        case Failed(code=code):
            return "failed", code.partition(":")[0]
        case NotSent(reason=reason, until=until):
            return "skipped" if until is None else "deferred", reason
