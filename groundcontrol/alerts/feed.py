"""The live topics `alerts` and `incidents`."""

from __future__ import annotations

from typing import Final

from groundcontrol.alerts.incident_reader import IncidentReader
from groundcontrol.alerts.incident_views import incident_views
from groundcontrol.alerts.model import Alert, AlertId, IncidentId
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.store import AlertFilter, AlertStore
from groundcontrol.alerts.views import AlertsView, AlertView, IncidentsView, IncidentView, alert_view
from groundcontrol.web.cursors import Cursors
from groundcontrol.web.live.topics import ListFeed

MOST_FIRING: Final = 500
"""Most alerts or incidents of a snapshot. `next` says whether there are more."""


class AlertsFeed(ListFeed):
    """`AlertsView`: the firing alerts, at most 500. Then `AlertView`."""

    kind = "alert"

    async def snapshot(self) -> AlertsView:
        page = await self.services[AlertStore].alerts(self.scope, MOST_FIRING, None, AlertFilter(state="firing"))
        return AlertsView([self._view(alert) for alert in page.items], self.services[Cursors].seal(page.next))

    def _view(self, alert: Alert) -> AlertView:
        return alert_view(alert, self.services[Rules], self.services[IncidentReader])

    async def view(self, key: str) -> AlertView:
        return self._view(await self.services[AlertStore].alert(self.scope, AlertId(key)))


class IncidentsFeed(ListFeed):
    """`IncidentsView`: the open incidents, at most 500. Then `IncidentView`."""

    kind = "incident"

    async def snapshot(self) -> IncidentsView:
        page = await self.services[AlertStore].incidents(self.scope, MOST_FIRING, None, "open")
        return IncidentsView(await incident_views(self.services, self.scope, page.items), self.services[Cursors].seal(page.next))

    async def view(self, key: str) -> IncidentView:
        incident = await self.services[AlertStore].incident(self.scope, IncidentId(key))
        return (await incident_views(self.services, self.scope, [incident]))[0]
