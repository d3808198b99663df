"""The service of alerts. It gives the engine facts and samples, and stores what changes, with events and messages.

It also does what users ask for: acknowledge, snooze, change rules.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal

from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.expression import EventOf, parse
from groundcontrol.alerts.facts import FactReader
from groundcontrol.alerts.hub_facts import HubFactReader
from groundcontrol.alerts.incidents import MASS, Book, Names, Plan, key_of, last_title
from groundcontrol.alerts.interfaces import Notifier, OpenWindows
from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId, Reason, Rule, RuleId, Transition
from groundcontrol.alerts.replay import Replay
from groundcontrol.alerts.retro import Backlog, RetroEpisodes
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.ruleset import Effective
from groundcontrol.alerts.snapshot import Snapshot
from groundcontrol.alerts.store import AlertChange, AlertFilter, AlertStore, Handling, RuleStore, alert_text
from groundcontrol.core.bus import Bus, BusEvent, BusGap, Changed, EventStored, SessionChanged, Topic
from groundcontrol.core.errors import HubError, StoreError
from groundcontrol.core.ids import JobId, NodeId
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.core.steady_clock import JumpWatch
from groundcontrol.events.catalogue import known_type
from groundcontrol.events.making import RETRO_S, new_event
from groundcontrol.events.model import Event, EventFilter, Severity
from groundcontrol.events.store import LogStore
from groundcontrol.samples.model import SeriesSchema
from groundcontrol.schedules.model import Level
from spider.clock import Clock
from spider.logs import event
from spider.wire.sample_messages import Row

log = logging.getLogger(__name__)

RETRY_S: Final = 1.0
ROUND_TICKS: Final = 10
"""Each node is evaluated once in this number of ticks."""
MINUTE_S: Final = 60.0
NO_NODE: Final = "an unnamed server"
"""The name of the server in texts about events that a program reported without a server."""
STEADY_S: Final = 600.0
"""How long after a jump of the clock states by the wall clock are not known."""
MOST_MISSED: Final = 1000
"""How many events are read at most after a start, or after the bus dropped messages."""
_END_WORDS: Final[dict[Reason, str]] = {
    "cleared": "is over",
    "object_gone": "has ended: it is no longer there",
    "rule_disabled": "has ended: its rule was switched off",
    "rule_deleted": "has ended: its rule was deleted",
    "not_selected": "has ended: its rule no longer covers this server",
    "node_removed": "has ended: the server was removed",
    "not_repeated": "has ended: it was not reported again",
}
PAGE_EPISODES: Final = 500
MOST_EPISODES: Final = 10_000
"""How many episodes of an incident its last title counts at most."""
MOST_UNSTORED: Final = 100_000
"""While so many transitions wait for the store, `tick` evaluates nothing. A minute later the engine ignores new samples too (`AHEAD_MS`)."""
MOST_BUS_MESSAGES: Final = 10_000
"""The most bus messages that wait for the service. Beyond the limit the oldest are dropped, and `_catch_up` reads the store."""
_FOLLOWED: Final[tuple[Literal["changed", "session", "event"], ...]] = ("changed", "session", "event")


class AlertService:
    """Owns the engine and the book of the alerts of one organisation."""

    def __init__(
        self, *, book: Book, store: AlertStore, rule_store: RuleStore, log: LogStore, notifier: Notifier, rules: Rules, engine: Engine, facts: FactReader,
        hub_facts: HubFactReader, replay: Replay, retro: RetroEpisodes, windows: OpenWindows, bus: Bus, clock: Clock,
    ) -> None:  # fmt: skip
        self._book = book
        self._store = store
        self._rule_store = rule_store
        self._log = log
        self._notifier = notifier
        self._rules = rules
        self._engine = engine
        self._facts = facts
        self._hub_facts = hub_facts
        self._replay = replay
        self._retro = retro
        self._windows = windows
        self._bus = bus
        self._clock = clock
        self._unstored: list[Transition] = []
        self._started_at = clock.now()
        self._ticked_at = clock.monotonic()
        self.is_loaded = False
        """Whether the stored alerts have been read. Before, no node counts as well."""
        self.evaluated_s = 0.0
        """The processor time of the engine since the start, in seconds."""
        self._names = Names(facts.name, rules.get)
        self._has_missed_changes = False
        """Whether the bus dropped messages, or the store could not be read after one."""
        self._event_at = clock.now()
        """The time of the newest event that the bus announced."""
        self._jumps = JumpWatch(clock, STEADY_S)
        self._wake = asyncio.Event()
        """Set while changes wait for the store."""
        self._changing = asyncio.Lock()
        """Held from the making of a plan until the book has accepted it, while rules change, and during `load`. Each change of the book or
        the rules builds on the one before."""

    # -- the engine's life ---------------------------------------------------------------------------

    @property
    def evaluates(self) -> bool:
        """Whether the hub evaluated rules and stored their changes within the last minute. True in the first minute after the start."""
        return self._clock.monotonic() - self._ticked_at < MINUTE_S

    @property
    def would_notify(self) -> bool:
        """Whether an alert fires that is no notice, and that nobody acknowledged."""
        alerts = self._book.alerts.values()
        return any(alert.acknowledged_at is None and not self._rules.is_notice(alert.rule_id) for alert in alerts)

    def counts(self) -> Counter[tuple[Level, str]]:
        """(Level, state) -> number of firing episodes. The states are `suppressed`, `acknowledged` and `firing` (neither)."""
        return Counter((alert.level, _state_of(alert)) for alert in self._book.alerts.values())

    def add_rows(self, node: NodeId, schema: SeriesSchema, rows: Sequence[Row]) -> None:
        """Add new rows of a node, oldest first. After a start they wait until `Replay` has read the stored rows before them."""
        if not self._replay.hold(node, schema, rows):
            began = time.perf_counter()
            self._engine.add_rows(node, schema, rows)
            self.evaluated_s += time.perf_counter() - began

    def note_late(self, node: NodeId, first_ms: int, last_ms: int) -> None:
        """Note samples that came too late for the engine. `minute` replays them from the store, to find their episodes.

        Args: first_ms, last_ms: the times of the first and the last of them, in Unix milliseconds of the node's clock.
        """
        offset_s = self._engine.offset_s(node)
        self._retro.add(node, first_ms / 1000 - offset_s, last_ms / 1000 - offset_s)

    async def load(self) -> None:
        """Continue from the state that an earlier process stored. What users change meanwhile waits.

        Raises: StoreError.
        """
        async with self._changing:
            self._rules.load(await self._rule_store.all(hub_scope(self._book.org)))
            self._apply_rules()
            alerts, incidents = await self._store.open_alerts(self._book.org)
            self._book.load(alerts, incidents)
            await self._facts.load()
            for turn in range(ROUND_TICKS):
                for facts in self._facts.read(turn, ROUND_TICKS):
                    self._engine.set_node(facts, self._clock.now())
            snapshot = await self._store.engine(self._book.org) or Snapshot(self._started_at)
            self._engine.restore([*alerts, *await self._store.ended_since(self._book.org, snapshot.at)], snapshot)
            self._engine.set_hub(await self._hub_facts.read(self._book.org))
            await self._add_missed_events(snapshot.at)
        self.is_loaded = True

    async def _add_missed_events(self, since_at: float) -> None:
        """Evaluate stored events that no message of the bus announced to this process. Raises: StoreError."""
        since_at = min(since_at, self._clock.now() - MINUTE_S)  # later: the clock was ahead
        missed = await self._log.events(hub_scope(self._book.org), MOST_MISSED, None, None, EventFilter(from_at=since_at))
        for one in reversed(missed.items):
            if not one.retro:
                self._add_event(one.node_id, one.type, one.object, one.last_at, one.severity)

    def _add_event(self, node: NodeId | None, kind: str, about: str, at: float, severity: Severity) -> None:
        """Pass an event to the engine, which ignores events of unknown nodes."""
        if node is not None:
            self._introduce(node)
        self._engine.add_event(node, kind, about, at, severity)

    def _introduce(self, node: NodeId) -> None:
        """Pass a new node to the engine, if no tick has done it yet."""
        if not self._engine.knows(node) and (facts := self._facts.find(node)) is not None:
            self._engine.set_node(facts, self._clock.now())

    async def run(self) -> None:
        """Call `load` until it succeeds, then evaluate until cancelled."""
        async with self._subscribed() as changes:  # before the first read: a change during `load` is read again afterwards
            while True:
                try:
                    await self.load()
                    break
                except StoreError as exc:
                    event(log, "alerts_wait", logging.WARNING, error=exc.code, waiting=0)
                    await self._clock.sleep(RETRY_S)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._store_forever(), name="changes of alerts")
                group.create_task(self._follow_nodes(changes), name="facts of alerts")
                group.create_task(self._replay.run(self._engine), name="samples before the start")
                group.create_task(self._minutes(), name="minutes of alerts")

    async def _store_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._store_found()
            except HubError as exc:
                event(log, "alerts_wait", logging.WARNING, error=exc.code, waiting=len(self._unstored))
            except Exception:  # the boundary: a bug that one alert hits must not end the hub
                event(log, "alerts_failed", logging.ERROR, exc_info=True)

    async def tick(self, turn: int) -> None:
        """Evaluate the nodes of one turn, and store the changes. The hub does these separately (`ticker.py`).

        Raises: StoreError: the next tick stores the changes that could not be stored now.
        """
        self.evaluate(turn)
        await self._store_found()

    def evaluate(self, turn: int) -> None:
        """Evaluate the nodes of one turn, if anything is due. What changes is stored a moment later.

        An organisation pays for its nodes: one with few of them has turns without any, in which nothing is due unless a condition is present.
        """
        if not self.is_loaded:
            return
        if len(self._unstored) < MOST_UNSTORED and (self._facts.has_turn(turn) or not self._engine.is_calm):
            for facts in self._facts.read(turn, ROUND_TICKS):
                self._engine.set_node(facts, self._clock.now())
            self._engine.is_clock_steady = self._jumps.is_steady()
            self._engine.has_all_events = not self._has_missed_changes
            began = time.perf_counter()
            self._unstored += self._engine.tick(self._clock.now())
            self.evaluated_s += time.perf_counter() - began
        if self._unstored or self._book.is_settling:
            self._wake.set()
        else:
            self._ticked_at = self._clock.monotonic()

    async def _store_found(self) -> None:
        """Store the changes that evaluations found. Raises: StoreError: the next call stores what could not be stored now."""
        if self._unstored:
            await self._store_all()
        if self._book.is_settling:
            await self._notify_settled()
        self._ticked_at = self._clock.monotonic()

    async def _store_all(self) -> None:
        async with self._changing:
            taken = list(self._unstored)
            try:
                plans = [await self._store_changes(taken)]
            except StoreError:
                raise
            except Exception:  # a bug that one transition hits must not hold back the others
                event(log, "alerts_failed", logging.ERROR, exc_info=True)
                plans = await self._store_singly(taken)
            del self._unstored[: len(taken)]
        for plan in plans:
            self._publish(plan)

    async def _store_changes(self, transitions: Sequence[Transition]) -> Plan:
        plan = self._book.plan(transitions, self._clock.now(), self._names, self._facts.fleet)
        await self._commit(plan)
        return plan

    async def _store_singly(self, transitions: Sequence[Transition]) -> list[Plan]:
        """Store each transition by itself, and leave out those that raise an unexpected error. Raises: StoreError."""
        plans = []
        for one in transitions:
            try:
                plans.append(await self._store_changes([one]))
            except StoreError:
                raise
            except Exception:  # as above
                event(log, "alerts_failed", logging.ERROR, rule=one.key.rule, node=one.key.node, lost=one.kind, exc_info=True)
        return plans

    async def _notify_settled(self) -> None:
        """Notify channels of alerts that still fire some time after the end of their explanation."""
        async with self._changing:
            settled = self._book.settled(self._clock.now(), self._engine.known_at)
            if not settled:
                return
            plan = self._book.renew(settled, {alert.incident_id for alert in settled})
            await self._commit(plan)
        self._publish(plan)

    async def _commit(self, plan: Plan, eased: Collection[IncidentId] = ()) -> None:
        """Store a plan with its events and the decisions whom to tell. Args: eased: as in `Notifier.of_changes`."""
        plan = await self._with_last_titles(self._with_flags(plan))
        revised = [one for one in plan.incidents.values() if self._is_revised(one)]
        decisions = await self._notifier.of_changes(revised, plan.alerts, eased)
        events = [self._event_of(transition, alert) for transition, alert in plan.transitions if transition.kind in ("fired", "resolved")]
        events += [
            self._event_of_mass(one, plan) for one in plan.incidents.values() if one.group == MASS and one.id not in self._book.incidents
        ]
        await self._store.commit(AlertChange(list(plan.alerts.values()), list(plan.incidents.values()), events, decisions))
        self._book.accept(plan)

    def _is_revised(self, incident: Incident) -> bool:
        """Whether an incident is new, or has a revision that is not in the book yet."""
        before = self._book.incidents.get(incident.id)
        return before is None or incident.revision > before.revision

    def _with_flags(self, plan: Plan) -> Plan:
        """Set in each episode of the plan whether it flaps, and which maintenance window covers it."""
        return plan._replace(alerts={alert.id: self._flagged(alert) for alert in plan.alerts.values()})

    async def _with_last_titles(self, plan: Plan) -> Plan:
        """Give each ended incident its last title. Raises: StoreError."""
        incidents = dict(plan.incidents)
        for incident in plan.incidents.values():
            before = self._book.incidents.get(incident.id)
            if incident.state == "resolved" and before is not None and incident.revision > before.revision:
                stored = {alert.id: alert for alert in await self._episodes(incident.id)}
                now = {alert.id: alert for alert in plan.alerts.values() if alert.incident_id == incident.id}
                incidents[incident.id] = incident._replace(title=last_title(incident, (stored | now).values(), self._names))
        return plan._replace(incidents=incidents)

    async def _episodes(self, incident: IncidentId) -> list[Alert]:
        """The newest episodes of an incident, newest first; at most `MOST_EPISODES`."""
        found = list[Alert]()
        cursor: str | None = None
        while len(found) < MOST_EPISODES:
            page = await self._store.alerts(hub_scope(self._book.org), PAGE_EPISODES, cursor, AlertFilter(incident=incident))
            found += page.items
            cursor = page.next
            if cursor is None:
                break
        return found

    def _flagged(self, alert: Alert) -> Alert:
        now = self._clock.now()
        window = (
            None if alert.node_id is None else self._windows.covering(self._book.org, alert.node_id, self._facts.tags(alert.node_id), now)
        )
        flaps = self._engine.flapping(key_of(alert))
        return alert._replace(maintenance=None if window is None else window.id, flapping=flaps is not None and flaps.quiet(now))

    def _event_of(self, transition: Transition, alert: Alert) -> Event:
        details: dict[str, object] = {
            "alert": alert.id, "rule": alert_text(alert, self._rules.name(alert.rule_id)), "object": alert.object, "level": alert.level,
            "value": alert.value, "threshold": alert.threshold, "reason": alert.reason,
            "end": "" if alert.reason is None else _END_WORDS[alert.reason],
        }  # fmt: skip
        known = {key: value for key, value in details.items() if value not in (None, "")}
        name = self._facts.name(alert.node_id) if alert.node_id is not None else "Ground Control" if self._is_of_hub(alert) else NO_NODE
        fired = transition.kind == "fired"
        return new_event(
            "alert_firing" if fired else "alert_resolved", transition.at, known, node=alert.node_id, name=name, org=self._book.org,
            severity=self._severity(alert) if fired else None, received_at=self._clock.now(),
        )  # fmt: skip

    def _severity(self, alert: Alert) -> Severity:
        """The severity of the event about an alert: `info` for a notice."""
        if self._rules.is_notice(alert.rule_id):
            return "info"
        return "error" if alert.level == "critical" else "warning"

    def _is_of_hub(self, alert: Alert) -> bool:
        """Whether an alert without a node is about the hub or its own work, not about an event of a program."""
        rule = self._rules.get(alert.rule_id)
        expression = None if rule is None else parse(rule.expr)
        return not isinstance(expression, EventOf) or known_type(expression.type).sources == ("hub",)

    def _event_of_mass(self, incident: Incident, plan: Plan) -> Event:
        nodes = {alert.node_id for alert in plan.alerts.values() if alert.incident_id == incident.id}
        count = max(len(nodes), self._facts.fleet.silent)  # some nodes become silent a moment later
        return new_event("mass_offline", self._clock.now(), {"incident": incident.id, "count": count}, org=self._book.org)

    def _publish(self, plan: Plan) -> None:
        for alert in plan.alerts.values():
            self._bus.publish(Changed("alert", alert.id, 0, self._book.org))
        for incident in plan.incidents.values():
            self._bus.publish(Changed("incident", incident.id, incident.revision, self._book.org))
        for node in {alert.node_id for alert in plan.alerts.values() if alert.node_id is not None}:
            self._bus.publish(Changed("node", node, 0, self._book.org))
        self._notifier.wake()

    # -- each minute ---------------------------------------------------------------------------------

    async def _minutes(self) -> None:
        while True:
            await self._clock.sleep(MINUTE_S)
            try:
                await self._store_found()  # the snapshot shows as firing what has a stored alert
                await self._store.save_engine(self._book.org, self._engine.snapshot())
                await self.minute()
            except HubError as exc:
                event(log, "alerts_wait", logging.WARNING, error=exc.code, waiting=0)
            except Exception:  # the boundary, as above
                event(log, "alerts_failed", logging.ERROR, exc_info=True)

    async def minute(self) -> None:
        """Catch up with missed changes and late samples, read the facts of the hub, and renew the flags of episodes.

        Then let the notifier decide what is due by the passing of time.

        Raises: StoreError: the next minute tries again.
        """
        await self._catch_up()
        await self._look_back()
        hub = await self._hub_facts.read(self._book.org)
        self._engine.set_hub(hub)
        await self._renew_flags()
        if not hub.channels:
            return  # nobody is notified
        async with self._changing:
            await self._notifier.review()

    async def _look_back(self) -> None:
        """Store the episodes that are over and that only late samples show. No message is sent about them."""
        for node, late in self._engine.take_late().items():
            self._retro.add(node, late.first_at, late.last_at)
        for node, backlog in self._retro.due():
            try:
                await self._store_late_episodes(node, backlog)
            except StoreError:
                raise
            except Exception:  # the samples of one node must not stop what a minute does for the others
                event(log, "alerts_failed", logging.ERROR, node=node, exc_info=True)
            self._retro.forget(node, backlog)

    async def _store_late_episodes(self, node: NodeId, backlog: Backlog) -> None:
        known = await self._store.alerts(hub_scope(self._book.org), PAGE_EPISODES, None, AlertFilter(node=node))
        change = await self._retro.find(self._engine, node, backlog, known.items)
        if change.alerts:
            await self._store.commit(change)
            for alert in change.alerts:
                self._bus.publish(Changed("alert", alert.id, 0, self._book.org))

    async def _renew_flags(self) -> None:
        """Renew the flags `maintenance` and `flapping` of all episodes. Where a flag has changed, each channel decides again."""
        async with self._changing:
            changed = [(alert, renewed) for alert in self._book.alerts.values() if (renewed := self._flagged(alert)) != alert]
            if not changed:
                return
            plan = self._book.renew([renewed for _, renewed in changed], {alert.incident_id for alert, _ in changed if alert.flapping})
            await self._commit(plan, {alert.incident_id for alert, _ in changed})
        self._publish(plan)

    # -- what users do -------------------------------------------------------------------------------

    async def handle(self, scope: Scope, alerts: Collection[AlertId], handling: Handling) -> Sequence[Alert]:
        """Acknowledge or snooze alerts: all of them or none. Returns: the alerts as they are now.

        Raises: NotFound: one does not exist. Conflict: one has ended. StoreError: a snooze may be stored without its reminder.
        """
        async with self._changing:
            names = {rule.id: rule.name for rule in self._rules.all()}
            handled = await self._store.handle(scope, alerts, handling._replace(names=names))
            self._book.replace(handled)
            for alert in handled:
                self._bus.publish(Changed("alert", alert.id, 0, self._book.org))
            if handling.snooze_until is not None:
                await self._notifier.follow_snooze({alert.incident_id for alert in handled})
        return handled

    async def acknowledge(self, scope: Scope, alert: AlertId, note: str = "") -> Alert:
        """Raises: as `handle`."""
        return (await self.handle(scope, [alert], Handling(acknowledge=True, note=note)))[0]

    async def snooze(self, scope: Scope, alert: AlertId, until_at: float) -> Alert:
        """Delay the messages about an alert until a time; 0 ends the delay. Raises: as `handle`."""
        return (await self.handle(scope, [alert], Handling(snooze_until=until_at)))[0]

    async def save_rules(self, scope: Scope, rules: Sequence[Rule]) -> Sequence[Rule]:
        """Store checked rules, all or none, and evaluate them from now on.

        Raises: Conflict: a rule takes the name of another one, users have too many rules, or a version is not the stored one; StoreError.
        """
        async with self._changing:
            self._rules.check_room(sum(self._rules.get(rule.id) is None for rule in rules))
            self._rules.check_names(rules)
            saved = await self._rule_store.save_all(scope, rules)
            self._rules.put(saved)
            self._apply_rules()
        return saved

    async def delete_rule(self, scope: Scope, rule: RuleId) -> None:
        """Delete a stored rule, and evaluate the remaining rules. Raises: StoreError."""
        async with self._changing:
            await self._rule_store.delete(scope, rule)
            self._rules.remove(rule)
            self._apply_rules()

    def _apply_rules(self) -> None:
        for rule, fault in self._engine.set_rules(self._rules.all()).items():
            event(log, "rule_unreadable", logging.ERROR, rule=rule, why=fault)

    def effective(self, node: NodeId) -> list[Effective]:
        """The rules that select a node, with the values that apply to it. Disabled ones are included. Empty: the node is unknown."""
        self._introduce(node)
        return self._engine.effective(node)

    def firing(self, node: NodeId | None) -> list[Alert]:
        """The firing episodes of a node, worst first. Args: node: None: those of no node."""
        return self._book.of_node(node)

    # -- facts ---------------------------------------------------------------------------------------

    def _subscribed(self) -> AbstractAsyncContextManager[AsyncIterator[BusEvent | BusGap]]:
        """The changes of the organisation that concern alerts, from now on."""
        own = [Topic(kind, org=self._book.org) for kind in _FOLLOWED]
        return self._bus.subscribe(*own, limit=MOST_BUS_MESSAGES, policy="ordered")

    async def _follow_nodes(self, changes: AsyncIterator[BusEvent | BusGap]) -> None:
        """Read nodes again when they change, and pass new events to the engine."""
        async for change in changes:
            try:
                if isinstance(change, BusGap):
                    self._has_missed_changes = True
                    await self._catch_up()
                elif isinstance(change, SessionChanged):
                    await self._facts.reload(change.node)
                elif isinstance(change, Changed) and change.kind == "node":
                    await self._facts.reload(NodeId(change.id))
                elif isinstance(change, Changed) and change.kind == "job":
                    await self._facts.reload_job(JobId(change.id))
                elif isinstance(change, EventStored) and self._clock.now() - change.at <= RETRO_S:
                    # an event that arrives later than that fires no alert
                    self._event_at = max(self._event_at, change.at)
                    self._add_event(change.node, change.type, change.object, change.at, change.severity)
                self._remove_nodes()
            except StoreError as exc:
                self._note_missed(exc)
            except Exception:  # the boundary: a bug that one change hits must not end the hub
                event(log, "alert_facts_failed", logging.ERROR, exc_info=True)

    async def _catch_up(self) -> None:
        """If a change was missed, read all nodes and the newest events again. If the store cannot be read, the next minute tries again."""
        if self._has_missed_changes:
            self._has_missed_changes = False
            try:
                await self._facts.load()
                await self._add_missed_events(self._event_at)
            except StoreError as exc:
                self._note_missed(exc)
            self._remove_nodes()

    def _note_missed(self, exc: StoreError) -> None:
        self._has_missed_changes = True
        event(log, "alert_facts_wait", logging.WARNING, error=exc.code)

    def _remove_nodes(self) -> None:
        for gone in self._facts.pop_removed():
            self._engine.remove_node(gone)


def _state_of(alert: Alert) -> str:
    return "suppressed" if alert.suppressed_by else "acknowledged" if alert.acknowledged_at is not None else "firing"
