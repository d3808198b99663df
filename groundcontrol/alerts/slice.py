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
from groundcontrol.alerts.links import AlertHandler
from groundcontrol.alerts.maintenance_api import MAINTENANCE_ROUTES
from groundcontrol.alerts.maintenance_closer import WindowCloser
from groundcontrol.alerts.maintenance_store import MaintenanceStore
from groundcontrol.alerts.messages import MessageContent, Withheld
from groundcontrol.alerts.model import Alert, AlertId, Delivery
from groundcontrol.alerts.notify import NOTIFY_EXPIRES, NOTIFY_PROVIDES, NOTIFY_ROUTES, NOTIFY_TASKS
from groundcontrol.alerts.outbox import ContentSource
from groundcontrol.alerts.silence_store import SilenceStore
from groundcontrol.config import Config
from groundcontrol.core.errors import NotFound
from groundcontrol.core.scope import Scope
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


class NoAlerts:
    """`ContentSource` and `AlertHandler` of a hub that evaluates no rules: there is no incident and no alert."""

    async def content(self, delivery: Delivery) -> MessageContent | Withheld:
        raise NotFound(f"there is no incident {delivery.incident_id}")

    async def acknowledge(self, _scope: Scope, alert: AlertId, _note: str = "") -> Alert:
        raise NotFound(f"there is no alert {alert}")

    async def snooze(self, _scope: Scope, alert: AlertId, _until_at: float) -> Alert:
        raise NotFound(f"there is no alert {alert}")


SLICE: Final = Slice(
    "alerts",
    (*MAINTENANCE_ROUTES, *EXPECTATION_ROUTES, *NOTIFY_ROUTES),
    provides=(
        provide(WindowCloser)(_window_closer),
        provide(DeadMan)(_dead_man),
        provide(DeadlineChecker)(_deadline_checker),
        provide(Heartbeat)(_heartbeat),
        *NOTIFY_PROVIDES,
        provide(ContentSource)(lambda _: NoAlerts()),
        provide(AlertHandler)(lambda _: NoAlerts()),
    ),
    tasks=(WindowCloser, DeadMan, DeadlineChecker, Heartbeat, *NOTIFY_TASKS),
    expires=NOTIFY_EXPIRES,
)
