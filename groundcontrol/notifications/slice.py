"""The declarations of the notifications slice."""

from __future__ import annotations

from typing import Final

from groundcontrol.alerts.incident_reader import IncidentReader
from groundcontrol.alerts.interfaces import Notifier, Receivers
from groundcontrol.alerts.service import AlertService
from groundcontrol.config import Config
from groundcontrol.notifications import api
from groundcontrol.notifications.egress import Detour, Egress
from groundcontrol.notifications.heartbeat import Heartbeat
from groundcontrol.notifications.incidents_api import INCIDENT_ROUTES
from groundcontrol.notifications.intents import Intents
from groundcontrol.notifications.links import Links
from groundcontrol.notifications.outbox import DueBell, Outbox
from groundcontrol.notifications.service import ChannelService
from groundcontrol.notifications.store import ChannelStore, DeliveryStore
from groundcontrol.vault import Vault
from groundcontrol.web.declare import Expiry, Slice
from groundcontrol.web.routes import CURSOR, LIMIT, Parameter, Route
from groundcontrol.web.services import Services, provide

KEEP_DELIVERIES_S: Final = 90 * 86_400.0
STATE: Final = Parameter("state", "due, sending, sent, deferred, skipped or failed")
CHANNEL: Final = Parameter("channel", "only deliveries to this channel")
INCIDENT: Final = Parameter("incident", "only deliveries about this incident")
FROM: Final = Parameter("from", "only decisions since this time, in Unix seconds")
CHANNEL_ROUTES: Final = (
    Route("GET", "/channels", "alert.read", api.list_channels, whose="organisation"),
    Route("POST", "/channels", "alert.manage", api.create_channel, status=201, step_up=True, whose="organisation"),
    Route("GET", "/channels/kinds", "alert.read", api.list_kinds, whose="hub"),
    Route("POST", "/channels/preview", "alert.read", api.preview, whose="hub"),
    Route("PATCH", "/channels/{id}", "alert.manage", api.edit_channel, whose="organisation"),
    Route("DELETE", "/channels/{id}", "alert.manage", api.delete_channel, status=204, step_up=True, whose="organisation"),
    Route("POST", "/channels/{id}/test", "alert.manage", api.check_channel, status=202, whose="organisation"),
    Route(
        "GET", "/deliveries", "delivery.read", api.list_deliveries, cost="scan",
        query=(LIMIT, CURSOR, STATE, CHANNEL, INCIDENT, FROM), whose="organisation",
    ),
    Route("POST", "/deliveries/{id}/retry", "alert.manage", api.retry_delivery, status=202, whose="organisation"),
    Route("GET", "/notifications/summary", "delivery.read", api.summary, cost="page", whose="organisation"),
    Route("POST", "/links/alert", None, api.follow_link),
)  # fmt: skip


def _egress(services: Services) -> Egress:
    config = services[Config]
    detour = None if config.notify_proxy is None else Detour(config.notify_proxy, config.notify_direct)
    return Egress(config.notify_allow, detour=detour)


def _channels(services: Services) -> ChannelService:
    return ChannelService(
        services[ChannelStore], services[DeliveryStore], services[Vault], services[Links], services[Egress], services[DueBell],
        services.clock, hub=lambda: services.config.origin,
    )  # fmt: skip


def _intents(services: Services) -> Intents:
    return Intents(services[IncidentReader], services[ChannelStore], services[DeliveryStore], services[DueBell], services.clock)


def _outbox(services: Services) -> Outbox:
    def contents(org: int) -> Intents:
        return services.of(org)[Intents]

    return Outbox(services[DeliveryStore], contents, services[ChannelService], services[DueBell], services.clock)


def _heartbeat(services: Services) -> Heartbeat:
    url = services[Config].heartbeat_url
    return Heartbeat(
        services.clock,
        services[Egress],
        None if url is None else url.reveal(),
        services[DeliveryStore].next_due,
        lambda: all(services.of(org)[AlertService].evaluates for org in services.orgs),
    )


SLICE: Final = Slice(
    "notifications",
    (*CHANNEL_ROUTES, *INCIDENT_ROUTES),
    provides=(
        provide(Egress)(_egress),
        provide(Links)(lambda services: Links(services[Vault].link_key)),
        provide(DueBell)(lambda _: DueBell()),
        provide(ChannelService)(_channels),
        provide(Receivers)(lambda services: services[ChannelStore]),
        provide(Intents)(_intents),
        provide(Notifier)(lambda services: services[Intents]),
        provide(Outbox)(_outbox),
        provide(Heartbeat)(_heartbeat),
    ),
    tasks=(Egress, Outbox, Heartbeat),
    per_org=(Intents, Notifier),
    expires=(Expiry("deliveries", KEEP_DELIVERIES_S, lambda stores, before: stores[DeliveryStore].expire_deliveries(before)),),
)
