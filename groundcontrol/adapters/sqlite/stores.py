"""The interfaces of all stores, in domain terms. No SQL, rows, cursors or transactions cross this boundary.

A mutating method is one domain command: one durable transaction that holds the change and its audit row,
and it returns only after the commit. It may be repeated with equal arguments. Changes are compare-and-set.
Errors that cross: StoreDown, StoreBusy, StoreFull, StoreReadOnly, StoreDamaged, Fenced, Conflict, NotFound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast, get_type_hints

from groundcontrol.access.store import (
    ApiTokenStore,
    FactorStore,
    PeopleStore,
    PreferenceStore,
    UserStore,
)
from groundcontrol.agents.store import HubStore, SessionStore
from groundcontrol.alerts.channel_store import ChannelStore, DeliveryStore
from groundcontrol.alerts.deadlines_store import ExpectationStore
from groundcontrol.alerts.maintenance_store import MaintenanceStore
from groundcontrol.alerts.silence_store import SilenceStore
from groundcontrol.alerts.store import AlertStore
from groundcontrol.core.secrets import SecretStore
from groundcontrol.deployments.store import DeploymentStore, InviteStore
from groundcontrol.events.store import LogStore
from groundcontrol.jobs.store import BatchStore, JobStore
from groundcontrol.nodes.store import JournalStore, NodeStore, NodeTableStore, RecoveryStore
from groundcontrol.samples.store import MetricStore, RetentionStore

T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """All stores of one hub. Control and metrics are separate databases: no transaction spans them."""

    hubs: HubStore
    sessions: SessionStore
    nodes: NodeStore
    tables: NodeTableStore
    metrics: MetricStore
    journal: JournalStore
    jobs: JobStore
    batches: BatchStore
    deployments: DeploymentStore
    secrets: SecretStore
    users: UserStore
    log: LogStore
    people: PeopleStore
    preferences: PreferenceStore
    factors: FactorStore
    tokens: ApiTokenStore
    retention: RetentionStore
    recovery: RecoveryStore
    invites: InviteStore
    maintenance: MaintenanceStore
    channels: ChannelStore
    deliveries: DeliveryStore
    expectations: ExpectationStore
    silence: SilenceStore
    alerts: AlertStore

    @cached_property
    def _by_type(self) -> dict[type, object]:
        return {kind: getattr(self, name) for name, kind in get_type_hints(type(self)).items()}

    def __getitem__(self, kind: type[T], /) -> T:
        """The store that implements this Protocol (`core.stores.Stores`)."""
        return cast("T", self._by_type[kind])
