"""Deployments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.ids import DeploymentId, InviteId, NodeId
from groundcontrol.core.paging import Page
from groundcontrol.core.scope import Scope
from groundcontrol.deployments.invites import Invite
from groundcontrol.deployments.model import Deployment
from groundcontrol.nodes.model import NewNode, Node


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


class InviteStore(Protocol):
    """Invites and organisation secrets; and nodes that came with one until they are in."""

    async def create_invite(self, scope: Scope, invite: Invite) -> Invite:
        """Conflict: too many are open."""
        ...

    async def invites(self, scope: Scope, limit: int, cursor: str | None = None) -> Page[Invite]:
        """The newest first, with those that are over for some time; a page may hold fewer than `limit`."""
        ...

    async def invite(self, scope: Scope, invite: InviteId) -> Invite: ...
    async def find_invite(self, invite: InviteId, now: float) -> Invite | None:
        """For the agents' door: any organisation. None: unknown, spent, over or revoked."""
        ...

    async def use_invite(self, invite: InviteId, scope: Scope, node: NewNode) -> Node:
        """Spend one use and make the node, under a free name like that one. NotFound: there was none left."""
        ...

    async def settle_joining(self, node: NodeId) -> None:
        """The node is in: its installation stands."""
        ...

    async def unsettled(self) -> Sequence[tuple[NodeId, int]]:
        """Nodes whose installation had begun and has not been settled, with their organisations."""
        ...

    async def revoke_invite(self, scope: Scope, invite: InviteId) -> None: ...
    async def approve_node(self, scope: Scope, node: NodeId) -> Node:
        """Let a node in that waits for this; nothing happens where it does not."""
        ...
