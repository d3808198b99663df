"""`/api/v1/channels`, `deliveries`, `notifications` and `links`: receivers of messages, the log of messages, and links in messages."""

from __future__ import annotations

import functools
from typing import Final, cast, get_args

import msgspec

from groundcontrol.access.addresses import rate_limit_key
from groundcontrol.access.store import Bucket, OrganisationStore, UserStore
from groundcontrol.alerts.hub_facts import may_tell_of_the_hub
from groundcontrol.alerts.model import IncidentId
from groundcontrol.alerts.service import AlertService
from groundcontrol.core.errors import BadRequest, NotFound, OrganisationSuspended, TooManyRequests
from groundcontrol.core.permissions import allowed
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.core.text import checked_name
from groundcontrol.notifications.channels import KINDS
from groundcontrol.notifications.links import MOST_SNOOZE_S, Link, LinkExpired, Links
from groundcontrol.notifications.model import Caps, Channel, ChannelId, Delivery, DeliveryId, DeliveryState, QuietHours
from groundcontrol.notifications.samples import sample_message
from groundcontrol.notifications.service import ChannelEdit, ChannelService, kind_of
from groundcontrol.notifications.store import ChannelStore, DeliveryFilter, DeliveryStore
from groundcontrol.notifications.views import (
    CapsBody,
    ChannelBody,
    ChannelKindsView,
    ChannelKindView,
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
    QuietHoursBody,
    TestView,
    channel_view,
    delivery_view,
    linked_alert_view,
    notifications_view,
)
from groundcontrol.schedules.wall_clock import zone_of
from groundcontrol.web.request import ApiRequest, unix_time
from spider.wire.ids import is_id

DAY_S: Final = 86_400.0
MAX_NAME_CHARS: Final = 100
SNOOZE_S: Final = 3600.0
MOST_LINKS: Final = Bucket(20, 60.0)
"""Limits how many tokens one address may try."""


def _view(call: ApiRequest, channel: Channel) -> ChannelView:
    return channel_view(channel, of_hub=may_tell_of_the_hub(call.scope))


async def list_channels(call: ApiRequest) -> ChannelsView:
    """All channels, by name, without their targets."""
    call.query()
    manages = allowed(call.scope, "alert.manage")
    found = await call.services[ChannelStore].all(call.scope)
    return ChannelsView(channels=[_view(call, one if manages else one._replace(target_masked="")) for one in found])


async def create_channel(call: ApiRequest, body: ChannelBody) -> ChannelView:
    """Create a channel. Its target is sealed, and never shown again."""
    edit = ChannelEdit(
        checked_name(body.name, MAX_NAME_CHARS),
        body.enabled,
        body.min_severity,
        _caps(body.caps),
        _hours(body.quiet_hours),
        change_quiet_hours=True,
        instance=body.instance,
    )
    return _view(call, await call.services[ChannelService].create(call.scope, body.kind, body.target, edit))


async def edit_channel(call: ApiRequest, body: ChannelPatch) -> ChannelView:
    """Change a channel. Every change except a new name requires the password again. The old receiver is notified of a new target."""
    if body != ChannelPatch(name=body.name):
        call.services.auth.require_step_up(call.caller)
    changes_hours = body.quiet_hours is not msgspec.UNSET
    before = await call.services[ChannelStore].get(call.scope, _channel_id(call))
    edit = ChannelEdit(
        None if body.name is None else checked_name(body.name, MAX_NAME_CHARS, before=before.name),
        body.enabled,
        body.min_severity,
        None if body.caps is None else _caps(body.caps),
        _hours(cast("QuietHoursBody | None", body.quiet_hours)) if changes_hours else None,
        change_quiet_hours=changes_hours,
        instance=body.instance,
    )
    return _view(call, await call.services[ChannelService].edit(call.scope, _channel_id(call), body.target, edit))


async def delete_channel(call: ApiRequest) -> None:
    """Delete a channel, and notify its receiver. Its waiting messages are not sent."""
    await call.services[ChannelService].delete(call.scope, _channel_id(call))


async def check_channel(call: ApiRequest) -> TestView:
    """Send a test message. `GET deliveries` shows the result."""
    return TestView(delivery_id=(await call.services[ChannelService].test(call.scope, _channel_id(call))).id)


async def list_kinds(call: ApiRequest) -> ChannelKindsView:
    """The kinds of channels, each with the schema of its target."""
    call.query()
    return _kinds()


async def preview(call: ApiRequest, body: FormatPreviewBody) -> FormatPreviewView:
    """A sample message in the format of a kind."""
    message = sample_message(body.message, call.services.config.origin, call.services.clock.now())
    return FormatPreviewView(kind=body.kind, payload=kind_of(body.kind).render(message))


