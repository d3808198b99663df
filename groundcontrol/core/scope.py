"""The actor of a request, its organisation, and the nodes that it is limited to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, NamedTuple

ActorKind = Literal["user", "token", "local", "node", "system"]
Role = Literal["admin", "operator", "viewer"]

RANK: Final[dict[Role, int]] = {"viewer": 0, "operator": 1, "admin": 2}
"""The order of roles: each role may do everything that a lower role may."""


def min_role(first: Role, second: Role) -> Role:
    """The weaker of two roles."""
    return first if RANK[first] <= RANK[second] else second


class Actor(NamedTuple):
    """The user, token, local user (`local:<uid>`), node or hub (`system`) that acts. The audit log shows `name`: `admin`, `admin/backup`
    (a token), `local:0`, `node:<id>`, `system`."""

    kind: ActorKind
    id: str
    name: str
    role: Role
    address: str = ""
    """The client address of the request; empty: the request did not come over the network."""
    instance_admin: bool = False
    """Whether the actor administers the instance: its organisations, settings and backups. It shows no organisation's data."""


def node_actor(node: str, address: str = "") -> Actor:
    """A node as the actor; an empty id: the hub has not identified the node yet."""
    return Actor("node", node, f"node:{node}" if node else "unknown", "viewer", address)


class Grants(NamedTuple):
    """A limit to some nodes: those with one of these ids or tags. If both are empty, it admits no node."""

    nodes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def admit(self, node: str, tags: Collection[str]) -> bool:
        """Whether this limit includes a node."""
        return node in self.nodes or any(tag in tags for tag in self.tags)


class Scope(NamedTuple):
    """The organisation, actor and limits of a request; every store method that a user's request reaches takes one."""

    actor: Actor
    org: int
    grants: tuple[Grants, ...] = ()
    """Limits of the user and of the token; each of them must admit a node. Empty: every node is admitted."""

    def admits(self, node: str, tags: Collection[str]) -> bool:
        """Whether the caller may see this node."""
        return all(grant.admit(node, tags) for grant in self.grants)


NO_ORG: Final = 0
"""The organisation of a caller who works in none: nothing belongs to it, so such a caller sees nothing."""
DEFAULT_ORG: Final = 1
"""The organisation of the instance: of its first user, the local socket, offline commands, its own secrets, events and alerts."""
HUB: Final = Actor("system", "system", "system", "admin", instance_admin=True)


def hub_scope(org: int) -> Scope:
    """The hub as the actor in one organisation: that of the node, job, rule or channel on which it acts."""
    return Scope(HUB, org)


SYSTEM: Final = hub_scope(DEFAULT_ORG)
"""The hub as the actor in the organisation of the instance. `tests/test_architecture.py` lists who may use it."""
