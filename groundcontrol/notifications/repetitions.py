"""Repeats a sent message for those of its recipients that a mail server refused for now, as in greylisting. The others are never told twice.

It is kept in memory: if the hub stops meanwhile, the channel and an event go on saying whom it does not reach.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from groundcontrol.core.errors import HubError
from groundcontrol.notifications.channels.kind import Outcome, Sent
from groundcontrol.notifications.messages import Message
from groundcontrol.notifications.model import Channel
from groundcontrol.notifications.retry_delays import RETRY_S, retry_delay_s
from groundcontrol.notifications.store import Claim, DeliveryStore
from spider.clock import Clock
from spider.logs import event

log = logging.getLogger(__name__)

MOST: Final = 200
"""The most messages that are repeated. For others, the event about the refused recipients is the last word."""
MOST_AT_ONCE: Final = 4
GIVE_UP_S: Final = 6 * 3600.0
CRITICAL_GIVE_UP_S: Final = 24 * 3600.0


class Repetition(NamedTuple):
    claim: Claim
    message: Message
    """As the others got it."""
    until: float
    """When it is given up, in Unix seconds."""
    at: float
    """When it is due, in Unix seconds."""
    attempts: int = 1


MakeMessage = Callable[[Repetition, Channel], Awaitable[Message | None]]
"""Makes the message as it is true now; None: nothing is left to say."""
Send = Callable[[Channel, Message], Awaitable[Outcome]]


class Repetitions:
    def __init__(self, store: DeliveryStore, make: MakeMessage, send: Send, clock: Clock, jitter: Callable[[], float]) -> None:
        self._store = store
        self._make = make
        self._send = send
        self._clock = clock
        self._jitter = jitter
        self._waiting: list[Repetition] = []
        self._running = 0

    def add(self, claim: Claim, message: Message, later: tuple[str, ...]) -> None:
        """Repeat a message for these recipients alone."""
        if len(self._waiting) + self._running >= MOST:
            event(log, "repetitions_full", logging.WARNING, delivery=claim.delivery.id)
            return
        now = self._clock.now()
        until = now + (CRITICAL_GIVE_UP_S if claim.delivery.critical else GIVE_UP_S)
        self._waiting.append(Repetition(claim, message._replace(only_to=later), until, now + retry_delay_s(1, self._jitter())))

    def start_due(self, group: asyncio.TaskGroup) -> None:
        """Start the attempts that are due."""
        now = self._clock.now()
        due = [one for one in self._waiting if one.at <= now or one.at > now + RETRY_S[-1]]  # the clock may have been ahead
        for one in due[: MOST_AT_ONCE - self._running]:
            self._waiting.remove(one)
            self._running += 1
            group.create_task(self._repeat(one), name=f"repetition-{one.claim.delivery.id}")

    async def _repeat(self, one: Repetition) -> None:
        try:
            left = await self._attempt(one)
        except HubError as exc:
            event(log, "repetition_waits", logging.WARNING, delivery=one.claim.delivery.id, why=exc.code)
            left = one.message.only_to
        except Exception:  # the boundary of one message, as in the outbox
            event(log, "repetition_failed", logging.ERROR, delivery=one.claim.delivery.id, exc_info=True)
            left = ()
        finally:
            self._running -= 1
        at = self._clock.now() + retry_delay_s(one.attempts + 1, self._jitter())
        if left and at < one.until:
            self._waiting.append(one._replace(message=one.message._replace(only_to=left), at=at, attempts=one.attempts + 1))

    async def _attempt(self, one: Repetition) -> tuple[str, ...]:
        """Make one attempt. Returns: the recipients of the next one; empty: there is none."""
        held = one.claim.delivery
        channel = await self._store.present_channel(held.org, held.channel_id)
        message = None if channel is None else await self._make(one, channel)
        if channel is None or message is None:
            return ()
        outcome = await self._send(channel, message._replace(only_to=one.message.only_to))
        event(log, "delivery_repeated", delivery=held.id, channel=channel.id, attempt=one.attempts + 1, code=outcome.code)
        if not isinstance(outcome, Sent):  # the server could not be asked about these recipients
            return one.message.only_to
        await self._store.note_repetition(one.claim, outcome.code, "" if outcome.is_whole else outcome.code)
        return outcome.later
