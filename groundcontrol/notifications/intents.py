"""Decides which channels get a message about an incident, and stores the decisions. It also gives the contents of messages, and explains
decisions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from groundcontrol.alerts.incident_reader import LONGEST_QUIET_S, IncidentReader
from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId, RuleId
from groundcontrol.core.errors import NotFound
from groundcontrol.core.scope import hub_scope
from groundcontrol.notifications.deciding import (
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
from groundcontrol.notifications.explaining import Explanation, explain, notice_only, under_way
from groundcontrol.notifications.messages import MOST_LINES, MessageContent, Withheld
from groundcontrol.notifications.model import Channel, ChannelId, Delivery, DeliveryId, MessageKind, is_summary
from groundcontrol.notifications.outbox import DueBell
from groundcontrol.notifications.seen import seen_of
from groundcontrol.notifications.store import ChannelStore, Decided, DeliveryStore
from spider.clock import Clock
from spider.wire.ids import new_time_id

CHANNEL_RULE: Final = RuleId("hub.channel")
END_S: Final = 86_400.0
"""A channel that works again is notified of incidents that ended within this time."""
BACK_S: Final = 15.0
"""The wait of a message whose episodes are all about to end."""
MOST_SUMMED: Final = 100
"""How many episodes the machine-readable part of a summary contains."""


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
    """Calls `decide` for an incident and each channel. It also gives the outbox the contents of messages."""

    def __init__(self, reader: IncidentReader, channels: ChannelStore, deliveries: DeliveryStore, bell: DueBell, clock: Clock) -> None:
        self._reader = reader
        self._org = reader.org
        self._channels = channels
        self._deliveries = deliveries
        self._bell = bell
        self._clock = clock
        self._started = clock.monotonic()

    # -- what alerts call (`Notifier`) -----------------------------------------------------------------

    async def of_changes(self, incidents: Collection[Incident], changed: Mapping[AlertId, Alert], eased: Collection[IncidentId]) -> Decided:
        earlier = await self._hastened(eased)
        new = list[Delivery]()
        for incident in incidents:
            made, hastened = await self._of_change(incident, changed)
            new += made
            earlier += hastened
        return Decided(new, earlier)

    async def review(self) -> None:
        repeats = await self._repeats(self._clock.now())
        new, again = await self._missing()
        await self._store(Decided([*repeats, *new], await self._after_maintenance(), again))

    async def follow_snooze(self, incidents: Collection[IncidentId]) -> None:
        await self._store(Decided(await self._reminders(incidents), await self._hastened(incidents)))

    async def _store(self, decided: Decided) -> None:
        if decided.new or decided.sooner or decided.again:
            await self._deliveries.decide(decided)
            self.wake()

    def wake(self) -> None:
        self._bell.set()

    # -- the decisions ---------------------------------------------------------------------------------

    async def _of_change(self, incident: Incident, changed: Mapping[AlertId, Alert]) -> tuple[list[Delivery], list[Delivery]]:
        """Decide about the newest revision of an incident: at most one decision for each channel.

        Returns: new deliveries, and waiting ones that move to an earlier time.
        """
        firing = self._reader.firing(incident.id, changed)
        if not firing and incident.state == "open":
            return [], []  # it has only notices
        channels = await self._channels.all(hub_scope(self._org))
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

    async def _last_notified(self, firing: Sequence[Alert]) -> Mapping[ChannelId, float]:
        if not firing:
            return {}
        first = firing[0]
        return await self._deliveries.last_notified(self._org, first.rule_id, first.node_id, self._clock.now() - LONGEST_QUIET_S)

    async def _story(
        self, incident: Incident, firing: Sequence[Alert], channels: Sequence[Channel], before: DeliveryId | None = None
    ) -> _Story:
        """Args: channels: those whose limits count. before: as in `DeliveryStore.usage`."""
        usage = await self._deliveries.usage(channels, incident, self._clock.now(), before) if channels else {}
        maintenance_until, flapping_since = self._reader.maintenance_until(firing), self._reader.flapping_since(firing)
        return _Story(incident, firing, await self._last_notified(firing), maintenance_until, flapping_since, usage)

    def _question(self, kind: MessageKind, story: _Story, channel: Channel, past: Sequence[Delivery]) -> Question:
        question = Question(
            kind, story.incident, story.firing, channel, past, self._clock.now(), self._started_at(), story.maintenance_until,
            story.notified_at.get(channel.id), story.flapping_since, story.digest if past and kind in ("firing", "changed") else "",
        )  # fmt: skip
        return question._replace(usage=story.usage.get(channel.id, Usage()))

    def _started_at(self) -> float:
        """When this hub started, by the present clock, which may have been corrected since."""
        return self._clock.now() - (self._clock.monotonic() - self._started)

    def _new_delivery(self, question: Question) -> Delivery:
        now = question.now
        delivery = Delivery(
            DeliveryId(new_time_id(now)), self._org, question.channel.id, question.kind, question.incident.id, None,
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
        incident = await self._reader.incident(delivery.incident_id)
        channel = await self._channels.get(hub_scope(self._org), delivery.channel_id)
        firing = self._reader.firing(incident.id)
        still = self._reader.still_firing(firing)
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
        channel = await self._channels.get(hub_scope(self._org), delivery.channel_id)
        if delivery.incident_id is None or not await self._may_tell(channel, delivery):
            return Withheld("nothing_left")
        still = self._reader.still_firing(self._reader.firing(delivery.incident_id))
        if not still and delivery.kind != "resolved":
            return Withheld("nothing_left")
        return await self._message(delivery, await self._reader.incident(delivery.incident_id), still, late=False)

    async def _message(self, delivery: Delivery, incident: Incident, firing: Sequence[Alert], *, late: bool) -> MessageContent:
        shown = firing or await self._reader.episodes(incident.id)
        if firing and delivery.kind == "changed":
            shown = [*firing, *await self._ended_since_last_message(delivery, incident)]
        described = await self._reader.describe(shown, MOST_LINES)
        if not firing:
            return MessageContent(incident, described, late=late)
        title, silent = self._reader.present_title(incident, firing)
        return MessageContent(incident, described, title=title, silent=silent)

    async def _ended_since_last_message(self, delivery: Delivery, incident: Incident) -> list[Alert]:
        """Episodes that fired when the channel got its last message about the incident, and that are over now."""
        last = last_firing_message(
            [one for one in await self._past(incident.id) if one.channel_id == delivery.channel_id and one.id != delivery.id]
        )
        if last is None or last.sent_at is None:
            return []
        ended = await self._reader.episodes(incident.id, "resolved")
        return [one for one in ended if one.fired_at <= last.sent_at < (one.resolved_at or 0.0) and not one.suppressed_by]

    async def _summary(self, delivery: Delivery) -> MessageContent | Withheld:
        """The content of a digest: the incidents that still fire, and those that ended."""
        channel = await self._channels.get(hub_scope(self._org), delivery.channel_id)
        parts = [part for part in await self._deliveries.parts(delivery) if await self._may_tell(channel, part)]
        told_resolved = {part.incident_id for part in parts if part.kind == "resolved"}
        open_ones, gone = dict[IncidentId, str](), set[IncidentId]()
        for part in parts:
            if part.incident_id is None or part.kind == "resolved":
                continue
            incident = self._reader.open.get(part.incident_id)
            if incident is None:
                gone.add(part.incident_id)
            elif _is_due(await self._decision(part, incident, channel, limited=False), self._clock.now()):
                open_ones[incident.id] = incident.title
        if not (open_ones or gone or told_resolved):
            return Withheld("nothing_left")
        firing = [alert for incident in open_ones for alert in self._reader.firing(incident)]
        alerts = await self._reader.describe(firing[:MOST_SUMMED], MOST_LINES)
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
            return may_tell(channel, await self._reader.incident(delivery.incident_id))
        return True

    async def _titles(self, incidents: Sequence[IncidentId]) -> tuple[str, ...]:
        found = list[str]()
        for one in incidents:
            with contextlib.suppress(NotFound):  # its node was deleted
                found.append((await self._reader.incident(one)).title)
        return tuple(found)

    async def _decision(self, delivery: Delivery, incident: Incident, channel: Channel, *, limited: bool = True) -> Decision:
        """The present decision about a waiting message. Args: limited: whether the limits of the channel count; in a digest they do not."""
        firing = self._reader.firing(incident.id)
        past = [one for one in await self._past(incident.id) if one.channel_id == channel.id and one.id != delivery.id]
        story = await self._story(incident, firing, [channel] if limited else (), delivery.id)
        channel = channel._replace(probe_at=0.0)  # the claim is the probe
        return decide(self._question(delivery.kind, story, channel, past)._replace(held=delivery))

    async def _past(self, incident: IncidentId) -> Sequence[Delivery]:
        return await self._deliveries.history(self._org, incident)

    async def _hastened(self, incidents: Collection[IncidentId]) -> list[Delivery]:
        """Waiting messages about these incidents, with an earlier time: the reason to wait has ended. Others are left out."""
        found = []
        for story, channel, past in await self._by_channel(one for one in self._reader.open.values() if one.id in incidents):
            held = waiting(past)
            if held is not None:
                earlier = sooner(self._question(held.kind, story, channel, past), held)
                found += [] if earlier is None else [earlier]
        return found

    async def _after_maintenance(self) -> list[Delivery]:
        """Messages that a maintenance window holds back and that are due earlier now: it was closed, or it no longer covers all of them."""
        return await self._hastened(await self._deliveries.held(self._org, "maintenance"))

    async def _repeats(self, now: float) -> list[Delivery]:
        """Repeated messages about unacknowledged incidents whose last message is old. Args: now: Unix seconds."""
        old = (one for one in self._reader.open.values() if now - one.since_at >= min(REPEAT_S.values()))
        found = []
        for story, channel, past in await self._by_channel(old):
            at = repeats_at(story.incident, story.firing, past)
            if at is not None and at <= now and waiting(past) is None:
                found.append(await self._repeat(story, channel, past))
        return [one for one in found if one.state != "skipped"]  # a skipped row each minute would add nothing

    async def _missing(self) -> tuple[list[Delivery], list[Delivery]]:
        """Messages that new or recovered channels have missed.

        Returns: first messages about firing incidents, and new decisions about messages that did not reach their channel.
        Raises:  StoreError.
        """
        missing = await self._deliveries.missing(self._org, self._clock.now() - END_S, self._clock.now())
        wanted = {(one.incident, one.channel): one.lost for one in missing}
        new = list[Delivery]()
        again = await self._lost_ends(lost for lost in wanted.values() if lost is not None and lost.kind == "resolved")
        incidents = {incident for incident, _ in wanted}
        for story, channel, past in await self._by_channel(one for one in self._reader.open.values() if one.id in incidents):
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
        channel = await self._channels.get(hub_scope(self._org), lost.channel_id)
        incident = await self._reader.incident(lost.incident_id or IncidentId(""))
        past = [one for one in await self._past(incident.id) if one.channel_id == channel.id and one.id != lost.id]
        return self._decided(self._question("resolved", await self._story(incident, (), [channel]), channel, past), lost)

    async def _reminders(self, incidents: Collection[IncidentId]) -> list[Delivery]:
        """Messages that are due at the end of a snooze, for channels that were notified before. If nothing fires then, none is sent."""
        found = []
        for story, channel, past in await self._by_channel(one for one in self._reader.open.values() if one.id in incidents):
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
        firing_ones = [(incident, firing) for incident in incidents if (firing := self._reader.firing(incident.id))]
        channels = await self._channels.all(hub_scope(self._org)) if firing_ones else ()
        for incident, firing in firing_ones:
            history = await self._past(incident.id)
            story = await self._story(incident, firing, channels)
            found += [(story, one, [row for row in history if row.channel_id == one.id]) for one in channels]
        return found

    async def explain(self, alert: Alert) -> list[Explanation]:
        """One explanation for each channel. Raises: NotFound: the incident is deleted; StoreError."""
        if self._reader.is_notice(alert):
            return [notice_only(channel) for channel in await self._channels.all(hub_scope(alert.org))]
        incident = await self._reader.incident(alert.incident_id)
        firing = self._reader.firing(incident.id) or [alert]
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
