"""Collects the facts for the decision whether a channel gets a message about an incident. It also gives the contents of messages, and explains
decisions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Protocol

from groundcontrol.alerts.channel_store import ChannelStore, DeliveryStore
from groundcontrol.alerts.deciding import (
    LATE,
    REPEAT_S,
    Decision,
    Defer,
    Question,
    Send,
    Skip,
    Usage,
    decide,
    last_firing_message,
    may_tell,
    repeats_at,
    sooner,
    waiting,
)
from groundcontrol.alerts.details import Details
from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.explaining import Explanation, explain, notice_only, under_way
from groundcontrol.alerts.expression import State, parse
from groundcontrol.alerts.facts import FactReader
from groundcontrol.alerts.incidents import MASS, Book, Names, key_of, title_of, worst_first
from groundcontrol.alerts.machine import FLAP_MOST_QUIET_S
from groundcontrol.alerts.messages import DescribedAlert, MessageContent, Withheld
from groundcontrol.alerts.model import (
    Alert,
    AlertId,
    Channel,
    ChannelId,
    Delivery,
    DeliveryId,
    Incident,
    IncidentId,
    MessageKind,
    Rule,
    RuleId,
    is_summary,
)
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.seen import seen_of
from groundcontrol.alerts.states import STATES
from groundcontrol.alerts.store import AlertFilter, AlertStore
from groundcontrol.core.errors import NotFound
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope, hub_scope
from groundcontrol.events.store import LogStore
from groundcontrol.schedules.maintenance import Quiet
from spider.clock import Clock
from spider.wire.ids import new_time_id

CHANNEL_RULE: Final = RuleId("hub.channel")
END_S: Final = 86_400.0
"""A channel that works again is notified of incidents that ended within this time."""
BACK_S: Final = 15.0
"""The wait of a message whose episodes are all about to end."""
MOST_SHOWN: Final = 500
"""How many episodes are read for a message about an ended incident."""
MOST_SUMMED: Final = 100
"""How many episodes the machine-readable part of a summary contains."""


class OpenWindows(Protocol):
    """Maintenance windows."""

    def covering(self, org: int, node: NodeId, tags: tuple[str, ...], now: float) -> Quiet | None:
        """As `Windows.covering`."""
        ...


@dataclass(frozen=True)
class _Story:
    """The facts about an incident that are the same for all channels. An incident may have 2,000 episodes, so they are computed once."""

    incident: Incident
    firing: Sequence[Alert]
    """Worst first."""
    notified_at: Mapping[ChannelId, float]
    """Channel -> when it was last told of the rule and node of the first firing episode, even in another incident."""
    maintenance_until: float | None
    flapping_since: float | None
    usage: Mapping[ChannelId, Usage]
    """Channel -> what it sent in the last hour. Of a channel that is left out the limits do not count."""

    @cached_property
    def digest(self) -> str:
        return seen_of(self.incident, self.firing)


class Intents:
    """Calls `decide` for an incident and each channel. It stores nothing. It also gives the outbox the contents of messages."""

    def __init__(
        self, *, book: Book, store: AlertStore, channels: ChannelStore, deliveries: DeliveryStore, rules: Rules, engine: Engine,
        facts: FactReader, windows: OpenWindows, log: LogStore, clock: Clock,
    ) -> None:  # fmt: skip
        self._book = book
        self._store = store
        self._channels = channels
        self._deliveries = deliveries
        self._rules = rules
        self._engine = engine
        self._facts = facts
        self._windows = windows
        self._details = Details(book.org, rules, facts, log, clock)
        self._clock = clock
        self._started = clock.monotonic()

    async def of_change(self, incident: Incident, changed: Mapping[AlertId, Alert]) -> tuple[list[Delivery], list[Delivery]]:
        """Decide about the newest revision of an incident: at most one decision for each channel.

        Returns: new deliveries, and waiting ones that move to an earlier time.
        """
        firing = self._firing_of(incident.id, changed)
        if not firing and incident.state == "open":
            return [], []  # it has only notices
        channels = await self._channels.all(hub_scope(self._book.org))
        history = await self._past(incident.id)
        story = await self._story(incident, firing, channels)
        new, earlier = list[Delivery](), list[Delivery]()
        for channel in channels:
            past = [one for one in history if one.channel_id == channel.id]
            kind = _next_kind(incident, past)
            held = waiting(past)
            if kind != "resolved" and held is not None and not (incident.level == "critical" and not held.critical):
                hastened = sooner(self._question(held.kind, story, channel, past), held)
                earlier += [] if hastened is None else [hastened]
                continue  # the message that waits will show the incident as it is then
            delivery = self._new_delivery(self._question(kind, story, channel, past))
            if not (past and _repeats_skip(delivery, past[-1])):
                new.append(delivery)
        return new, earlier

    def _causes_messages(self, alert: Alert) -> bool:
        """Whether an alert is sent. False: it is a notice, which is only shown."""
        rule = self._rules.get(alert.rule_id)
        return rule is None or not rule.notice

    async def _last_notified(self, firing: Sequence[Alert]) -> Mapping[ChannelId, float]:
        if not firing:
            return {}
        first = firing[0]
        return await self._store.last_notified(self._book.org, first.rule_id, first.node_id, self._clock.now() - FLAP_MOST_QUIET_S)

    def _firing_of(self, incident: IncidentId, changed: Mapping[AlertId, Alert]) -> list[Alert]:
        known = {alert.id: alert for alert in self._book.of_incident(incident)} | dict(changed)
        firing = [one for one in known.values() if one.incident_id == incident and one.state == "firing" and self._causes_messages(one)]
        return worst_first(firing)

    async def _story(
        self, incident: Incident, firing: Sequence[Alert], channels: Sequence[Channel], before: DeliveryId | None = None
    ) -> _Story:
        """Args: channels: those whose limits count. before: as in `DeliveryStore.usage`."""
        now = self._clock.now()
        flaps = [flap for alert in firing if (flap := self._engine.flapping(key_of(alert))) is not None and flap.quiet(now)]
        since_at = max((flap.since_at for flap in flaps), default=None)
        usage = await self._deliveries.usage(channels, incident, now, before) if channels else {}
        return _Story(incident, firing, await self._last_notified(firing), self._maintenance_until(firing, now), since_at, usage)

    def _question(self, kind: MessageKind, story: _Story, channel: Channel, past: Sequence[Delivery]) -> Question:
        question = Question(
            kind, story.incident, story.firing, channel, past, self._clock.now(), self._started_at(), story.maintenance_until,
            story.notified_at.get(channel.id), story.flapping_since, story.digest if past and kind in ("firing", "changed") else "",
        )  # fmt: skip
        return question._replace(usage=story.usage.get(channel.id, Usage()))

    def _started_at(self) -> float:
        """When this hub started, by the present clock, which may have been corrected since."""
        return self._clock.now() - (self._clock.monotonic() - self._started)

    def _maintenance_until(self, firing: Sequence[Alert], now: float) -> float | None:
        """When the last maintenance window of these episodes ends; None: one of them is not covered."""
        ends = []
        for alert in firing:
            window = (
                None
                if alert.node_id is None
                else self._windows.covering(self._book.org, alert.node_id, self._facts.tags(alert.node_id), now)
            )
            if window is None:
                return None
            ends.append(window.until_at)
        return max(ends, default=None)

    def _new_delivery(self, question: Question) -> Delivery:
        now = question.now
        delivery = Delivery(
            DeliveryId(new_time_id(now)), self._book.org, question.channel.id, question.kind, question.incident.id, None,
            question.incident.revision, "due", "ready", now, now,
        )  # fmt: skip
        return self._decided(question, delivery)

    def _decided(self, question: Question, delivery: Delivery) -> Delivery:
        """A delivery with the present decision."""
        decision = decide(question)
        delivery = delivery._replace(critical=question.incident.level == "critical", state="due")
        match decision:
            case Send(at=at, reason=reason):
                return delivery._replace(next_at=at, reason=reason)
            case Defer(until=until, reason=reason):
                return delivery._replace(state="deferred", next_at=until, reason=reason)
            case _:
                return delivery._replace(state="skipped", next_at=None, reason=decision.reason)

    async def content(self, delivery: Delivery) -> MessageContent | Withheld:
        """The present content of a message, or the reason not to send it now. The decision is made again before each attempt.

        Raises: NotFound: the incident or the channel is deleted; StoreError.
        """
        if is_summary(delivery):
            return await self._summary(delivery)
        if delivery.incident_id is None:
            return Withheld("nothing_left")
        incident = self._book.incidents.get(delivery.incident_id) or await self._store.incident(
            hub_scope(self._book.org), delivery.incident_id
        )
        channel = await self._channels.get(hub_scope(self._book.org), delivery.channel_id)
        firing = self._firing_of(incident.id, {})
        self._read_again(firing)
        still = [alert for alert in firing if not self._engine.is_back(key_of(alert))]
        if firing and not still:
            return Withheld("grouping", self._clock.now() + BACK_S)
        decision = await self._decision(delivery, incident, channel)
        if isinstance(decision, Skip):
            return Withheld(decision.reason)
        at = decision.at if isinstance(decision, Send) else decision.until
        if at > self._clock.now():
            return Withheld(decision.reason, at)
        return await self._message(delivery, incident, still, late=decision.reason == LATE)

    async def again(self, delivery: Delivery) -> MessageContent | Withheld:
        """The present content of a message about an incident that some recipients got already, for the others."""
        channel = await self._channels.get(hub_scope(self._book.org), delivery.channel_id)
        if delivery.incident_id is None or not await self._may_tell(channel, delivery):
            return Withheld("nothing_left")
        firing = self._firing_of(delivery.incident_id, {})
        self._read_again(firing)
        still = [alert for alert in firing if not self._engine.is_back(key_of(alert))]
        if not still and delivery.kind != "resolved":
            return Withheld("nothing_left")
        found = self._book.incidents.get(delivery.incident_id)
        incident = found or await self._store.incident(hub_scope(self._book.org), delivery.incident_id)
        return await self._message(delivery, incident, still, late=False)

    async def _message(self, delivery: Delivery, incident: Incident, firing: Sequence[Alert], *, late: bool) -> MessageContent:
        ended = (
            ()
            if firing
            else (await self._store.alerts(hub_scope(self._book.org), MOST_SHOWN, None, AlertFilter(incident=incident.id))).items
        )
        shown = firing or [alert for alert in ended if self._causes_messages(alert)]
        if firing and delivery.kind == "changed":
            shown = [*firing, *await self._ended_since_last_message(delivery, incident)]
        described = await self._describe_all(shown)
        if not firing:
            return MessageContent(incident, described, late=late)
        silent = self._silent_besides(firing) if incident.group == MASS else []
        title = title_of(incident.group, firing, Names(self._facts.name, self._rules.get), silent=len(silent) + len(firing))
        return MessageContent(incident, described, title=title, silent=tuple(self._facts.name(node) for node in silent))

    def _read_again(self, firing: Sequence[Alert]) -> None:
        """Give the engine the present facts of the nodes that a message is about."""
        for node in {alert.node_id for alert in firing if alert.node_id is not None}:
            facts = self._facts.find(node)
            if facts is not None:
                self._engine.set_node(facts, self._clock.now())

    def _silent_besides(self, firing: Sequence[Alert]) -> list[NodeId]:
        """The nodes that do not answer and are not among these episodes."""
        named = {alert.node_id for alert in firing}
        return sorted((node for node in self._facts.silent() if node not in named), key=self._facts.name)

    async def _ended_since_last_message(self, delivery: Delivery, incident: Incident) -> list[Alert]:
        """Episodes that fired when the channel got its last message about the incident, and that are over now."""
        last = last_firing_message(
            [one for one in await self._past(incident.id) if one.channel_id == delivery.channel_id and one.id != delivery.id]
        )
        if last is None or last.sent_at is None:
            return []
        ended = (
            await self._store.alerts(hub_scope(self._book.org), MOST_SHOWN, None, AlertFilter(state="resolved", incident=incident.id))
        ).items
        return [
            one
            for one in ended
            if one.fired_at <= last.sent_at < (one.resolved_at or 0.0) and self._causes_messages(one) and not one.suppressed_by
        ]

    async def _summary(self, delivery: Delivery) -> MessageContent | Withheld:
        """The content of a digest: the incidents that still fire, and those that ended."""
        channel = await self._channels.get(hub_scope(self._book.org), delivery.channel_id)
        parts = [part for part in await self._deliveries.parts(delivery) if await self._may_tell(channel, part)]
        told_resolved = {part.incident_id for part in parts if part.kind == "resolved"}
        open_ones, gone = dict[IncidentId, str](), set[IncidentId]()
        for part in parts:
            if part.incident_id is None or part.kind == "resolved":
                continue
            incident = self._book.incidents.get(part.incident_id)
            if incident is None:
                gone.add(part.incident_id)
            elif _is_due(await self._decision(part, incident, channel, limited=False), self._clock.now()):
                open_ones[incident.id] = incident.title
        if not (open_ones or gone or told_resolved):
            return Withheld("nothing_left")
        alerts = await self._describe_all([alert for incident in open_ones for alert in self._firing_of(incident, {})][:MOST_SUMMED])
        return MessageContent(
            alerts=alerts,
            still_firing=tuple(open_ones.values()),
            ended=len(gone - told_resolved),
            over=len(told_resolved),
            named=tuple(open_ones),
            past=await self._titles([*gone, *(one for one in told_resolved if one is not None and one not in gone)]),
        )

    async def _may_tell(self, channel: Channel, delivery: Delivery) -> bool:
        """Whether the channel may still tell of the incident of a message."""
        if channel.instance or delivery.incident_id is None:
            return True
        with contextlib.suppress(NotFound):  # its node was deleted: it was not about the hub
            known = self._book.incidents.get(delivery.incident_id)
            return may_tell(channel, known or await self._store.incident(hub_scope(self._book.org), delivery.incident_id))
        return True

    async def _titles(self, incidents: Sequence[IncidentId]) -> tuple[str, ...]:
        found = list[str]()
        for one in incidents:
            with contextlib.suppress(NotFound):  # its node was deleted
                found.append((await self._store.incident(hub_scope(self._book.org), one)).title)
        return tuple(found)

    async def _decision(self, delivery: Delivery, incident: Incident, channel: Channel, *, limited: bool = True) -> Decision:
        """The present decision about a waiting message. Args: limited: whether the limits of the channel count; in a digest they do not."""
        firing = self._firing_of(incident.id, {})
        past = [one for one in await self._past(incident.id) if one.channel_id == channel.id and one.id != delivery.id]
        story = await self._story(incident, firing, [channel] if limited else (), delivery.id)
        channel = channel._replace(probe_at=0.0)  # the claim is the probe
        return decide(self._question(delivery.kind, story, channel, past)._replace(held=delivery))

    async def _describe_all(self, alerts: Sequence[Alert]) -> tuple[DescribedAlert, ...]:
        details = await self._details.of(alerts)
        return tuple(self._describe(alert, details.get(alert.id, "")) for alert in alerts)

    def _describe(self, alert: Alert, detail: str) -> DescribedAlert:
        rule = self._rules.get(alert.rule_id)
        unit = "" if rule is None else self._rules.unit(rule)
        name = "" if alert.node_id is None else self._facts.name(alert.node_id)
        return DescribedAlert(alert, name, self._rules.name(alert.rule_id), unit, detail, self._value(alert, rule))

    def _value(self, alert: Alert, rule: Rule | None) -> float | None:
        """The value of an episode as it is now; the stored one if it is over, or its value is not known."""
        value = self.present_value(alert, rule)
        return alert.value if value is None else value

    def present_value(self, alert: Alert, rule: Rule | None) -> float | None:
        """The value of a firing episode as it is now; None: it is over, or its value is not known."""
        if alert.state == "resolved" or rule is None:
            return None
        expression = parse(rule.expr)
        if isinstance(expression, State) and STATES[expression.kind].elapsed:
            return max(0.0, self._clock.now() - alert.since_at)
        return self._engine.value(key_of(alert))

    async def _past(self, incident: IncidentId) -> Sequence[Delivery]:
        return await self._deliveries.history(self._book.org, incident)

    async def sooner(self, incidents: Collection[IncidentId]) -> list[Delivery]:
        """Waiting messages about these incidents, with an earlier time: the reason to wait has ended. Others are left out."""
        found = []
        for story, channel, past in await self._by_channel(one for one in self._book.incidents.values() if one.id in incidents):
            held = waiting(past)
            if held is not None:
                earlier = sooner(self._question(held.kind, story, channel, past), held)
                found += [] if earlier is None else [earlier]
        return found

    async def after_maintenance(self) -> list[Delivery]:
        """Messages that a maintenance window holds back and that are due earlier now: it was closed, or it no longer covers all of them."""
        return await self.sooner(await self._deliveries.held(self._book.org, "maintenance"))

    async def repeats(self, now: float) -> list[Delivery]:
        """Repeated messages about unacknowledged incidents whose last message is old. Args: now: Unix seconds."""
        old = (one for one in self._book.incidents.values() if now - one.since_at >= min(REPEAT_S.values()))
        found = []
        for story, channel, past in await self._by_channel(old):
            at = repeats_at(story.incident, story.firing, past)
            if at is not None and at <= now and waiting(past) is None:
                found.append(await self._repeat(story, channel, past))
        return [one for one in found if one.state != "skipped"]  # a skipped row each minute would add nothing

    async def missing(self) -> tuple[list[Delivery], list[Delivery]]:
        """Messages that new or recovered channels have missed.

        Returns: first messages about firing incidents, and new decisions about messages that did not reach their channel.
        Raises:  StoreError.
        """
        missing = await self._deliveries.missing(self._book.org, self._clock.now() - END_S, self._clock.now())
        wanted = {(one.incident, one.channel): one.lost for one in missing}
        new = list[Delivery]()
        again = await self._lost_ends(lost for lost in wanted.values() if lost is not None and lost.kind == "resolved")
        incidents = {incident for incident, _ in wanted}
        for story, channel, past in await self._by_channel(one for one in self._book.incidents.values() if one.id in incidents):
            pair = (story.incident.id, channel.id)
            if pair not in wanted or all(_is_about_channel(alert, channel) for alert in story.firing):
                continue
            lost = wanted[pair]
            if lost is None:
                new.append(self._new_delivery(self._question("firing", story, channel, past)))
            elif lost.kind != "resolved":
                before = [one for one in past if one.id != lost.id]
                again.append(self._decided(self._question(lost.kind, story, channel, before), lost))
        return new, again

    async def _lost_ends(self, lost: Iterable[Delivery]) -> list[Delivery]:
        found = []
        for one in lost:
            with contextlib.suppress(NotFound):  # its channel or its incident has been deleted
                found.append(await self._lost_end(one))
        return found

    async def _lost_end(self, lost: Delivery) -> Delivery:
        """Decide again about a lost `resolved` message. Raises: NotFound, StoreError."""
        channel = await self._channels.get(hub_scope(self._book.org), lost.channel_id)
        incident = await self._store.incident(hub_scope(self._book.org), lost.incident_id or IncidentId(""))
        past = [one for one in await self._past(incident.id) if one.channel_id == channel.id and one.id != lost.id]
        return self._decided(self._question("resolved", await self._story(incident, (), [channel]), channel, past), lost)

    async def reminders(self, incidents: Collection[IncidentId]) -> list[Delivery]:
        """Messages that are due at the end of a snooze, for channels that were notified before. If nothing fires then, none is sent."""
        found = []
        for story, channel, past in await self._by_channel(one for one in self._book.incidents.values() if one.id in incidents):
            if last_firing_message(past) is not None and waiting(past) is None:
                found.append(await self._repeat(story, channel, past))
        return [one for one in found if one.reason == "snoozed"]

    async def _repeat(self, story: _Story, channel: Channel, past: Sequence[Delivery]) -> Delivery:
        # a new revision, since (incident, revision, kind, channel) is unique
        revised = story.incident._replace(revision=max(one.revision for one in past) + 1)
        return self._new_delivery(self._question("repeat", replace(story, incident=revised), channel, past))

    async def _by_channel(self, incidents: Iterable[Incident]) -> list[tuple[_Story, Channel, list[Delivery]]]:
        """Pairs each of these incidents that fires with each channel. Added are the incident's deliveries to the channel, oldest first."""
        found = []
        firing_ones = [(incident, firing) for incident in incidents if (firing := self._firing_of(incident.id, {}))]
        channels = await self._channels.all(hub_scope(self._book.org)) if firing_ones else ()
        for incident, firing in firing_ones:
            history = await self._past(incident.id)
            story = await self._story(incident, firing, channels)
            found += [(story, one, [row for row in history if row.channel_id == one.id]) for one in channels]
        return found

    async def explain(self, scope: Scope, alert: Alert) -> list[Explanation]:
        """One explanation for each channel. Raises: NotFound: the incident is deleted; StoreError."""
        if not self._causes_messages(alert):
            return [notice_only(channel) for channel in await self._channels.all(hub_scope(alert.org))]
        incident = self._book.incidents.get(alert.incident_id) or await self._store.incident(scope, alert.incident_id)
        firing = self._firing_of(incident.id, {}) or [alert]
        history = await self._past(incident.id)
        channels = await self._channels.all(hub_scope(alert.org))
        story = await self._story(incident, firing, channels)
        found = []
        for channel in channels:
            past = [one for one in history if one.channel_id == channel.id]
            held = under_way(past)
            before = [one for one in past if one is not held]
            kind = _next_kind(incident, past) if held is None else held.kind
            found.append(explain(self._question(kind, story, channel, before)._replace(about=alert), held))
        return found


def _is_about_channel(alert: Alert, channel: Channel) -> bool:
    """Whether an alert says that this channel is broken. Such an alert ends a moment after the channel works again."""
    return (alert.rule_id, alert.object) == (CHANNEL_RULE, channel.name)


def _is_due(decision: Decision, now: float) -> bool:
    """Whether a message would be sent now."""
    return isinstance(decision, Send) and decision.at <= now


def _repeats_skip(delivery: Delivery, last: Delivery) -> bool:
    """Whether the channel is off and its last delivery already says so. Another row would add nothing."""
    off = delivery.state == "skipped" and delivery.reason == "channel_disabled"
    return off and (last.kind, last.state, last.reason) == (delivery.kind, delivery.state, delivery.reason)


def _next_kind(incident: Incident, past: Sequence[Delivery]) -> MessageKind:
    """The kind of the next message about an incident. Args: past: its deliveries to the channel."""
    return "resolved" if incident.state == "resolved" else "firing" if last_firing_message(past) is None else "changed"
