"""Topics that many browsers share. Each change is read once, encoded once, numbered and sent to all; a new subscriber receives a
snapshot.

A subscriber that returns soon receives the changes since instead.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

from groundcontrol.core.bus import BusEvent, BusGap, QueuePolicy, Topic
from groundcontrol.core.errors import HubError, NotFound, Unavailable
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Actor, Grants, Scope
from groundcontrol.web.answer import Answer
from groundcontrol.web.errors import live_error
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.views import GapMessage, encode, topic_message
from groundcontrol.web.services import Services
from spider.logs import event

FIRST_BELOW: Final = 1 << 52
"""Upper bound of the first number. A page represents numbers exactly up to twice as much."""


class ReplayBuffer:
    """Numbers changes without a gap, and holds the last of them: the sent bytes, not copies.

    The first number is random, so the buffer contains no number of another feed. That feed may have ended, have other rights, or belong
    to another start of the hub.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self.seq = secrets.randbelow(FIRST_BELOW)
        """Number of the newest change."""
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._changes: deque[bytes] = deque()

    def add(self, change: bytes) -> None:
        """Add the change with the next number; over the limit the oldest ones are dropped."""
        self.seq += 1
        self._changes.append(change)
        self._bytes += len(change)
        while self._bytes > self._most_bytes or len(self._changes) > self._most:
            self._bytes -= len(self._changes.popleft())

    def lose(self) -> None:
        """Empty the buffer after an event that is in no change: no page continues from before it."""
        self.seq += 1
        self._changes.clear()
        self._bytes = 0

    def since(self, seq: int) -> list[bytes] | None:
        """The changes after the one with this number; None: the number is no longer, or never was, in the buffer."""
        missed = self.seq - seq
        if not 0 <= missed <= len(self._changes):
            return None
        return list(itertools.islice(self._changes, len(self._changes) - missed, None))


REPLAY_BYTES: Final = 32 << 10
"""Bytes of changes for subscribers that return. All topics of a page together have less than a page's send queue
(`send_queue.MAX_QUEUED_BYTES`)."""
PAGE: Final = 500

log = logging.getLogger(__name__)

Send = Callable[[bytes], None]


class _Subscriber:
    """One browser on a feed. Changes wait for it until it has its snapshot."""

    __slots__ = ("deliver", "early", "early_most", "missed")

    def __init__(self, deliver: Send, early_most: int) -> None:
        self.deliver = deliver
        self.early_most = early_most
        self.early: list[bytes] | None = []
        self.missed = False

    def take(self, message: bytes) -> None:
        if self.early is None:
            self.deliver(message)
        elif len(self.early) < self.early_most:
            self.early.append(message)
        else:
            self.missed = True