async def list_deliveries(call: ApiRequest) -> DeliveriesView:
    """A page of the decisions about messages, newest first, with the reasons why messages were not sent."""
    limit, cursor = call.page("state", "channel", "incident", "from")
    query = call.request.query
    if (state := query.get("state", "")) and state not in get_args(DeliveryState):
        raise BadRequest(f"the parameter state is one of {', '.join(get_args(DeliveryState))}")
    for name in ("channel", "incident"):
        if name in query and not is_id(query[name]):
            raise BadRequest(f"the parameter {name} is not an id")
    since = unix_time(query.get("from"), "from", 0.0)
    channel, incident = query.get("channel"), query.get("incident")
    only = DeliveryFilter(state, ChannelId(channel) if channel else None, IncidentId(incident) if incident else None, since)
    page = await call.services[DeliveryStore].deliveries(call.scope, limit, cursor, only)
    return DeliveriesView(deliveries=await deliveries_with_attempts(call, page.items), next=page.next)


async def retry_delivery(call: ApiRequest) -> DeliveryView:
    """Try a failed message once more, or a waiting one now."""
    delivery = DeliveryId(_id(call, "delivery"))
    [view] = await deliveries_with_attempts(call, [await call.services[ChannelService].retry(call.scope, delivery)])
    return view


async def summary(call: ApiRequest) -> NotificationsView:
    """How many messages were sent, deferred, skipped and failed in 24 hours, and which channels do not work."""
    call.query()
    now = call.services.clock.now()
    found = await call.services[DeliveryStore].summary(call.scope, now - DAY_S, now)
    return notifications_view(
        found, now - DAY_S, await call.services[ChannelStore].all(call.scope), fires=call.services[AlertService].would_notify
    )


async def follow_link(call: ApiRequest, body: LinkBody) -> LinkView:
    """Acknowledge or snooze the alert of a link, without a log-in. Opening the link changes nothing."""
    now = call.services.clock.now()
    wait_s = await call.services[UserStore].reserve_attempt({f"link:{rate_limit_key(call.address)}": MOST_LINKS}, now)
    if wait_s:
        raise TooManyRequests("too many links were followed from here; try again later", retry_after_s=int(wait_s) + 1)
    link = call.services[Links].read(body.token, now)
    scope = await _scope_of(call, link)
    handler = call.services.of(scope.org)[AlertService]
    if body.verb == "acknowledge":
        alert = await handler.acknowledge(scope, link.alert)
    else:
        until = now + SNOOZE_S if body.until_at is None else body.until_at
        if not now < until <= now + MOST_SNOOZE_S:
            raise BadRequest("until_at must lie within the next 24 hours", field="until_at")
        alert = await handler.snooze(scope, link.alert, until)
    return LinkView(verb=body.verb, alert=linked_alert_view(alert))


async def deliveries_with_attempts(call: ApiRequest, deliveries: list[Delivery]) -> list[DeliveryView]:
    """Views of deliveries with their attempts."""
    tries = await call.services[DeliveryStore].attempts(call.scope, [one.id for one in deliveries])
    return [delivery_view(one, tries[one.id]) for one in deliveries]


async def _scope_of(call: ApiRequest, link: Link) -> Scope:
    """A scope with the channel as the actor, so that the audit log shows where the link was sent.

    Raises: LinkExpired: the channel was deleted; OrganisationSuspended.
    """
    asking = Scope(Actor("system", link.channel, f"link:{link.channel}", "operator", call.address), link.org)
    try:
        channel = await call.services[ChannelStore].get(asking, link.channel)
    except NotFound:
        raise LinkExpired("the channel of this link was deleted: log in to handle the alert") from None
    if any(one.no == link.org and one.state == "suspended" for one in await call.services[OrganisationStore].organisations()):
        raise OrganisationSuspended("this organisation is suspended: ask an admin of this hub to resume it")
    return asking._replace(actor=asking.actor._replace(name=f"link:{channel.name}"))


@functools.cache
def _kinds() -> ChannelKindsView:
    return ChannelKindsView(
        kinds=[
            ChannelKindView(kind=kind.name, title=kind.title, hint=kind.hint, target=msgspec.json.schema(kind.target))
            for kind in KINDS.values()
        ]
    )


def _channel_id(call: ApiRequest) -> ChannelId:
    return ChannelId(_id(call, "channel"))


def _id(call: ApiRequest, what: str) -> str:
    text = call.request.match_info["id"]
    if not is_id(text):
        raise NotFound(f"there is no {what} of this id")
    return text


def _caps(body: CapsBody) -> Caps:
    if body.critical_per_hour < body.per_hour:
        raise BadRequest("critical_per_hour must be at least per_hour", field="caps")
    return Caps(body.per_hour, body.critical_per_hour)


def _hours(body: QuietHoursBody | None) -> QuietHours | None:
    if body is None:
        return None
    zone_of(body.zone, "quiet_hours.zone")
    if body.start == body.end:
        raise BadRequest("quiet hours must end at another time than they start", field="quiet_hours.end")
    return QuietHours(body.start, body.end, body.zone, body.critical_too)
