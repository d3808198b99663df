"""Decides whether and when a channel gets a message about an incident: send, defer or skip, with a reason. Pure.

It is the only place that decides: when something changes, before each attempt to send, and for the page's explanation. Its checks have a
fixed order, and the first that applies decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time, timedelta
from typing import Final, Literal, NamedTuple

from groundcontrol.alerts.incidents import ABOUT_THE_HUB
from groundcontrol.alerts.model import COOL_DOWN_S, Alert, Incident
from groundcontrol.core.errors import BadRequest
from groundcontrol.notifications.model import Channel, Delivery, MessageKind, QuietHours
from groundcontrol.notifications.seen import is_about
from groundcontrol.schedules.model import Level
from groundcontrol.schedules.wall_clock import local_date, span, zone_of

GROUP_S: Final[dict[str, float]] = {"critical": 10.0, "warning": 30.0}
"""How long the first message waits for other episodes of its incident."""
NEW_CRITICAL_EVERY_S: Final = 60.0
"""The shortest time between a message about an incident of a node and one about a critical alert that is new in it."""
UPDATE_EVERY_S: Final = 300.0
"""The shortest time between two messages about an incident, unless it becomes critical."""
HOUR_S: Final = 3600.0
SETTLE_S: Final = 90.0
"""For how long after its start the hub sends no message that something fires: nodes are still reconnecting."""
TOLD_ONCE: Final = frozenset({"reboot.overdue"})
"""Rules whose alerts alone repeat no message."""
REPEAT_S: Final[dict[str, float]] = {"critical": 4 * 3600.0, "warning": 24 * 3600.0}
"""How long after the last message a message is repeated, by level."""
SEVERITY: Final[dict[str, int]] = {"info": 0, "warning": 1, "critical": 2}

LATE: Final = "late"
"""The reason of a message that could not be sent before its incident was over."""
LATE_S: Final = 600.0
"""If a critical incident lasted longer than this, channels receive a message about it even after its end."""

SkipReason = Literal[
    "channel_disabled", "resolved_before_delivery", "retroactive", "never_told_firing", "below_severity", "acknowledged", "suppressed_by_parent", "flapping",
    "nothing_left", "already_told", "rule_info_only", "about_the_hub",
]  # fmt: skip
DeferReason = Literal[
    "settling", "maintenance", "snoozed", "cool_down", "quiet_hours", "grouping", "update_interval", "cap", "channel_retry"
]


_HIDDEN: Final[tuple[tuple[str, SkipReason], ...]] = (
    ("suppressed_by", "suppressed_by_parent"),
    ("flapping", "flapping"),
    ("acknowledged_at", "acknowledged"),
)
"""Fields of an alert that prevent messages about it, with their reasons."""


class Send(NamedTuple):
    """Send the message at this time, in Unix seconds."""

    at: float
    reason: str = "ready"


class Defer(NamedTuple):
    """Decide again at this time, in Unix seconds."""

    until: float
    reason: DeferReason


class Skip(NamedTuple):
    """Send no message."""

    reason: SkipReason


Decision = Send | Defer | Skip


class Usage(NamedTuple):
    """What a channel sent in the last hour. A digest counts as one message, and the messages in it do not count."""

    sent: int = 0
    of_group: int = 0
    """About the group of the incident, which is mostly a node."""
    critical_of_group: int = 0
    """The firing critical ones of `of_group`."""
    first_at: float = 0.0
    """When the oldest was sent."""
    first_of_group_at: float = 0.0


class Question(NamedTuple):
    """The facts for one decision. Times are in Unix seconds."""

    kind: MessageKind
    incident: Incident
    firing: Sequence[Alert]
    """The firing episodes of the incident, worst first."""
    channel: Channel
    history: Sequence[Delivery]
    """All deliveries of this incident to this channel, oldest first."""
    now: float
    started_at: float
    """When this hub started."""
    maintenance_until: float | None = None
    """When maintenance ends for all firing episodes; None: it does not cover all of them."""
    notified_at: float | None = None
    """When the channel last got a firing message about the same rule and node, even of another incident."""
    flapping_since: float | None = None
    """When the present quiet time of a flapping episode began; None: no episode is in a quiet time."""
    shown: str = ""
    """The result of `seen_of` for the incident as it is now; empty: it is not compared with the last message."""
    held: Delivery | None = None
    """The message that waits, if the decision about it is made again. The history leaves it out."""
    usage: Usage = Usage()
    about: Alert | None = None
    """The episode that `explain` explains. It does not affect the decision."""


def may_tell(channel: Channel, incident: Incident) -> bool:
    """Whether a channel may tell of an incident: of the hub itself, which all organisations share, only those marked `instance` tell."""
    return channel.instance or incident.group != ABOUT_THE_HUB


def decide(question: Question) -> Decision:
    """The decision for one channel."""
    if not question.channel.enabled:
        return Skip("channel_disabled")
    if not may_tell(question.channel, question.incident):
        return Skip("about_the_hub")
    decision = _about_incident(question)
    return _paced(question, decision) if isinstance(decision, Send) else decision


def _about_incident(question: Question) -> Decision:
    """The decision by the incident and what the channel was notified of."""
    channel, incident = question.channel, question.incident
    if question.kind == "resolved":
        return _recovery(question)
    if incident.state == "resolved":
        return _too_late(question)
    if SEVERITY[incident.level] < SEVERITY[channel.min_severity]:
        return Skip("below_severity")
    visible = [alert for alert in question.firing if not alert.retro]
    if not visible:
        return Skip("retroactive" if question.firing else "nothing_left")
    for hidden, reason in _HIDDEN:
        if reason == "flapping" and _opens_quiet_time(question):
            continue
        if all(getattr(alert, hidden) for alert in visible):
            return Skip(reason)
        visible = [alert for alert in visible if not getattr(alert, hidden)]
    return Skip("already_told") if _shows_nothing_new(question) else _when(question, visible)


def _shows_nothing_new(question: Question) -> bool:
    """Whether the channel's last message already shows the incident as it is now. A repeat is sent in spite of that."""
    last = last_firing_message(question.history)
    return question.kind in ("firing", "changed") and last is not None and last.shown != "" and last.shown == question.shown


