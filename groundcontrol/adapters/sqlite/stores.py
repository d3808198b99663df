"""The table of all stores: interface and implementation. No SQL, rows, cursors or transactions cross the interfaces.

A method that changes something is one durable transaction, with the audit row of a change by a person. Only expiry, compaction and removal
of samples take several. Each method returns after its commit, and may be repeated with equal arguments. Some edits name the version that they
replace, and fail if another version is stored. The errors are those of `core/errors.py`.
"""

# ruff: noqa: RUF009  # `_made` makes fields, no values

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TypeVar, cast, get_type_hints

from groundcontrol.access.oidc.store import OidcStore
from groundcontrol.access.passkeys import PasskeyStore
from groundcontrol.access.store import (
    ApiTokenStore,
    FactorStore,
    MembershipStore,
    OrganisationStore,
    PreferenceStore,
    UserAdminStore,
    UserStore,
)
from groundcontrol.adapters.sqlite.alerts import SqliteAlerts, SqliteRules
from groundcontrol.adapters.sqlite.api_tokens import SqliteApiTokens
from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.batches import SqliteBatches
from groundcontrol.adapters.sqlite.channels import SqliteChannels
from groundcontrol.adapters.sqlite.deliveries import SqliteDeliveries
from groundcontrol.adapters.sqlite.delivery_rows import write_decisions
from groundcontrol.adapters.sqlite.deployments import SqliteDeployments
from groundcontrol.adapters.sqlite.engine.organisation import act_for_owners
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.events import SqliteLog
from groundcontrol.adapters.sqlite.expectations import SqliteExpectations
from groundcontrol.adapters.sqlite.invites import SqliteInvites
from groundcontrol.adapters.sqlite.jobs import SqliteJobs, delete_jobs_of
from groundcontrol.adapters.sqlite.maintenance import SqliteMaintenance, open_for
from groundcontrol.adapters.sqlite.memberships import SqliteMemberships
from groundcontrol.adapters.sqlite.node_logs import SqliteNodeLogs
from groundcontrol.adapters.sqlite.node_tables import SqliteNodeTables
from groundcontrol.adapters.sqlite.nodes import SqliteNodes
from groundcontrol.adapters.sqlite.oidc import SqliteOidc
from groundcontrol.adapters.sqlite.orders import SqliteOrders
from groundcontrol.adapters.sqlite.organisations import SqliteOrganisations
from groundcontrol.adapters.sqlite.passkeys import SqlitePasskeys
from groundcontrol.adapters.sqlite.policies import SqlitePatchWindows, SqlitePolicies
from groundcontrol.adapters.sqlite.process_history import SqliteProcessHistory
from groundcontrol.adapters.sqlite.rollout_jobs import STARTS_NOTHING, reboot_waits
from groundcontrol.adapters.sqlite.rollouts import SqliteRollouts
from groundcontrol.adapters.sqlite.samples import SqliteMetrics
from groundcontrol.adapters.sqlite.second_factors import SqliteFactors
from groundcontrol.adapters.sqlite.secrets import SqliteSecrets
from groundcontrol.adapters.sqlite.sessions import SqliteHubs, SqliteSessions
from groundcontrol.adapters.sqlite.settings import SqlitePreferences, SqliteRecovery, SqliteRetention
from groundcontrol.adapters.sqlite.silence import SqliteSilence
from groundcontrol.adapters.sqlite.users import SqliteUsers
from groundcontrol.adapters.sqlite.users_admin import SqliteUserAdmin
from groundcontrol.agents.store import HubStore, SessionStore
from groundcontrol.alerts.store import AlertStore, RuleStore
from groundcontrol.core.secrets import SecretStore
from groundcontrol.deployments.store import DeploymentStore, InviteStore
from groundcontrol.events.store import LogStore, OrderStore
from groundcontrol.jobs.store import BatchStore, JobStore
from groundcontrol.nodes.store import NodeLogStore, NodeStore, NodeTableStore, ProcessHistoryStore, RecoveryStore
from groundcontrol.notifications.store import ChannelStore, DeliveryStore
from groundcontrol.policies.store import PatchWindowStore, PolicyStore
from groundcontrol.rollouts.store import RolloutStore
from groundcontrol.samples.store import MetricStore, RetentionStore
from groundcontrol.schedules.deadlines_store import ExpectationStore
from groundcontrol.schedules.maintenance_store import MaintenanceStore
from groundcontrol.schedules.silence_store import SilenceStore
from spider.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True)
class Connections:
    """What stores are made of: the connections to both files, the audit chain and the clock."""

    writer: Writer
    reader: Reader
    urgent: Reader
    """For queries that must not wait."""
    samples_writer: Writer
    samples_reader: Reader
    audit: Chain
    audit_keys: tuple[bytes, ...]
    """The present key, and those from before rotations."""
    clock: Clock

    @cached_property
    def metrics(self) -> SqliteMetrics:
        """One object for two fields: the store of nodes deletes the samples of a removed node."""
        return SqliteMetrics(self.samples_writer, self.samples_reader)

    @cached_property
    def jobs(self) -> SqliteJobs:
        """One object for two fields: the store of batches stops jobs."""
        return SqliteJobs(self.writer, self.reader, self.urgent, self.audit, open_for, STARTS_NOTHING, reboot_waits)

    @cached_property
    def policies(self) -> SqlitePolicies:
        """One object for two fields: the store of roll-outs marks occurrences as started."""
        return SqlitePolicies(self.writer, self.reader, self.audit, self.clock)


