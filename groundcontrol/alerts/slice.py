"""The declarations of the alerts slice."""

from __future__ import annotations

from typing import Final

from groundcontrol.agents.registry import Registry
from groundcontrol.alerts.channel_store import DeliveryStore
from groundcontrol.alerts.dead_man import DeadMan
from groundcontrol.alerts.deadline_checker import DeadlineChecker
from groundcontrol.alerts.deadlines_store import ExpectationStore
from groundcontrol.alerts.egress import Egress
from groundcontrol.alerts.expectations_api import EXPECTATION_ROUTES
from groundcontrol.alerts.heartbeat import Heartbeat
from groundcontrol.alerts.maintenance_api import MAINTENANCE_ROUTES
from groundcontrol.alerts.maintenance_closer import WindowCloser
from groundcontrol.alerts.maintenance_store import MaintenanceStore
from groundcontrol.alerts.silence_store import SilenceStore
from groundcontrol.config import Config
from groundcontrol.web.declare import Slice
from groundcontrol.web.services import Services, provide


def _window_closer(services: Services) -> WindowCloser:
    return WindowCloser(services[MaintenanceStore], services.clock, services[Registry].online)


def _dead_man(services: Services) -> DeadMan:
    return DeadMan(services[SilenceStore], services.clock, services[Registry].online)


def _deadline_checker(services: Services) -> DeadlineChecker:
    registry = services[Registry]
    return DeadlineChecker(services[ExpectationStore], services[SilenceStore], services.clock, lambda node: not registry.online(node))


def _heartbeat(services: Services) -> Heartbeat:
    url = services[Config].heartbeat_url
    return Heartbeat(services.clock, services[Egress], None if url is None else url.reveal(), services[DeliveryStore].next_due)


SLICE: Final = Slice(
    "alerts",
    (*MAINTENANCE_ROUTES, *EXPECTATION_ROUTES),
    provides=(
        provide(WindowCloser)(_window_closer),
        provide(DeadMan)(_dead_man),
        provide(DeadlineChecker)(_deadline_checker),
        provide(Egress)(lambda services: Egress(services[Config].notify_allow)),
        provide(Heartbeat)(_heartbeat),
    ),
    tasks=(WindowCloser, DeadMan, DeadlineChecker, Egress, Heartbeat),
)
