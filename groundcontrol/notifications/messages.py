"""Builds the text of messages. A `Message` has no format: each kind of channel renders it in its own.

Names of nodes, objects and rules, and texts of events, come from outside. `build_message` cleans them for all kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from groundcontrol.alerts.incident_reader import DescribedAlert
from groundcontrol.alerts.model import Incident, IncidentId, Reason
from groundcontrol.core.text import clean
from groundcontrol.events.model import Event
from groundcontrol.notifications.model import Delivery, DeliveryId, MessageKind
from groundcontrol.notifications.values import value_text
from groundcontrol.schedules.model import Level

MOST_LINES: Final = 10
"""How many episodes or incidents have a line of their own. Further ones are named together."""
MOST_NAMED_LINES: Final = 20
TITLE_CHARS: Final = 200
LINE_CHARS: Final = 300
_DAY_S: Final = 86_400.0
_WITHOUT_NUMBER: Final = ("flag", "level")
"""Units of states that are true or false. Messages do not show their numbers."""
_LEVEL_OF: Final[dict[str, Level]] = {"error": "critical", "warning": "warning"}
ENDED: Final[dict[Reason, str]] = {
    "cleared": "over",
    "object_gone": "no longer there",
    "rule_disabled": "rule switched off",
    "rule_deleted": "rule deleted",
    "not_selected": "rule no longer covers this server",
    "node_removed": "server removed",
    "not_repeated": "not reported again",
}
"""Reason -> how an episode ended, as the page shows it."""


class MessageContent(NamedTuple):
    """The facts of a message at the moment of sending."""

    incident: Incident | None = None
    alerts: tuple[DescribedAlert, ...] = ()
    """The episodes, worst first."""
    event: Event | None = None
    node_name: str = ""
    """The name of the event's node."""
    still_firing: tuple[str, ...] = ()
    """For a digest: the titles of open incidents."""
    ended: int = 0
    """For a digest: how many incidents ended without a message to the channel."""
    over: int = 0
    """For a digest: how many incidents ended after the channel was notified of them."""
    named: tuple[IncidentId, ...] = ()
    """For a digest: the incidents in `still_firing`."""
    title: str = ""
    """The title of the incident by the episodes that the message shows; empty: the stored one."""
    silent: tuple[str, ...] = ()
    """Names of servers that do not answer either and have no alert yet."""
    past: tuple[str, ...] = ()
    """For a digest: the titles of the incidents that `ended` and `over` count."""
    late: bool = False
    """Whether the incident is over, and its receiver could not be reached before."""


class Withheld(NamedTuple):
    """There is nothing to send now."""

    reason: str
    until: float | None = None
    """When the message is due again, in Unix seconds; None: never."""


class Message(NamedTuple):
    """One message without a format. Each text is one line, without control or direction-changing characters."""

    id: DeliveryId
    """It is the same at each attempt, so that a receiver can drop a second copy."""
    kind: MessageKind
    level: Level | None
    """None: nothing fires, or the message is not about alerts."""
    title: str
    lines: tuple[str, ...]
    link: str
    """The address of the incident on the page."""
    ack_link: str
    """The address of a page that acknowledges or snoozes; empty: there is nothing to acknowledge."""
    ack_token: str
    """The part of `ack_link` after the `#`, for a button that posts it to `ack_url`."""
    incident_id: IncidentId | None
    since_at: float
    sent_at: float
    hub: str
    """The web origin of the hub."""
    content: MessageContent
    """The cleaned facts, for formats that programs read."""
    recovered: bool = False
    """Whether the value is good again. An incident may also end since its rule or object is gone."""
    only_to: tuple[str, ...] = ()
    """The recipients of a repetition: the others have the message. Empty: all recipients of the channel."""

    @property
    def thread(self) -> str:
        """The id by which receivers group messages: that of the incident, or else of the message."""
        return self.incident_id or self.id

    @property
    def ack_url(self) -> str:
        """The address to which a button of the message posts `ack_token`."""
        return f"{self.hub}/api/v1/links/alert"


class Address(NamedTuple):
    """The hub and the receiver, as a message names them."""

    hub: str
    channel_name: str
    ack_token: str = ""