def _made(make: Callable[[Connections], T]) -> T:
    """A field of `Store`, and the function that makes its store. mypy checks the store against the Protocol of the field."""
    made: T = field(metadata={"make": make})
    return made


def _control(kind: Callable[[Writer, Reader, Chain, Clock], T]) -> T:
    """A field with a store of the control database."""
    return _made(lambda at: kind(at.writer, at.reader, at.audit, at.clock))


def _urgent(kind: Callable[[Writer, Reader, Chain, Clock], T]) -> T:
    """As `_control`, for a store whose queries must not wait."""
    return _made(lambda at: kind(at.writer, at.urgent, at.audit, at.clock))


@dataclass(frozen=True)
class Store:
    """All stores of one hub. Control and metrics are separate databases: no transaction spans them."""

    hubs: HubStore = _control(SqliteHubs)
    sessions: SessionStore = _urgent(SqliteSessions)
    nodes: NodeStore = _made(lambda at: SqliteNodes(at.writer, at.reader, at.urgent, at.audit, at.metrics, at.clock, delete_jobs_of))
    tables: NodeTableStore = _control(SqliteNodeTables)
    metrics: MetricStore = _made(lambda at: at.metrics)
    node_logs: NodeLogStore = _made(lambda at: SqliteNodeLogs(at.samples_writer, at.samples_reader))
    process_history: ProcessHistoryStore = _made(lambda at: SqliteProcessHistory(at.samples_writer, at.samples_reader))
    jobs: JobStore = _made(lambda at: at.jobs)
    batches: BatchStore = _made(lambda at: SqliteBatches(at.writer, at.reader, at.audit, at.clock, at.jobs))
    deployments: DeploymentStore = _made(lambda at: SqliteDeployments(at.writer, at.reader, at.audit, at.clock, open_for))
    secrets: SecretStore = _made(lambda at: SqliteSecrets(at.writer, at.reader, at.audit))
    users: UserStore = _urgent(SqliteUsers)
    orders: OrderStore = _control(SqliteOrders)
    log: LogStore = _made(lambda at: SqliteLog(at.writer, at.reader, at.audit, at.clock, at.audit_keys))
    user_admin: UserAdminStore = _urgent(SqliteUserAdmin)
    organisations: OrganisationStore = _urgent(SqliteOrganisations)
    memberships: MembershipStore = _urgent(SqliteMemberships)
    preferences: PreferenceStore = _control(SqlitePreferences)
    factors: FactorStore = _control(SqliteFactors)
    passkeys: PasskeyStore = _control(SqlitePasskeys)
    oidc: OidcStore = _urgent(SqliteOidc)
    tokens: ApiTokenStore = _urgent(SqliteApiTokens)
    retention: RetentionStore = _control(SqliteRetention)
    recovery: RecoveryStore = _control(SqliteRecovery)
    invites: InviteStore = _control(SqliteInvites)
    maintenance: MaintenanceStore = _control(SqliteMaintenance)
    channels: ChannelStore = _control(SqliteChannels)
    deliveries: DeliveryStore = _made(lambda at: SqliteDeliveries(at.writer, at.reader, at.audit))
    expectations: ExpectationStore = _control(SqliteExpectations)
    silence: SilenceStore = _control(SqliteSilence)
    policies: PolicyStore = _made(lambda at: at.policies)
    rollouts: RolloutStore = _made(lambda at: SqliteRollouts(at.writer, at.reader, at.audit, at.clock, at.jobs, at.policies))
    patch_windows: PatchWindowStore = _control(SqlitePatchWindows)
    rules: RuleStore = _control(SqliteRules)
    alerts: AlertStore = _made(lambda at: SqliteAlerts(at.writer, at.reader, at.audit, write_decisions))

    @classmethod
    def on(cls, connections: Connections) -> Store:
        """Make all stores."""
        made = cls(**{each.name: each.metadata["make"](connections) for each in fields(cls)})
        for each in fields(cls):
            act_for_owners(type(getattr(made, each.name)))
        return made

    @cached_property
    def _by_type(self) -> dict[type, object]:
        return {kind: getattr(self, name) for name, kind in get_type_hints(type(self)).items()}

    def __getitem__(self, kind: type[T], /) -> T:
        """The store that implements this Protocol (`core.stores.Stores`)."""
        return cast("T", self._by_type[kind])
