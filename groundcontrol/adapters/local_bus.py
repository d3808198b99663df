"""The bus inside one process. `publish` and the readers run on the thread of one event loop."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable
from types import TracebackType
from typing import Self

from groundcontrol.core.bus import (
    BusEvent,
    BusGap,
    Changed,
    EventStored,
    Interest,
    JobOutputArrived,
    JobPoke,
    NodeLive,
    NodesUpdated,
    NodeTable,
    QueuePolicy,
    Revoked,
    SessionChanged,
    Topic,
    topics_of,
)


def key_of(event: BusEvent) -> Hashable:
    """The key under which a `latest` reader stores one event. A newer event of the same key replaces the older one."""
    key: tuple[Hashable, ...]
    match event:
        case SessionChanged(node=node):
            key = "session", node
        case JobPoke(jobs=jobs):
            key = "job_poke", jobs
        case JobOutputArrived(job=job):
            key = "job_output", job
        case NodeLive(node=node, family=family):
            key = "node_live", node, family
        case NodesUpdated(nodes=nodes):
            key = "nodes_fresh", nodes
        case NodeTable(node=node, table=table):
            key = "node_table", node, table.subject
        case Changed(kind=kind, id=id_):
            key = "changed", kind, id_
        case EventStored(id=id_):
            key = "event", id_
        case Interest(nodes=nodes, closely=closely):
            key = "interest", nodes, closely
        case Revoked(session=session, user=user):
            key = "revoked", session, user
    return key


class Subscription:
    """One reader's bounded queue. Above the limit the oldest event is dropped, and a `BusGap` takes its place."""

    def __init__(self, bus: LocalBus, topics: tuple[Topic, ...], limit: int, policy: QueuePolicy) -> None:
        if limit < 1:
            raise ValueError("the limit of a subscription must be at least 1")
        self._bus = bus
        self._topics = topics
        self._limit = limit
        self._latest = policy == "latest"
        self._waiting: OrderedDict[Hashable, BusEvent] = OrderedDict()
        self._count = 0
        self._dropped = 0
        self._wake = asyncio.Event()

    async def __aenter__(self) -> AsyncIterator[BusEvent | BusGap]:
        self._bus.attach(self, self._topics)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._bus.detach(self, self._topics)
        self._waiting.clear()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BusEvent | BusGap:
        while not self._waiting and not self._dropped:
            self._wake.clear()
            await self._wake.wait()
        if self._dropped:
            gap = BusGap(self._dropped)
            self._dropped = 0
            return gap
        return self._waiting.popitem(last=False)[1]

    def offer(self, event: BusEvent) -> int:
        """Queue an event. Returns the number of events that were dropped to make room."""
        self._count += 1
        self._waiting[key_of(event) if self._latest else self._count] = event
        lost = 0
        if len(self._waiting) > self._limit:
            self._waiting.popitem(last=False)
            lost = 1
        self.lose(lost)
        return lost

    def lose(self, count: int) -> None:
        """Record that events for this reader were dropped."""
        self._dropped += count
        self._wake.set()


class LocalBus:
    """`Bus` for a single hub."""

    def __init__(self) -> None:
        self._readers: dict[Topic, dict[Subscription, None]] = {}
        self._dropped = 0

    @property
    def dropped(self) -> int:
        return self._dropped

    def publish(self, event: BusEvent) -> None:
        for reader in self.readers_of(event):
            self._dropped += reader.offer(event)

    def has_subscribers(self, topic: Topic) -> bool:
        return topic in self._readers or Topic(topic.kind) in self._readers

    def subscribe(self, *topics: Topic, limit: int, policy: QueuePolicy) -> Subscription:
        """Events of these topics, each once, from the moment the context is entered."""
        return Subscription(self, tuple(dict.fromkeys(topics)), limit, policy)

    def readers_of(self, event: BusEvent) -> list[Subscription]:
        """The readers of the event's topics."""
        return list({reader: None for topic in topics_of(event) for reader in self._readers.get(topic, ())})

    def attach(self, reader: Subscription, topics: tuple[Topic, ...]) -> None:
        for topic in topics:
            self._readers.setdefault(topic, {})[reader] = None

    def detach(self, reader: Subscription, topics: tuple[Topic, ...]) -> None:
        for topic in topics:
            listening = self._readers.get(topic, {})
            listening.pop(reader, None)
            if not listening:
                self._readers.pop(topic, None)
