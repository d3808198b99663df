"""The live topics `alerts` and `incidents`."""

from __future__ import annotations

import contextlib
from typing import Final

from groundcontrol.alerts.incident_reader import IncidentReader
from groundcontrol.alerts.incident_views import incident_views
from groundcontrol.alerts.model import Alert, AlertId, IncidentId
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.store import AlertFilter, AlertStore
from groundcontrol.alerts.views import AlertsView, AlertView, IncidentsView, alert_view
from groundcontrol.core.bus import BusEvent, Changed, Topic
from groundcontrol.core.errors import NotFound
from groundcontrol.core.scope import Scope
from groundcontrol.web.cursors import Cursors
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.services import Services

MOST_FIRING: Final = 500
"""Most alerts or incidents of a snapshot. `next` says whether there are more."""


class AlertsFeed(Feed):
    """The topic `alerts`: a snapshot of the firing alerts, then each alert that changes."""

    def __init__(self, services: Services, scope: Scope, limits: LiveLimits) -> None:
        super().__init__(services, scope.org, "alerts", scope.grants, limits=limits)

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("changed", org=self.scope.org),)

    async def snapshot(self) -> AlertsView:
        page = await self.services[AlertStore].alerts(self.scope, MOST_FIRING, None, AlertFilter(state="firing"))
        return AlertsView([self._view(alert) for alert in page.items], self.services[Cursors].seal(page.next))

    def _view(self, alert: Alert) -> AlertView:
        return alert_view(alert, self.services[Rules], self.services[IncidentReader])

    async def take(self, change: BusEvent, /) -> None:
        if isinstance(change, Changed) and change.kind == "alert":
            with contextlib.suppress(NotFound):  # the alert belongs to a node outside the grants
                self.emit(self._view(await self.services[AlertStore].alert(self.scope, AlertId(change.id))))


class IncidentsFeed(Feed):
    """The topic `incidents`: a snapshot of the open incidents, then each incident that changes."""

    def __init__(self, services: Services, scope: Scope, limits: LiveLimits) -> None:
        super().__init__(services, scope.org, "incidents", scope.grants, limits=limits)

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("changed", org=self.scope.org),)

    async def snapshot(self) -> IncidentsView:
        page = await self.services[AlertStore].incidents(self.scope, MOST_FIRING, None, "open")
        return IncidentsView(await incident_views(self.services, self.scope, page.items), self.services[Cursors].seal(page.next))

    async def take(self, change: BusEvent, /) -> None:
        if isinstance(change, Changed) and change.kind == "incident":
            with contextlib.suppress(NotFound):  # all its nodes are outside the grants
                incident = await self.services[AlertStore].incident(self.scope, IncidentId(change.id))
                [view] = await incident_views(self.services, self.scope, [incident])
                self.emit(view)


def alerts_feed(services: Services, scope: Scope, _key: str, limits: LiveLimits) -> Feed:
    """`AlertsView`: the firing alerts, at most 500. Then `AlertView`."""
    return AlertsFeed(services, scope, limits)


def incidents_feed(services: Services, scope: Scope, _key: str, limits: LiveLimits) -> Feed:
    """`IncidentsView`: the open incidents, at most 500. Then `IncidentView`."""
    return IncidentsFeed(services, scope, limits)