def build_message(delivery: Delivery, content: MessageContent, address: Address, now: float) -> Message:
    """The message of one delivery."""
    content = cleaned(content)
    incident = content.incident
    is_over = incident is not None and incident.state == "resolved"
    title, lines = _words(delivery, content, address, now)
    return Message(
        id=delivery.id,
        kind="resolved" if content.late else delivery.kind,
        level=_level(delivery, content),
        title=clean(title, TITLE_CHARS),
        lines=tuple(clean(line, LINE_CHARS) for line in lines),
        link=f"{address.hub}/alerts" + ("" if incident is None else f"/{incident.id}"),
        ack_link=f"{address.hub}/a#{address.ack_token}" if address.ack_token and not is_over else "",
        ack_token="" if is_over else address.ack_token,
        incident_id=None if incident is None else incident.id,
        since_at=delivery.at if incident is None else incident.since_at,
        sent_at=now,
        hub=address.hub,
        content=content,
        recovered=is_over and end_of(content) == "cleared",
    )


def end_of(content: MessageContent) -> Reason:
    """Why an incident ended: the reason of the episode that ended last. If several ended at the same time, `cleared` takes precedence."""
    ended = [(one.alert.resolved_at or 0.0, one.alert.reason or "cleared") for one in content.alerts if one.alert.state == "resolved"]
    at = max((at for at, _ in ended), default=0.0)
    reasons = [reason for ended_at, reason in ended if ended_at == at]
    return reasons[0] if reasons and "cleared" not in reasons else "cleared"


def cleaned(content: MessageContent) -> MessageContent:
    """The facts without control, invisible and direction-changing characters."""
    incident, event = content.incident, content.event
    return content._replace(
        incident=None if incident is None else incident._replace(title=clean(incident.title, TITLE_CHARS)),
        alerts=tuple(
            one._replace(
                alert=one.alert._replace(object=clean(one.alert.object), note=clean(one.alert.note)),
                node_name=clean(one.node_name),
                rule_name=clean(one.rule_name),
                detail=clean(one.detail),
            )
            for one in content.alerts
        ),
        event=None if event is None else event._replace(message=clean(event.message, LINE_CHARS), details=_cleaned_details(event.details)),
        node_name=clean(content.node_name),
        still_firing=tuple(clean(title, TITLE_CHARS) for title in content.still_firing),
        title=clean(content.title, TITLE_CHARS),
        silent=tuple(clean(name) for name in content.silent),
        past=tuple(clean(title, TITLE_CHARS) for title in content.past),
    )


def _cleaned_details(details: dict[str, object]) -> dict[str, object]:
    return {clean(key): clean(value) if isinstance(value, str) else value for key, value in details.items() if _is_plain(value)}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _level(delivery: Delivery, content: MessageContent) -> Level | None:
    if content.event is not None:
        return _LEVEL_OF.get(content.event.severity)
    incident = content.incident
    return None if incident is None or incident.state == "resolved" or delivery.kind == "resolved" else incident.level


def _words(delivery: Delivery, content: MessageContent, address: Address, now: float) -> tuple[str, Sequence[str]]:
    event = content.event
    if delivery.kind == "test":
        return f"Test message to {address.channel_name}", ["This channel works: alerts of this hub arrive here."]
    if event is not None:
        where = f" ({content.node_name})" if content.node_name else ""
        return f"{event.severity.capitalize()}: {event.message}{where}", [f"Event {event.type}, {time_text(event.at, now)}"]
    if content.incident is not None:
        incident = content.incident._replace(title=content.title or content.incident.title)
        title, lines = _incident_words(delivery.kind, incident, end_of(content), now, late=content.late)
        return title, [*lines, *_alert_lines(content, now)]
    return _digest_words(content)


def _alert_lines(content: MessageContent, now: float) -> list[str]:
    """A line for each of the first episodes, and the others by name."""
    lines = [alert_line(one, now) for one in content.alerts[:MOST_LINES]]
    by_node = len({one.node_name for one in content.alerts}) > 1
    others = content.alerts[MOST_LINES:]

    def named(state: str) -> list[str]:
        return [one.node_name if by_node and one.node_name else _what(one) for one in others if one.alert.state == state]

    over = named("resolved")
    return [*lines, *_named("also", named("firing")), *_named("also over", over), *_named("not answering either", content.silent)]


