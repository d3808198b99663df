"""Topics that many browsers share. Each change is read, encoded and numbered once, and sent to all subscribers.

A new subscriber receives a snapshot. A subscriber that returns soon receives the missed changes instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

from groundcontrol.core.bus import BusEvent, BusGap, Changed, QueuePolicy, Topic
from groundcontrol.core.errors import HubError, NotFound, Unavailable
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.web.answer import Answer
from groundcontrol.web.errors import live_error
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.views import GapMessage, encode, topic_message
from groundcontrol.web.services import Services
from spider.logs import event

FIRST_BELOW: Final = 1 << 52
"""Upper bound of the first number of a topic's changes. The page represents whole numbers exactly up to twice this bound."""


class ReplayBuffer:
    """Numbers changes without a gap, and stores the bytes of the last changes.

    The first number is random, so that a page cannot continue with the number of another feed. That feed may have had other rights, or
    have run before a restart of the hub.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self.seq = secrets.randbelow(FIRST_BELOW)
        """Number of the newest change."""
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._changes: deque[bytes] = deque()

    def add(self, change: bytes) -> None:
        """Add the change with the next number. Over a limit, the oldest changes are dropped."""
        self.seq += 1
        self._changes.append(change)
        self._bytes += len(change)
        while self._bytes > self._most_bytes or len(self._changes) > self._most:
            self._bytes -= len(self._changes.popleft())

    def lose(self) -> None:
        """Empty the buffer after a lost event, so that no page continues from before that event."""
        self.seq += 1
        self._changes.clear()
        self._bytes = 0

    def since(self, seq: int) -> list[bytes] | None:
        """The changes after change `seq`; None: the buffer does not have all of them."""
        missed = self.seq - seq
        if not 0 <= missed <= len(self._changes):
            return None
        return list(itertools.islice(self._changes, len(self._changes) - missed, None))


REPLAY_BYTES: Final = 32 << 10
"""Most bytes of changes that a topic stores for subscribers that return. The stored changes of all topics of one page fit into the page's
send queue (`send_queue.MAX_QUEUED_BYTES`)."""
NODES_OF_A_READ: Final = 500
"""How many nodes one query of a snapshot reads from the store."""

log = logging.getLogger(__name__)

Send = Callable[[bytes], None]


class _Subscriber:
    """One browser on a feed."""

    __slots__ = ("deliver", "early", "early_most", "missed")

    def __init__(self, deliver: Send, early_most: int) -> None:
        self.deliver = deliver
        self.early_most = early_most
        self.early: list[bytes] | None = []
        """The changes that wait until the snapshot is sent; None: it is sent."""
        self.missed = False
        """Whether more changes came than may wait."""

    def take(self, message: bytes) -> None:
        if self.early is None:
            self.deliver(message)
        elif len(self.early) < self.early_most:
            self.early.append(message)
        else:
            self.missed = True


class Feed(ABC):
    """One topic, as all browsers with the same organisation and grants see it."""

    policy: ClassVar[QueuePolicy] = "ordered"
    limit: ClassVar[int] = 256
    """The most events of the bus that wait for this feed."""
    replay_bytes: ClassVar[int] = REPLAY_BYTES

    def __init__(self, services: Services, scope: Scope, topic: str, limits: LiveLimits) -> None:
        self.services = services
        self.limits = limits
        self.topic = topic
        self.key = topic.partition(":")[2]
        """The id of the topic's object; empty: it has none."""
        self.scope = Scope(Actor("system", "live", "live", "admin"), scope.org, scope.grants)
        self._replay = ReplayBuffer(limits.replay_messages, self.replay_bytes)
        self._subscribers: dict[object, _Subscriber] = {}
        self._listening = asyncio.Event()
        self.over = False
        """Whether the topic has ended: its object was deleted, or the feed failed."""

    @property
    def empty(self) -> bool:
        return not self._subscribers

    def topics(self) -> tuple[Topic, ...]:
        """The bus topics that the feed reads: the changes of its object, or all changes of the organisation."""
        return (Topic("changed", self.topic) if self.key else Topic("changed", org=self.scope.org),)

    @abstractmethod
    async def snapshot(self) -> Answer:
        """The whole current state."""

    async def take(self, _bus_event: BusEvent, /) -> None:
        """Send the change that an event causes."""
        self.emit(await self.snapshot())

    def watched(self) -> tuple[NodeId, ...]:
        """Nodes that should send each second while a page shows this topic."""
        return ()

    def watched_closely(self) -> tuple[NodeId, ...]:
        """Nodes that should also send their tables while a page shows this topic."""
        return ()

    async def join(self, key: object, deliver: Send, after: int | None = None) -> None:
        """Add a subscriber: send it a snapshot, then every later change. A second call with the same key sends a new snapshot.

        Args:   key: identifies the subscriber.
                deliver: sends bytes to the subscriber; it does not block.
                after: the number of the last change that the page received. If the later changes are stored, they replace the snapshot.
        Raises: HubError: the object does not exist, or the snapshot failed.
        """
        subscriber = self._subscribers[key] = _Subscriber(deliver, self.limits.early_most)
        try:
            await self._listening.wait()
            if not self._is_subscribed(key, subscriber):
                return
            if self.over:
                raise Unavailable("this topic failed at its start; subscribe again")
            missed = None if after is None else self._replay.since(after)
            if missed is None:
                self._begin(key, subscriber, await self._snapshot_message())
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
        """Whether this subscription is still the browser's current one. Check this after every wait."""
        return self._subscribers.get(key) is subscriber

    async def _snapshot_message(self) -> bytes:
        seq = self._replay.seq  # before the read: a change in between may be in the snapshot, and also follows it
        return topic_message("snapshot", self.topic, seq, await self.snapshot())

    def _begin(self, key: object, subscriber: _Subscriber, snapshot: bytes) -> None:
        """Send a subscriber its snapshot, then the changes that waited until then; a gap message instead if more came than may wait."""
        if not self._is_subscribed(key, subscriber):
            return
        early, subscriber.early = subscriber.early or [], None
        missed, subscriber.missed = subscriber.missed, False
        if missed:
            early = [encode("gap", GapMessage(topic=self.topic))]
        for waiting in (snapshot, *early):
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
        """Send all subscribers a gap message, and let returning subscribers start with a snapshot."""
        self._replay.lose()
        self._send(encode("gap", GapMessage(topic=self.topic)))

    async def renew(self) -> None:
        """Send all subscribers a gap message. Then send one new snapshot to those that already had one; the others still wait for theirs."""
        self._lose()
        anew = [(key, subscriber) for key, subscriber in self._subscribers.items() if subscriber.early is None]
        if not anew:
            return
        for _, subscriber in anew:
            subscriber.early = []
        try:
            message = await self._snapshot_message()
            for key, subscriber in anew:
                self._begin(key, subscriber, message)
        finally:
            for _, subscriber in anew:
                subscriber.early = None  # after an error too: the page has received a gap message and subscribes again

    def close(self) -> None:
        """Let each `join` that still waits for the start of the feed return. Call this for a feed without subscribers that does not run."""
        self._listening.set()

    def end(self, error: HubError) -> None:
        """Send all subscribers an error: the object was deleted, or the feed failed. No further changes follow."""
        self.over = True
        self._listening.set()  # no call of `join` waits any more, even if the feed never began to listen
        self._send(encode("error", live_error(error, self.topic)))

    async def run(self) -> None:
        """Follow the bus until cancelled, or until the topic's object is deleted."""
        async with self.services.bus.subscribe(*self.topics(), limit=self.limit, policy=self.policy) as subscription:
            self._listening.set()
            async for message in subscription:
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


class ListFeed(Feed):
    """The newest objects of a kind, then each that changes, if the grants include it."""

    kind: ClassVar[str]
    """As in `Changed`."""

    @abstractmethod
    async def view(self, key: str) -> Answer:
        """One of them. Raises: NotFound: it is outside the grants."""

    async def take(self, bus_event: BusEvent, /) -> None:
        if isinstance(bus_event, Changed) and bus_event.kind == self.kind:
            with contextlib.suppress(NotFound):
                self.emit(await self.view(bus_event.id))
