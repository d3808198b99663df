"""Sends what is due. All state is in the rows of deliveries; a process that ends at any moment loses no message.

A claim has a lease. When it runs out, because the process ended or the answer was lost, the message is sent again with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from groundcontrol.alerts.channel_store import Claim, Delivered, DeliveryStore, Failed, Left, Result, Retry
from groundcontrol.alerts.channels.kind import Outcome, Permanent, Sent, Transient
from groundcontrol.alerts.deciding import LATE, supersede
from groundcontrol.alerts.messages import Message, MessageContent, Withheld, seen_of
from groundcontrol.alerts.model import Channel, Delivery, is_summary
from groundcontrol.alerts.retry_delays import retry_delay_s
from groundcontrol.core.errors import HubError, NotFound, StoreError
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 16
SWEEP_S: Final = 5.0
"""How often the outbox looks for due messages without being woken."""
BLOCKED_S: Final = 0.5
"""How long it waits when messages are due, but none may be sent now."""


class ContentSource(Protocol):
    async def content(self, delivery: Delivery) -> MessageContent | Withheld:
        """What a message about an incident, or a digest, says now, or that it says nothing. It is asked right before each attempt, and
        decides again.

        Raises: NotFound: the incident is gone. StoreError.
        """
        ...


class Sender(Protocol):
    async def prepare(self, channel: Channel, delivery: Delivery, content: MessageContent, *, late: bool) -> Message:
        """The words of a message, with the link that acknowledges."""
        ...

    async def send(self, channel: Channel, message: Message) -> Outcome:
        """One attempt, within less than a lease. No error leaves it."""
        ...


class Outbox:
    """Sends due deliveries, at most `MOST_AT_ONCE` together. One channel's trouble does not delay another's messages."""

    def __init__(
        self, store: DeliveryStore, contents: ContentSource, sender: Sender, clock: Clock, jitter: Callable[[], float] = random.random
    ) -> None:
        self._store = store
        self._contents = contents
        self._sender = sender
        self._clock = clock
        self._jitter = jitter
        self.ended: Counter[tuple[str, str]] = Counter()
        """Attempts since the start by what became of them: (`sent`, `retried`, `failed`, `skipped` or `deferred`; the reason)."""
        self._due_at: float | None = None
        """When the oldest message was due at the last look."""
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Something may be due: look now."""
        self._wake.set()

    @property
    def oldest_s(self) -> float:
        """How long the oldest message that is due has waited; 0: none is due."""
        return 0.0 if self._due_at is None else max(0.0, self._clock.now() - self._due_at)

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    wait_s = await self._round(group)
                except StoreError as exc:
                    event(log, "outbox_waits", logging.WARNING, why=exc.code)
                    wait_s = SWEEP_S
                await self._pause(wait_s)

    async def _round(self, group: asyncio.TaskGroup) -> float:
        """Start what may be sent now. Returns: seconds until the next look."""
        due_at = self._due_at = await self._store.next_due()
        if due_at is None or due_at > self._clock.now():
            return SWEEP_S if due_at is None else min(SWEEP_S, due_at - self._clock.now())
        free = MOST_AT_ONCE - len(self._under_way)
        claims = await self._store.claim(free) if free > 0 else ()
        for claim in claims:
            task = group.create_task(self._deliver(claim), name=f"delivery-{claim.delivery.id}")
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        return 0.0 if claims and len(claims) < free else BLOCKED_S

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()

    async def _pause(self, seconds: float) -> None:
        """Wait for a call of `wake`, at most so long."""
        woken = asyncio.ensure_future(self._wake.wait())
        slept = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((woken, slept), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (woken, slept):
                task.cancel()

    async def _deliver(self, claim: Claim) -> None:
        """One attempt, and its record. Where it cannot be recorded, the lease runs out and the message is sent again."""
        try:
            result = await self._attempt(claim)
            if await self._store.finish(claim, result):
                self.ended[_word_of(result)] += 1
        except HubError as exc:
            event(log, "delivery_not_recorded", logging.WARNING, delivery=claim.delivery.id, why=exc.code)
        except Exception:  # the boundary of one message: a mistake in its content must not stop the others
            event(log, "delivery_failed", logging.ERROR, delivery=claim.delivery.id, exc_info=True)

    async def _attempt(self, claim: Claim) -> Result:
        delivery = claim.delivery
        content = await self._content(delivery)
        if isinstance(content, Withheld):
            return Left(content.reason, content.until)
        superseded = supersede(delivery, content.incident, notified=claim.notified, notified_late=claim.notified_late)
        if superseded is not None and superseded != LATE:
            return Left(superseded)
        message = await self._sender.prepare(claim.channel, delivery, content, late=superseded == LATE)
        outcome = await self._sender.send(claim.channel, message)
        event(log, "delivery_attempted", delivery=delivery.id, channel=claim.channel.id, attempt=delivery.attempts, code=outcome.code)
        return self._result_of(outcome, delivery.attempts, content, late=superseded == LATE)

    async def _content(self, delivery: Delivery) -> MessageContent | Withheld:
        """What it says now. A test says nothing of the fleet; a digest has its number, also where nothing fires any more."""
        if delivery.kind == "test":
            return MessageContent()
        if delivery.event_id is not None:
            found = await self._store.event_to_send(delivery.org, delivery.event_id)
            return Withheld("nothing_left") if found is None else MessageContent(event=found[0], node_name=found[1])
        try:
            content = await self._contents.content(delivery)
        except NotFound:
            content = Withheld("nothing_left")
        return MessageContent() if delivery.kind == "digest" and not is_summary(delivery) and isinstance(content, Withheld) else content

    def _result_of(self, outcome: Outcome, attempts: int, content: MessageContent, *, late: bool) -> Result:
        match outcome:
            case Sent(code):
                shown = "" if content.incident is None else seen_of(content.incident, [one.alert for one in content.alerts])
                return Delivered(LATE if late else "ready", code, shown, content.named)
            case Transient(code, asked_s):
                return Retry(code, retry_delay_s(attempts, self._jitter(), asked_s), pause=asked_s is not None)
            case Permanent(code):
                return Failed(code)


def _word_of(result: Result) -> tuple[str, str]:
    """State and reason for counters. A code counts without its number: those of receivers have no bound."""
    match result:
        case Delivered(reason=reason):
            return "sent", reason
        case Retry(code=code):
            return "retried", code.partition(":")[0]
        case Failed(code=code):
            return "failed", code.partition(":")[0]
        case Left(reason=reason, until=until):
            return "skipped" if until is None else "deferred", reason
