"""Declares the services of the agent gateway. It declares no routes, since `/ws` is not a REST call."""

from __future__ import annotations

from typing import Final

from groundcontrol.agents.handshake import AgentHandshake, JoinHandler
from groundcontrol.agents.ingest import Ingest
from groundcontrol.agents.interfaces import RowSink
from groundcontrol.agents.latest import LatestValues
from groundcontrol.agents.node_events import CorruptionReporter
from groundcontrol.agents.node_looks import NodeLooks
from groundcontrol.agents.node_tables import NodeTables
from groundcontrol.agents.process_history import ProcessHistoryWriter
from groundcontrol.agents.quota import Quotas
from groundcontrol.agents.registry import Registry
from groundcontrol.agents.session import FarewellHandler, JobSink, SessionDeps
from groundcontrol.agents.watch_leases import WatchLeases
from groundcontrol.config import Config
from groundcontrol.core.forward_clock import ForwardClock
from groundcontrol.nodes.interfaces import NewestValues, Presence, ReceivedTables, UnitJournals, UnsavedReadings
from groundcontrol.nodes.looks import ReceivedLooks
from groundcontrol.samples.store import DamageReports, MetricStore
from groundcontrol.vault import Vault
from groundcontrol.web.declare import Slice
from groundcontrol.web.services import Services, provide


def _registry(services: Services) -> Registry:
    return Registry(services, services.bus, services.clock, services.hub_id)


def _session_deps(services: Services) -> SessionDeps:
    registry, looks = services[Registry], services[NodeLooks]
    return SessionDeps(
        store=services, bus=services.bus, clock=services.clock, forward_clock=services[ForwardClock], quotas=Quotas(),
        submit=services[Ingest].submit, jobs=services[JobSink], tables=services[NodeTables], looked=looks.looked, looked_on=looks.looked_on,
        update_latest=registry.update_latest, row_sink=lambda org: services.of(org)[RowSink], end=registry.end, skew=registry.skew, farewell=services[FarewellHandler].receive_farewell,
    )  # fmt: skip


def _handshake(services: Services) -> AgentHandshake:
    config, vault = services[Config], services[Vault]
    return AgentHandshake(
        _session_deps(services), services[Registry], services.refusals, services[WatchLeases], services[JoinHandler], services.hub_id,
        vault.fleet_id, vault.fleet_key, config.agent_hosts, config.address_for, config.pack_seconds,
    )  # fmt: skip


SLICE: Final = Slice(
    "agents",
    provides=(
        provide(Registry)(_registry),
        provide(LatestValues)(lambda services: services[Registry].values),
        provide(Ingest)(lambda services: Ingest(services[MetricStore], services.clock)),
        provide(WatchLeases)(lambda services: WatchLeases(services[Registry], services.bus, services.clock)),
        provide(ProcessHistoryWriter)(lambda services: ProcessHistoryWriter(services, services.clock)),
        provide(UnsavedReadings)(lambda services: services[ProcessHistoryWriter]),
        provide(NodeTables)(lambda services: NodeTables(services, services.bus, services.clock, services[ProcessHistoryWriter])),
        provide(NodeLooks)(lambda services: NodeLooks(services[Registry], services.clock)),
        provide(ReceivedLooks)(lambda services: services[NodeLooks]),
        provide(AgentHandshake)(_handshake),
        provide(Presence)(lambda services: services[Registry]),
        provide(UnitJournals)(lambda services: services[Registry]),
        provide(NewestValues)(lambda services: services[LatestValues]),
        provide(ReceivedTables)(lambda services: services[NodeTables]),
        provide(DamageReports)(lambda services: CorruptionReporter(services[Registry].events)),
    ),
    starts=(Registry, AgentHandshake),
    tasks=(Ingest, Registry, LatestValues, WatchLeases, ProcessHistoryWriter),
)
