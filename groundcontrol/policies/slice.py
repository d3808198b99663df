"""The declarations of patch policies."""

from __future__ import annotations

from typing import Final

from groundcontrol.jobs.freezes import Freezes
from groundcontrol.nodes.interfaces import Presence, ReceivedTables
from groundcontrol.nodes.looks import ReceivedLooks
from groundcontrol.policies.api import POLICY_ROUTES
from groundcontrol.policies.feed import WindowsFeed
from groundcontrol.policies.service import FleetReader, FreezeReader
from groundcontrol.policies.windows import PATCH_WINDOWS
from groundcontrol.web.declare import LiveTopic, Slice
from groundcontrol.web.services import provide

SLICE: Final = Slice(
    "policies",
    POLICY_ROUTES,
    topics=(LiveTopic("windows", "patch.read", "page", PATCH_WINDOWS.changed, feed=WindowsFeed),),
    provides=(
        provide(Freezes)(lambda services: FreezeReader(services, services.clock)),
        provide(FleetReader)(
            lambda services: FleetReader(services, services.clock, services[Presence], services[ReceivedLooks], services[ReceivedTables])
        ),
    ),
)
