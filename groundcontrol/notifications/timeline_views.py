"""The answer about one incident with its timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from groundcontrol.alerts.views import IncidentView
from groundcontrol.events.views import EventView, event_view
from groundcontrol.notifications.model import DeliveryId
from groundcontrol.notifications.timeline import Entry, EntryKind
from groundcontrol.notifications.views import DeliveryView
from groundcontrol.web.answer import Answer


class TimelineEntry(Answer):
    at: float
    kind: EntryKind
    """`fired` and `resolved`: of an alert. `event`: also of jobs and users. `delivery`: a message, or the reason why none was sent."""
    alert_id: str | None
    event: EventView | None
    delivery: DeliveryView | None


class IncidentDetailView(IncidentView):
    timeline: list[TimelineEntry]
    """Entries from ten minutes before the incident until its end, oldest first."""
    timeline_cut: bool
    """Whether there are more than 200 entries. Then only the first and the newest are listed."""


def incident_detail_view(
    incident: IncidentView, entries: Sequence[Entry], deliveries: Mapping[DeliveryId, DeliveryView], *, cut: bool
) -> IncidentDetailView:
    timeline = [
        TimelineEntry(
            at=one.at,
            kind=one.kind,
            alert_id=one.alert,
            event=None if one.event is None else event_view(one.event),
            delivery=None if one.delivery is None else deliveries[one.delivery.id],
        )
        for one in entries
    ]
    return IncidentDetailView(**msgspec.structs.asdict(incident), timeline=timeline, timeline_cut=cut)