class Feed(ABC):
    """One topic of one organisation."""

    policy: ClassVar[QueuePolicy] = "ordered"
    limit: ClassVar[int] = 256
    replay_bytes: ClassVar[int] = REPLAY_BYTES

    def __init__(self, services: Services, org: int, topic: str, grants: tuple[Grants, ...] = (), *, limits: LiveLimits) -> None:
        self.services = services
        self.limits = limits
        self.topic = topic
        self.scope = Scope(Actor("system", "live", "live", "admin"), org, grants)
        self._replay = ReplayBuffer(limits.replay_messages, self.replay_bytes)
        self._subscribers: dict[object, _Subscriber] = {}
        self._listening = asyncio.Event()
        self.over = False
        """The object of this topic was deleted."""

    @property
    def empty(self) -> bool:
        return not self._subscribers

    @abstractmethod
    def topics(self) -> tuple[Topic, ...]:
        """The bus topics that the feed reads."""

    @abstractmethod
    async def snapshot(self) -> Answer:
        """The current state as a whole."""

    @abstractmethod
    async def take(self, bus_event: BusEvent, /) -> None:
        """Send the change that an event causes."""

    def watched(self) -> tuple[NodeId, ...]:
        """Nodes that should send each second while a page shows this topic."""
        return ()

    def watched_closely(self) -> tuple[NodeId, ...]:
        """Nodes whose tables are shown as well."""
        return ()

    async def join(self, key: object, deliver: Send, after: int | None = None) -> None:
        """Send a snapshot, then every change after it; a second call means a new snapshot. A subscriber that leaves meanwhile receives
        none.

        Args:   after: the number of the last change that the page received. If the changes since are known, they replace the snapshot.
        Raises: HubError: there is no such object.
        """
        subscriber = self._subscribers[key] = _Subscriber(deliver, self.limits.early_most)
        try:
            await self._listening.wait()
            if not self._is_subscribed(key, subscriber):
                return
            if self.over:
                raise Unavailable("what there is to follow has failed as it began; subscribe again")
            missed = None if after is None else self._replay.since(after)
            if missed is None:
                await self._send_snapshot(key, subscriber)
                return
            subscriber.early = None
            for change in missed:
                deliver(change)
        except BaseException:
            if self._is_subscribed(key, subscriber):
                self.leave(key)
            raise

    def leave(self, key: object) -> None:
        self._subscribers.pop(key, None)

    def _is_subscribed(self, key: object, subscriber: _Subscriber) -> bool:
        """Whether this browser is still subscribed and has not subscribed again. A wait may take long, and its rights may have changed."""
        return self._subscribers.get(key) is subscriber

    async def _send_snapshot(self, key: object, subscriber: _Subscriber) -> None:
        seq = self._replay.seq
        message = topic_message("snapshot", self.topic, seq, await self.snapshot())
        if not self._is_subscribed(key, subscriber):
            return
        early, subscriber.early = subscriber.early or [], None
        missed, subscriber.missed = subscriber.missed, False
        if missed:
            early = [encode("gap", GapMessage(topic=self.topic))]
        for waiting in (message, *early):
            subscriber.deliver(waiting)

    def emit(self, data: Answer) -> None:
        """Send a change to all subscribers."""
        message = topic_message("change", self.topic, self._replay.seq + 1, data)
        self._replay.add(message)
        self._send(message)

    def _send(self, message: bytes) -> None:
        for subscriber in self._subscribers.values():
            subscriber.take(message)

    def _lose(self) -> None:
        """Report a loss, also to subscribers that return."""
        self._replay.lose()
        self._send(encode("gap", GapMessage(topic=self.topic)))

    async def renew(self) -> None:
        """Report a loss and send new snapshots to all."""
        self._lose()
        for key, subscriber in list(self._subscribers.items()):
            if subscriber.early is None and self._is_subscribed(key, subscriber):
                subscriber.early = []
                try:
                    await self._send_snapshot(key, subscriber)
                finally:
                    subscriber.early = None  # after an error nothing more is stored for this page: it has received a gap message

    def close(self) -> None:
        """End a feed without subscribers. A subscriber that left before the feed began stops waiting."""
        self._listening.set()

    def end(self, error: HubError) -> None:
        """Tell all subscribers that the object no longer exists."""
        self.over = True
        self._listening.set()  # if the feed never listened, nobody waits for that any more
        self._send(encode("error", live_error(error, self.topic)))

    async def run(self) -> None:
        """Follow the bus until cancelled, or until the topic's object is deleted."""
        async with self.services.bus.subscribe(*self.topics(), limit=self.limit, policy=self.policy) as bus_event:
            self._listening.set()
            async for message in bus_event:
                try:
                    if isinstance(message, BusGap):
                        await self.renew()
                    else:
                        await self.take(message)
                except NotFound as exc:
                    self.end(exc)
                    return
                except HubError as exc:
                    event(log, "live_feed_failed", logging.WARNING, topic=self.topic, code=exc.code)
                    await self.services.clock.sleep(self.limits.retry_s)
                    self._lose()
