"""The declarations of the slice of schedules."""

from __future__ import annotations

from typing import Final

from groundcontrol.nodes.interfaces import Presence
from groundcontrol.schedules.dead_man import DeadMan, HeardAt
from groundcontrol.schedules.deadline_checker import DeadlineChecker
from groundcontrol.schedules.deadlines_store import ExpectationStore
from groundcontrol.schedules.expectations_api import EXPECTATION_ROUTES
from groundcontrol.schedules.maintenance_api import MAINTENANCE_ROUTES
from groundcontrol.schedules.maintenance_closer import WindowCloser
from groundcontrol.schedules.maintenance_store import MaintenanceStore
from groundcontrol.schedules.silence_store import SilenceStore
from groundcontrol.web.declare import Slice
from groundcontrol.web.services import Services, provide


def _window_closer(services: Services) -> WindowCloser:
    return WindowCloser(services[MaintenanceStore], services.clock, services[Presence].online)


def _dead_man(services: Services) -> DeadMan:

    return DeadMan(services[SilenceStore], services.clock, services[Presence].online, services[HeardAt])


def _deadline_checker(services: Services) -> DeadlineChecker:
    presence = services[Presence]
    return DeadlineChecker(services[ExpectationStore], services[SilenceStore], services.clock, lambda node: not presence.online(node))


SLICE: Final = Slice(
    "schedules",
    (*MAINTENANCE_ROUTES, *EXPECTATION_ROUTES),
    provides=(
        provide(WindowCloser)(_window_closer),
        provide(DeadMan)(_dead_man),
        provide(DeadlineChecker)(_deadline_checker),
    ),
    tasks=(WindowCloser, DeadMan, DeadlineChecker),
)
