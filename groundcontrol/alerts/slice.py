"""The declarations of the alerts slice."""

from __future__ import annotations

from typing import Final

from groundcontrol.agents.registry import Registry
from groundcontrol.alerts.maintenance_api import MAINTENANCE_ROUTES
from groundcontrol.alerts.maintenance_closer import WindowCloser
from groundcontrol.alerts.maintenance_store import MaintenanceStore
from groundcontrol.web.declare import Slice
from groundcontrol.web.services import Services, provide


def _window_closer(services: Services) -> WindowCloser:
    return WindowCloser(services[MaintenanceStore], services.clock, services[Registry].online)


SLICE: Final = Slice(
    "alerts",
    MAINTENANCE_ROUTES,
    provides=(provide(WindowCloser)(_window_closer),),
    tasks=(WindowCloser,),
)
