"""Topics that many browsers share: each change is read once, encoded once, numbered and sent to all; a snapshot is made for who comes.

Who comes back soon is sent the changes since instead.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, cast

from groundcontrol.bus.base import BusEvent, Changed, Gap, NodeLive, NodesFresh, NodeTable, Policy, SessionMoved, Topic
from groundcontrol.domain.ids import DeploymentId, EventId, JobId, NodeId
from groundcontrol.domain.jobs import TERMINAL
from groundcontrol.domain.scope import Actor, Grants, Scope
from groundcontrol.domain.summary import Brief, Shown
from groundcontrol.errors import HubError, NotFound, Unavailable
from groundcontrol.web import schema, views
from groundcontrol.web.errors import live_error
from groundcontrol.web.http.nodes import full_view, in_a_list, kept_credentials
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.kept import Kept
from groundcontrol.web.live.messages import encode, topic_message
from groundcontrol.web.services import Services
from spider.logs import event

KEPT_BYTES: Final = 32 << 10
"""Of changes, for who comes back. All topics of a page together are less than what may wait for it (`outgoing.MAX_QUEUED_BYTES`)."""
KEPT_FLEET_BYTES: Final = 1 << 20
"""The same of `fleet`: about a snapshot of a thousand nodes, which is sent where more was missed."""
RECENT_EVENTS: Final = 50
RECENT_JOBS: Final = 50
PAGE: Final = 500
NOT_TO_ALL: Final = -1
"""The version of a job that only who came later was shown."""
NEWEST: Final = ("cpu.total", "load.1")
"""Told of each second whatever their values: by the first that there is, a page knows that a node is there."""

log = logging.getLogger(__name__)

Deliver = Callable[[bytes], None]


class _Seat:
    """One browser at a feed. Until it has its snapshot, changes wait for it."""

    __slots__ = ("deliver", "early", "early_most", "missed")

    def __init__(self, deliver: Deliver, early_most: int) -> None:
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

    policy: ClassVar[Policy] = "ordered"
    limit: ClassVar[int] = 256
    kept_bytes: ClassVar[int] = KEPT_BYTES

    def __init__(self, services: Services, org: int, topic: str, grants: tuple[Grants, ...] = (), *, limits: LiveLimits) -> None:
        self.services = services
        self.limits = limits
        self.topic = topic
        self.scope = Scope(Actor("system", "live", "live", "admin"), org, grants)
        self._kept = Kept(limits.kept_most, self.kept_bytes)
        self._seats: dict[object, _Seat] = {}
        self._listening = asyncio.Event()
        self.over = False
        """What it tells of is gone."""

    @property
    def empty(self) -> bool:
        return not self._seats

    @abstractmethod
    def topics(self) -> tuple[Topic, ...]:
        """What it listens to on the bus."""

    @abstractmethod
    async def snapshot(self) -> schema.Answer:
        """All of it, as it is now."""

    @abstractmethod
    async def take(self, told: BusEvent, /) -> None:
        """Send what an event means."""

    def watched(self) -> tuple[NodeId, ...]:
        """Nodes that should send each second while this is looked at."""
        return ()

    def watched_closely(self) -> tuple[NodeId, ...]:
        """Those whose tables are looked at too."""
        return ()

    async def join(self, key: object, deliver: Deliver, after: int | None = None) -> None:
        """Send a snapshot, then every change after it; a second time means a new snapshot. Who leaves meanwhile is sent none.

        Args:   after: the number of the last change that was taken; where those since are known they come in the place of a snapshot.
        Raises: HubError: there is nothing to show.
        """
        seat = self._seats[key] = _Seat(deliver, self.limits.early_most)
        try:
            await self._listening.wait()
            if not self._sits(key, seat):
                return
            if self.over:
                raise Unavailable("what there is to follow has failed as it began; subscribe again")
            missed = None if after is None else self._kept.since(after)
            if missed is None:
                await self._seat_down(key, seat)
                return
            seat.early = None
            for change in missed:
                deliver(change)
        except BaseException:
            if self._sits(key, seat):
                self.leave(key)
            raise

    def leave(self, key: object) -> None:
        self._seats.pop(key, None)

    def _sits(self, key: object, seat: _Seat) -> bool:
        """Whether this browser is here still, and has not come anew. What is waited for may take long: its rights may be others by then."""
        return self._seats.get(key) is seat

    async def _seat_down(self, key: object, seat: _Seat) -> None:
        seq = self._kept.seq
        message = topic_message("snapshot", self.topic, seq, await self.snapshot())
        if not self._sits(key, seat):
            return
        early, seat.early = seat.early or [], None
        missed, seat.missed = seat.missed, False
        if missed:
            early = [encode("gap", schema.GapMessage(topic=self.topic))]
        for waiting in (message, *early):
            seat.deliver(waiting)

    def emit(self, data: schema.Answer) -> None:
        """Send a change to all."""
        message = topic_message("change", self.topic, self._kept.seq + 1, data)
        self._kept.add(message)
        self._send(message)

    def _send(self, message: bytes) -> None:
        for seat in self._seats.values():
            seat.take(message)

    def _lose(self) -> None:
        """Say that something was lost, also to who comes back."""
        self._kept.lose()
        self._send(encode("gap", schema.GapMessage(topic=self.topic)))

    async def renew(self) -> None:
        """Something was lost: say so, and show everything anew."""
        self._lose()
        for key, seat in list(self._seats.items()):
            if seat.early is None and self._sits(key, seat):
                seat.early = []
                try:
                    await self._seat_down(key, seat)
                finally:
                    seat.early = None  # where it failed nothing more is kept for this page: it was told that something is missing

    def close(self) -> None:
        """Nobody follows it any more; who left before it had begun waits for that no longer."""
        self._listening.set()

    def end(self, error: HubError) -> None:
        """Tell all that there is nothing here any more."""
        self.over = True
        self._listening.set()  # where it never did, nobody waits for that any more
        self._send(encode("error", live_error(error, self.topic)))

    async def run(self) -> None:
        """Follow the bus until cancelled, or until what it tells of is gone."""
        async with self.services.bus.subscribe(*self.topics(), limit=self.limit, policy=self.policy) as told:
            self._listening.set()
            async for message in told:
                try:
                    if isinstance(message, Gap):
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


class NodeFeed(Feed):
    """`node:<id>`: every row as it arrives."""

    def __init__(self, services: Services, org: int, node: NodeId, *, limits: LiveLimits) -> None:
        super().__init__(services, org, f"node:{node}", limits=limits)
        self._node = node

    def topics(self) -> tuple[Topic, ...]:
        return (
            Topic("node_live", self._node),
            Topic("node_table", self._node),
            Topic("changed", f"node:{self._node}"),
            Topic("session", self._node),
        )

    def watched(self) -> tuple[NodeId, ...]:
        return (self._node,)

    def watched_closely(self) -> tuple[NodeId, ...]:
        return (self._node,)

    async def snapshot(self) -> schema.NodeView:
        return await full_view(self.services, self.scope, self._node)

    async def take(self, told: BusEvent, /) -> None:
        if isinstance(told, NodeLive):
            self.emit(schema.NodeChange(latest={name: schema.Sample(value, told.taken_at) for name, value in told.values.items()}))
        elif isinstance(told, NodeTable):
            self.emit(schema.NodeChange(latest={}, table=views.table_view(told.table)))
        else:
            self.emit(schema.NodeChange(latest={}, node=await self.snapshot()))


class DeploymentFeed(Feed):
    """`deployment:<id>`."""

    def __init__(self, services: Services, org: int, deployment: DeploymentId, *, limits: LiveLimits) -> None:
        super().__init__(services, org, f"deployment:{deployment}", limits=limits)
        self._deployment = deployment

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("changed", self.topic),)

    async def snapshot(self) -> schema.DeploymentView:
        return views.deployment_view(await self.services.store.deployments.deployment(self.scope, self._deployment))

    async def take(self, _told: BusEvent, /) -> None:
        self.emit(await self.snapshot())


class EventsFeed(Feed):
    """`events`."""

    def __init__(self, services: Services, org: int, grants: tuple[Grants, ...] = (), *, limits: LiveLimits) -> None:
        super().__init__(services, org, "events", grants, limits=limits)
        self._shown: set[EventId] | None = None
        """What everybody has; who comes later may have more. None: nobody has anything."""

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("changed"),)

    async def snapshot(self) -> schema.EventsData:
        page = await self.services.store.log.events(self.scope, RECENT_EVENTS)
        if self._shown is None:
            self._shown = {one.id for one in page.items}
        return schema.EventsData(events=[views.event_view(one) for one in page.items])

    async def take(self, told: BusEvent, /) -> None:
        shown = self._shown or set()
        if not isinstance(told, Changed) or told.kind != "event" or told.id in shown:
            return
        page = await self.services.store.log.events(self.scope, RECENT_EVENTS)
        ids = [one.id for one in page.items]
        if page.next is not None and shown.isdisjoint(ids):
            self._shown = set(ids)
            await self.renew()  # more came at once than a page holds
            return
        if told.id not in ids:
            return  # of a node that is not granted
        # what stands behind it has only come into view, where the nodes that are granted are others than before
        fresh = [one for one in page.items[: ids.index(EventId(told.id)) + 1] if one.id not in shown]
        self._shown = shown.intersection(ids).union(one.id for one in fresh)
        for one in reversed(fresh):
            self.emit(views.event_view(one))


class JobsFeed(Feed):
    """`jobs`: the newest jobs and all that are not over, whoever began them; what changed of them at most once a second, however many are at work."""

    policy = "latest"
    limit = 20_000

    def __init__(self, services: Services, org: int, grants: tuple[Grants, ...] = (), *, limits: LiveLimits) -> None:
        super().__init__(services, org, "jobs", grants, limits=limits)
        self._told: dict[JobId, int] | None = None
        """The version that everybody has, or `NOT_TO_ALL`; None: nobody has any."""
        self._at_work: set[JobId] = set()
        """Of those: what was told as not over. Its end is told as well, also of one that is not among the newest any more."""
        self._moved = asyncio.Event()

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("changed"),)

    async def snapshot(self) -> schema.JobsData:
        jobs = await self.services.store.jobs.current(self.scope, RECENT_JOBS)
        if self._told is None:
            self._told = {job.id: job.version for job in jobs}
        for job in jobs:
            if job.state not in TERMINAL:
                self._at_work.add(job.id)
            if job.id not in self._told:
                self._told[job.id] = NOT_TO_ALL
                self._moved.set()  # also where it is gone by now: who is shown it is told that
        return schema.JobsData(jobs=[views.job_view(job) for job in jobs])

    async def take(self, told: BusEvent, /) -> None:
        if isinstance(told, Changed) and told.kind in ("job", "node"):  # with a node its jobs go, and its tags say who sees them
            self._moved.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run(), name="live jobs events")
            group.create_task(self._tell(), name="live jobs changes")

    async def _tell(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            try:
                change = await self._change()
            except HubError as exc:
                event(log, "live_feed_failed", logging.WARNING, topic=self.topic, code=exc.code)
                self._moved.set()
            else:
                if change.jobs or change.gone:
                    self.emit(change)
            await self.services.clock.sleep(self.limits.facts_every_s)

    async def _change(self) -> schema.JobsChange:
        jobs = await self.services.store.jobs.current(self.scope, RECENT_JOBS, sorted(self._at_work))
        self._at_work = {job.id for job in jobs if job.state not in TERMINAL}
        before, self._told = self._told or {}, {job.id: job.version for job in jobs}
        fresh = [views.job_view(job) for job in jobs if before.get(job.id) != job.version]
        return schema.JobsChange(jobs=fresh, gone=[job for job in before if job not in self._told])


class FleetFeed(Feed):
    """`fleet`: new values of all nodes as the registry tells of them, those that are the same left out; what else changed of them at most once a
    second.
    """

    policy = "latest"
    limit = 20_000
    kept_bytes = KEPT_FLEET_BYTES

    def __init__(self, services: Services, org: int, grants: tuple[Grants, ...] = (), *, limits: LiveLimits) -> None:
        super().__init__(services, org, "fleet", grants, limits=limits)
        self._known: set[NodeId] = set()
        self._making = 0
        """Snapshots that are being made, which may take several pages."""
        self._gone: set[NodeId] = set()
        """Nodes that were looked for meanwhile and not found: a page that was read before may hold them still."""
        self._told: dict[NodeId, Sequence[Brief]] = {}
        """What was told last of each; forgotten with a snapshot or a whole row, which hold other values."""
        self._values: set[NodeId] = set()
        self._facts: set[NodeId] = set()
        self._new_values = asyncio.Event()
        self._new_facts = asyncio.Event()

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("nodes_fresh"), Topic("changed"), Topic("session"))

    def watched(self) -> tuple[NodeId, ...]:
        return tuple(self._known)

    async def snapshot(self) -> schema.FleetData:
        self._making += 1
        try:
            nodes = [node for node in await self._all() if node.id not in self._gone]
        finally:
            self._making -= 1
            if not self._making:
                self._gone.clear()
        self._known.update(NodeId(node.id) for node in nodes)
        self._told.clear()
        return schema.FleetData(nodes=nodes)

    async def _all(self) -> list[schema.NodeView]:
        services = self.services
        kept = await kept_credentials(services)
        nodes: list[schema.NodeView] = []
        cursor: str | None = None
        while True:
            page = await services.store.nodes.nodes(self.scope, PAGE, cursor)
            nodes += [in_a_list(services, node, kept, packed=True) for node in page.items]
            cursor = page.next
            if cursor is None:
                return nodes

    async def take(self, told: BusEvent, /) -> None:
        match told:
            case NodesFresh(nodes=nodes):
                self._values.update(nodes)
                self._new_values.set()
                return
            case SessionMoved(node=node):
                self._facts.add(node)
            case Changed(kind="node", id=id_):
                self._facts.add(NodeId(id_))
            case _:
                return
        self._new_facts.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run(), name="live fleet events")
            group.create_task(self._tell_values(), name="live fleet values")
            group.create_task(self._tell_facts(), name="live fleet changes")

    async def _tell_values(self) -> None:
        while True:
            await self._new_values.wait()
            self._new_values.clear()
            fresh, self._values = self._values & self._known, set()
            if fresh:
                self.emit(schema.FleetChange(nodes=[], latest={node: self._news_of(node) for node in sorted(fresh)}, removed=[]))

    def _news_of(self, node: NodeId) -> dict[str, schema.Sample]:
        """What a list shows of a node, without what is as it was: sizes, and most of an idle server. Its newest second is always in it."""
        briefs = [*self.services.registry.summary(node)]
        before, self._told[node] = self._told.get(node, ()), briefs
        news: dict[str, Shown] = {}
        for brief, old in itertools.zip_longest(briefs, before[: len(briefs)]):
            if old is None:
                news |= brief.shown
            elif brief is not old:
                was = old.shown
                news |= {
                    name: one for name, one in brief.shown.items() if name in NEWEST or name not in was or was[name].value != one.value
                }
        return cast("dict[str, schema.Sample]", news)

    async def _tell_facts(self) -> None:
        while True:
            await self._new_facts.wait()
            self._new_facts.clear()
            facts, self._facts = self._facts, set()
            try:
                change = await self._change(facts)
            except HubError as exc:
                event(log, "live_feed_failed", logging.WARNING, topic=self.topic, code=exc.code)
                self._facts |= facts
                self._new_facts.set()
            else:
                if change.nodes or change.removed:
                    self.emit(change)
            await self.services.clock.sleep(self.limits.facts_every_s)

    async def _change(self, facts: set[NodeId]) -> schema.FleetChange:
        services = self.services
        change = schema.FleetChange(nodes=[], latest={}, removed=[])
        gone: set[NodeId] = set()
        kept = await kept_credentials(services)
        for node_id in sorted(facts):
            self._told.pop(node_id, None)
            try:
                node = await services.store.nodes.node(self.scope, node_id)
            except NotFound:
                gone.add(node_id)
                continue
            change.nodes.append(in_a_list(services, node, kept, packed=True))
        # Only now, and in one go: where one of them could not be read nothing is told, and all of it is looked for again.
        change.removed += sorted(gone & self._known)
        self._known -= gone
        self._known |= facts - gone
        self._gone -= facts
        if self._making:
            self._gone |= gone
        return change
