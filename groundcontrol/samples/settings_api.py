"""`/api/v1/settings`: the settings of the hub, which admins change for all users."""

from __future__ import annotations

import asyncio
import os
from typing import Final

import msgspec

from groundcontrol.config import Config
from groundcontrol.core.errors import BadRequest
from groundcontrol.samples.api import kept
from groundcontrol.samples.model import RetentionChange, TierName
from groundcontrol.samples.store import MetricStore, RetentionStore
from groundcontrol.samples.tiers import TIERS, kept_s
from groundcontrol.samples.views import HubView, RetentionPatch, SettingsPatch, SettingsView, TierView
from groundcontrol.web.request import ApiRequest
from spider.version import VERSION

GONE_S: Final = 86_400.0
"""A node without samples for this long is left out of the expected size until it returns."""
TYPICAL_BYTES: Final[dict[TierName, float]] = {"1s": 0.7, "1m": 2.5, "1h": 3.5}
"""Bytes per value, used where this hub has measured none."""


async def get_settings(call: ApiRequest) -> SettingsView:
    """The settings as they hold, and what each tier of the history takes."""
    rule = await call.services.auth.people.rule()
    hub = await asyncio.to_thread(_hub, call.services[Config])
    return SettingsView(require_totp=rule.holds, require_totp_least=rule.least, retention=await _retention(call), hub=hub)


async def edit_settings(call: ApiRequest, body: SettingsPatch) -> SettingsView:
    """Say who must have a second factor (whoever lacks one can do nothing else before), or how long samples are kept."""
    if body.require_totp is msgspec.UNSET and body.retention in (msgspec.UNSET, RetentionPatch()):
        raise BadRequest("nothing to change: give require_totp, retention or both")
    if body.require_totp is not msgspec.UNSET:
        call.services.auth.people.check_rule(body.require_totp)  # checked first, so that a refused request deletes no samples
    if body.retention is not msgspec.UNSET:
        await _keep(call, body.retention)
    if body.require_totp is not msgspec.UNSET:
        await call.services.auth.people.set_rule(call.scope, body.require_totp)
    return await get_settings(call)


def _hub(config: Config) -> HubView:
    """Reads the disk: must not run in the event loop's thread."""
    control = config.control_db
    with os.scandir(control.parent) as found:
        files = [entry.stat().st_size for entry in found if entry.name.startswith(control.stem) and control.suffix in entry.name]
    disk = os.statvfs(control.parent)
    return HubView(
        version=VERSION,
        origins=sorted(config.origins),
        node_url=config.node_url,
        secure=config.secure,
        tls_pin=config.tls_pin,
        data_dir=str(config.data_dir),
        database_bytes=sum(files),
        free_bytes=disk.f_bavail * disk.f_frsize,
    )


async def _keep(call: ApiRequest, asked: RetentionPatch) -> None:
    wanted = (asked.seconds_s, asked.minutes_s, asked.hours_s)
    change = RetentionChange(*(None if one is msgspec.UNSET else one for one in wanted))
    await call.services[RetentionStore].save_retention(call.scope, change, call.services[Config].retention)


async def _retention(call: ApiRequest) -> list[TierView]:
    holds = await kept(call.services)
    found = []
    since = call.services.clock.now() - GONE_S
    for tier, size in zip(TIERS, await call.services[MetricStore].sizes(since), strict=True):
        per_value = size.bytes / size.samples if size.samples else TYPICAL_BYTES[tier.name]
        found.append(
            TierView(
                tier=tier.name,
                kept_s=kept_s(tier, holds),
                bytes_per_value=round(per_value, 3),
                measured=size.samples > 0,
                values_per_day=size.per_day,
                bytes=round(per_value * size.per_day * kept_s(tier, holds) / 86_400),
            )
        )
    return found
