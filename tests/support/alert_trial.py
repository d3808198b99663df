"""The alert service with its engine, store and outbox, a simulated fleet, and receivers that record messages.

The test sets the time: each second the service evaluates, and the outbox sends due messages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.agents.store import HubInfo
from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.facts import FactReader
from groundcontrol.alerts.hub_facts import Disk, HubFactReader
from groundcontrol.alerts.incident_reader import IncidentReader
from groundcontrol.alerts.incidents import Book
from groundcontrol.alerts.model import Alert
from groundcontrol.alerts.replay import Replay
from groundcontrol.alerts.retro import RetroEpisodes
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.service import MINUTE_S, ROUND_TICKS, AlertService
from groundcontrol.alerts.store import AlertChange, AlertFilter, AlertStore
from groundcontrol.core.errors import StoreError
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import DEFAULT_ORG, SYSTEM
from groundcontrol.core.steady_clock import SteadyClock
from groundcontrol.core.tables import SubjectTable
from groundcontrol.nodes.model import Node
from groundcontrol.notifications.channels.kind import Outcome, Sent
from groundcontrol.notifications.egress import Egress
from groundcontrol.notifications.explaining import Explanation
from groundcontrol.notifications.intents import Intents
from groundcontrol.notifications.links import Links
from groundcontrol.notifications.messages import Message
from groundcontrol.notifications.model import Channel, Delivery, MessageKind
from groundcontrol.notifications.outbox import DueBell, Outbox
from groundcontrol.notifications.service import ChannelEdit, ChannelService
from groundcontrol.schedules.dead_man import LOOK_S, DeadMan
from groundcontrol.schedules.deadline_checker import DeadlineChecker
from groundcontrol.schedules.deadlines import Unmet
from groundcontrol.schedules.maintenance import Windows
from tests.support.clock import ManualClock
from tests.support.factories import BOOT, HUB, SCOPE, new_node
from tests.support.store_backend import Backend
from tests.support.store_files import open_new
from tests.support.vault import a_vault

HUB_INFO: Final = HubInfo(HUB, "wss://hub.example/ws", "0")
VAULT: Final = a_vault()
ORIGIN: Final = "https://hub.example"
STARTED_S: Final = 100.0
"""The time before a trial begins. A hub sends no messages in the first 90 s after its start."""


class PlayedFleet(DeadlineChecker):
    """Sessions, tables and missed deadlines of nodes, as the test sets them."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.connected: set[NodeId] = set()
        self.awaited: set[NodeId] = set()
        """Nodes that may still come back after a start of the hub."""
        self.seen: dict[NodeId, float] = {}
        """Node -> when this hub last saw it connected."""
        self.levels: dict[NodeId, dict[str, float]] = {}
        """Node -> name of a deadline -> 1: a warning, 2: critical. It fires at the node's next turn."""
        self.failed: dict[NodeId, tuple[str, ...]] = {}
        """Node -> its failed units."""
        self.expectations: Collection[str] | None = None
        """The names of all expectations; None: not known."""
        self.deadlines_read_at = 0.0
        """The monotonic time from which missed deadlines are known."""
        self._since: dict[tuple[NodeId, str], float] = {}

    def online(self, node: NodeId) -> bool:
        return node in self.connected

    def reconnecting(self, node: NodeId) -> bool:
        return node in self.awaited and node not in self.connected

    def last_seen(self, node: Node) -> float | None:
        return self.seen.get(node.id, node.last_seen_at)

    def see(self) -> None:
        """Note that the connected nodes are seen now."""
        self.seen.update(dict.fromkeys(self.connected, self.clock.now()))

    def skew(self, node: NodeId) -> float | None:
        return 0.0 if node in self.connected else None

    def tables(self, node: NodeId) -> Mapping[str, SubjectTable]:
        units = self.failed.get(node)
        if units is None:
            return {}
        cells = tuple(cell for unit in units for cell in (unit, "failed"))
        return {"services": SubjectTable("services", 0.0, len(units), ("unit", "state"), cells)}

    def unmet(self, node: NodeId) -> Mapping[str, Unmet] | None:
        if self.clock.monotonic() < self.deadlines_read_at:
            return None
        levels = self.levels.get(node, {})
        self._since = {key: at for key, at in self._since.items() if key[0] != node or key[1] in levels}
        return {
            name: Unmet("critical" if level > 1 else "warning", self._since.setdefault((node, name), self.clock.now()), name, "UTC")
            for name, level in levels.items()
        }

    def names(self) -> Collection[str] | None:
        return self.expectations


class Told(NamedTuple):
    """A message that a receiver took."""

    at: float
    channel: str
    kind: MessageKind
    message: Message


