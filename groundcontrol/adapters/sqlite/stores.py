"""All stores: each class names its interface (`serves`), and is made here. No SQL, rows, cursors or transactions cross the interfaces.

A method that changes something is one durable transaction, with the audit row of a change by a person. Only expiry, compaction and removal
of samples take several. Each method returns after its commit, and may be repeated with equal arguments. Some edits name the version that they
replace, and fail if another version is stored. The errors are those of `core/errors.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final, TypeVar, cast

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
from groundcontrol.adapters.sqlite.alerts import SqliteAlerts
from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.batches import SqliteBatches
from groundcontrol.adapters.sqlite.control_store import SERVED
from groundcontrol.adapters.sqlite.deliveries import SqliteDeliveries
from groundcontrol.adapters.sqlite.delivery_rows import write_decisions
from groundcontrol.adapters.sqlite.deployments import SqliteDeployments
from groundcontrol.adapters.sqlite.engine.organisation import act_for_owners
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.events import SqliteLog
from groundcontrol.adapters.sqlite.jobs import SqliteJobs, delete_jobs_of
from groundcontrol.adapters.sqlite.maintenance import open_for
from groundcontrol.adapters.sqlite.node_logs import SqliteNodeLogs
from groundcontrol.adapters.sqlite.nodes import SqliteNodes
from groundcontrol.adapters.sqlite.orders import SqliteOrders
from groundcontrol.adapters.sqlite.plans import shows_loss
from groundcontrol.adapters.sqlite.policies import SqlitePolicies
from groundcontrol.adapters.sqlite.process_history import SqliteProcessHistory
from groundcontrol.adapters.sqlite.rollout_jobs import STARTS_NOTHING, reboot_waits
from groundcontrol.adapters.sqlite.rollouts import SqliteRollouts
from groundcontrol.adapters.sqlite.samples import SqliteMetrics
from groundcontrol.adapters.sqlite.secrets import SqliteSecrets
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

    def of_control(self, *, urgent: bool = False) -> tuple[Writer, Reader, Chain, Clock]:
        """The arguments of a `ControlStore`."""
        return self.writer, self.urgent if urgent else self.reader, self.audit, self.clock

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
        return SqlitePolicies(*self.of_control())


_COMPOSED: Final[dict[type, Callable[[Connections], object]]] = {
    SqliteNodes: lambda at: SqliteNodes(at.writer, at.reader, at.urgent, at.audit, at.metrics, at.clock, delete_jobs_of),
    SqliteMetrics: lambda at: at.metrics,
    SqliteNodeLogs: lambda at: SqliteNodeLogs(at.samples_writer, at.samples_reader),
    SqliteProcessHistory: lambda at: SqliteProcessHistory(at.samples_writer, at.samples_reader),
    SqliteJobs: lambda at: at.jobs,
    SqliteBatches: lambda at: SqliteBatches(*at.of_control(), at.jobs),
    SqliteDeployments: lambda at: SqliteDeployments(*at.of_control(), open_for),
    SqliteSecrets: lambda at: SqliteSecrets(at.writer, at.reader, at.audit),
    SqliteOrders: lambda at: SqliteOrders(at.reader, shows_loss),
    SqliteLog: lambda at: SqliteLog(*at.of_control(), at.audit_keys),
    SqliteDeliveries: lambda at: SqliteDeliveries(at.writer, at.reader, at.audit),
    SqlitePolicies: lambda at: at.policies,
    SqliteRollouts: lambda at: SqliteRollouts(*at.of_control(), at.jobs, at.policies),
    SqliteAlerts: lambda at: SqliteAlerts(at.writer, at.reader, at.audit, write_decisions),
}
"""Stores with other arguments than `ControlStore`, such as what a later slice does in the same transaction."""

_ABOVE: Final = {"database", "json_columns", "stores"}
for _found in iter_modules([str(Path(__file__).parent)]):
    if not _found.ispkg and _found.name not in _ABOVE:
        import_module(f"{__package__}.{_found.name}")


class Store:
    """All stores of one hub. Control and metrics are separate databases: no transaction spans them.

    Each is an attribute of its name. A name with its type here is for mypy; `store[NodeStore]` needs none.
    """

    hubs: HubStore
    sessions: SessionStore
    nodes: NodeStore
    tables: NodeTableStore
    metrics: MetricStore
    node_logs: NodeLogStore
    process_history: ProcessHistoryStore
    jobs: JobStore
    batches: BatchStore
    deployments: DeploymentStore
    secrets: SecretStore
    users: UserStore
    orders: OrderStore
    log: LogStore
    user_admin: UserAdminStore
    organisations: OrganisationStore
    memberships: MembershipStore
    preferences: PreferenceStore
    factors: FactorStore
    passkeys: PasskeyStore
    oidc: OidcStore
    tokens: ApiTokenStore
    retention: RetentionStore
    recovery: RecoveryStore
    invites: InviteStore
    maintenance: MaintenanceStore
    channels: ChannelStore
    deliveries: DeliveryStore
    expectations: ExpectationStore
    silence: SilenceStore
    policies: PolicyStore
    rollouts: RolloutStore
    patch_windows: PatchWindowStore
    rules: RuleStore
    alerts: AlertStore

    def __init__(self, at: Connections) -> None:
        self._names: dict[type, str] = {}
        for name, (protocol, made, urgent) in SERVED.items():
            act_for_owners(made)
            setattr(self, name, _COMPOSED[made](at) if made in _COMPOSED else made(*at.of_control(urgent=urgent)))
            self._names[protocol] = name

    def __getitem__(self, kind: type[T], /) -> T:
        """The store that implements this Protocol (`core.stores.Stores`)."""
        return cast("T", getattr(self, self._names[kind]))
