"""The live topic of events."""

from __future__ import annotations

from typing import Final

from groundcontrol.core.bus import BusEvent, EventStored, Topic
from groundcontrol.core.ids import EventId
from groundcontrol.core.scope import Scope
from groundcontrol.events.store import LogStore
from groundcontrol.events.views import EventsData, event_view
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.topics import Feed
from groundcontrol.web.services import Services

RECENT_EVENTS: Final = 50


class EventsFeed(Feed):
    """`EventsData`: the newest 50. Then `EventView`."""

    def __init__(self, services: Services, scope: Scope, topic: str, limits: LiveLimits) -> None:
        super().__init__(services, scope, topic, limits)
        self._shown: set[EventId] | None = None
        """Ids of the newest events that every subscriber has received; None: there was no subscriber yet."""

    def topics(self) -> tuple[Topic, ...]:
        return (Topic("event", org=self.scope.org),)

    async def snapshot(self) -> EventsData:
        page = await self.services[LogStore].events(self.scope, RECENT_EVENTS)
        if self._shown is None:
            self._shown = {one.id for one in page.items}
        return EventsData(events=[event_view(one) for one in page.items])

    async def take(self, bus_event: BusEvent, /) -> None:
        shown = self._shown or set()
        if not isinstance(bus_event, EventStored):
            return
        if bus_event.id in shown:
            if bus_event.times > 1 and (again := await self.services[LogStore].find_event(self.scope, bus_event.id)) is not None:
                self.emit(event_view(again))
            return
        page = await self.services[LogStore].events(self.scope, RECENT_EVENTS)
        ids = [one.id for one in page.items]
        if page.next is not None and shown.isdisjoint(ids):
            self._shown = set(ids)
            await self.renew()  # more events were stored at the same time than a page holds
            return
        if bus_event.id not in ids:
            return  # the event belongs to a node outside the grants
        # older events are not new: only a change of grants has made them visible
        fresh = [one for one in page.items[: ids.index(EventId(bus_event.id)) + 1] if one.id not in shown]
        self._shown = shown.intersection(ids).union(one.id for one in fresh)
        for one in reversed(fresh):
            self.emit(event_view(one))