def _incident_words(kind: MessageKind, incident: Incident, end: Reason, now: float, *, late: bool) -> tuple[str, list[str]]:
    since = time_text(incident.since_at, now)
    ended_at = incident.resolved_at or now
    if late:
        return f"Was firing {since} to {time_text(ended_at, now)}, could not be notified until now: {incident.title}", []
    if incident.state == "resolved":
        word = "Resolved" if end == "cleared" else ENDED[end].capitalize()
        return f"{word}: {incident.title}", [f"It lasted {duration(ended_at - incident.since_at)}, since {since}."]
    if kind == "repeat":
        return f"Still firing since {since}: {incident.title}", []
    return f"{incident.level.capitalize()}: {incident.title}", []


def _digest_words(content: MessageContent) -> tuple[str, Sequence[str]]:
    """The title and lines of a digest. It names each incident."""
    firing = len(content.still_firing)
    ended = f", {content.ended} came and went" if content.ended else ""
    over = f", {content.over} over" if content.over else ""
    titles = [*content.still_firing, *(f"over: {title}" for title in content.past)]
    return f"{firing} still firing{ended}{over}", [*titles[:MOST_LINES], *_named("also", titles[MOST_LINES:])]


def alert_line(one: DescribedAlert, now: float) -> str:
    """One line about one episode: `web-3: File system almost full (/var), 97 % (limit 90 %), since 14:02 UTC`.

    A state that is true or false, such as a failed service, is shown without a number. The value of a stale alert is the last known one.
    """
    alert = one.alert
    last = "last known " if alert.stale and alert.state == "firing" else ""
    ended_at_zero = alert.state == "resolved" and not one.value
    shown = None if one.unit in _WITHOUT_NUMBER or ended_at_zero else one.value
    name = f"{one.node_name}: " if one.node_name else ""
    detail = f", {one.detail}" if one.detail else ""
    value = "" if shown is None else f", {last}{value_text(shown, one.unit)}"
    limit = "" if alert.threshold is None or shown is None else f" (limit {value_text(alert.threshold, one.unit)})"
    end = f", {ENDED[alert.reason or 'cleared']}" if alert.state == "resolved" else ""
    return f"{name}{_what(one)}{detail}{value}{limit}, since {time_text(alert.since_at, now)}{end}"


def _what(one: DescribedAlert) -> str:
    return one.rule_name + (f" ({one.alert.object})" if one.alert.object else "")


def time_text(moment: float, now: float) -> str:
    """A time such as `14:02 UTC`, with the date if it is more than twelve hours away. A later one, by a clock that was ahead, is not past now."""
    moment = min(moment, now)
    form = "%H:%M UTC" if abs(now - moment) < _DAY_S / 2 else "%Y-%m-%d %H:%M UTC"
    return datetime.fromtimestamp(moment, UTC).strftime(form)


def duration(seconds: float) -> str:
    """Such as `45 s`, `17 min`, `3 h 5 min` or `2 days 4 h`."""
    whole = max(0, round(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if days:
        return f"{days} day{'s' * (days > 1)} {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{whole} s"


def _named(what: str, names: Sequence[str]) -> list[str]:
    """Many names in few lines, and the number of those beyond `MOST_NAMED_LINES`."""
    lines, at = list[str](), 0
    while at < len(names) and len(lines) < MOST_NAMED_LINES:
        line = f"{what}: {names[at]}"
        at += 1
        while at < len(names) and len(line) + len(names[at]) + 2 <= LINE_CHARS:
            line, at = f"{line}, {names[at]}", at + 1
        lines.append(line)
    return [*lines, f"and {len(names) - at} more"] if at < len(names) else lines


def notice(delivery: DeliveryId, title: str, line: str, *, hub: str, now: float) -> Message:
    """A message about the channel itself."""
    return Message(
        delivery, "event", None, clean(title, TITLE_CHARS), (clean(line, LINE_CHARS),), f"{hub}/alerts/channels", "", "", None, now, now, hub,
        MessageContent(),
    )  # fmt: skip
