"""Incidents with their alerts, as a caller may see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from groundcontrol.alerts.facts import FactReader
from groundcontrol.alerts.incident_reader import IncidentReader
from groundcontrol.alerts.incidents import Names
from groundcontrol.alerts.model import Alert, Incident
from groundcontrol.alerts.reading import title_for
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.store import AlertStore
from groundcontrol.alerts.views import IncidentView, alert_view, incident_view
from groundcontrol.core.scope import Scope
from groundcontrol.web.services import Services

MAX_ALERTS_OF_INCIDENT: Final = 500
"""An incident shows its newest alerts; `alerts_cut` says that it has more."""


class SeenIncident(NamedTuple):
    view: IncidentView
    alerts: Sequence[Alert]
    """Those in the view."""


async def seen_incidents(services: Services, scope: Scope, incidents: Sequence[Incident]) -> list[SeenIncident]:
    """Incidents with the alerts that the caller may see."""
    found = await services[AlertStore].alerts_of(scope, [one.id for one in incidents], MAX_ALERTS_OF_INCIDENT + 1)
    return [_seen(services, scope, one, found.get(one.id, ())) for one in incidents]


async def incident_views(services: Services, scope: Scope, incidents: Sequence[Incident]) -> list[IncidentView]:
    """The views of `seen_incidents`."""
    return [one.view for one in await seen_incidents(services, scope, incidents)]


def _seen(services: Services, scope: Scope, incident: Incident, alerts: Sequence[Alert]) -> SeenIncident:
    rules, reader, first = services[Rules], services[IncidentReader], alerts[:MAX_ALERTS_OF_INCIDENT]
    incident = incident._replace(title=title_for(scope, incident, alerts, Names(services[FactReader].name, rules.get)))
    views = [alert_view(alert, rules, reader) for alert in first]
    return SeenIncident(incident_view(incident, views, cut=len(first) < len(alerts)), first)
