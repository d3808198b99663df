"""The declarations of the alerts slice."""

from __future__ import annotations

from typing import Final

from groundcontrol.agents.interfaces import RowSink
from groundcontrol.agents.store import HubStore
from groundcontrol.alerts.api import ALERT_ROUTES, Previews
from groundcontrol.alerts.engine import Engine
from groundcontrol.alerts.facts import FactReader
from groundcontrol.alerts.feed import AlertsFeed, IncidentsFeed
from groundcontrol.alerts.health import AlertHealth
from groundcontrol.alerts.hub_facts import HubFactReader
from groundcontrol.alerts.incident_reader import IncidentReader
from groundcontrol.alerts.incidents import Book
from groundcontrol.alerts.interfaces import Notifier, Receivers
from groundcontrol.alerts.replay import Replay
from groundcontrol.alerts.retro import RetroEpisodes
from groundcontrol.alerts.rule_preview import RulePreviews
from groundcontrol.alerts.rules import Rules
from groundcontrol.alerts.service import AlertService
from groundcontrol.alerts.store import AlertStore, RuleStore
from groundcontrol.alerts.ticker import Ticker
from groundcontrol.config import Config
from groundcontrol.core.ids import NodeId
from groundcontrol.core.steady_clock import SteadyClock
from groundcontrol.deployments.agent_updates import UpdateService
from groundcontrol.events.store import LogStore
from groundcontrol.jobs.store import JobStore
from groundcontrol.lifecycle import LoopLag
from groundcontrol.nodes.interfaces import NodeHealth, Presence, ReceivedTables
from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples.store import MetricStore
from groundcontrol.schedules.dead_man import DeadMan, HeardAt
from groundcontrol.schedules.deadline_checker import DeadlineChecker
from groundcontrol.schedules.maintenance_closer import WindowCloser
from groundcontrol.web.declare import KEEP_S, Expiry, LiveTopic, Slice
from groundcontrol.web.services import Services, provide


def _heard_at(services: Services) -> HeardAt:
    def heard_at(node: NodeId) -> float | None:
        heard = (services.of(org)[FactReader].heard_at(node) for org in services.orgs)
        return next((at for at in heard if at is not None), None)

    return heard_at


def _facts(services: Services) -> FactReader:
    return FactReader(
        services.org, services[NodeStore], services[JobStore], services[Presence], services[ReceivedTables], services[DeadMan], services[DeadlineChecker],
        services[HubStore], services[UpdateService].version, services.clock,
    )  # fmt: skip


def _hub_facts(services: Services) -> HubFactReader:
    return HubFactReader(
        services[Config].data_dir, services[Receivers], services[LogStore], services.bus, lambda: services[LoopLag].worst_s,
        services[SteadyClock], services.clock,
    )  # fmt: skip


def _reader(services: Services) -> IncidentReader:
    return IncidentReader(
        book=services[Book],
        store=services[AlertStore],
        rules=services[Rules],
        engine=services[Engine],
        facts=services[FactReader],
        windows=services[WindowCloser].windows,
        log=services[LogStore],
        clock=services.clock,
    )


def _alerts(services: Services) -> AlertService:
    facts = services[FactReader]
    return AlertService(
        book=services[Book],
        store=services[AlertStore],
        rule_store=services[RuleStore],
        log=services[LogStore],
        notifier=services[Notifier],
        rules=services[Rules],
        engine=services[Engine],
        facts=facts,
        hub_facts=services[HubFactReader],
        replay=Replay(services[MetricStore], facts.number, services.clock),
        retro=RetroEpisodes(services.org, services[MetricStore], facts, services[Rules], services.clock),
        windows=services[WindowCloser].windows,
        bus=services.bus,
        clock=services.clock,
    )


def _health(services: Services) -> AlertHealth:
    def of_org(org: int) -> tuple[AlertService, Rules]:
        own = services.of(org)
        return own[AlertService], own[Rules]

    return AlertHealth(of_org, services[Presence])


SLICE: Final = Slice(
    "alerts",
    ALERT_ROUTES,
    topics=(
        LiveTopic("alerts", "alert.read", "fleet", "alert", feed=AlertsFeed),
        LiveTopic("incidents", "alert.read", "fleet", "incident", feed=IncidentsFeed),
    ),
    provides=(
        provide(HeardAt)(_heard_at),
        provide(Rules)(lambda _: Rules()),
        provide(Engine)(lambda _: Engine()),
        provide(FactReader)(_facts),
        provide(SteadyClock)(lambda services: SteadyClock(services.clock)),
        provide(HubFactReader)(_hub_facts),
        provide(Book)(lambda services: Book(services.org)),
        provide(IncidentReader)(_reader),
        provide(AlertService)(_alerts),
        provide(Ticker)(lambda services: Ticker(services.clock, lambda: [services.of(org)[AlertService] for org in services.orgs])),
        provide(RowSink)(lambda services: services[AlertService]),
        provide(Previews)(lambda _: Previews()),
        provide(RulePreviews)(
            lambda services: RulePreviews(services[NodeStore], services[MetricStore], services[FactReader], services[LogStore])
        ),
        provide(NodeHealth)(_health),
    ),
    tasks=(HubFactReader, Ticker, AlertService),
    per_org=(Book, Rules, Engine, FactReader, RulePreviews, IncidentReader, AlertService, RowSink),
    expires=(Expiry("alerts", KEEP_S, lambda stores, before: stores[AlertStore].expire_alerts(before)),),
)
