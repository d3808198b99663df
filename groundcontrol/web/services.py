"""What the web side is given. It is built in `app.py`; nothing here knows how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from groundcontrol.auth.service import AuthService
from groundcontrol.bus.base import Bus
from groundcontrol.config import Config
from groundcontrol.domain.deployments import Deployment, DeploymentOverrides, DeploymentRequest
from groundcontrol.domain.ids import DeploymentId, HubId, JobId, NodeId
from groundcontrol.domain.jobs import Job, JobAction
from groundcontrol.domain.nodes import Node
from groundcontrol.domain.scope import Scope
from groundcontrol.store.base import Store
from spider.clock import Clock


class Presence(Protocol):
    """Who is connected and what they said last (`fleet.registry`)."""

    def online(self, node: NodeId) -> bool: ...
    def last_seen(self, node: Node) -> float | None:
        """When it was last heard of; of a node that is online, now or nearly so."""
        ...

    def latest(self, node: NodeId) -> Mapping[str, tuple[float | None, float]]:
        """Series -> (value, taken at), of every family."""
        ...


class Jobs(Protocol):
    """`jobs.service`."""

    async def submit(
        self, scope: Scope, node_id: NodeId, action: JobAction, packages: tuple[str, ...], reboot: bool, idempotency_key: str | None
    ) -> Job: ...
    async def cancel(self, scope: Scope, job_id: JobId) -> Job: ...


class Deployments(Protocol):
    """`deployments.service`."""

    async def install(self, scope: Scope, request: DeploymentRequest, idempotency_key: str | None) -> Deployment: ...
    async def remove(self, scope: Scope, node_id: NodeId, overrides: DeploymentOverrides | None, force: bool) -> Deployment: ...
    async def confirm_host_key(self, scope: Scope, deployment: DeploymentId, fingerprint: str) -> Deployment: ...
    async def cancel(self, scope: Scope, deployment: DeploymentId) -> Deployment: ...
    async def retry(self, scope: Scope, deployment: DeploymentId, overrides: DeploymentOverrides | None) -> Deployment: ...


@dataclass(frozen=True)
class Services:
    """Everything that a handler may use."""

    config: Config
    clock: Clock
    store: Store
    bus: Bus
    registry: Presence
    jobs: Jobs
    deployments: Deployments
    auth: AuthService
    hub_id: HubId
    build: str
    """Of the hub; the page has its own."""
