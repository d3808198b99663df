"""What every store must do, in domain terms. No SQL, rows, cursors or transactions cross this line.

A mutating method is one domain command: one durable transaction that holds the change and its audit row,
and it returns only after the commit. It may be repeated with equal arguments. Changes are compare-and-set.
Errors that cross: StoreDown, StoreBusy, StoreFull, StoreReadOnly, StoreDamaged, Fenced, Conflict, NotFound.
"""

from __future__ import annotations

from typing import NamedTuple

from groundcontrol.domain.history import StoredRow
from groundcontrol.domain.secrets import SealedRecord
from groundcontrol.store.base.deployments import DeploymentStore
from groundcontrol.store.base.entries import AuditEntry, Page
from groundcontrol.store.base.hubs import HubFacts, HubStore, Lease, SessionStore
from groundcontrol.store.base.jobs import BatchStore, Dispatch, JobStore
from groundcontrol.store.base.log import LogStore
from groundcontrol.store.base.nodes import FactStore, InviteStore, NodeStore, RecoveryStore
from groundcontrol.store.base.samples import JournalStore, Marks, MetricStore, RetentionStore
from groundcontrol.store.base.secrets import KeyRotation, SecretStore
from groundcontrol.store.base.users import (
    MAX_PLACES,
    PLACE_S,
    ApiTokenStore,
    Bucket,
    FactorStore,
    Knock,
    ListedSession,
    PeopleStore,
    PreferenceStore,
    UserStore,
)

__all__ = [
    "MAX_PLACES",
    "PLACE_S",
    "ApiTokenStore",
    "AuditEntry",
    "BatchStore",
    "Bucket",
    "DeploymentStore",
    "Dispatch",
    "FactStore",
    "FactorStore",
    "HubFacts",
    "HubStore",
    "InviteStore",
    "JobStore",
    "JournalStore",
    "KeyRotation",
    "Knock",
    "Lease",
    "ListedSession",
    "LogStore",
    "Marks",
    "MetricStore",
    "NodeStore",
    "Page",
    "PeopleStore",
    "PreferenceStore",
    "RecoveryStore",
    "RetentionStore",
    "SealedRecord",
    "SecretStore",
    "SessionStore",
    "Store",
    "StoredRow",
    "UserStore",
]


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
