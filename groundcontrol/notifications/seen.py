"""A short text that says what a message showed. By it a decision tells whether a message has news, and about which episodes it was. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from groundcontrol.alerts.model import Alert, AlertId, Incident
from groundcontrol.notifications.model import Delivery

_DIGEST_CHARS: Final = 24
_MARK_CHARS: Final = 8


def seen_of(incident: Incident, alerts: Iterable[Alert]) -> str:
    """A hash of a firing incident as a receiver sees it. Two messages with the same hash say the same.

    After the hash comes a mark for each firing episode. `is_about` finds by the marks which episodes a message was about.
    """
    firing = [alert for alert in alerts if alert.state == "firing"]
    seen = sorted(f"{alert.id} {alert.level} {alert.value} {alert.threshold}" for alert in firing)
    digest = hashlib.sha256("\n".join([incident.level, incident.title, *seen]).encode()).hexdigest()[:_DIGEST_CHARS]
    return digest + "".join(sorted(_mark(alert.id) for alert in firing))


def is_about(sent: Delivery, alert: Alert) -> bool:
    """Whether a message was about an episode. A message without marks, such as a summary, was about those that had fired before it."""
    marks = sent.shown[_DIGEST_CHARS:]
    if not marks:
        return alert.fired_at <= (sent.at if sent.sent_at is None else sent.sent_at)
    return _mark(alert.id) in (marks[at : at + _MARK_CHARS] for at in range(0, len(marks), _MARK_CHARS))


def _mark(alert: AlertId) -> str:
    return hashlib.sha256(alert.encode()).hexdigest()[:_MARK_CHARS]
