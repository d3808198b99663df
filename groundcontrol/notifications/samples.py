"""Makes a sample message of each kind, for the preview of a channel's format."""

from __future__ import annotations

from groundcontrol.alerts.incident_reader import DescribedAlert
from groundcontrol.alerts.model import Alert, AlertId, Incident, IncidentId, RuleId
from groundcontrol.core.ids import EventId, NodeId
from groundcontrol.events.model import Event
from groundcontrol.notifications.messages import Address, Message, MessageContent, build_message
from groundcontrol.notifications.model import ChannelId, Delivery, DeliveryId, MessageKind
from spider.wire.ids import new_time_id

_LASTED_S = 1020.0


def sample_message(kind: MessageKind, hub: str, now: float) -> Message:
    """A message about a full file system on `web-3`, or about an event. Args: now: Unix seconds."""
    incident_id, alert_id, delivery_id = (new_time_id(now) for _ in range(3))
    is_over = kind == "resolved"
    since, ended_at = now - _LASTED_S, now if is_over else None
    alert = Alert(
        AlertId(alert_id), 1, RuleId("filesystem.space"), NodeId("0" * 26), "/var", "critical", "resolved" if is_over else "firing", since,
        since, ended_at, "cleared" if is_over else None, 97.2, 97.0, IncidentId(incident_id),
    )  # fmt: skip
    incident = Incident(
        IncidentId(incident_id), 1, "critical", "resolved" if is_over else "open", "web-3: file system almost full (/var)", since, ended_at,
        "node:web-3", 1,
    )  # fmt: skip
    firing = MessageContent(incident, (DescribedAlert(alert, "web-3", "File system almost full", "percent"),))
    happened = Event(EventId(new_time_id(now)), 1, "backup_failed", "error", "api", now, NodeId("0" * 26), "the backup of web-3 failed", {})
    content = {
        "event": MessageContent(event=happened, node_name="web-3"),
        "test": MessageContent(),
        "digest": MessageContent(still_firing=(incident.title,), ended=5),
    }.get(kind, firing)
    delivery = Delivery(
        DeliveryId(delivery_id), 1, ChannelId("0" * 26), kind, None, None, 3 * (kind == "digest"), "due", "ready", now, None
    )
    return build_message(delivery, content, Address(hub, "ops", "TOKEN" if kind in ("firing", "repeat") else ""), now)
