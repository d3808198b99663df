"""The timeline of an incident: its episodes and messages, the events of its nodes, and actions of users. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from groundcontrol.alerts.model import Alert, AlertId, Incident
from groundcontrol.events.model import Event
from groundcontrol.notifications.model import Delivery

MOST: Final = 200
"""The most entries of a timeline."""
BEFORE_S: Final = 600.0
"""A timeline begins this long before the incident, since earlier events may be its cause."""
AFTER_S: Final = 60.0
EPISODES: Final = frozenset({"alert_firing", "alert_resolved"})
"""Types of events that are left out, since the episodes show the same."""
_HANDLED: Final = frozenset({"alert_acknowledged", "alert_snoozed"})

EntryKind = Literal["fired", "resolved", "event", "delivery"]


class Entry(NamedTuple):
    """One entry. Exactly one of the last three fields is set."""

    at: float
    kind: EntryKind
    alert: AlertId | None = None
    event: Event | None = None
    delivery: Delivery | None = None


def span_of(incident: Incident, now: float) -> tuple[float, float]:
    """The time that the timeline covers, in Unix seconds."""
    return incident.since_at - BEFORE_S, (now if incident.resolved_at is None else incident.resolved_at) + AFTER_S


def timeline_of(
    alerts: Sequence[Alert], events: Sequence[Event], deliveries: Sequence[Delivery], most: int = MOST
) -> tuple[list[Entry], bool]:
    """The entries, oldest first, and whether some were left out.

    If there are more than `most` entries, decisions not to send are left out first. Then the oldest quarter of `most` stays, and the newest
    entries.
    """
    entries = [Entry(alert.fired_at, "fired", alert=alert.id) for alert in alerts]
    entries += [Entry(alert.resolved_at, "resolved", alert=alert.id) for alert in alerts if alert.resolved_at is not None]
    own = {alert.id for alert in alerts}
    entries += [Entry(event.at, "event", event=event) for event in events if _belongs(event, own)]
    entries += [Entry(one.at if one.sent_at is None else one.sent_at, "delivery", delivery=one) for one in deliveries]
    entries.sort(key=lambda entry: entry.at)
    if len(entries) <= most:
        return entries, False
    shown = [entry for entry in entries if entry.delivery is None or entry.delivery.state != "skipped"]
    first = max(0, min(most // 4, len(shown) - most))
    return [*shown[:first], *shown[first:][first - most :]], True


def _belongs(event: Event, own: set[AlertId]) -> bool:
    """Whether the timeline shows an event. Actions of users on alerts of other incidents are not shown."""
    return event.type not in _HANDLED or event.details.get("alert") in own
