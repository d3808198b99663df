"""What channels were told of an alert or an incident: `/api/v1/alerts/{id}/explain`, `alerts/{id}/deliveries` and `incidents/{id}`."""

from __future__ import annotations

from typing import Final

from groundcontrol.alerts.incident_views import seen_incidents
from groundcontrol.alerts.incidents import NOTICES
from groundcontrol.alerts.model import Alert, AlertId, IncidentId
from groundcontrol.alerts.store import AlertStore
from groundcontrol.events.store import LogStore
from groundcontrol.notifications.api import deliveries_with_attempts
from groundcontrol.notifications.explaining_views import ExplainView, explanation_view
from groundcontrol.notifications.intents import Intents
from groundcontrol.notifications.model import DeliveryId
from groundcontrol.notifications.store import DeliveryFilter, DeliveryStore
from groundcontrol.notifications.timeline import EPISODES, MOST, span_of, timeline_of
from groundcontrol.notifications.timeline_views import IncidentDetailView, incident_detail_view
from groundcontrol.notifications.views import DeliveriesView
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.routes import CURSOR, LIMIT, Route


async def _alert(call: ApiRequest) -> Alert:
    return await call.services[AlertStore].alert(call.scope, AlertId(call.id_of("alert")))


async def explain_alert(call: ApiRequest) -> ExplainView:
    """For each channel: when it was notified of this alert, or why it was not."""
    call.query()
    found = await call.services[Intents].explain(await _alert(call))
    return ExplainView(channels=[explanation_view(one) for one in found])


async def deliveries_of_alert(call: ApiRequest) -> DeliveriesView:
    """The decisions about the incident of an alert, newest first: messages with their attempts, and reasons why none was sent."""
    limit, cursor = call.page()
    only = DeliveryFilter(incident=(await _alert(call)).incident_id)
    page = await call.services[DeliveryStore].deliveries(call.scope, limit, cursor, only)
    return DeliveriesView(deliveries=await deliveries_with_attempts(call, list(page.items)), next=page.next)


async def get_incident(call: ApiRequest) -> IncidentDetailView:
    """One incident with its alerts and its timeline."""
    call.query()
    incident = await call.services[AlertStore].incident(call.scope, IncidentId(call.id_of("incident")))
    [shown] = await seen_incidents(call.services, call.scope, [incident])
    nodes = [alert.node_id for alert in shown.alerts if alert.node_id is not None]
    span = span_of(incident, call.services.clock.now())
    fleet = not incident.group.startswith(("node:", f"{NOTICES}:"))
    events = await call.services[LogStore].events_of(call.scope, nodes, span, MOST + 1, without=EPISODES, fleet=fleet)
    page = await call.services[DeliveryStore].deliveries(call.scope, MOST + 1, None, DeliveryFilter(incident=incident.id))
    entries, cut = timeline_of(shown.alerts, events, page.items)
    views = await deliveries_with_attempts(call, [one.delivery for one in entries if one.delivery is not None])
    return incident_detail_view(shown.view, entries, {DeliveryId(one.id): one for one in views}, cut=cut)


INCIDENT_ROUTES: Final = (
    Route("GET", "/alerts/{id}/explain", "alert.read", explain_alert, cost="page"),
    Route("GET", "/alerts/{id}/deliveries", "alert.read", deliveries_of_alert, cost="page", query=(LIMIT, CURSOR)),
    Route("GET", "/incidents/{id}", "alert.read", get_incident, cost="scan"),
)