def _opens_quiet_time(question: Question) -> bool:
    """Whether this is the first message in the quiet time of a flapping episode. It is sent: without it, silence would look like an end."""
    last = last_firing_message(question.history)
    last_at = max(question.notified_at or 0.0, 0.0 if last is None else last.sent_at or last.at)
    return question.flapping_since is not None and last_at < question.flapping_since


def _recovery(question: Question) -> Decision:
    """The decision about the message that an incident is over. Only channels that were notified of the incident get it."""
    if not last_firing_message(question.history):
        return Skip("never_told_firing")
    if any(one.reason == LATE for one in question.history):
        return Skip("resolved_before_delivery")
    return _quiet(question, question.incident.level, question.now)


def _too_late(question: Question) -> Decision:
    """The decision about a message that waited until its incident was over."""
    incident, held = question.incident, question.held
    lasted_s = (incident.resolved_at or question.now) - incident.since_at
    if held is not None and held.critical and last_firing_message(question.history) is None and lasted_s > LATE_S:
        return Send(question.now, LATE)
    return Skip("resolved_before_delivery")


def _paced(question: Question, send: Send) -> Decision:
    """Defer a message to a channel that rests after failures, or that had too many messages. They are then joined into one digest.

    The first critical message about a node in an hour is always sent. A node takes at most half of the limit, and one without a message in
    this hour may exceed the limit, up to twice.
    """
    channel, usage = question.channel, question.usage
    if channel.probe_at > send.at:
        return Defer(channel.probe_at, "channel_retry")
    critical = question.incident.level == "critical"
    if critical and question.kind != "resolved" and not usage.critical_of_group:
        return send
    most = channel.caps.critical_per_hour if critical else channel.caps.per_hour
    if usage.of_group and usage.of_group >= max(1, most // 2):
        return Defer(max(send.at, usage.first_of_group_at + HOUR_S), "cap")
    if usage.sent >= most * (1 if usage.of_group else 2):
        return Defer(max(send.at, usage.first_at + HOUR_S), "cap")
    return send


def _when(question: Question, visible: Sequence[Alert]) -> Decision:
    now, level = question.now, visible[0].level
    last = last_firing_message(question.history)
    settled = question.started_at + SETTLE_S
    if SEVERITY[level] < SEVERITY[question.channel.min_severity]:
        return Skip("below_severity")
    if now < settled:
        return Defer(settled, "settling")
    if question.maintenance_until is not None and question.maintenance_until > now:
        return Defer(question.maintenance_until, "maintenance")
    snoozes = [alert.snoozed_until or 0.0 for alert in visible]
    if min(snoozes) > now:
        return Defer(min(snoozes), "snoozed")
    if last is None:
        if question.notified_at is not None and question.notified_at + COOL_DOWN_S > now and level != "critical":
            return Defer(question.notified_at + COOL_DOWN_S, "cool_down")
        ready = max(now, min(now, *(alert.fired_at for alert in visible)) + GROUP_S[level])
    else:
        risen = level == "critical" and not last.critical
        of_node = question.incident.group.startswith("node:")  # a joint incident is one story, and names those that may follow
        new = of_node and any(alert.level == "critical" and not is_about(last, alert) for alert in visible)
        pause_s = NEW_CRITICAL_EVERY_S if new else UPDATE_EVERY_S
        ready = now if risen or question.kind == "repeat" else max(now, (last.sent_at or now) + pause_s)
    waits = "grouping" if last is None else "update_interval"
    return _quiet(question, level, ready, waits)


def _quiet(question: Question, level: Level, ready: float, waits: str = "grouping") -> Decision:
    """Send at `ready`, or defer to the end of the quiet hours.

    Args: level: of the worst alert that the message is about. waits: the reason if `ready` is still to come.
    """
    hours = question.channel.quiet_hours
    until = None if hours is None or (level == "critical" and not hours.critical_too) else quiet_until(hours, ready)
    if until is not None:
        return Defer(until, "quiet_hours")
    return Send(ready, waits if ready > question.now else "ready")


def last_firing_message(history: Sequence[Delivery]) -> Delivery | None:
    """The last message about the firing incident that the channel got, or is getting now; None: there is none."""
    sent = [one for one in history if one.state in ("sent", "sending") and one.kind in ("firing", "changed", "repeat")]
    return sent[-1] if sent else None


def waiting(history: Sequence[Delivery]) -> Delivery | None:
    """The newest waiting message that the incident fires; None: there is none. It will show the incident as it is when it is sent."""
    open_ones = [one for one in history if one.state in ("due", "deferred") and one.kind != "resolved"]
    return open_ones[-1] if open_ones else None


def sooner(question: Question, held: Delivery) -> Delivery | None:
    """A deferred message with an earlier time, since the reason for its delay has ended; None: it keeps its time."""
    decision = decide(question)
    if held.state != "deferred" or held.next_at is None or isinstance(decision, Skip):
        return None
    at = decision.at if isinstance(decision, Send) else decision.until
    return held._replace(next_at=at, reason=decision.reason) if at < held.next_at else None


def repeats_at(incident: Incident, firing: Sequence[Alert], history: Sequence[Delivery]) -> float | None:
    """When the message about a firing incident is repeated, in Unix seconds.

    Returns: None: it is not repeated: the channel got no such message, or each alert is acknowledged or explained by another one.
    """
    last = last_firing_message(history)
    if last is None or not firing or all(alert.acknowledged_at or alert.suppressed_by or alert.rule_id in TOLD_ONCE for alert in firing):
        return None
    return (last.sent_at or last.at) + REPEAT_S[incident.level]


def quiet_until(hours: QuietHours, at: float) -> float | None:
    """The end of the quiet hours that cover this time, in Unix seconds; None: none cover it.

    Start and end are wall-clock times in the zone of the quiet hours. If a change of the clock skips one, the first instant after it counts.
    If the change repeats a time, the first occurrence counts as a start and the second one as an end.
    """
    try:
        zone = zone_of(hours.zone)
    except BadRequest:  # this machine no longer has the zone: sending at night is better than silence
        return None
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    today = local_date(zone, at)
    nights = (span(zone, day, start, end) for day in (today - timedelta(days=1), today))
    return next((ends_at for begins_at, ends_at in nights if begins_at <= at < ends_at), None)
