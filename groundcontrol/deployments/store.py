"""Store interfaces of deployments and invites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.ids import DeploymentId, InviteId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.deployments.model import Deployment, Invite
from groundcontrol.events.model import Event
from groundcontrol.jobs.model import NewJob
from groundcontrol.nodes.model import NewNode, Node


class DeploymentStore(Protocol):
    async def create_deployment(
        self, scope: Scope, deployment: Deployment, idempotency_key: str | None = None, order: NewJob | None = None
    ) -> Deployment:
        """Create a deployment, and in the same transaction the job that carries it out."""
        ...

    async def create_deployments(
        self, scope: Scope, deployments: Sequence[Deployment], idempotency_key: str | None = None
    ) -> Sequence[Deployment]:
        """Create all or none. A repeated key returns the deployments that were created first.

        All have one common `batch`; without a batch there is no key.
        """
        ...

    async def deployment_of_key(self, scope: Scope, idempotency_key: str) -> Deployment | None:
        """The deployment that this actor created with this key; None: there is none."""
        ...

    async def deployment(self, scope: Scope, deployment: DeploymentId) -> Deployment: ...
    async def deployments(self, scope: Scope, limit: int, cursor: str | None = None, batch: str | None = None) -> Page[Deployment]:
        """A page of deployments, newest first; `batch`: those of one bulk request."""
        ...

    async def save_deployment(
        self, scope: Scope, deployment: Deployment, audit: AuditEntry | None = None, order: NewJob | None = None
    ) -> Deployment:
        """Save a deployment, and count its `version` up. `order`: as in `create_deployment`.

        Returns: it with the new version. Raises: Conflict: its version is not the stored one.
        """
        ...

    async def may_still_deploy(self, scope: Scope, deployment: Deployment, ordered_at: float, now: float) -> bool:
        """Whether the actor is still authorized for this deployment. The stored users and tokens decide, not the scope.

        After a password reset, the user's earlier orders are no longer authorized.
        """
        ...

    async def unfinished_deployments(self) -> Sequence[Deployment]: ...
    async def expire(self, before: float) -> int:
        """Delete some deployments that ended before then (Unix seconds). Returns: how many; call again until 0.

        The latest successful installation of each existing node stays, since it holds the server's login and host key.
        """
        ...


class InviteStore(Protocol):
    """Store of invites and organisation secrets, and of nodes whose join is not settled."""

    async def create_invite(self, scope: Scope, invite: Invite) -> Invite:
        """Store an invite. Raises: Conflict: too many are open."""
        ...

    async def invites(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Invite]:
        """A page of invites, newest first, recently ended invites included. It may hold fewer than `limit`."""
        ...

    async def invite(self, scope: Scope, invite: InviteId) -> Invite: ...
    async def find_invite(self, invite: InviteId, now: float) -> Invite | None:
        """An open invite of any organisation, for the handshake. None: unknown, used, expired or revoked."""
        ...

    async def use_invite(self, invite: InviteId, scope: Scope, node: NewNode) -> Node:
        """Consume one use and create the node. If its name is taken, it gets a similar one. Raises: NotFound: the invite is not valid any more."""
        ...

    async def settle_joining(self, node: NodeId, event: Event) -> None:
        """Mark the node's installation as complete, and store its event."""
        ...

    async def unsettled(self) -> Sequence[tuple[NodeId, int]]:
        """Nodes whose installation began and is not settled, with their organisations."""
        ...

    async def revoke_invite(self, scope: Scope, invite: InviteId) -> None: ...
    async def approve_node(self, scope: Scope, node: NodeId) -> Node:
        """Approve a waiting node. No effect if it does not wait."""
        ...

    async def reject_node(self, scope: Scope, node: NodeId) -> None:
        """Delete a waiting node. Raises: NotFound; Conflict: it does not wait, as another user has approved it."""
        ...
