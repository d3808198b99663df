"""Deployments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from groundcontrol.domain.deployments import Deployment
from groundcontrol.domain.ids import DeploymentId
from groundcontrol.domain.scope import Scope
from groundcontrol.store.base.entries import AuditEntry, Page


class DeploymentStore(Protocol):
    async def create_deployment(self, scope: Scope, deployment: Deployment, idempotency_key: str | None = None) -> Deployment: ...
    async def create_deployments(
        self, scope: Scope, deployments: Sequence[Deployment], idempotency_key: str | None = None
    ) -> Sequence[Deployment]:
        """All of them or none; they share one `batch`, or have none and no key. A repeat with the key gives back those that were made first."""
        ...

    async def deployment_of_key(self, scope: Scope, idempotency_key: str) -> Deployment | None:
        """The one that this actor made with this key."""
        ...

    async def deployment(self, scope: Scope, deployment: DeploymentId) -> Deployment: ...
    async def deployments(self, scope: Scope, limit: int, cursor: str | None = None, batch: str | None = None) -> Page[Deployment]:
        """The newest first; with `batch` only those of one request."""
        ...

    async def save_deployment(self, scope: Scope, deployment: Deployment, audit: AuditEntry | None = None) -> Deployment:
        """Compare-and-set on `version`; returns it with the next one."""
        ...

    async def may_still_deploy(self, scope: Scope, deployment: Deployment, ordered_at: float, now: float) -> bool:
        """Whether who acts here could order this deployment at this moment, by the rows of people and tokens, not by what the scope says.

        What was ordered before somebody was given another password is not theirs any more.
        """
        ...

    async def unfinished_deployments(self) -> Sequence[Deployment]: ...
    async def expire(self, before: float) -> int:
        """Forget some deployments that ended before then. Returns how many; call again until 0.

        The latest installation that succeeded, of each node that is there, stays: it says how to log in to the server, and its host key.
        """
        ...