class Receivers(ChannelService):
    """Channels whose receivers record messages, and fail on demand."""

    def __init__(self, backend: Backend, clock: ManualClock, egress: Egress) -> None:
        store = backend.store
        super().__init__(store.channels, store.deliveries, VAULT, Links(VAULT.link_key), egress, DueBell(), clock, lambda: ORIGIN)
        self._now = clock.now
        self.told: list[Told] = []
        self.outcome: Outcome = Sent()
        self.attempts = 0

    async def send(self, channel: Channel, message: Message) -> Outcome:
        self.attempts += 1
        if isinstance(self.outcome, Sent):
            self.told.append(Told(self._now(), channel.name, message.kind, message))
        return self.outcome


class AlertTrial:
    """A hub's alerts, from facts to messages."""

    def __init__(self, backend: Backend, folder: Path) -> None:
        self.backend, self.clock, self.folder = backend, backend.clock, folder
        self.egress = Egress(frozenset())
        self.fleet = PlayedFleet(backend.clock)
        self.windows = Windows()
        self.bell = DueBell()
        self.nodes: list[NodeId] = []
        self.receivers = self.new_receivers()
        self.refused = 0
        """How often the store raised StoreError, in evaluations and when messages were sent."""
        self.commit_s = 0.0
        """Seconds of the last transaction of an evaluation, by the machine's clock."""
        self._turn = 0

    # -- the hub ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Make the parts of a hub, as its start does, and load what an earlier hub stored."""
        store, clock, bus = self.backend.store, self.clock, LocalBus()
        await store.hubs.beat(HUB, HUB_INFO, 20.0)
        told, attempts = self.receivers.told, self.receivers.attempts
        self.receivers = self.new_receivers()
        self.receivers.told, self.receivers.attempts = told, attempts
        self.dead_man = DeadMan(store.silence, clock, self.fleet.online)
        await self.dead_man.look()
        self._time_commits(store.alerts)
        self.engine, self.rules = Engine(), Rules()
        facts = self.facts = FactReader(
            DEFAULT_ORG, store.nodes, store.jobs, self.fleet, self.fleet, self.dead_man, self.fleet, store.hubs, "0.1.0", clock
        )
        book = Book(DEFAULT_ORG)
        reader = IncidentReader(
            book=book,
            store=store.alerts,
            rules=self.rules,
            engine=self.engine,
            facts=facts,
            windows=self.windows,
            log=store.log,
            clock=clock,
        )
        self.intents = Intents(reader, store.channels, store.deliveries, self.bell, clock)
        self.service = AlertService(
            book=book, store=store.alerts, rule_store=store.rules, log=store.log, notifier=self.intents, rules=self.rules, engine=self.engine, facts=facts,
            hub_facts=HubFactReader(self.folder, store.channels, store.log, bus, lambda: 0.0, SteadyClock(clock), clock, disk_of=lambda _: Disk(1 << 39, 1 << 40)),
            replay=Replay(store.metrics, facts.number, clock), retro=RetroEpisodes(DEFAULT_ORG, store.metrics, facts, self.rules, clock), windows=self.windows, bus=bus, clock=clock,
        )  # fmt: skip
        self.outbox = Outbox(store.deliveries, lambda _org: self.intents, self.receivers, DueBell(), clock, lambda: 1.0)
        self._due_at: float | None = clock.now()
        self._looked_at = self._minute_at = clock.monotonic()
        await self.service.load()

    def new_receivers(self) -> Receivers:
        """The receivers of channels, anew at each start of the hub."""
        return Receivers(self.backend, self.clock, self.egress)

    def _time_commits(self, alerts: AlertStore) -> None:
        commit = alerts.commit

        async def timed(change: AlertChange) -> None:
            began = time.perf_counter()
            await commit(change)
            self.commit_s = time.perf_counter() - began

        alerts.commit = timed  # type: ignore[method-assign]

    async def restart(self, away_s: float, back: Iterable[NodeId] = ()) -> None:
        """Stop the hub for a while. Args: back: nodes that were connected, and may come back."""
        await self._save()
        await self.backend.database.close()
        self.fleet.awaited = set(back)
        self.fleet.connected -= self.fleet.awaited
        self.fleet.seen.clear()
        self.clock.advance(away_s)
        await self.backend.open()
        await self.start()

    async def add_nodes(self, count: int) -> list[NodeId]:
        """Add connected nodes. A running hub knows them only after its next start."""
        store = self.backend.store
        new = [new_node(f"web-{len(self.nodes) + at}") for at in range(count)]
        await store.nodes.create_nodes(SCOPE, new)
        await asyncio.gather(*(store.sessions.claim(node.id, BOOT, HUB) for node in new))
        made = [node.id for node in new]
        self.nodes += made
        self.fleet.connected |= set(made)
        return made

    async def channel(self, name: str = "ops", **wanted: Any) -> Channel:
        made = ChannelEdit(name=name, **wanted)
        return await self.receivers.create(SYSTEM, "webhook", {"url": f"https://{name}.example/"}, made)

    # -- time ------------------------------------------------------------------------------------------

    async def pass_s(self, seconds: float, step_s: float = 1.0) -> None:
        """Let time pass. Args: step_s: more than a second leaves evaluations out; then only the first node has turns."""
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            await self._step(0 if step_s > 1 else self._turn)
            self._turn = (self._turn + 1) % ROUND_TICKS

    async def _step(self, turn: int) -> None:
        try:
            await self._evaluate(turn)
        except StoreError:
            self.refused += 1
        if self.bell.is_set() or (self._due_at is not None and self._due_at <= self.clock.now()):
            await self.send()

    async def _evaluate(self, turn: int) -> None:
        self.fleet.see()
        monotonic = self.clock.monotonic()
        if monotonic - self._looked_at >= LOOK_S:
            self._looked_at = monotonic
            await self.dead_man.look()
        await self.service.tick(turn)
        if monotonic - self._minute_at >= MINUTE_S:
            self._minute_at = monotonic
            await self.service.minute()

    async def _save(self) -> None:
        """Store what a running hub stores every minute or more often."""
        store, now = self.backend.store, self.clock.now()
        await store.alerts.save_engine(DEFAULT_ORG, self.engine.snapshot())
        await store.nodes.save_seen(dict.fromkeys(self.fleet.connected, now))
        await store.hubs.beat(HUB, HUB_INFO, 20.0)

    async def send(self) -> None:
        """Send all due messages, until no delivery is under way."""
        self.bell.clear()
        busy = True
        while busy:
            async with asyncio.TaskGroup() as group:
                try:
                    await self.outbox._round(group)
                except StoreError:
                    self.refused += 1
                busy = bool(self.outbox._under_way)
        due_at = await self.backend.store.deliveries.next_due()
        self._due_at = None if due_at is None else max(due_at, self.clock.now() + LOOK_S)

    def hold_all(self) -> None:
        """Evaluate all nodes, and let the next step store everything together."""
        for turn in range(ROUND_TICKS):
            for facts in self.facts.read(turn, ROUND_TICKS):
                self.engine.set_node(facts)
        for _ in range(ROUND_TICKS):
            self.service._unstored += self.engine.tick(self.clock.now())

    # -- what came of it -------------------------------------------------------------------------------

    def told(self, channel: str = "ops") -> list[MessageKind]:
        return [one.kind for one in self.receivers.told if one.channel == channel]

    def titles(self, channel: str = "ops") -> list[str]:
        return [one.message.title for one in self.receivers.told if one.channel == channel]

    async def firing(self) -> list[Alert]:
        return await self._alerts("firing")

    async def ended(self) -> list[Alert]:
        return await self._alerts("resolved")

    async def _alerts(self, state: str) -> list[Alert]:
        found: list[Alert] = []
        cursor: str | None = None
        while True:
            page = await self.backend.store.alerts.alerts(SYSTEM, 1000, cursor, AlertFilter(state=state))
            found += page.items
            cursor = page.next
            if cursor is None:
                return found

    async def deliveries(self) -> Sequence[Delivery]:
        return (await self.backend.store.deliveries.deliveries(SYSTEM, 1000)).items

    async def explained(self, alert: Alert) -> list[Explanation]:
        """What happened to an alert in each channel."""
        return await self.intents.explain(await self.backend.store.alerts.alert(SYSTEM, alert.id))

    async def reasons(self, alert: Alert) -> list[str]:
        """Why each channel was notified of an alert, or not."""
        return [one.reason for one in await self.explained(alert)]


@asynccontextmanager
async def alert_trial(
    folder: Path, nodes: int = 1, clock: ManualClock | None = None, kind: type[AlertTrial] = AlertTrial
) -> AsyncIterator[AlertTrial]:
    """A hub that has run for long enough to send messages, with one channel, `ops`."""
    clock = clock or ManualClock()
    backend = Backend(lambda: open_new(folder / "data", clock=clock), clock)
    await backend.open()
    trial = kind(backend, folder)
    try:
        await trial.add_nodes(nodes)
        await trial.start()
        await trial.channel()
        await trial.pass_s(STARTED_S)
        yield trial
    finally:
        await backend.database.close()


async def fires(trial: AlertTrial, node: NodeId, level: float, told_after_s: float = 60.0) -> Alert:
    """Let a deadline of a node fire, and wait for its message. Args: level: 1: a warning, 2: critical."""
    trial.fleet.levels[node] = {"backup": level}
    await trial.pass_s(told_after_s)
    return next(alert for alert in await trial.firing() if alert.node_id == node)
