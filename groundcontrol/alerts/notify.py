"""Declares the routes, services and tasks of notifications, which the slice of alerts includes."""

from __future__ import annotations

from typing import Final

from groundcontrol.alerts import channels_api
from groundcontrol.alerts.channel_service import ChannelService
from groundcontrol.alerts.channel_store import ChannelStore, DeliveryStore
from groundcontrol.alerts.channels_views import (
    ChannelBody,
    ChannelKindsView,
    ChannelPatch,
    ChannelsView,
    ChannelView,
    DeliveriesView,
    DeliveryView,
    FormatPreviewBody,
    FormatPreviewView,
    LinkBody,
    LinkView,
    NotificationsView,
    TestView,
)
from groundcontrol.alerts.egress import Detour, Egress
from groundcontrol.alerts.links import Links
from groundcontrol.alerts.outbox import ContentSource, Outbox
from groundcontrol.config import Config
from groundcontrol.vault import Vault
from groundcontrol.web.declare import Expiry
from groundcontrol.web.routes import CURSOR, LIMIT, Parameter, Route
from groundcontrol.web.services import Services, provide

KEEP_DELIVERIES_S: Final = 90 * 86_400.0
STATE: Final = Parameter("state", "due, sending, sent, deferred, skipped or failed")
CHANNEL: Final = Parameter("channel", "only deliveries to this channel")
INCIDENT: Final = Parameter("incident", "only deliveries about this incident")
FROM: Final = Parameter("from", "only decisions since this time, in Unix seconds")
NOTIFY_ROUTES: Final = (
    Route("GET", "/channels", "alert.read", channels_api.list_channels, ChannelsView, whose="organisation"),
    Route("POST", "/channels", "alert.manage", channels_api.create_channel, ChannelView, ChannelBody, status=201, step_up=True, whose="organisation"),
    Route("GET", "/channels/kinds", "alert.read", channels_api.list_kinds, ChannelKindsView, whose="hub"),
    Route("POST", "/channels/preview", "alert.read", channels_api.preview, FormatPreviewView, FormatPreviewBody, whose="hub"),
    Route("PATCH", "/channels/{id}", "alert.manage", channels_api.edit_channel, ChannelView, ChannelPatch, whose="organisation"),
    Route("DELETE", "/channels/{id}", "alert.manage", channels_api.delete_channel, None, status=204, step_up=True, whose="organisation"),
    Route("POST", "/channels/{id}/test", "alert.manage", channels_api.check_channel, TestView, status=202, whose="organisation"),
    Route(
        "GET", "/deliveries", "delivery.read", channels_api.list_deliveries, DeliveriesView, cost="scan",
        query=(LIMIT, CURSOR, STATE, CHANNEL, INCIDENT, FROM), whose="organisation",
    ),
    Route("POST", "/deliveries/{id}/retry", "alert.manage", channels_api.retry_delivery, DeliveryView, status=202, whose="organisation"),
    Route("GET", "/notifications/summary", "delivery.read", channels_api.summary, NotificationsView, cost="page", whose="organisation"),
    Route("POST", "/links/alert", None, channels_api.follow_link, LinkView, LinkBody),
)  # fmt: skip


def _channels(services: Services) -> ChannelService:
    return ChannelService(
        services[ChannelStore], services[DeliveryStore], services[Vault], services[Links], services[Egress], services.clock,
        hub=lambda: services.config.origin, wake=lambda: _wake(services),
    )  # fmt: skip


def _egress(services: Services) -> Egress:
    config = services[Config]
    detour = None if config.notify_proxy is None else Detour(config.notify_proxy, config.notify_direct)
    return Egress(config.notify_allow, detour=detour)


def _wake(services: Services) -> None:
    """Wake the outbox. It is looked up at each call, since it needs the channels itself."""
    services[Outbox].wake()


NOTIFY_PROVIDES: Final = (
    provide(Egress)(_egress),
    provide(Links)(lambda services: Links(services[Vault].link_key)),
    provide(ChannelService)(_channels),
    provide(Outbox)(lambda services: Outbox(services[DeliveryStore], services[ContentSource], services[ChannelService], services.clock)),
)
NOTIFY_TASKS: Final = (Egress, Outbox)
NOTIFY_EXPIRES: Final = (Expiry("deliveries", KEEP_DELIVERIES_S, lambda stores, before: stores[DeliveryStore].expire_deliveries(before)),)
