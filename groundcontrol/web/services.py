"""What the web side is given. It is built in `app.py`; nothing here knows how."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from groundcontrol.auth.service import AuthService
from groundcontrol.bus.base import Bus
from groundcontrol.config import Config
from groundcontrol.domain.deployments import Confirmation, Deployment, DeploymentOverrides, DeploymentRequest, Unconfirmed
from groundcontrol.domain.facts import FactTable
from groundcontrol.domain.history import Damage
from groundcontrol.domain.ids import BatchId, DeploymentId, HubId, JobId, NodeId
from groundcontrol.domain.invites import Invite
from groundcontrol.domain.jobs import Batch, Job, Wish
from groundcontrol.domain.nodes import Node
from groundcontrol.domain.scope import Scope
from groundcontrol.domain.server_lists import Format, Reading
from groundcontrol.domain.summary import Brief
from groundcontrol.refusals import Refusals
from groundcontrol.store.base import Store
from groundcontrol.web.costs import Costs
from groundcontrol.web.places import Places, Room
from spider.clock import Clock


class Presence(Protocol):
    """Who is connected and what they said last (`fleet.registry`)."""

    def online(self, node: NodeId) -> bool: ...
    def reconnecting(self, node: NodeId) -> bool:
        """Whether it is not known yet if the node comes back to a hub that has just started."""
        ...

    def last_seen(self, node: Node) -> float | None:
        """When it was last heard of; of a node that is online, now or nearly so."""
        ...

    def skew(self, node: NodeId) -> float | None:
        """How many seconds the clock of a connected node is ahead; None: that is not known."""
        ...

    def latest(self, node: NodeId) -> Mapping[str, tuple[float | None, float]]:
        """Series -> (value, taken at), of every family."""
        ...

    def summary(self, node: NodeId, *, written: bool = False) -> Collection[Brief]:
        """What lists show of the newest row of every family, as it follows what comes. `written`: as JSON, which is made ready for a while from now on."""
        ...


class Facts(Protocol):
    """Tables of nodes that are connected (`fleet.facts`)."""

    def tables(self, node: NodeId) -> Mapping[str, FactTable]: ...


class Damages(Protocol):
    """`fleet.damage`."""

    async def tell(self, node: Node, found: Sequence[Damage]) -> None: ...


class Jobs(Protocol):
    """`jobs.service`."""

    async def submit(self, scope: Scope, node_id: NodeId, wish: Wish, idempotency_key: str | None) -> Job: ...
    async def submit_many(
        self, scope: Scope, nodes: Sequence[NodeId], wish: Wish, idempotency_key: str | None, plans_of: BatchId | None = None
    ) -> Batch: ...
    async def cancel(self, scope: Scope, job_id: JobId, *, force: bool = False) -> Job: ...
    async def cancel_many(self, scope: Scope, batch_id: BatchId) -> Batch: ...
    async def keep_up(self, scope: Scope, node_id: NodeId, wish: Wish, idempotency_key: str | None = None) -> Job: ...


class Deployments(Protocol):
    """`deployments.service`."""

    async def install(self, scope: Scope, request: DeploymentRequest, idempotency_key: str | None) -> Deployment: ...
    async def install_many(
        self, scope: Scope, requests: Sequence[DeploymentRequest], idempotency_key: str | None
    ) -> Sequence[Deployment]: ...
    async def preview(self, scope: Scope, text: str, form: Format | Literal["auto"]) -> Reading: ...
    async def confirm_host_keys(
        self, scope: Scope, confirmed: Sequence[Confirmation]
    ) -> tuple[Sequence[Deployment], Sequence[Unconfirmed]]: ...
    async def redeploy(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None) -> Deployment: ...
    async def remove(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None, force: bool) -> Deployment: ...
    async def confirm_host_key(self, scope: Scope, deployment: DeploymentId, fingerprint: str) -> Deployment: ...
    async def cancel(self, scope: Scope, deployment: DeploymentId) -> Deployment: ...
    async def retry(self, scope: Scope, deployment: DeploymentId, overrides: DeploymentOverrides | None) -> Deployment: ...


class Invitations(Protocol):
    """`deployments.script`."""

    script: bytes
    """`install.sh`."""
    script_sha256: str

    def text(self, invite: Invite, proxy: str = "") -> str:
        """The invite with its secret, for its maker alone."""
        ...


class Updates(Protocol):
    """`deployments.updates`."""

    version: str
    """Of Spider, which updates bring."""

    async def begin(self, scope: Scope, nodes: Sequence[NodeId], canaries: int, at_once: int) -> list[Deployment]: ...
    async def cancel(self, scope: Scope, deployment: DeploymentId) -> Deployment: ...


MAX_EXPORTS: Final = 8
"""Each holds an hour of rows, 10 MB and more, until its reader has taken them."""
MAX_EXPORTS_OF_A_USER: Final = 4
MAX_OUTPUTS: Final = 16
"""Outputs of jobs that are sent at once: each holds up to 1 MiB until its reader has taken it."""
MAX_OUTPUTS_OF_A_USER: Final = 4
MAX_HISTORY_VALUES: Final = 400_000
"""Points times lines of the histories that are worked out at once: each takes up to 250 bytes meanwhile."""
MAX_HISTORY_VALUES_OF_A_USER: Final = 200_000
"""And of one answer: of many lines there are fewer points."""
HISTORY_PATIENCE_S: Final = 10.0
"""Less than the fifteen seconds of a page, which is told why then."""


@dataclass(frozen=True)
class Services:
    """Everything that a handler may use."""

    config: Config
    clock: Clock
    store: Store
    bus: Bus
    registry: Presence
    facts: Facts
    damage: Damages
    jobs: Jobs
    deployments: Deployments
    invites: Invitations
    updates: Updates
    auth: AuthService
    refusals: Refusals
    hub_id: HubId
    build: str
    """Of the hub; the page has its own."""
    costs: Costs
    exports: Places = field(default_factory=lambda: Places("exports", MAX_EXPORTS, MAX_EXPORTS_OF_A_USER))
    outputs: Places = field(default_factory=lambda: Places("outputs of jobs", MAX_OUTPUTS, MAX_OUTPUTS_OF_A_USER))
    histories: Room = field(
        default_factory=lambda: Room(
            "more history is asked for than this hub works out at once: ask for fewer series or points, or for one thing after the other",
            MAX_HISTORY_VALUES,
            MAX_HISTORY_VALUES_OF_A_USER,
            HISTORY_PATIENCE_S,
        )
    )
