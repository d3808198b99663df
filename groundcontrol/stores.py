"""The interfaces of all stores, in domain terms. No SQL, rows, cursors or transactions cross this boundary.

A mutating method is one domain command: one durable transaction that holds the change and its audit row,
and it returns only after the commit. It may be repeated with equal arguments. Changes are compare-and-set.
Errors that cross: StoreDown, StoreBusy, StoreFull, StoreReadOnly, StoreDamaged, Fenced, Conflict, NotFound.
"""

from __future__ import annotations

from typing import NamedTuple, get_type_hints

from groundcontrol.access.store import (
    ApiTokenStore,
    FactorStore,
    PeopleStore,
    PreferenceStore,
    UserStore,
)
from groundcontrol.agents.store import HubStore, SessionStore
from groundcontrol.core.secrets import SecretStore
from groundcontrol.deployments.store import DeploymentStore, InviteStore
from groundcontrol.events.store import LogStore
from groundcontrol.jobs.store import BatchStore, JobStore
from groundcontrol.nodes.store import FactStore, JournalStore, NodeStore, RecoveryStore
from groundcontrol.samples.store import MetricStore, RetentionStore


class Store(NamedTuple):
    """All stores of one hub. Control and metrics are separate databases: no transaction spans them."""

    hubs: HubStore
    sessions: SessionStore
    nodes: NodeStore
    facts: FactStore
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

    def by_type(self) -> list[tuple[type, object]]:
        """Each store with its Protocol."""
        return list(zip(get_type_hints(type(self)).values(), self, strict=True))
